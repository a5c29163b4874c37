// Blocks to floats. A block holds `d`, the size of a step, for all its elements, often with a
// smallest value `m` beside it, and the elements as a few bits each. In blocks of 256 ("K") groups
// of 16 or 32 elements have a scale of their own, itself a small integer: d times that is the step.
// Halves and words stand at any address, little endian.

#include "blocks.h"

#include <assert.h>
#include <string.h>

#include "checkpoint.h"
#include "packed.h"

static float half(const uint8_t *at)
{
    return ww_type_float(WW_F16, at);
}

// Low nibbles are elements 0 to 15, high ones 16 to 31; in blocks of 32, `i` is the element.
static int nibble(const uint8_t *qs, int i)
{
    return qs[i % 16] >> 4 * (i / 16) & 15;
}

// y = d (q - 8)
static void decode_q4_0(const uint8_t *b, float *y)
{
    const float d = half(b);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)(nibble(b + 2, i) - 8);
}

// y = d q + m
static void decode_q4_1(const uint8_t *b, float *y)
{
    const float d = half(b), m = half(b + 2);
    for (int i = 0; i < 32; i++) {
        const float step = d * (float)nibble(b + 4, i);
        y[i] = step + m;
    }
}

// y = d (q - 16); the fifth bits are a word
static void decode_q5_0(const uint8_t *b, float *y)
{
    const float d = half(b);
    const uint32_t high = (uint32_t)ww_little(b + 2, 4);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)((nibble(b + 6, i) | (int)(high >> i & 1) << 4) - 16);
}

// y = d q + m
static void decode_q5_1(const uint8_t *b, float *y)
{
    const float d = half(b), m = half(b + 2);
    const uint32_t high = (uint32_t)ww_little(b + 4, 4);
    for (int i = 0; i < 32; i++) {
        const float step = d * (float)(nibble(b + 8, i) | (int)(high >> i & 1) << 4);
        y[i] = step + m;
    }
}

// y = d q
static void decode_q8_0(const uint8_t *b, float *y)
{
    const float d = half(b);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)(int8_t)b[2 + i];
}

// scales[16] (4 bits of scale, 4 of minimum), q[64], d, dmin: y = (d s) q - dmin m, groups of 16
static void decode_q2_k(const uint8_t *b, float *y)
{
    const float d = half(b + 80), dmin = half(b + 82);
    for (int i = 0; i < 256; i++) {
        const uint8_t scale = b[i / 16];
        const int q = b[16 + 32 * (i / 128) + i % 32] >> 2 * (i % 128 / 32) & 3;
        const float step = d * (float)(scale & 15), least = dmin * (float)(scale >> 4);
        const float up = step * (float)q;
        y[i] = up - least;
    }
}

// high[32], q[64], scales[12], d: y = (d (s - 32)) q, groups of 16. A third bit that is *not* set
// means 4 less.
static void decode_q3_k(const uint8_t *b, float *y)
{
    const uint8_t *high = b, *qs = b + 32, *scales = b + 96;
    const float d = half(b + 108);
    for (int i = 0; i < 256; i++) {
        const int g = i / 16;
        const int low = scales[g % 8] >> 4 * (g / 8) & 15,
                  top = scales[8 + g % 4] >> 2 * (g / 4) & 3;
        const int q = qs[32 * (i / 128) + i % 32] >> 2 * (i % 128 / 32) & 3;
        const float step = d * (float)((low | top << 4) - 32);
        y[i] = step * (float)(q - (high[i % 32] >> (i / 32) & 1 ? 0 : 4));
    }
}

// d, dmin, scales[12], q[128]: y = (d s) q - dmin m, groups of 32: two of them share their bytes
static void decode_q4_k(const uint8_t *b, float *y)
{
    const float d = half(b), dmin = half(b + 2);
    for (int g = 0; g < 8; g++) {
        const struct ww_scale_min s = ww_scale_min_get(b + 4, g);
        const float step = d * (float)s.scale, least = dmin * (float)s.min;
        for (int l = 0; l < 32; l++) {
            const float up = step * (float)(b[16 + 32 * (g / 2) + l] >> 4 * (g % 2) & 15);
            y[32 * g + l] = up - least;
        }
    }
}

// The same with high[32] before q: bit g of byte l is the fifth of element l of group g.
static void decode_q5_k(const uint8_t *b, float *y)
{
    const float d = half(b), dmin = half(b + 2);
    for (int g = 0; g < 8; g++) {
        const struct ww_scale_min s = ww_scale_min_get(b + 4, g);
        const float step = d * (float)s.scale, least = dmin * (float)s.min;
        for (int l = 0; l < 32; l++) {
            const int low = b[48 + 32 * (g / 2) + l] >> 4 * (g % 2) & 15;
            const float up = step * (float)(low | (b[16 + l] >> g & 1) << 4);
            y[32 * g + l] = up - least;
        }
    }
}

