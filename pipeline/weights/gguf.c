// A .gguf file, versions 2 and 3: magic, version and counts, keys with their values, tensors with
// the places of their data, and behind padding the data. It is read in this order from a copy that
// grows ahead of the reading, so that no number in the file makes anything larger than the file,
// and nobody can change what was checked.

#include "checkpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "meta.h"

#define MAX_KEY_BYTES    65535
#define MAX_NAME_BYTES   63 // of a tensor
#define MAX_DIMS         4
#define MAX_ALIGNMENT    (1 << 20)
#define MIN_KEY_BYTES    (8 + 1 + 4 + 1) // of a key and its value together
#define MIN_TENSOR_BYTES (8 + 4 + 4 + 8)
#define FIRST_BYTES      (1 << 16) // of the copy; it grows by doubling

struct reader {
    struct ww_weights *w;
    const struct ww_weights_file *file;
    int number;
    char *header;      // the first `have` bytes of the file
    size_t have, room; // bytes
    size_t at;         // where we are
    uint64_t *strings; // as in struct ww_weights
    size_t num_strings, strings_room;
    struct ww_meta *metas;
    size_t num_metas, metas_room;
    struct ww_error *err;
};

static size_t left(const struct reader *r)
{
    return r->file->bytes - r->at;
}

static bool no_memory(struct reader *r)
{
    return ww_fail(r->err, WW_E_MEMORY, "no memory left on this host for the header");
}

// Makes sure that `bytes` more can be read at `at`.
static bool need(struct reader *r, uint64_t bytes, const char *what)
{
    if (bytes > left(r))
        return ww_fail(r->err, WW_E_FILE,
                       "the file ends inside %s: %llu bytes are needed at %zu, "
                       "and %zu are there",
                       what, (unsigned long long)bytes, r->at, left(r));
    const size_t end = r->at + (size_t)bytes;
    if (end <= r->have)
        return true;
    size_t room = r->room ? r->room : FIRST_BYTES;
    while (room < end)
        room *= 2; // end is at most PTRDIFF_MAX
    if (room > r->file->bytes)
        room = r->file->bytes;
    char *grown = malloc(room);
    if (!grown)
        return no_memory(r);
    if (r->have)
        memcpy(grown, r->header, r->have);
    free(r->header);
    r->header = grown;
    r->room = room;
    if (!ww_file_read(r->file, r->have, r->header + r->have, room - r->have, r->err))
        return false;
    r->have = room;
    return true;
}

static bool read_number(struct reader *r, int bytes, uint64_t *out, const char *what)
{
    if (!need(r, (uint64_t)bytes, what))
        return false;
    *out = ww_little(r->header + r->at, bytes);
    r->at += (size_t)bytes;
    return true;
}

// A length and that many bytes; `out` points into the header as it is now.
static bool read_text(struct reader *r, struct ww_text *out, const char *what)
{
    uint64_t length;
    if (!read_number(r, 8, &length, what) || !need(r, length, what))
        return false;
    *out = (struct ww_text){r->header + r->at, (size_t)length};
    r->at += (size_t)length;
    return true;
}

// The same for a name by which something is looked up: UTF-8, without a NUL, copied.
static bool read_name(struct reader *r, size_t max_bytes, const char **out, const char *what)
{
    struct ww_text text;
    if (!read_text(r, &text, what))
        return false;
    if (text.bytes > max_bytes)
        return ww_fail(r->err, WW_E_FILE, "%s has %zu bytes; %zu are allowed", what, text.bytes,
                       max_bytes);
    if (memchr(text.at, '\0', text.bytes) || !ww_utf8_valid(text.at, text.bytes))
        return ww_fail(r->err, WW_E_FILE, "%s '%.*s' holds a NUL or is no UTF-8", what,
                       (int)(text.bytes < 200 ? text.bytes : 200), text.at);
    *out = ww_arena_strndup(r->w->arena, text.at, text.bytes);
    return true;
}

