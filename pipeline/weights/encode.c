// Floats to blocks. Blocks of 32 follow the reference: its steps, its rounding, bit for bit. For
// blocks of 256 see below.

#include "blocks.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "packed.h"

uint16_t ww_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) // NaN: quiet, with the upper bits of its payload
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) // rounds to 65536 and more
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x33000001) // at most half of the smallest subnormal
        return (uint16_t)sign;
    if (magnitude < 0x38800000) { // subnormal: fraction x 2^-24
        const uint32_t fraction = (magnitude & 0x7fffff) | 0x800000;
        const int shift = 126 - (int)(magnitude >> 23);
        const uint32_t rest = fraction & ((1u << shift) - 1), half = 1u << (shift - 1);
        const uint32_t whole = fraction >> shift;
        return (uint16_t)(sign | (whole + (rest > half || (rest == half && (whole & 1)))));
    }
    const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((rounded - ((127u - 15) << 23)) >> 13));
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put_half(uint8_t *at, float value)
{
    put16(at, ww_half(value));
}

static float get_half(const uint8_t *at)
{
    return ww_type_float(WW_F16, at);
}

static void encode_f32(const float *x, uint8_t *b)
{
    uint32_t bits;
    memcpy(&bits, x, sizeof(bits));
    put16(b, bits);
    put16(b + 2, bits >> 16);
}

static void encode_f16(const float *x, uint8_t *b)
{
    put_half(b, *x);
}

