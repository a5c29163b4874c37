// Writing a .safetensors file, byte for byte the same for the same tensors.

#include "weights.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "write.h"

struct tensor {
    struct tensor *next;
    struct ww_weight w;
};

struct ww_weights_writer {
    struct ww_arena *arena;
    struct tensor *last; // newest first
    size_t num_tensors;
};

struct ww_weights_writer *ww_weights_write_begin(void)
{
    struct ww_arena *arena = ww_arena_create();
    struct ww_weights_writer *writer = ww_new(arena, struct ww_weights_writer);
    writer->arena = arena;
    return writer;
}

void ww_weights_write_add(struct ww_weights_writer *writer, const char *name, enum ww_type type,
                          int rank, const int64_t *dim, const void *data)
{
    assert(rank >= 0 && rank <= WW_MAX_RANK);
    struct tensor *tensor = ww_new(writer->arena, struct tensor);
    tensor->next = writer->last;
    tensor->w = (struct ww_weight){.type = type, .rank = rank};
    size_t bits = ww_type_bits(type);
    for (int i = 0; i < rank; i++) {
        assert(dim[i] >= 0);
        tensor->w.dim[i] = dim[i];
        bits *= (size_t)dim[i];
    }
    assert(bits % 8 == 0);
    tensor->w.bytes = bits / 8;
    tensor->w.name = ww_arena_strdup(writer->arena, name);
    void *copy = ww_arena_alloc(writer->arena, tensor->w.bytes);
    if (tensor->w.bytes)
        memcpy(copy, data, tensor->w.bytes);
    tensor->w.data = copy;
    writer->last = tensor;
    writer->num_tensors++;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct ww_weight *const *)a)->name,
                  (*(const struct ww_weight *const *)b)->name);
}

static int by_width_and_name(const void *a, const void *b)
{
    const struct ww_weight *x = *(const struct ww_weight *const *)a,
                           *y = *(const struct ww_weight *const *)b;
    const size_t x_bits = ww_type_bits(x->type), y_bits = ww_type_bits(y->type);
    return x_bits != y_bits ? (x_bits > y_bits ? -1 : 1) : strcmp(x->name, y->name);
}

static bool check_names(const struct ww_weight **tensors, size_t count, struct ww_error *err)
{
    qsort(tensors, count, sizeof(*tensors), by_name);
    for (size_t i = 0; i < count; i++) {
        const char *name = tensors[i]->name;
        if (!ww_utf8_valid(name, strlen(name)) || strcmp(name, "__metadata__") == 0)
            return ww_fail(err, WW_E_FILE, "'%s' cannot be the name of a tensor", name);
        if (i > 0 && strcmp(name, tensors[i - 1]->name) == 0)
            return ww_fail(err, WW_E_FILE, "two tensors are named '%s'", name);
    }
    return true;
}

static void print_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", *text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

// The header's text, padded with blanks so that the data behind its length is aligned to 8.
static char *print_header(const struct ww_weight **tensors, size_t count, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out)
        return NULL;
    size_t begin = 0;
    fputc('{', out);
    for (size_t i = 0; i < count; i++) {
        const struct ww_weight *t = tensors[i];
        fputs(i ? "," : "", out);
        print_string(out, t->name);
        fprintf(out, ":{\"dtype\":\"%s\",\"shape\":[", ww_type_name(t->type));
        for (int d = 0; d < t->rank; d++)
            fprintf(out, d ? ",%lld" : "%lld", (long long)t->dim[d]);
        fprintf(out, "],\"data_offsets\":[%zu,%zu]}", begin, begin + t->bytes);
        begin += t->bytes;
    }
    fputc('}', out);
    for (long at = ftell(out); at % 8; at++)
        fputc(' ', out);
    const bool whole = !ferror(out);
    if (fclose(out) != 0 || !whole) {
        free(text);
        return NULL;
    }
    return text;
}

static bool put_header(FILE *out, const struct ww_weight **tensors, size_t count,
                       struct ww_error *err)
{
    size_t size;
    char *header = print_header(tensors, count, &size);
    if (!header)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for the header");
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)size >> 8 * i);
    fwrite(length, 1, sizeof(length), out);
    fwrite(header, 1, size, out);
    free(header);
    return true;
}

bool ww_safetensors_begin(FILE *out, const struct ww_weight *tensors, size_t count,
                          struct ww_error *err)
{
    struct ww_arena *arena = ww_arena_create();
    const struct ww_weight **order = ww_new_array(arena, const struct ww_weight *, count);
    for (size_t i = 0; i < count; i++)
        order[i] = &tensors[i];
    bool begun = check_names(order, count, err);
    for (size_t i = 0; i < count; i++) // which the check sorted
        order[i] = &tensors[i];
    begun = begun && put_header(out, order, count, err);
    ww_arena_destroy(&arena);
    return begun;
}

static bool write_tensors(FILE *out, const struct ww_weight **tensors, size_t count,
                          struct ww_error *err)
{
    if (!put_header(out, tensors, count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        fwrite(tensors[i]->data, 1, tensors[i]->bytes, out);
    return true;
}

static bool write_file(const char *path, const char *temporary, const struct ww_weight **tensors,
                       size_t count, struct ww_error *err)
{
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *out = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!out) {
        ww_fail(err, WW_E_FILE, "cannot create '%s': %s", temporary, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(temporary);
        }
        return false;
    }
    errno = 0;
    bool whole = write_tensors(out, tensors, count, err);
    if (whole && (fflush(out) != 0 || ferror(out) || fsync(fd) != 0))
        whole = ww_fail(err, WW_E_FILE, "cannot write: %s", strerror(errno));
    if (fclose(out) != 0 && whole)
        whole = ww_fail(err, WW_E_FILE, "cannot write: %s", strerror(errno));
    if (whole && rename(temporary, path) != 0)
        whole = ww_fail(err, WW_E_FILE, "cannot rename '%s': %s", temporary, strerror(errno));
    if (!whole)
        unlink(temporary);
    return whole;
}

bool ww_weights_write_end(struct ww_weights_writer **writer, const char *path, struct ww_error *err)
{
    if (!writer || !*writer)
        return true;
    struct ww_weights_writer *w = *writer;
    bool written = true;
    if (*path) {
        const struct ww_weight **tensors =
            ww_new_array(w->arena, const struct ww_weight *, w->num_tensors);
        size_t count = 0;
        for (const struct tensor *tensor = w->last; tensor; tensor = tensor->next)
            tensors[count++] = &tensor->w;
        written = check_names(tensors, count, err);
        if (written) {
            qsort(tensors, count, sizeof(*tensors), by_width_and_name);
            static atomic_uint serial; // threads may write the same path, and the last one wins
            const char *temporary = ww_arena_printf(w->arena, "%s.%ld-%u.part", path,
                                                    (long)getpid(), atomic_fetch_add(&serial, 1));
            unlink(temporary); // left by a process of that number that died
            written = write_file(path, temporary, tensors, count, err);
        }
        if (!written)
            ww_within(err, "%s", path);
    }
    struct ww_arena *arena = w->arena; // holds the writer itself
    ww_arena_destroy(&arena);
    *writer = NULL;
    return written;
}