// Room for one more in a list that doubles.
static bool grow(void **list, size_t count, size_t *room, size_t each)
{
    if (count < *room)
        return true;
    const size_t more = *room ? *room * 2 : 64;
    void *grown = malloc(more * each);
    if (!grown)
        return false;
    if (count)
        memcpy(grown, *list, count * each);
    free(*list);
    *list = grown;
    *room = more;
    return true;
}

static bool read_string_value(struct reader *r)
{
    void *list = r->strings;
    const bool grown = grow(&list, r->num_strings, &r->strings_room, sizeof(*r->strings));
    r->strings = list;
    if (!grown)
        return no_memory(r);
    r->strings[r->num_strings++] = r->at;
    struct ww_text text;
    return read_text(r, &text, "a string");
}

static const int widths[WW_NUM_META_TYPES] = {
    [WW_META_U8] = 1,  [WW_META_I8] = 1,  [WW_META_U16] = 2, [WW_META_I16] = 2,
    [WW_META_U32] = 4, [WW_META_I32] = 4, [WW_META_F32] = 4, [WW_META_BOOL] = 1,
    [WW_META_U64] = 8, [WW_META_I64] = 8, [WW_META_F64] = 8,
};

static bool read_type(struct reader *r, uint64_t *type, const char *what)
{
    if (!read_number(r, 4, type, what))
        return false;
    return *type < WW_NUM_META_TYPES ||
           ww_fail(r->err, WW_E_FILE, "%s is %llu; 0 to %d are known", what,
                   (unsigned long long)*type, WW_NUM_META_TYPES - 1);
}

// The elements. What points into memory that may still move is kept as a number until the end.
static bool read_elements(struct reader *r, struct ww_meta *meta)
{
    if (meta->type == WW_META_STRING) {
        if (meta->count > left(r) / 8)
            return ww_fail(r->err, WW_E_FILE, "%zu strings are more than the %zu bytes that follow",
                           meta->count, left(r));
        meta->begin = (const uint64_t *)(uintptr_t)r->num_strings;
        for (size_t i = 0; i < meta->count; i++)
            if (!read_string_value(r))
                return meta->is_array ? ww_within(r->err, "element %zu", i) : false;
        return true;
    }
    const size_t width = (size_t)widths[meta->type];
    if (meta->count > left(r) / width)
        return ww_fail(r->err, WW_E_FILE,
                       "%zu elements of %zu bytes are more than the %zu bytes that follow",
                       meta->count, width, left(r));
    if (!need(r, meta->count * width, "a value"))
        return false;
    const char *at = r->header + r->at;
    for (size_t i = 0; meta->type == WW_META_BOOL && i < meta->count; i++)
        if (at[i] != 0 && at[i] != 1)
            return ww_fail(r->err, WW_E_FILE, "is %d, where a boolean is 0 or 1",
                           (unsigned char)at[i]);
    meta->at = (const char *)(uintptr_t)r->at;
    r->at += meta->count * width;
    return true;
}

static bool read_value(struct reader *r, struct ww_meta *meta)
{
    uint64_t type, count = 1;
    if (!read_type(r, &type, "value type"))
        return false;
    if (type == WW_META_ARRAY) {
        meta->is_array = true;
        if (!read_type(r, &type, "element type"))
            return false;
        if (type == WW_META_ARRAY)
            return ww_fail(r->err, WW_E_FILE, "an array of arrays, which no model has");
        if (!read_number(r, 8, &count, "an array's count"))
            return false;
        if (count > left(r))
            return ww_fail(r->err, WW_E_FILE,
                           "%llu elements are more than the %zu bytes that follow",
                           (unsigned long long)count, left(r));
    }
    meta->type = (enum ww_meta_type)type;
    meta->count = (size_t)count;
    return read_elements(r, meta);
}

