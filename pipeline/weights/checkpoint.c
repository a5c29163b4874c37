// A checkpoint, whatever its format: opened, searched, copied from and hashed.

#include "checkpoint.h"

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

uint64_t ww_little(const void *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)((const unsigned char *)at)[i] << 8 * i;
    return value;
}

bool ww_file_read(const struct ww_weights_file *file, uint64_t offset, void *to, size_t bytes,
                  struct ww_error *err)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t got =
            pread(file->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
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

bool ww_file_map(struct ww_weights_file *file, struct ww_error *err)
{
    if (file->map || file->bytes == 0)
        return true;
    void *map = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, file->fd, 0);
    if (map == MAP_FAILED)
        return ww_fail(err, WW_E_FILE, "cannot map: %s", strerror(errno));
    file->map = map;
    return true;
}

static bool open_file(struct ww_weights_file *file, struct ww_error *err)
{
    // O_NONBLOCK: not to wait for the other end of a pipe that somebody put here.
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (file->fd < 0 || fstat(file->fd, &st) < 0)
        return ww_fail(err, WW_E_FILE, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ww_fail(err, WW_E_FILE, "not a regular file");
    if ((uint64_t)st.st_size > PTRDIFF_MAX)
        return ww_fail(err, WW_E_FILE, "larger than this machine can address");
    file->bytes = (size_t)st.st_size;
    return true;
}

static void close_file(struct ww_weights_file *file)
{
    if (file->map)
        munmap((void *)file->map, file->bytes);
    if (file->fd >= 0)
        close(file->fd);
}

bool ww_weights_reserve(struct ww_weights *w, size_t count, struct ww_error *err)
{
    if (count <= w->room - w->num_tensors)
        return true;
    size_t bytes;
    const size_t room = w->num_tensors + count;
    struct ww_weight *grown =
        __builtin_mul_overflow(room, sizeof(*grown), &bytes) ? NULL : realloc(w->tensors, bytes);
    if (!grown)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for a list of %zu tensors",
                       room);
    w->tensors = grown;
    w->room = room;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ww_weight *)a)->name, ((const struct ww_weight *)b)->name);
}

// For `find`.
static void sort(struct ww_weights *w)
{
    if (w->num_tensors)
        qsort(w->tensors, w->num_tensors, sizeof(*w->tensors), by_name);
}

// Sorts the tensors, and notes where they lie.
static bool finish(struct ww_weights *w, struct ww_error *err)
{
    sort(w);
    for (size_t i = 1; i < w->num_tensors; i++)
        if (strcmp(w->tensors[i - 1].name, w->tensors[i].name) == 0)
            return ww_fail(err, WW_E_FILE, "tensor '%s' is there twice", w->tensors[i].name);
    for (size_t i = 0; i < w->num_tensors; i++) {
        struct ww_weight *t = &w->tensors[i];
        if (t->data)
            t->place = (uint64_t)((const char *)t->data - w->files[t->file].map);
    }
    return true;
}

static bool has_ending(const char *path, const char *ending)
{
    const size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcmp(path + length - tail, ending) == 0;
}

static bool read_as(struct ww_weights *w, const char *format,
                    bool (*read)(struct ww_weights *w, int number, struct ww_error *err),
                    int number, struct ww_error *err)
{
    w->format = format;
    return read(w, number, err);
}

// By what it holds; where that says nothing, by its name, so that the error speaks of the format
// that was meant.
static bool read_tensors(struct ww_weights *w, int number, struct ww_error *err)
{
    static const char *const torch[] = {".bin", ".pth", ".pt", ".ckpt"};
    const struct ww_weights_file *file = &w->files[number];
    char magic[8] = "";
    if (file->bytes >= sizeof(magic) && !ww_file_read(file, 0, magic, sizeof(magic), err))
        return false;
    if (memcmp(magic, "GGUF", 4) == 0 || has_ending(file->path, ".gguf"))
        return read_as(w, "GGUF", ww_read_gguf, number, err);
    bool is_torch = memcmp(magic, "PK\3\4", 4) == 0 || memcmp(magic, "\x80\2\x8a\n", 4) == 0;
    for (size_t i = 0; i < sizeof(torch) / sizeof(torch[0]); i++)
        is_torch = is_torch || has_ending(file->path, torch[i]);
    return is_torch ? read_as(w, "PyTorch", ww_read_torch, number, err)
                    : read_as(w, "safetensors", ww_read_safetensors, number, err);
}

static bool open_parts(struct ww_weights *w, const struct ww_parts *parts, struct ww_error *err)
{
    w->files = ww_new_array(w->arena, struct ww_weights_file, (size_t)parts->num_paths);
    for (int i = 0; i < parts->num_paths; i++) {
        struct ww_weights_file *file = &w->files[w->num_files++];
        *file = (struct ww_weights_file){.path = parts->paths[i], .fd = -1};
        if (!open_file(file, err) || !read_tensors(w, i, err))
            return ww_within(err, "%s", file->path);
    }
    if (!finish(w, err))
        return ww_within(err, "%s", w->path);
    if (parts->index && !ww_check_index(w, parts, err))
        return false;
    sort(w); // an index may name them in any order
    return true;
}

