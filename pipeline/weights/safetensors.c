// A .safetensors file: eight bytes that hold a length N, N bytes of JSON that describe the tensors,
// and their bytes without a gap. Every check that the format's specification and its reference
// reader make is made here, and it happens in a copy of the header, so that nobody can change what
// was checked.

#include "weights.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"

#define MAX_HEADER_BYTES 100000000 // the reference's own limit
#define MAX_VALUES       (1 << 21) // of JSON; a tensor takes about ten: room for 200,000

// Invariant: tensors are sorted by name, none has the name of another, and data + bytes of each
// lies within map + map_bytes.
struct ww_weights {
    struct ww_arena *arena;
    const char *path;
    int fd;
    void *map;
    size_t map_bytes;  // of the whole file
    size_t data_start; // first byte behind the header
    struct ww_weight *tensors;
    size_t num_tensors;
};

// Reads exactly `bytes` from `offset` on.
static bool read_at(int fd, uint64_t offset, void *to, size_t bytes, struct ww_error *err)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t got = pread(fd, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ww_fail(err, WW_E_FILE, "cannot read: %s", strerror(errno));
        if (got == 0)
            return ww_fail(err, WW_E_FILE, "the file became shorter while it was read");
        done += (size_t)got;
    }
    return true;
}

static bool find_type(const char *name, enum ww_type *out)
{
    for (int type = 0; type < WW_NUM_TYPES; type++) {
        if (strcmp(name, ww_type_name((enum ww_type)type)) == 0) {
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

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ww_weight *)a)->name, ((const struct ww_weight *)b)->name);
}

// The tensors must fill the data from its first to its last byte, without holes or overlaps.
static bool check_layout(struct ww_weights *w, struct ww_error *err)
{
    const char *data = (const char *)w->map + w->data_start, *expected = data;
    qsort(w->tensors, w->num_tensors, sizeof(*w->tensors), by_place);
    for (size_t i = 0; i < w->num_tensors; i++) {
        const struct ww_weight *t = &w->tensors[i];
        const char *begin = t->data;
        if (begin != expected)
            return ww_fail(err, WW_E_FILE,
                           "tensor '%s': data_offsets begins at %td, but the tensors before it end "
                           "at %td",
                           t->name, begin - data, expected - data);
        expected = begin + t->bytes;
    }
    const char *end = (const char *)w->map + w->map_bytes;
    if (expected != end)
        return ww_fail(err, WW_E_FILE, "%td bytes of data belong to no tensor", end - expected);
    return true;
}

static bool parse_header(struct ww_weights *w, const struct ww_json *header, struct ww_error *err)
{
    if (ww_json_kind(header) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "header is %s, not an object",
                       ww_json_kind_name(ww_json_kind(header)));
    const size_t data_bytes = w->map_bytes - w->data_start;
    w->tensors = ww_new_array(w->arena, struct ww_weight, ww_json_count(header));
    for (const struct ww_json *entry = ww_json_first(header); entry; entry = ww_json_next(entry)) {
        if (strcmp(ww_json_name(entry), "__metadata__") == 0) {
            if (!check_metadata(entry, err))
                return ww_within(err, "header");
            continue;
        }
        struct ww_weight *t = &w->tensors[w->num_tensors++];
        t->name = ww_arena_strdup(w->arena, ww_json_name(entry));
        size_t begin = 0;
        if (!parse_tensor(entry, data_bytes, t, &begin, err))
            return ww_within(err, "tensor '%.200s'", t->name);
        t->data = (const char *)w->map + w->data_start + begin;
    }
    if (!check_layout(w, err))
        return false;
    qsort(w->tensors, w->num_tensors, sizeof(*w->tensors), by_name);
    return true;
}

// Length and text of the header; the text is allocated, the length has been held against the
// file's.
static char *read_header(struct ww_weights *w, struct ww_error *err)
{
    unsigned char length[8];
    if (w->map_bytes < sizeof(length)) {
        ww_fail(err, WW_E_FILE, "%zu bytes are too few for a safetensors file", w->map_bytes);
        return NULL;
    }
    if (!read_at(w->fd, 0, length, sizeof(length), err))
        return NULL;
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n |= (uint64_t)length[i] << 8 * i;
    if (n > MAX_HEADER_BYTES) {
        ww_fail(err, WW_E_FILE,
                "header length is %llu, more than the %d that the format allows: this is no "
                "safetensors file, or a damaged one",
                (unsigned long long)n, MAX_HEADER_BYTES);
        return NULL;
    }
    if (n > w->map_bytes - sizeof(length)) {
        ww_fail(err, WW_E_FILE, "header length is %llu, but only %zu bytes follow it",
                (unsigned long long)n, w->map_bytes - sizeof(length));
        return NULL;
    }
    if (n < 2) {
        ww_fail(err, WW_E_FILE, "header length is %llu; the shortest header has 2 bytes",
                (unsigned long long)n);
        return NULL;
    }
    w->data_start = sizeof(length) + (size_t)n;
    char *text = malloc((size_t)n);
    if (!text) {
        ww_fail(err, WW_E_MEMORY, "no memory left on this host for a header of %llu bytes",
                (unsigned long long)n);
        return NULL;
    }
    if (!read_at(w->fd, sizeof(length), text, (size_t)n, err)) {
        free(text);
        return NULL;
    }
    return text;
}