static bool read_metas(struct reader *r, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        void *list = r->metas;
        const bool grown = grow(&list, r->num_metas, &r->metas_room, sizeof(*r->metas));
        r->metas = list;
        if (!grown)
            return no_memory(r);
        struct ww_meta *meta = &r->metas[r->num_metas];
        *meta = (struct ww_meta){.key = ""};
        if (!read_name(r, MAX_KEY_BYTES, &meta->key, "key"))
            return ww_within(r->err, "key %llu", (unsigned long long)i);
        if (!*meta->key)
            return ww_fail(r->err, WW_E_FILE, "key %llu has no name", (unsigned long long)i);
        if (!read_value(r, meta))
            return ww_within(r->err, "key '%.200s'", meta->key);
        r->num_metas++;
    }
    return true;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct ww_meta *)a)->key, ((const struct ww_meta *)b)->key);
}

static bool sort_metas(struct reader *r)
{
    if (r->num_metas)
        qsort(r->metas, r->num_metas, sizeof(*r->metas), by_key);
    for (size_t i = 1; i < r->num_metas; i++)
        if (strcmp(r->metas[i - 1].key, r->metas[i].key) == 0)
            return ww_fail(r->err, WW_E_FILE, "key '%.200s' is there twice", r->metas[i].key);
    return true;
}

static bool find_alignment(struct reader *r, size_t *out)
{
    *out = 32;
    for (size_t i = 0; i < r->num_metas; i++) {
        const struct ww_meta *meta = &r->metas[i];
        if (strcmp(meta->key, "general.alignment") != 0)
            continue;
        if (meta->is_array || meta->type != WW_META_U32)
            return ww_fail(r->err, WW_E_FILE, "key 'general.alignment' is %s, not a U32",
                           ww_meta_kind(meta));
        const uint64_t value = ww_little(r->header + (uintptr_t)meta->at, 4);
        if (value == 0 || (value & (value - 1)) || value > MAX_ALIGNMENT)
            return ww_fail(r->err, WW_E_FILE,
                           "key 'general.alignment' is %llu; it must be a power of two up to %d",
                           (unsigned long long)value, MAX_ALIGNMENT);
        *out = (size_t)value;
    }
    return true;
}

// By the number that stands in the file; the ones without a type here are refused by their name.
static const struct {
    const char *name;
    bool known;
    enum ww_type type;
} types[] = {
    [0] = {"F32", true, WW_F32},
    [1] = {"F16", true, WW_F16},
    [2] = {"Q4_0", true, WW_Q4_0},
    [3] = {"Q4_1", true, WW_Q4_1},
    [4] = {"Q4_2"},
    [5] = {"Q4_3"},
    [6] = {"Q5_0", true, WW_Q5_0},
    [7] = {"Q5_1", true, WW_Q5_1},
    [8] = {"Q8_0", true, WW_Q8_0},
    [9] = {"Q8_1"},
    [10] = {"Q2_K", true, WW_Q2_K},
    [11] = {"Q3_K", true, WW_Q3_K},
    [12] = {"Q4_K", true, WW_Q4_K},
    [13] = {"Q5_K", true, WW_Q5_K},
    [14] = {"Q6_K", true, WW_Q6_K},
    [15] = {"Q8_K"},
    [16] = {"IQ2_XXS"},
    [17] = {"IQ2_XS"},
    [18] = {"IQ3_XXS"},
    [19] = {"IQ1_S"},
    [20] = {"IQ4_NL", true, WW_IQ4_NL},
    [21] = {"IQ3_S"},
    [22] = {"IQ2_S"},
    [23] = {"IQ4_XS", true, WW_IQ4_XS},
    [24] = {"I8", true, WW_I8},
    [25] = {"I16", true, WW_I16},
    [26] = {"I32", true, WW_I32},
    [27] = {"I64", true, WW_I64},
    [28] = {"F64", true, WW_F64},
    [29] = {"IQ1_M"},
    [30] = {"BF16", true, WW_BF16},
    [34] = {"TQ1_0"},
    [35] = {"TQ2_0"},
    [39] = {"MXFP4"},
    [40] = {"NVFP4"},
};

