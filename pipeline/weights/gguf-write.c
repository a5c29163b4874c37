// The start of a .gguf file, version 3: counts, keys by name, tensors, zeros up to the data.

#include "write.h"

#include <string.h>

#include "meta.h"

#define ALIGNMENT      32
#define MAX_NAME_BYTES 63
#define MAX_DIMS       4

static void put(FILE *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> 8 * i & 0xff), out);
}

static void put_text(FILE *out, const char *text, size_t bytes)
{
    put(out, bytes, 8);
    fwrite(text, 1, bytes, out);
}

// What is true of the old file only: where it was split, how it is aligned, what most of it is.
static bool is_of_file(const char *key)
{
    return strncmp(key, "split.", 6) == 0 || strcmp(key, "general.alignment") == 0 ||
           strcmp(key, "general.file_type") == 0;
}

static void put_meta(FILE *out, const struct ww_meta *meta)
{
    static const int widths[WW_NUM_META_TYPES] = {
        [WW_META_U8] = 1,  [WW_META_I8] = 1,  [WW_META_U16] = 2, [WW_META_I16] = 2,
        [WW_META_U32] = 4, [WW_META_I32] = 4, [WW_META_F32] = 4, [WW_META_BOOL] = 1,
        [WW_META_U64] = 8, [WW_META_I64] = 8, [WW_META_F64] = 8,
    };
    put_text(out, meta->key, strlen(meta->key));
    if (meta->is_array)
        put(out, WW_META_ARRAY, 4);
    put(out, meta->type, 4);
    if (meta->is_array)
        put(out, meta->count, 8);
    if (meta->type != WW_META_STRING) {
        fwrite(meta->at, (size_t)widths[meta->type], meta->count, out);
        return;
    }
    for (size_t i = 0; i < meta->count; i++) {
        struct ww_text text = {0};
        ww_meta_text(meta, i, &text);
        put_text(out, text.at, text.bytes);
    }
}

static int number_of(enum ww_type type)
{
    static const struct {
        enum ww_type type;
        int number;
    } numbers[] = {
        {WW_F32, 0},   {WW_F16, 1},     {WW_Q4_0, 2},    {WW_Q4_1, 3}, {WW_Q5_0, 6},  {WW_Q5_1, 7},
        {WW_Q8_0, 8},  {WW_Q2_K, 10},   {WW_Q3_K, 11},   {WW_Q4_K, 12}, {WW_Q5_K, 13}, {WW_Q6_K, 14},
        {WW_IQ4_NL, 20}, {WW_IQ4_XS, 23}, {WW_I8, 24},   {WW_I16, 25}, {WW_I32, 26},  {WW_I64, 27},
        {WW_F64, 28},  {WW_BF16, 30},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].type == type)
            return numbers[i].number;
    return -1;
}

static bool check(const struct ww_weight *t, struct ww_error *err)
{
    if (strlen(t->name) > MAX_NAME_BYTES)
        return ww_fail(err, WW_E_FILE, "tensor '%s' has a name of %zu bytes; GGUF allows %d, "
                       "safetensors any number", t->name, strlen(t->name), MAX_NAME_BYTES);
    if (t->rank > MAX_DIMS)
        return ww_fail(err, WW_E_FILE, "tensor '%s' has %d dimensions; GGUF allows %d", t->name,
                       t->rank, MAX_DIMS);
    if (number_of(t->type) < 0)
        return ww_fail(err, WW_E_FILE, "tensor '%s' is %s, which GGUF does not have; write a "
                       ".safetensors file", t->name, ww_type_name(t->type));
    return true;
}

void ww_gguf_pad(FILE *out, size_t bytes)
{
    for (; bytes % ALIGNMENT; bytes++)
        fputc(0, out);
}

bool ww_gguf_begin(FILE *out, const struct ww_weights *w, const struct ww_weight *tensors,
                   size_t count, struct ww_error *err)
{
    size_t num_metas = 0;
    for (size_t i = 0; i < ww_weights_num_metas(w); i++)
        num_metas += !is_of_file(ww_weights_meta_at(w, i)->key);
    fwrite("GGUF", 1, 4, out);
    put(out, 3, 4);
    put(out, count, 8);
    put(out, num_metas, 8);
    for (size_t i = 0; i < ww_weights_num_metas(w); i++)
        if (!is_of_file(ww_weights_meta_at(w, i)->key))
            put_meta(out, ww_weights_meta_at(w, i));
    uint64_t place = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ww_weight *t = &tensors[i];
        if (!check(t, err))
            return false;
        put_text(out, t->name, strlen(t->name));
        put(out, (uint64_t)t->rank, 4);
        for (int d = t->rank - 1; d >= 0; d--) // the fastest first
            put(out, (uint64_t)t->dim[d], 8);
        put(out, (uint64_t)number_of(t->type), 4);
        put(out, place, 8);
        place += (t->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    const long at = ftell(out);
    if (at < 0)
        return ww_fail(err, WW_E_FILE, "cannot write the header: is this no ordinary file?");
    ww_gguf_pad(out, (size_t)at);
    return true;
}