static void encode_bf16(const float *x, uint8_t *b)
{
    uint32_t bits;
    memcpy(&bits, x, sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000)
        put16(b, bits >> 16 | 0x40);
    else
        put16(b, (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Truncated, as the reference does after adding a half; what is no number counts as 0.
static int whole(float value, int max)
{
    if (!(value > 0))
        return 0;
    return value >= (float)max ? max : (int)value;
}

static float inverse(float d)
{
    return d != 0 ? 1.0f / d : 0.0f;
}

// The element with the largest magnitude, with its sign: it gets the lowest level, of which there
// is one more than of positive ones.
static float outermost(const float *x)
{
    float most = 0, value = 0;
    for (int i = 0; i < 32; i++)
        if (most < fabsf(x[i])) {
            most = fabsf(x[i]);
            value = x[i];
        }
    return value;
}

static void range(const float *x, int count, float *min, float *max)
{
    *min = *max = x[0];
    for (int i = 1; i < count; i++) {
        *min = x[i] < *min ? x[i] : *min;
        *max = x[i] > *max ? x[i] : *max;
    }
}

// The lower four bits of 32 levels into 16 bytes, the fifth ones into a word.
static uint32_t put_levels(const int *levels, uint8_t *qs)
{
    uint32_t high = 0;
    for (int i = 0; i < 32; i++)
        high |= (uint32_t)(levels[i] >> 4 & 1) << i;
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((levels[i] & 15) | (levels[i + 16] & 15) << 4);
    return high;
}

// `half` is half the number of levels: 8 or 16.
static uint32_t encode_around_zero(const float *x, int half, uint8_t *b, uint8_t *qs)
{
    const float d = outermost(x) / (float)-half, id = inverse(d);
    put_half(b, d);
    int levels[32];
    for (int i = 0; i < 32; i++)
        levels[i] = whole(x[i] * id + ((float)half + 0.5f), 2 * half - 1);
    return put_levels(levels, qs);
}

static uint32_t encode_from_least(const float *x, int most, uint8_t *b, uint8_t *qs)
{
    float min, max;
    range(x, 32, &min, &max);
    const float d = (max - min) / (float)most, id = inverse(d);
    put_half(b, d);
    put_half(b + 2, min);
    int levels[32];
    for (int i = 0; i < 32; i++)
        levels[i] = whole((x[i] - min) * id + 0.5f, most);
    return put_levels(levels, qs);
}

static void encode_q4_0(const float *x, uint8_t *b)
{
    encode_around_zero(x, 8, b, b + 2);
}

static void encode_q4_1(const float *x, uint8_t *b)
{
    encode_from_least(x, 15, b, b + 4);
}

static void encode_q5_0(const float *x, uint8_t *b)
{
    const uint32_t high = encode_around_zero(x, 16, b, b + 6);
    put16(b + 2, high);
    put16(b + 4, high >> 16);
}

static void encode_q5_1(const float *x, uint8_t *b)
{
    const uint32_t high = encode_from_least(x, 31, b, b + 8);
    put16(b + 4, high);
    put16(b + 6, high >> 16);
}

static void encode_q8_0(const float *x, uint8_t *b)
{
    const float d = fabsf(outermost(x)) / 127.0f, id = inverse(d);
    put_half(b, d);
    for (int i = 0; i < 32; i++) {
        const float q = roundf(x[i] * id);
        b[2 + i] = (uint8_t)(int8_t)(q >= -127 && q <= 127 ? q : 0);
    }
}

// A group of `count` elements as x = step q - least, 0 <= q <= most, both factors from 0 up. The
// obvious step, range / most, serves outliers; a slightly larger or smaller one often serves the
// rest better. So: try some, choose levels for each, then the factors that fit these levels best (a
// regression line), and keep the try with the least squared error.
static void fit_line(const float *x, int count, int most, float *step, float *least)
{
    float min, max;
    range(x, count, &min, &max);
    min = min > 0 ? 0 : min;
    *step = (max - min) / (float)most;
    *least = -min;
    if (!(max > min) || !isfinite(max - min)) {
        *step = 0;
        return;
    }
    double best = INFINITY;
    for (int k = 0; k <= 20; k++) {
        const int attempt = k % 2 ? -(k + 1) / 2 : k / 2; // 0, -1, 1, -2, ...: of equals, the first
        const float id = ((float)most + 0.1f * (float)attempt) / (max - min);
        double sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
        for (int i = 0; i < count; i++) {
            const double q = whole((x[i] - min) * id + 0.5f, most);
            sum_q += q;
            sum_qq += q * q;
            sum_x += (double)x[i];
            sum_qx += q * (double)x[i];
        }
        const double n = count, spread = n * sum_qq - sum_q * sum_q;
        if (spread <= 0)
            continue;
        double slope = (n * sum_qx - sum_q * sum_x) / spread;
        double offset = (sum_x - slope * sum_q) / n;
        if (offset > 0) { // cannot be stored: through the origin
            offset = 0;
            slope = sum_qx / sum_qq;
        }
        if (!(slope > 0))
            continue;
        double error = 0;
        for (int i = 0; i < count; i++) {
            const double q = whole((float)(((double)x[i] - offset) / slope + 0.5), most);
            const double off = slope * q + offset - (double)x[i];
            error += off * off;
        }
        if (error < best) {
            best = error;
            *step = (float)slope;
            *least = (float)-offset;
        }
    }
}

static double try_line(const float *x, int most, float step, float least, uint8_t levels[32])
{
    const float id = inverse(step);
    double error = 0;
    for (int l = 0; l < 32; l++) {
        levels[l] = (uint8_t)whole((x[l] + least) * id + 0.5f, most);
        const double off = (double)step * levels[l] - (double)least - (double)x[l];
        error += off * off;
    }
    return error;
}

// Scale, minimum and levels of a group: those nearest to what was wished for, or their neighbours.
// What is stored decides.
static struct ww_scale_min choose(const float *x, int most, float d, float dmin,
                                  struct ww_scale_min wish, uint8_t levels[32])
{
    struct ww_scale_min best = wish;
    double least = INFINITY;
    for (int scale = wish.scale - 1; scale <= wish.scale + 1; scale++) {
        for (int min = wish.min - 1; min <= wish.min + 1; min++) {
            uint8_t tried[32];
            if (scale < 0 || scale > 63 || min < 0 || min > 63)
                continue;
            const double error = try_line(x, most, d * (float)scale, dmin * (float)min, tried);
            if (error < least) {
                least = error;
                best = (struct ww_scale_min){scale, min};
                memcpy(levels, tried, sizeof(tried));
            }
        }
    }
    if (least == INFINITY) // no numbers: anything that is the same each time
        memset(levels, 0, 32);
    return best;
}

// Levels of all 256 elements for d, dmin and the packed scales at `b`, which it writes.
static void encode_lines(const float *x, int most, uint8_t *b, uint8_t levels[256])
{
    float step[8], least[8], max_step = 0, max_least = 0;
    for (int g = 0; g < 8; g++) {
        fit_line(x + 32 * g, 32, most, &step[g], &least[g]);
        max_step = step[g] > max_step ? step[g] : max_step;
        max_least = least[g] > max_least ? least[g] : max_least;
    }
    put_half(b, max_step / 63.0f);
    put_half(b + 2, max_least / 63.0f);
    memset(b + 4, 0, 12);
    const float d = get_half(b), dmin = get_half(b + 2), id = inverse(d), imin = inverse(dmin);
    for (int g = 0; g < 8; g++) {
        const struct ww_scale_min wish = {whole(step[g] * id + 0.5f, 63),
                                          whole(least[g] * imin + 0.5f, 63)};
        ww_scale_min_put(b + 4, g, choose(x + 32 * g, most, d, dmin, wish, levels + 32 * g));
    }
}

static void encode_q4_k(const float *x, uint8_t *b)
{
    uint8_t levels[256];
    encode_lines(x, 15, b, levels);
    for (int i = 0; i < 128; i++) {
        const int at = 64 * (i / 32) + i % 32;
        b[16 + i] = (uint8_t)(levels[at] | levels[at + 32] << 4);
    }
}

static void encode_q5_k(const float *x, uint8_t *b)
{
    uint8_t levels[256];
    encode_lines(x, 31, b, levels);
    memset(b + 16, 0, 32);
    for (int i = 0; i < 256; i++)
        b[16 + i % 32] |= (uint8_t)(levels[i] >> 4 << i / 32);
    for (int i = 0; i < 128; i++) {
        const int at = 64 * (i / 32) + i % 32;
        b[48 + i] = (uint8_t)((levels[at] & 15) | (levels[at + 32] & 15) << 4);
    }
}

static int nearest(float value, int min, int max)
{
    const float q = nearbyintf(value);
    return q <= (float)min ? min : q >= (float)max ? max : q == q ? (int)q : 0;
}

// 16 elements as x = step q, -32 <= q <= 31; the step may be negative. As fit_line.
static float fit_through_zero(const float *x)
{
    float outer = 0;
    for (int i = 0; i < 16; i++)
        outer = fabsf(x[i]) > fabsf(outer) ? x[i] : outer;
    if (outer == 0 || !isfinite(outer))
        return 0;
    double best = INFINITY;
    float step = 0;
    for (int k = 0; k <= 18; k++) {
        const int attempt = k % 2 ? -(k + 1) / 2 : k / 2;
        const float id = -(32.0f + 0.1f * (float)attempt) / outer;
        double sum_qx = 0, sum_qq = 0, error = 0;
        for (int i = 0; i < 16; i++) {
            const double q = nearest(x[i] * id, -32, 31);
            sum_qx += q * (double)x[i];
            sum_qq += q * q;
        }
        const double slope = sum_qq > 0 ? sum_qx / sum_qq : 0;
        if (slope == 0)
            continue;
        for (int i = 0; i < 16; i++) {
            const double off =
                slope * nearest((float)((double)x[i] / slope), -32, 31) - (double)x[i];
            error += off * off;
        }
        if (error < best) {
            best = error;
            step = (float)slope;
        }
    }
    return step;
}

static void encode_q6_k(const float *x, uint8_t *b)
{
    float step[16], outer = 0;
    for (int g = 0; g < 16; g++) {
        step[g] = fit_through_zero(x + 16 * g);
        outer = fabsf(step[g]) > fabsf(outer) ? step[g] : outer;
    }
    put_half(b + 208, outer / -128.0f);
    const float d = get_half(b + 208), id = inverse(d);
    memset(b, 0, 192);
    for (int g = 0; g < 16; g++) {
        const int scale = nearest(step[g] * id, -128, 127);
        b[192 + g] = (uint8_t)(int8_t)scale;
        const float is = inverse(d * (float)scale);
        for (int i = 16 * g; i < 16 * g + 16; i++) {
            const int q = nearest(x[i] * is, -32, 31) + 32, n = i / 128, k = i % 128 / 32;
            b[64 * n + 32 * (k & 1) + i % 32] |= (uint8_t)((q & 15) << 4 * (k >> 1));
            b[128 + 32 * n + i % 32] |= (uint8_t)(q >> 4 << 2 * k);
        }
    }
}

static void (*const encoders[WW_NUM_TYPES])(const float *, uint8_t *) = {
    [WW_F32] = encode_f32,   [WW_F16] = encode_f16,   [WW_BF16] = encode_bf16,
    [WW_Q4_0] = encode_q4_0, [WW_Q4_1] = encode_q4_1, [WW_Q5_0] = encode_q5_0,
    [WW_Q5_1] = encode_q5_1, [WW_Q8_0] = encode_q8_0, [WW_Q4_K] = encode_q4_k,
    [WW_Q5_K] = encode_q5_k, [WW_Q6_K] = encode_q6_k,
};

bool ww_can_encode(enum ww_type type)
{
    return encoders[type] != NULL;
}

void ww_encode(enum ww_type type, const float *from, size_t count, void *to)
{
    const size_t block = ww_type_block(type), bytes = ww_type_block_bytes(type);
    assert(encoders[type] && count % block == 0);
    for (size_t i = 0; i < count; i += block)
        encoders[type](from + i, (uint8_t *)to + i / block * bytes);
}