static bool open_file(struct ww_weights *w, struct ww_error *err)
{
    // O_NONBLOCK: not to wait for the other end of a pipe that somebody put here.
    w->fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (w->fd < 0 || fstat(w->fd, &st) < 0)
        return ww_fail(err, WW_E_FILE, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ww_fail(err, WW_E_FILE, "not a regular file");
    if ((uint64_t)st.st_size > PTRDIFF_MAX)
        return ww_fail(err, WW_E_FILE, "larger than this machine can address");
    w->map_bytes = (size_t)st.st_size;
    return true;
}

static bool load(struct ww_weights *w, struct ww_error *err)
{
    if (!open_file(w, err))
        return false;
    char *text = read_header(w, err);
    if (!text)
        return false;
    struct ww_json *header =
        ww_json_parse(text, w->data_start - 8,
                      &(struct ww_json_params){.max_depth = 4, // header, tensor, shape, and one
                                               .max_values = MAX_VALUES,
                                               .integers_only = true},
                      err);
    free(text);
    if (!header)
        return ww_within(err, "header");
    bool sound = true;
    w->map = mmap(NULL, w->map_bytes, PROT_READ, MAP_SHARED, w->fd, 0);
    if (w->map == MAP_FAILED) {
        w->map = NULL;
        sound = ww_fail(err, WW_E_FILE, "cannot map: %s", strerror(errno));
    }
    sound = sound && parse_header(w, header, err);
    ww_json_free(&header);
    return sound;
}

struct ww_weights *ww_weights_open(const char *path, struct ww_error *err)
{
    struct ww_arena *arena = ww_arena_create();
    struct ww_weights *w = ww_new(arena, struct ww_weights);
    w->arena = arena;
    w->fd = -1;
    w->path = ww_arena_strdup(arena, path);
    if (!load(w, err)) {
        ww_within(err, "%s", path);
        ww_weights_close(&w);
    }
    return w;
}

void ww_weights_close(struct ww_weights **weights)
{
    if (!weights || !*weights)
        return;
    struct ww_weights *w = *weights;
    if (w->map)
        munmap(w->map, w->map_bytes);
    if (w->fd >= 0)
        close(w->fd);
    struct ww_arena *arena = w->arena; // holds `w` itself
    ww_arena_destroy(&arena);
    *weights = NULL;
}

const struct ww_weight *ww_weights_find(const struct ww_weights *w, const char *name)
{
    const struct ww_weight key = {.name = name};
    return w->num_tensors ? bsearch(&key, w->tensors, w->num_tensors, sizeof(*w->tensors), by_name)
                          : NULL;
}

size_t ww_weights_count(const struct ww_weights *w)
{
    return w->num_tensors;
}

const struct ww_weight *ww_weights_at(const struct ww_weights *w, size_t index)
{
    assert(index < w->num_tensors);
    return &w->tensors[index];
}

// "[3, 3, any, 16]"
static void print_shape(char *text, size_t size, int rank, const int64_t *dim)
{
    size_t at = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && at < size; i++) {
        const char *comma = i ? ", " : "";
        at += (size_t)(dim[i] < 0
                           ? snprintf(text + at, size - at, "%sany", comma)
                           : snprintf(text + at, size - at, "%s%lld", comma, (long long)dim[i]));
    }
    if (at < size)
        snprintf(text + at, size - at, "]");
}

const struct ww_weight *ww_weights_need_shape(const struct ww_weights *w, const char *name,
                                              struct ww_error *err, const int64_t *rank_and_dims)
{
    const int rank = (int)rank_and_dims[0];
    const int64_t *dim = rank_and_dims + 1;
    assert(rank >= 0 && rank <= WW_MAX_RANK);
    const struct ww_weight *t = ww_weights_find(w, name);
    if (!t) {
        ww_fail(err, WW_E_FILE, "%s: no tensor '%s'", w->path, name);
        return NULL;
    }
    bool same = t->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = dim[i] < 0 || dim[i] == t->dim[i];
    if (!same) {
        char found[200], wanted[200];
        print_shape(found, sizeof(found), t->rank, t->dim);
        print_shape(wanted, sizeof(wanted), rank, dim);
        ww_fail(err, WW_E_FILE, "%s: tensor '%s': shape is %s, where the model needs %s", w->path,
                name, found, wanted);
        return NULL;
    }
    return t;
}

bool ww_weights_copy(const struct ww_weights *w, const struct ww_weight *weight, size_t offset,
                     size_t bytes, void *to, struct ww_error *err)
{
    assert(offset <= weight->bytes && bytes <= weight->bytes - offset);
    const size_t place = (size_t)((const char *)weight->data - (const char *)w->map);
    return read_at(w->fd, place + offset, to, bytes, err) ||
           ww_within(err, "%s: tensor '%s'", w->path, weight->name);
}

const char *ww_weights_path(const struct ww_weights *w)
{
    return w->path;
}

void ww_weights_digest(const struct ww_weights *w, char hex[65])
{
    *hex = '\0';
    const size_t piece = 1 << 18;
    struct AVSHA *sha = av_sha_alloc();
    uint8_t *buffer = malloc(piece), digest[32];
    bool whole = sha && buffer && av_sha_init(sha, 256) >= 0;
    for (size_t at = 0; whole && at < w->map_bytes; at += piece) {
        const size_t bytes = w->map_bytes - at < piece ? w->map_bytes - at : piece;
        whole = read_at(w->fd, at, buffer, bytes, NULL);
        if (whole)
            av_sha_update(sha, buffer, bytes);
    }
    if (whole) {
        av_sha_final(sha, digest);
        for (int i = 0; i < 32; i++)
            snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    free(buffer);
    av_free(sha);
}