static bool find_type(struct reader *r, uint64_t number, enum ww_type *out)
{
    const bool listed = number < sizeof(types) / sizeof(types[0]) && types[number].name;
    if (!listed)
        return ww_fail(r->err, WW_E_FILE, "type is %llu, which no version of the format knows",
                       (unsigned long long)number);
    if (!types[number].known)
        return ww_fail(r->err, WW_E_FILE,
                       "type is %s, which is not supported; a file in Q8_0, Q4_K or F16 is",
                       types[number].name);
    *out = types[number].type;
    return true;
}

// Bytes, from the dimensions and the type.
static bool measure(struct reader *r, struct ww_weight *t)
{
    const int64_t block = (int64_t)ww_type_block(t->type);
    const int64_t row = t->rank ? t->dim[t->rank - 1] : 1;
    if (row % block)
        return ww_fail(r->err, WW_E_FILE, "rows of %lld elements are no whole blocks of %lld (%s)",
                       (long long)row, (long long)block, ww_type_name(t->type));
    int64_t bytes = (int64_t)ww_type_block_bytes(t->type), elements = 1;
    bool fits = true;
    for (int i = t->rank - 1; i >= 0; i--) {
        const int64_t dim = i == t->rank - 1 ? row / block : t->dim[i];
        fits = fits && !__builtin_mul_overflow(bytes, dim, &bytes) &&
               !__builtin_mul_overflow(elements, t->dim[i], &elements);
    }
    t->bytes = (size_t)bytes;
    return fits || ww_fail(r->err, WW_E_FILE, "dimensions make more elements than can be counted");
}

static bool read_tensor(struct reader *r, struct ww_weight *t, uint64_t *offset)
{
    uint64_t rank = 0, dim = 0, type = 0;
    if (!read_number(r, 4, &rank, "n_dims"))
        return false;
    if (rank > MAX_DIMS)
        return ww_fail(r->err, WW_E_FILE, "n_dims is %llu; %d are allowed",
                       (unsigned long long)rank, MAX_DIMS);
    t->rank = (int)rank;
    for (int i = t->rank - 1; i >= 0; i--) { // the file's first is the fastest, our last
        if (!read_number(r, 8, &dim, "a dimension"))
            return false;
        if (dim > INT64_MAX)
            return ww_fail(r->err, WW_E_FILE, "dimension %d is %lld, which is negative",
                           t->rank - 1 - i, (long long)dim);
        t->dim[i] = (int64_t)dim;
    }
    return read_number(r, 4, &type, "a type") && find_type(r, type, &t->type) && measure(r, t) &&
           read_number(r, 8, offset, "an offset");
}

// The reference writes tensors end to end, each padded, in the order of their descriptions, and
// takes nothing else. `*place`, relative to the data, is where this one has to be.
static bool check_place(struct reader *r, const struct ww_weight *t, uint64_t offset,
                        size_t alignment, uint64_t *place)
{
    if (offset != *place)
        return ww_fail(r->err, WW_E_FILE, "offset is %llu, but the tensors before it end at %llu",
                       (unsigned long long)offset, (unsigned long long)*place);
    uint64_t end;
    if (__builtin_add_overflow(*place, t->bytes, &end) ||
        __builtin_add_overflow(end, alignment - 1, &end))
        return ww_fail(r->err, WW_E_FILE, "ends beyond what can be counted");
    *place = end / alignment * alignment;
    return true;
}

