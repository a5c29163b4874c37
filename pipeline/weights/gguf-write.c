// The start of a .gguf file, version 3: counts, keys by name, tensors, zeros up to the data.

#include "write.h"

#include <string.h>

#include "meta.h"

#define ALIGNMENT      32
#define MAX_NAME_BYTES 63
#define MAX_DIMS       4

void ww_gguf_put(FILE *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> 8 * i & 0xff), out);
}

void ww_gguf_put_text(FILE *out, const char *text, size_t bytes)
{
    ww_gguf_put(out, bytes, 8);
    fwrite(text, 1, bytes, out);
}

#define FILE_TYPE     "general.file_type"
#define BLOCK_VERSION "general.quantization_version"

// What is true of the old file only: where it was split, how it is aligned.
static bool is_of_file(const char *key)
{
    return strncmp(key, "split.", 6) == 0 || strcmp(key, "general.alignment") == 0;
}

static void put_meta(FILE *out, const struct ww_meta *meta)
{
    static const int widths[WW_NUM_META_TYPES] = {
        [WW_META_U8] = 1,  [WW_META_I8] = 1,  [WW_META_U16] = 2, [WW_META_I16] = 2,
        [WW_META_U32] = 4, [WW_META_I32] = 4, [WW_META_F32] = 4, [WW_META_BOOL] = 1,
        [WW_META_U64] = 8, [WW_META_I64] = 8, [WW_META_F64] = 8,
    };
    ww_gguf_put_text(out, meta->key, strlen(meta->key));
    if (meta->is_array)
        ww_gguf_put(out, WW_META_ARRAY, 4);
    ww_gguf_put(out, meta->type, 4);
    if (meta->is_array)
        ww_gguf_put(out, meta->count, 8);
    if (meta->type != WW_META_STRING) {
        fwrite(meta->at, (size_t)widths[meta->type], meta->count, out);
        return;
    }
    for (size_t i = 0; i < meta->count; i++) {
        struct ww_text text = {0};
        ww_meta_text(meta, i, &text);
        ww_gguf_put_text(out, text.at, text.bytes);
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

// llama.cpp's number for a file most of whose matrices are of a type, and the small ones as well; -1: it
// has none.
static int file_type_of(enum ww_type type)
{
    static const struct {
        enum ww_type type;
        int number;
    } numbers[] = {
        {WW_F32, 0},   {WW_F16, 1},    {WW_Q4_0, 2},    {WW_Q4_1, 3},    {WW_Q8_0, 7},
        {WW_Q5_0, 8},  {WW_Q5_1, 9},   {WW_Q2_K, 10},   {WW_Q3_K, 11},   {WW_Q4_K, 14},
        {WW_Q5_K, 16}, {WW_Q6_K, 18},  {WW_IQ4_NL, 25}, {WW_IQ4_XS, 30}, {WW_BF16, 32},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].type == type)
            return numbers[i].number;
    return -1;
}

// The type that most bytes of matrices are of.
static enum ww_type main_type(const struct ww_weight *tensors, size_t count)
{
    uint64_t bytes[WW_NUM_TYPES] = {0};
    int best = WW_F32;
    for (size_t i = 0; i < count; i++)
        bytes[tensors[i].type] += tensors[i].rank > 1 ? tensors[i].bytes : 0;
    for (int t = 0; t < WW_NUM_TYPES; t++)
        if (bytes[t] > bytes[best])
            best = t;
    return (enum ww_type)best;
}

static bool has_blocks(const struct ww_weight *tensors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ww_type_block(tensors[i].type) > 1)
            return true;
    return false;
}

struct own_key {
    const char *key;
    int value;
};

static void put_own(FILE *out, const struct own_key *own)
{
    ww_gguf_put_text(out, own->key, strlen(own->key));
    ww_gguf_put(out, WW_META_U32, 4);
    ww_gguf_put(out, (uint64_t)own->value, 4);
}

static void put_key(FILE *out, const struct ww_gguf_key *key)
{
    ww_gguf_put_text(out, key->key, strlen(key->key));
    fwrite(key->value, 1, key->bytes, out);
}

// The old file's keys but for those that are not true any more, or the dress's, and what is true of the
// new one, in the order of their names, in which they are read again. Returns how many; with `out` NULL
// only counts.
static size_t put_keys(FILE *out, const struct ww_weights *w, const struct ww_gguf_dress *dress,
                       const struct ww_weight *tensors, size_t count, bool typed)
{
    const int type = file_type_of(main_type(tensors, count));
    const bool kept = !dress && !typed && ww_weights_meta(w, FILE_TYPE);
    const size_t num_given = dress ? dress->num_keys : ww_weights_num_metas(w);
    struct own_key own[2];
    size_t num_own = 0, next = 0, num = 0;
    if (!kept && type >= 0)
        own[num_own++] = (struct own_key){FILE_TYPE, type};
    if (has_blocks(tensors, count) && (dress || !ww_weights_meta(w, BLOCK_VERSION)))
        own[num_own++] = (struct own_key){BLOCK_VERSION, 2}; // GGML's since 2023
    for (size_t i = 0; i < num_given; i++) {
        const struct ww_meta *meta = dress ? NULL : ww_weights_meta_at(w, i);
        const char *key = dress ? dress->keys[i].key : meta->key;
        if (is_of_file(key) || (!kept && strcmp(key, FILE_TYPE) == 0))
            continue;
        for (; next < num_own && strcmp(own[next].key, key) < 0; next++, num++)
            if (out)
                put_own(out, &own[next]);
        if (out && dress)
            put_key(out, &dress->keys[i]);
        else if (out)
            put_meta(out, meta);
        num++;
    }
    for (; next < num_own; next++, num++)
        if (out)
            put_own(out, &own[next]);
    return num;
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

bool ww_gguf_begin(FILE *out, const struct ww_weights *w, const struct ww_gguf_dress *dress,
                   const struct ww_weight *tensors, size_t count, bool typed, struct ww_error *err)
{
    fwrite("GGUF", 1, 4, out);
    ww_gguf_put(out, 3, 4);
    ww_gguf_put(out, count, 8);
    ww_gguf_put(out, put_keys(NULL, w, dress, tensors, count, typed), 8);
    put_keys(out, w, dress, tensors, count, typed);
    uint64_t place = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ww_weight *t = &tensors[i];
        if (!check(t, err))
            return false;
        ww_gguf_put_text(out, t->name, strlen(t->name));
        ww_gguf_put(out, (uint64_t)t->rank, 4);
        for (int d = t->rank - 1; d >= 0; d--) // the fastest first
            ww_gguf_put(out, (uint64_t)t->dim[d], 8);
        ww_gguf_put(out, (uint64_t)number_of(t->type), 4);
        ww_gguf_put(out, place, 8);
        place += (t->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    const long at = ftell(out);
    if (at < 0)
        return ww_fail(err, WW_E_FILE, "cannot write the header: is this no ordinary file?");
    ww_gguf_pad(out, (size_t)at);
    return true;
}