struct ww_weights *ww_weights_open(const char *path, struct ww_error *err)
{
    struct ww_arena *arena = ww_arena_create();
    struct ww_weights *w = ww_new(arena, struct ww_weights);
    w->arena = arena;
    w->path = ww_arena_strdup(arena, path);
    struct ww_parts parts = {0};
    if (!ww_find_parts(arena, path, &parts, err) || !open_parts(w, &parts, err))
        ww_weights_close(&w);
    ww_json_free(&parts.index);
    return w;
}

void ww_weights_close(struct ww_weights **weights)
{
    if (!weights || !*weights)
        return;
    struct ww_weights *w = *weights;
    for (int i = 0; i < w->num_files; i++)
        close_file(&w->files[i]);
    free(w->tensors);
    free(w->header);
    free(w->strings);
    free(w->metas);
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
    bool same = t->rank == rank, empty = false;
    for (int i = 0; same && i < rank; i++) {
        same = dim[i] < 0 || dim[i] == t->dim[i];
        empty |= dim[i] < 0 && t->dim[i] < 1;
    }
    if (!same) {
        char found[200], wanted[200];
        print_shape(found, sizeof(found), t->rank, t->dim);
        print_shape(wanted, sizeof(wanted), rank, dim);
        ww_fail(err, WW_E_FILE, "%s: tensor '%s': shape is %s, where the model needs %s", w->path,
                name, found, wanted);
        return NULL;
    }
    if (empty) {
        ww_fail(err, WW_E_FILE, "%s: tensor '%s' is empty", w->path, name);
        return NULL;
    }
    return t;
}

// Elements of a view, from number `first` on. They are read through the map: the file is as long as
// it was a moment ago, and no system call an element is worth the difference.
static bool gather(const struct ww_weights_file *file, const struct ww_weight *t, size_t first,
                   size_t count, char *to, struct ww_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0 || (uint64_t)st.st_size < file->bytes)
        return ww_fail(err, WW_E_FILE, "the file became shorter while it was read");
    const size_t each = ww_type_bytes(t->type);
    int64_t at[WW_MAX_RANK], place = 0;
    for (int d = t->rank - 1; d >= 0; d--) {
        at[d] = (int64_t)(first % (size_t)t->dim[d]);
        first /= (size_t)t->dim[d];
        place += at[d] * t->stride[d];
    }
    const char *from = file->map + t->place;
    for (; count > 0; count--, to += each) {
        memcpy(to, from + (size_t)place * each, each);
        for (int d = t->rank - 1; d >= 0; d--) { // the next one
            place += t->stride[d];
            if (++at[d] < t->dim[d])
                break;
            place -= t->stride[d] * t->dim[d];
            at[d] = 0;
        }
    }
    return true;
}

bool ww_weights_copy(const struct ww_weights *w, const struct ww_weight *weight, size_t offset,
                     size_t bytes, void *to, struct ww_error *err)
{
    assert(offset <= weight->bytes && bytes <= weight->bytes - offset);
    const struct ww_weights_file *file = &w->files[weight->file];
    bool ok;
    if (weight->stride) {
        const size_t each = ww_type_bytes(weight->type);
        assert(offset % each == 0 && bytes % each == 0);
        ok = gather(file, weight, offset / each, bytes / each, to, err);
    } else {
        ok = ww_file_read(file, weight->place + offset, to, bytes, err);
    }
    return ok || ww_within(err, "%s: tensor '%s'", file->path, weight->name);
}

const char *ww_weights_path(const struct ww_weights *w)
{
    return w->path;
}

static bool hash_file(struct AVSHA *sha, const struct ww_weights_file *file, uint8_t *buffer,
                      size_t piece)
{
    for (size_t at = 0; at < file->bytes; at += piece) {
        const size_t bytes = file->bytes - at < piece ? file->bytes - at : piece;
        if (!ww_file_read(file, at, buffer, bytes, NULL))
            return false;
        av_sha_update(sha, buffer, bytes);
    }
    return true;
}

// Of files [first, end), end to end.
static void digest_files(const struct ww_weights *w, int first, int end, char hex[65])
{
    *hex = '\0';
    const size_t piece = 1 << 18;
    struct AVSHA *sha = av_sha_alloc();
    uint8_t *buffer = malloc(piece), digest[32];
    bool whole = sha && buffer && av_sha_init(sha, 256) >= 0;
    for (int i = first; whole && i < end; i++)
        whole = hash_file(sha, &w->files[i], buffer, piece);
    if (whole) {
        av_sha_final(sha, digest);
        for (int i = 0; i < 32; i++)
            snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    free(buffer);
    av_free(sha);
}

void ww_weights_digest(const struct ww_weights *w, char hex[65])
{
    digest_files(w, 0, w->num_files, hex);
}

int ww_weights_num_files(const struct ww_weights *w)
{
    return w->num_files;
}

const char *ww_weights_file_path(const struct ww_weights *w, int file)
{
    assert(file >= 0 && file < w->num_files);
    return w->files[file].path;
}

size_t ww_weights_file_bytes(const struct ww_weights *w, int file)
{
    assert(file >= 0 && file < w->num_files);
    return w->files[file].bytes;
}

void ww_weights_file_digest(const struct ww_weights *w, int file, char hex[65])
{
    assert(file >= 0 && file < w->num_files);
    digest_files(w, file, file + 1, hex);
}

const char *ww_weights_format(const struct ww_weights *w)
{
    return w->format;
}