// low[128], high[64], scales[16] (signed), d: y = (d s) (q - 32), groups of 16
static void decode_q6_k(const uint8_t *b, float *y)
{
    const float d = half(b + 208);
    for (int i = 0; i < 256; i++) {
        const int n = i / 128, k = i % 128 / 32, l = i % 32;
        const int low = b[64 * n + 32 * (k & 1) + l] >> 4 * (k >> 1) & 15;
        const int high = b[128 + 32 * n + l] >> 2 * k & 3;
        const float step = d * (float)(int8_t)b[192 + i / 16];
        y[i] = step * (float)((low | high << 4) - 32);
    }
}

// "Non-linear" four bits: not steps of one size, but these.
static const int8_t levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

static void decode_iq4_nl(const uint8_t *b, float *y)
{
    const float d = half(b);
    for (int i = 0; i < 32; i++)
        y[i] = d * (float)levels[nibble(b + 2, i)];
}

// d, two high bits of each scale, four low ones, q[128]: y = (d (s - 32)) level, groups of 32
static void decode_iq4_xs(const uint8_t *b, float *y)
{
    const float d = half(b);
    const uint32_t high = (uint32_t)ww_little(b + 2, 2);
    for (int i = 0; i < 256; i++) {
        const int g = i / 32;
        const int scale = (b[4 + g / 2] >> 4 * (g % 2) & 15) | (int)(high >> 2 * g & 3) << 4;
        const float step = d * (float)(scale - 32);
        y[i] = step * (float)levels[nibble(b + 8 + 16 * g, i % 32)];
    }
}

static void (*const decoders[WW_NUM_TYPES])(const uint8_t *, float *) = {
    [WW_Q4_0] = decode_q4_0, [WW_Q4_1] = decode_q4_1,     [WW_Q5_0] = decode_q5_0,
    [WW_Q5_1] = decode_q5_1, [WW_Q8_0] = decode_q8_0,     [WW_Q2_K] = decode_q2_k,
    [WW_Q3_K] = decode_q3_k, [WW_Q4_K] = decode_q4_k,     [WW_Q5_K] = decode_q5_k,
    [WW_Q6_K] = decode_q6_k, [WW_IQ4_NL] = decode_iq4_nl, [WW_IQ4_XS] = decode_iq4_xs,
};

static float from_f64(const uint8_t *at)
{
    const uint64_t bits = ww_little(at, 8);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return (float)value;
}

static float decode_one(enum ww_type type, const uint8_t *at)
{
    switch (type) {
    case WW_F32:
    case WW_F16:
    case WW_BF16:
        return ww_type_float(type, at);
    case WW_F64:
        return from_f64(at);
    case WW_I8:
        return (float)(int8_t)*at;
    case WW_U8:
    case WW_BOOL:
        return (float)*at;
    case WW_I16:
        return (float)(int16_t)ww_little(at, 2);
    case WW_U16:
        return (float)ww_little(at, 2);
    case WW_I32:
        return (float)(int32_t)ww_little(at, 4);
    case WW_U32:
    case WW_U64:
        return (float)ww_little(at, type == WW_U32 ? 4 : 8);
    case WW_I64:
        return (float)(int64_t)ww_little(at, 8);
    default:
        assert(!"a type that has no floats here");
        return 0;
    }
}

bool ww_can_decode(enum ww_type type)
{
    return decoders[type] || type <= WW_U64;
}

void ww_decode(enum ww_type type, const void *from, size_t count, float *to)
{
    const size_t block = ww_type_block(type), bytes = ww_type_block_bytes(type);
    const uint8_t *at = from;
    assert(count % block == 0);
    for (size_t i = 0; i < count; i += block, at += bytes) {
        if (decoders[type])
            decoders[type](at, to + i);
        else
            to[i] = decode_one(type, at);
    }
}

bool ww_weights_floats(const struct ww_weights *w, const struct ww_weight *t, size_t first,
                       size_t count, float *to, struct ww_error *err)
{
    if (!ww_can_decode(t->type))
        return ww_fail(err, WW_E_FILE, "%s: tensor '%s' is %s, of which no floats can be made",
                       ww_weights_path(w), t->name, ww_type_name(t->type));
    const size_t block = ww_type_block(t->type), bytes = ww_type_block_bytes(t->type);
    assert(first % block == 0 && count % block == 0);
    uint8_t piece[16384];
    const size_t most = sizeof(piece) / bytes; // blocks
    for (size_t at = first / block, end = at + count / block; at < end;) {
        const size_t blocks = end - at < most ? end - at : most;
        if (!ww_weights_copy(w, t, at * bytes, blocks * bytes, piece, err))
            return false;
        ww_decode(t->type, piece, blocks * block, to);
        to += blocks * block;
        at += blocks;
    }
    return true;
}
