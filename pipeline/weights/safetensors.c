// A .safetensors file: eight bytes that hold a length N, N bytes of JSON that describe the tensors,
// and their bytes without a gap. Every check that the format's specification and its reference
// reader make is made here, and it happens in a copy of the header, so that nobody can change what
// was checked.

#include "checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"

#define MAX_HEADER_BYTES 100000000 // the reference's own limit
#define MAX_VALUES       (1 << 21) // of JSON; a tensor takes about ten: room for 200,000

static bool find_type(const char *name, enum ww_type *out)
{
    for (int type = 0; type < WW_NUM_TYPES; type++) {
        if (ww_type_bits((enum ww_type)type) > 0 && // blocks are GGUF's
            strcmp(name, ww_type_name((enum ww_type)type)) == 0) {
            *out = (enum ww_type)type;
            return true;
        }
    }
    return false;
}

static bool parse_shape(const struct ww_json *shape, struct ww_weight *out, struct ww_error *err)
{
    for (const struct ww_json *x = ww_json_first(shape); x; x = ww_json_next(x)) {
        int64_t dim;
        if (out->rank == WW_MAX_RANK)
            return ww_fail(err, WW_E_FILE, "shape has more than %d dimensions", WW_MAX_RANK);
        if (!ww_json_integer(x, &dim))
            return ww_fail(err, WW_E_FILE, "shape[%d] is %s, not a whole number", out->rank,
                           ww_json_kind_name(ww_json_kind(x)));
        if (dim < 0)
            return ww_fail(err, WW_E_FILE, "shape[%d] is %lld, which is negative", out->rank,
                           (long long)dim);
        out->dim[out->rank++] = dim;
    }
    // The product must not overflow even where a later dimension is 0.
    int64_t bits = (int64_t)ww_type_bits(out->type);
    for (int i = 0; i < out->rank; i++)
        if (__builtin_mul_overflow(bits, out->dim[i], &bits))
            return ww_fail(err, WW_E_FILE, "shape has more elements than can be counted");
    if (bits % 8)
        return ww_fail(err, WW_E_FILE, "shape makes %lld bits of %s, which are no whole bytes",
                       (long long)bits, ww_type_name(out->type));
    out->bytes = (size_t)(bits / 8);
    return true;
}

static bool parse_offsets(const struct ww_json *offsets, size_t data_bytes, struct ww_weight *out,
                          size_t *begin, struct ww_error *err)
{
    int64_t at[2];
    int count = 0;
    for (const struct ww_json *x = ww_json_first(offsets); x; x = ww_json_next(x), count++) {
        if (count < 2 && (!ww_json_integer(x, &at[count]) || at[count] < 0))
            return ww_fail(err, WW_E_FILE, "data_offsets[%d] is not a whole number from 0 up",
                           count);
    }
    if (count != 2)
        return ww_fail(err, WW_E_FILE, "data_offsets has %d numbers, not 2", count);
    if (at[0] > at[1])
        return ww_fail(err, WW_E_FILE, "data_offsets ends at %lld, before it begins at %lld",
                       (long long)at[1], (long long)at[0]);
    if ((uint64_t)at[1] > data_bytes)
        return ww_fail(err, WW_E_FILE, "data_offsets ends at %lld, but there are %zu bytes of data",
                       (long long)at[1], data_bytes);
    if ((uint64_t)(at[1] - at[0]) != out->bytes)
        return ww_fail(err, WW_E_FILE,
                       "data_offsets spans %lld bytes, but shape and dtype make %zu",
                       (long long)(at[1] - at[0]), out->bytes);
    *begin = (size_t)at[0];
    return true;
}

// One member of the header. The name is copied; where its data lies is left in `begin`.
static bool parse_tensor(const struct ww_json *entry, size_t data_bytes, struct ww_weight *out,
                         size_t *begin, struct ww_error *err)
{
    if (ww_json_kind(entry) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "is %s, not an object",
                       ww_json_kind_name(ww_json_kind(entry)));
    for (const struct ww_json *field = ww_json_first(entry); field; field = ww_json_next(field)) {
        const char *name = ww_json_name(field);
        // A field that we do not know could change what the others mean.
        if (strcmp(name, "dtype") && strcmp(name, "shape") && strcmp(name, "data_offsets"))
            return ww_fail(err, WW_E_FILE, "has a field '%s', which no version of the format knows",
                           name);
    }
    const struct ww_json *dtype = ww_json_need(entry, "dtype", WW_JSON_STRING, err);
    const struct ww_json *shape = ww_json_need(entry, "shape", WW_JSON_ARRAY, dtype ? err : NULL);
    const struct ww_json *offsets =
        ww_json_need(entry, "data_offsets", WW_JSON_ARRAY, shape && dtype ? err : NULL);
    if (!dtype || !shape || !offsets)
        return false;
    if (!find_type(ww_json_string(dtype), &out->type))
        return ww_fail(err, WW_E_FILE, "dtype '%.32s' is none that is known",
                       ww_json_string(dtype));
    return parse_shape(shape, out, err) && parse_offsets(offsets, data_bytes, out, begin, err);
}

