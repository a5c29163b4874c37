// A checkpoint in another format or type: a plan of what each tensor becomes, a header, and then the
// tensors one after the other, a piece at a time, so that memory does not grow with the model.

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <watchword/convert.h>

#include "base/arena.h"
#include "blocks.h"
#include "write.h"

#define PIECE 65536 // elements; whole blocks of every type

struct job {
    const struct ww_convert_params *params;
    struct ww_conversion *result;
    struct ww_weights *w;
    struct ww_arena *arena;
    const struct ww_gguf_dress *dress;
    struct ww_weight *to; // what each tensor becomes; their data stays with `from`
    const struct ww_weight **from;
    int *head; // as in struct ww_gguf_dress
    size_t count;
    bool gguf, typed;
    enum ww_type type;
    FILE *file;
    uint64_t done;
    struct ww_error *err;
};

static bool ends_in(const char *path, const char *ending)
{
    const size_t length = strlen(path), size = strlen(ending);
    return length > size && strcasecmp(path + length - size, ending) == 0;
}

static bool read_params(struct job *j, const char *out)
{
    j->gguf = ends_in(out, ".gguf");
    if (!j->gguf && !ends_in(out, ".safetensors"))
        return ww_fail(j->err, WW_E_CONFIG, "%s: ends neither in .gguf nor in .safetensors, which "
                       "says what to write", out);
    if (!j->params->type)
        return true;
    for (int t = 0; t < WW_NUM_TYPES && !j->typed; t++) {
        j->type = (enum ww_type)t;
        j->typed = ww_can_encode(j->type) && strcasecmp(j->params->type, ww_type_name(j->type)) == 0;
    }
    if (!j->typed)
        return ww_fail(j->err, WW_E_CONFIG, "there is no type '%s' to convert to; f32, f16, bf16, "
                       "q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k and q6_k are", j->params->type);
    if (!j->gguf && ww_type_block(j->type) > 1)
        return ww_fail(j->err, WW_E_UNSUPPORTED, "%s: safetensors has no blocks of %s; f32, f16 and "
                       "bf16 can be written to it, or a .gguf file", out, ww_type_name(j->type));
    return true;
}

static bool is_real(enum ww_type type)
{
    return type == WW_F32 || type == WW_F16 || type == WW_BF16 || type == WW_F64 ||
           ww_type_block(type) > 1;
}

static bool plan_tensor(struct job *j, const struct ww_weight *from, struct ww_weight *to)
{
    *to = *from;
    const int64_t row = from->rank ? from->dim[from->rank - 1] : 1;
    if (j->dress && is_real(from->type) && from->rank < 2) {
        to->type = WW_F32; // llama.cpp reads gains as nothing else
        j->result->num_widened += from->type != WW_F32;
    } else if (is_real(from->type) && j->typed) {
        const bool fits = from->rank > 1 && row % (int64_t)ww_type_block(j->type) == 0;
        to->type = fits ? j->type : WW_F32;
        j->result->num_widened += !fits && j->type != WW_F32;
    } else if (!j->gguf && ww_type_block(from->type) > 1) {
        to->type = WW_F32;
        j->result->num_widened++;
    }
    if (to->type != from->type && !ww_can_decode(from->type))
        return ww_fail(j->err, WW_E_FILE, "tensor '%s' is %s, of which no floats can be made",
                       from->name, ww_type_name(from->type));
    if (to->type != from->type) {
        size_t elements = 1; // no overflow but with a dimension 0, where the product is none
        for (int i = 0; i < from->rank; i++)
            if (__builtin_mul_overflow(elements, (size_t)from->dim[i], &elements))
                return ww_fail(j->err, WW_E_FILE, "tensor '%s' has too many elements", from->name);
        if (__builtin_mul_overflow(elements / ww_type_block(to->type),
                                   ww_type_block_bytes(to->type), &to->bytes))
            return ww_fail(j->err, WW_E_FILE, "tensor '%s' has too many elements", from->name);
    }
    if (__builtin_add_overflow(j->result->bytes, to->bytes, &j->result->bytes))
        return ww_fail(j->err, WW_E_FILE, "tensors make more bytes than can be counted");
    return true;
}