static bool read_tensors(struct reader *r, uint64_t count, size_t alignment)
{
    uint64_t place = 0;
    const size_t first = r->w->num_tensors;
    for (uint64_t i = 0; i < count; i++) {
        const size_t room = r->w->room;
        if (r->w->num_tensors == room &&
            !ww_weights_reserve(r->w, i + 1 < count ? room / 2 + 64 : 1, r->err))
            return false;
        struct ww_weight *t = &r->w->tensors[r->w->num_tensors];
        *t = (struct ww_weight){.name = "", .file = r->number};
        uint64_t offset = 0;
        if (!read_name(r, MAX_NAME_BYTES, &t->name, "name"))
            return ww_within(r->err, "tensor %llu", (unsigned long long)i);
        if (!read_tensor(r, t, &offset))
            return ww_within(r->err, "tensor '%s'", t->name);
        const uint64_t begin = place;
        if (!check_place(r, t, offset, alignment, &place))
            return ww_within(r->err, "tensor '%s'", t->name);
        t->data = (const void *)(uintptr_t)begin;
        r->w->num_tensors++;
    }
    // The data starts where the header ends, which is known only now.
    const size_t data = (r->at + alignment - 1) / alignment * alignment;
    for (size_t i = first; i < r->w->num_tensors; i++) {
        struct ww_weight *t = &r->w->tensors[i];
        const uint64_t begin = (uintptr_t)t->data;
        if (data > r->file->bytes || begin > r->file->bytes - data ||
            t->bytes > r->file->bytes - data - begin)
            return ww_fail(r->err, WW_E_FILE,
                           "tensor '%s': %zu bytes from %llu on lie beyond the end of the file, "
                           "which was cut off",
                           t->name, t->bytes, (unsigned long long)(data + begin));
        t->data = r->file->map + data + begin;
    }
    return true;
}

static bool read_start(struct reader *r, uint64_t *num_tensors, uint64_t *num_metas)
{
    uint64_t version;
    if (!need(r, 4, "the magic"))
        return false;
    if (memcmp(r->header, "GGUF", 4) != 0)
        return ww_fail(r->err, WW_E_FILE, "magic is '%.4s', not 'GGUF': this is no GGUF file",
                       r->header);
    r->at = 4;
    if (!read_number(r, 4, &version, "the version"))
        return false;
    if ((version & 0xffff) == 0 && version != 0)
        return ww_fail(r->err, WW_E_FILE,
                       "version reads 0x%08x: a big-endian file, which is not "
                       "supported; convert it again for little-endian machines",
                       (unsigned)version);
    if (version != 2 && version != 3)
        return ww_fail(r->err, WW_E_FILE,
                       "version is %llu; 2 and 3 are supported, convert the model again",
                       (unsigned long long)version);
    if (!read_number(r, 8, num_tensors, "the count of tensors") ||
        !read_number(r, 8, num_metas, "the count of keys"))
        return false;
    if (*num_metas > left(r) / MIN_KEY_BYTES)
        return ww_fail(r->err, WW_E_FILE, "%llu keys do not fit into the %zu bytes that follow",
                       (unsigned long long)*num_metas, left(r));
    if (*num_tensors > left(r) / MIN_TENSOR_BYTES)
        return ww_fail(r->err, WW_E_FILE, "%llu tensors do not fit into the %zu bytes that follow",
                       (unsigned long long)*num_tensors, left(r));
    return true;
}

static bool read_all(struct reader *r)
{
    uint64_t num_tensors = 0, num_metas = 0;
    size_t alignment;
    return read_start(r, &num_tensors, &num_metas) && read_metas(r, num_metas) &&
           find_alignment(r, &alignment) && sort_metas(r) &&
           read_tensors(r, num_tensors, alignment);
}

// Hands header, strings and keys to the checkpoint; they move no more. Only the first file of a
// split model carries the keys.
static void keep(struct reader *r)
{
    for (size_t i = 0; i < r->num_metas; i++) {
        struct ww_meta *meta = &r->metas[i];
        meta->header = r->header;
        if (meta->type == WW_META_STRING)
            meta->begin = r->strings + (uintptr_t)meta->begin;
        else
            meta->at = r->header + (uintptr_t)meta->at;
    }
    r->w->header = r->header;
    r->w->strings = r->strings;
    r->w->metas = r->metas;
    r->w->num_metas = r->num_metas;
    r->header = NULL;
    r->strings = NULL;
    r->metas = NULL;
}

bool ww_read_gguf(struct ww_weights *w, int number, struct ww_error *err)
{
    struct reader r = {.w = w, .file = &w->files[number], .number = number, .err = err};
    const bool sound = ww_file_map(&w->files[number], err) && read_all(&r);
    if (sound && !w->header)
        keep(&r);
    free(r.header);
    free(r.strings);
    free(r.metas);
    return sound;
}