static bool check_metadata(const struct ww_json *metadata, struct ww_error *err)
{
    if (ww_json_kind(metadata) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "__metadata__ is %s, not an object",
                       ww_json_kind_name(ww_json_kind(metadata)));
    for (const struct ww_json *x = ww_json_first(metadata); x; x = ww_json_next(x))
        if (ww_json_kind(x) != WW_JSON_STRING)
            return ww_fail(err, WW_E_FILE, "__metadata__ '%s' is %s, not a string", ww_json_name(x),
                           ww_json_kind_name(ww_json_kind(x)));
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct ww_weight *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

// The tensors must fill the data from its first to its last byte, without holes or overlaps.
static bool check_layout(const struct ww_weights_file *file, const char *data,
                         struct ww_weight *tensors, size_t count, struct ww_error *err)
{
    const char *expected = data;
    if (count)
        qsort(tensors, count, sizeof(*tensors), by_place);
    for (size_t i = 0; i < count; i++) {
        const char *begin = tensors[i].data;
        if (begin != expected)
            return ww_fail(err, WW_E_FILE,
                           "tensor '%s': data_offsets begins at %td, but the tensors before it end "
                           "at %td",
                           tensors[i].name, begin - data, expected - data);
        expected = begin + tensors[i].bytes;
    }
    const char *end = file->map + file->bytes;
    if (expected != end)
        return ww_fail(err, WW_E_FILE, "%td bytes of data belong to no tensor", end - expected);
    return true;
}

static bool parse_header(struct ww_weights *w, int number, const struct ww_json *header,
                         size_t data_start, struct ww_error *err)
{
    if (ww_json_kind(header) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "header is %s, not an object",
                       ww_json_kind_name(ww_json_kind(header)));
    const struct ww_weights_file *file = &w->files[number];
    const char *data = file->map + data_start;
    if (!ww_weights_reserve(w, ww_json_count(header), err))
        return false;
    struct ww_weight *first = w->tensors ? w->tensors + w->num_tensors : NULL; // there may be none at all
    size_t count = 0;
    for (const struct ww_json *entry = ww_json_first(header); entry; entry = ww_json_next(entry)) {
        if (strcmp(ww_json_name(entry), "__metadata__") == 0) {
            if (!check_metadata(entry, err))
                return ww_within(err, "header");
            continue;
        }
        struct ww_weight *t = &first[count++];
        *t = (struct ww_weight){.file = number};
        t->name = ww_arena_strdup(w->arena, ww_json_name(entry));
        size_t begin = 0;
        if (!parse_tensor(entry, file->bytes - data_start, t, &begin, err))
            return ww_within(err, "tensor '%.200s'", t->name);
        t->data = data + begin;
    }
    w->num_tensors += count;
    return check_layout(file, data, first, count, err);
}

// Length and text of the header; the text is allocated, the length has been held against the
// file's.
static char *read_header(const struct ww_weights_file *file, size_t *size, struct ww_error *err)
{
    unsigned char length[8];
    if (file->bytes < sizeof(length)) {
        ww_fail(err, WW_E_FILE, "%zu bytes are too few for a safetensors file", file->bytes);
        return NULL;
    }
    if (!ww_file_read(file, 0, length, sizeof(length), err))
        return NULL;
    const uint64_t n = ww_little(length, 8);
    if (n > MAX_HEADER_BYTES) {
        ww_fail(err, WW_E_FILE,
                "header length is %llu, more than the %d that the format allows: this is no "
                "safetensors file, or a damaged one",
                (unsigned long long)n, MAX_HEADER_BYTES);
        return NULL;
    }
    if (n > file->bytes - sizeof(length)) {
        ww_fail(err, WW_E_FILE, "header length is %llu, but only %zu bytes follow it",
                (unsigned long long)n, file->bytes - sizeof(length));
        return NULL;
    }
    if (n < 2) {
        ww_fail(err, WW_E_FILE, "header length is %llu; the shortest header has 2 bytes",
                (unsigned long long)n);
        return NULL;
    }
    *size = (size_t)n;
    char *text = malloc((size_t)n);
    if (!text) {
        ww_fail(err, WW_E_MEMORY, "no memory left on this host for a header of %llu bytes",
                (unsigned long long)n);
        return NULL;
    }
    if (!ww_file_read(file, sizeof(length), text, (size_t)n, err)) {
        free(text);
        return NULL;
    }
    return text;
}

bool ww_read_safetensors(struct ww_weights *w, int number, struct ww_error *err)
{
    struct ww_weights_file *file = &w->files[number];
    size_t size;
    char *text = read_header(file, &size, err);
    if (!text)
        return false;
    struct ww_json *header =
        ww_json_parse(text, size,
                      &(struct ww_json_params){.max_depth = 4, // header, tensor, shape, and one
                                               .max_values = MAX_VALUES,
                                               .integers_only = true},
                      err);
    free(text);
    if (!header)
        return ww_within(err, "header");
    const bool sound =
        ww_file_map(file, err) && parse_header(w, number, header, sizeof(uint64_t) + size, err);
    ww_json_free(&header);
    return sound;
}