static int by_width_and_name(const void *a, const void *b)
{
    const struct ww_weight *x = a, *y = b;
    const size_t x_bits = ww_type_bits(x->type), y_bits = ww_type_bits(y->type);
    return x_bits != y_bits ? (x_bits > y_bits ? -1 : 1) : strcmp(x->name, y->name);
}

// A tensor under its new name, or not at all.
static bool plan_dressed(struct job *j, const struct ww_weight *from)
{
    const char *name = NULL;
    if (!j->dress->rename(j->dress, from, &name, &j->head[j->count], j->err))
        return false;
    if (!name)
        return true;
    struct ww_weight *to = &j->to[j->count];
    if (!plan_tensor(j, from, to))
        return false;
    to->name = name;
    j->from[j->count++] = from;
    return true;
}

static bool plan(struct job *j)
{
    const size_t num = ww_weights_count(j->w), more = j->dress ? j->dress->num_more : 0;
    j->to = ww_new_array(j->arena, struct ww_weight, num + more);
    j->from = ww_new_array(j->arena, const struct ww_weight *, num + more);
    j->head = ww_new_array(j->arena, int, num + more + 1);
    for (size_t i = 0; i < num; i++) {
        const struct ww_weight *from = ww_weights_at(j->w, i);
        if (!(j->dress ? plan_dressed(j, from) : plan_tensor(j, from, &j->to[j->count++])))
            return false;
    }
    for (size_t i = 0; i < more; i++) {
        j->head[j->count] = 0;
        j->result->bytes += j->dress->more[i].bytes; // a few
        j->to[j->count++] = j->dress->more[i];
    }
    if (!j->gguf && j->count) // every element aligned to its size; GGUF pads instead
        qsort(j->to, j->count, sizeof(*j->to), by_width_and_name);
    for (size_t i = 0; i < j->count && !j->dress; i++)
        j->from[i] = ww_weights_find(j->w, j->to[i].name);
    j->result->num_tensors = j->count;
    return true;
}

static bool tell(struct job *j, size_t bytes)
{
    j->done += bytes;
    if (ferror(j->file))
        return ww_fail(j->err, WW_E_FILE, "cannot write: %s", strerror(errno));
    if (j->params->progress &&
        !j->params->progress(j->params->opaque, j->done, j->result->bytes))
        return ww_fail(j->err, WW_E_STOPPED, "stopped; nothing was written under that name");
    return true;
}

static bool copy_tensor(struct job *j, const struct ww_weight *t, const struct ww_weight *from)
{
    char piece[PIECE];
    // Elements of six bits have none: four of them fill three bytes.
    const size_t whole = ww_type_block_bytes(t->type) ? ww_type_block_bytes(t->type) : 3;
    const size_t most = sizeof(piece) / whole * whole;
    for (size_t at = 0; at < t->bytes;) {
        const size_t bytes = t->bytes - at < most ? t->bytes - at : most;
        if (!ww_weights_copy(j->w, from, at, bytes, piece, j->err))
            return false;
        fwrite(piece, 1, bytes, j->file);
        if (!tell(j, bytes))
            return false;
        at += bytes;
    }
    return true;
}

// `count` elements from number `at` on, at most PIECE and whole blocks.
static bool convert_piece(struct job *j, const struct ww_weight *t, const struct ww_weight *from,
                          size_t at, size_t count, float *floats, char *blocks)
{
    const size_t bytes = count / ww_type_block(t->type) * ww_type_block_bytes(t->type);
    if (from->type == t->type) {
        const size_t first = at / ww_type_block(t->type) * ww_type_block_bytes(t->type);
        if (!ww_weights_copy(j->w, from, first, bytes, blocks, j->err))
            return false;
    } else {
        if (!ww_weights_floats(j->w, from, at, count, floats, j->err))
            return false;
        ww_encode(t->type, floats, count, blocks);
    }
    fwrite(blocks, 1, bytes, j->file);
    return tell(j, bytes);
}

// Rows of heads, each head's two halves laced together.
static bool lace_tensor(struct job *j, const struct ww_weight *t, const struct ww_weight *from,
                        int64_t head, float *floats, char *blocks)
{
    const size_t width = (size_t)t->dim[1];
    for (int64_t row = 0; row < t->dim[0]; row++) {
        const int64_t place = row / head * head + row % head / 2 + row % 2 * (head / 2);
        for (size_t at = 0; at < width; at += PIECE)
            if (!convert_piece(j, t, from, (size_t)place * width + at,
                               width - at < PIECE ? width - at : PIECE, floats, blocks))
                return false;
    }
    return true;
}

static bool convert_tensor(struct job *j, size_t i, float *floats, char *blocks)
{
    const struct ww_weight *t = &j->to[i], *from = j->from[i];
    if (!from) { // the dress's own
        fwrite(t->data, 1, t->bytes, j->file);
        return tell(j, t->bytes);
    }
    if (j->head[i])
        return lace_tensor(j, t, from, j->head[i], floats, blocks);
    if (from->type == t->type)
        return copy_tensor(j, t, from);
    const size_t elements = t->bytes / ww_type_block_bytes(t->type) * ww_type_block(t->type);
    for (size_t at = 0; at < elements; at += PIECE)
        if (!convert_piece(j, t, from, at, elements - at < PIECE ? elements - at : PIECE, floats, blocks))
            return false;
    return true;
}

static bool write_tensors(struct job *j)
{
    float *floats = ww_new_array(j->arena, float, PIECE);
    char *blocks = ww_arena_alloc_array(j->arena, PIECE, sizeof(float));
    for (size_t i = 0; i < j->count; i++) {
        if (!convert_tensor(j, i, floats, blocks))
            return false;
        if (j->gguf)
            ww_gguf_pad(j->file, j->to[i].bytes);
    }
    return true;
}

static bool write_all(struct job *j)
{
    const bool begun = j->gguf ? ww_gguf_begin(j->file, j->w, j->dress, j->to, j->count, j->typed, j->err)
                               : ww_safetensors_begin(j->file, j->to, j->count, j->err);
    return begun && tell(j, 0) && write_tensors(j);
}

static bool write_file(struct job *j, const char *out, const char *temporary)
{
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    j->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!j->file) {
        ww_fail(j->err, WW_E_FILE, "cannot create '%s': %s", temporary, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(temporary);
        }
        return false;
    }
    bool whole = write_all(j);
    if (whole && (fflush(j->file) != 0 || ferror(j->file) || fsync(fd) != 0))
        whole = ww_fail(j->err, WW_E_FILE, "cannot write: %s", strerror(errno));
    if (fclose(j->file) != 0 && whole)
        whole = ww_fail(j->err, WW_E_FILE, "cannot write: %s", strerror(errno));
    if (whole && rename(temporary, out) != 0)
        whole = ww_fail(j->err, WW_E_FILE, "cannot rename '%s': %s", temporary, strerror(errno));
    if (!whole)
        unlink(temporary);
    return whole || ww_within(j->err, "%s", out);
}

bool ww_convert_weights(const char *in, const char *out, const struct ww_convert_params *params,
                        const struct ww_gguf_dress *dress, struct ww_conversion *conversion,
                        struct ww_error *err)
{
    static const struct ww_convert_params none;
    struct ww_conversion unread;
    struct job j = {.params = params ? params : &none, .dress = dress, .err = err,
                    .result = conversion ? conversion : &unread};
    *j.result = (struct ww_conversion){0};
    if (!read_params(&j, out) || !(j.w = ww_weights_open(in, err)))
        return false;
    static atomic_uint serial;
    j.arena = ww_arena_create();
    const char *temporary = ww_arena_printf(j.arena, "%s.%ld-%u.part", out, (long)getpid(),
                                            atomic_fetch_add(&serial, 1));
    unlink(temporary); // left by a process of that number that died
    const bool written = plan(&j) ? write_file(&j, out, temporary) : ww_within(err, "%s", in);
    ww_arena_destroy(&j.arena);
    ww_weights_close(&j.w);
    return written;
}
