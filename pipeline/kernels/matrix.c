#include "matrix.h"

#include "base/room.h"
#include "weights/packed.h"

#include <stdlib.h>
#include <string.h>

static const struct ww_layout layouts[WW_NUM_TYPES] = {
    [WW_F32] = {WW_KIND_F32, 1, 0, WW_SCALE_NONE, 0, 8, 32},
    [WW_F16] = {WW_KIND_F16, 2, 0, WW_SCALE_NONE, 0, 4, 16},
    [WW_BF16] = {WW_KIND_BF16, 2, 0, WW_SCALE_NONE, 0, 4, 16},
    [WW_Q8_0] = {WW_KIND_BYTES, 4, 0, WW_SCALE_HALF, 0, 2, 9},
    [WW_Q4_0] = {WW_KIND_NIBBLES, 8, 0, WW_SCALE_HALF, -8, 1, 5},
    [WW_Q4_1] = {WW_KIND_NIBBLES, 8, 0, WW_SCALE_HALVES, 0, 1, 5},
    [WW_Q5_0] = {WW_KIND_NIBBLES, 8, 1, WW_SCALE_HALF, -16, 1, 6},
    [WW_Q5_1] = {WW_KIND_NIBBLES, 8, 1, WW_SCALE_HALVES, 0, 1, 6},
    [WW_Q4_K] = {WW_KIND_NIBBLES, 8, 0, WW_SCALE_PAIR, 0, 1, 6},
    [WW_Q5_K] = {WW_KIND_NIBBLES, 8, 1, WW_SCALE_PAIR, 0, 1, 7},
    [WW_Q6_K] = {WW_KIND_NIBBLES, 8, 2, WW_SCALE_SIXTEENS, -32, 1, 8},
};

bool ww_linear_takes(enum ww_type type)
{
    return (unsigned)type < WW_NUM_TYPES && layouts[type].texels;
}

struct ww_layout ww_linear_layout(enum ww_type type)
{
    return layouts[type];
}

uint64_t ww_linear_texels(const struct ww_linear *m)
{
    return (uint64_t)(m->k / WW_TILE) * (uint64_t)(m->n / 4) * layouts[m->type].texels;
}

// Thirty-two inputs of one output, taken out of a file's block.
struct run {
    uint32_t bits[WW_TILE]; // floats, halves, or whole numbers before the offset
    uint16_t d, m;          // halves as the file has them
    float scale[2];         // what they multiply out to
};

static uint16_t half_bits(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static float half(uint16_t bits)
{
    return ww_type_float(WW_F16, (const uint8_t[]){(uint8_t)bits, (uint8_t)(bits >> 8)});
}

static void take_plain(const uint8_t *at, int bytes, int count, struct run *r)
{
    for (int i = 0; i < count; i++) {
        r->bits[i] = 0;
        for (int b = 0; b < bytes; b++)
            r->bits[i] |= (uint32_t)at[i * bytes + b] << 8 * b;
    }
}

// Q4_0, Q4_1, Q5_0, Q5_1: d, perhaps m, perhaps fifth bits, then number i beside number i + 16.
static void take_small(const uint8_t *at, bool min, bool fifth, struct run *r)
{
    r->d = half_bits(at);
    r->m = min ? half_bits(at + 2) : 0;
    at += min ? 4 : 2;
    uint32_t high = 0;
    if (fifth) {
        high = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        at += 4;
    }
    for (int i = 0; i < WW_TILE; i++)
        r->bits[i] = (at[i % 16] >> i / 16 * 4 & 15u) | (high >> i & 1) << 4;
}

static void take_k(const uint8_t *at, int j, bool fifth, struct run *r)
{
    const struct ww_scale_min s = ww_scale_min_get(at + 4, j);
    r->scale[0] = half(half_bits(at)) * (float)s.scale;
    r->scale[1] = -(half(half_bits(at + 2)) * (float)s.min);
    const uint8_t *high = at + 16, *low = at + (fifth ? 48 : 16) + j / 2 * 32;
    for (int i = 0; i < WW_TILE; i++)
        r->bits[i] = (low[i] >> j % 2 * 4 & 15u) | (fifth ? (high[i] >> j & 1u) << 4 : 0);
}

static void take_6k(const uint8_t *at, int j, struct run *r)
{
    const uint8_t *low = at + j / 4 * 64 + j % 2 * 32, *high = at + 128 + j / 4 * 32;
    const uint8_t *scales = at + 192 + j * 2;
    const float d = half(half_bits(at + 208));
    for (int i = 0; i < 2; i++)
        r->scale[i] = d * (float)(int8_t)scales[i];
    for (int i = 0; i < WW_TILE; i++)
        r->bits[i] = (low[i] >> j % 4 / 2 * 4 & 15u) | (high[i] >> j % 4 * 2 & 3u) << 4;
}

// Inputs 32 block to 32 block + 31 of a row that has `k`.
static void take(enum ww_type type, const uint8_t *row, int k, int block, struct run *r)
{
    const uint8_t *at = row + (size_t)(block * WW_TILE) / ww_type_block(type) * ww_type_block_bytes(type);
    const int left = k - block * WW_TILE, count = left < WW_TILE ? left : WW_TILE;
    *r = (struct run){0};
    switch (type) {
    case WW_F32:
    case WW_F16:
    case WW_BF16:
        take_plain(at, (int)ww_type_bytes(type), count, r);
        break;
    case WW_Q8_0:
        r->d = half_bits(at);
        take_plain(at + 2, 1, count, r);
        break;
    case WW_Q4_K:
    case WW_Q5_K:
        take_k(at, block % 8, type == WW_Q5_K, r);
        break;
    case WW_Q6_K:
        take_6k(at, block % 8, r);
        break;
    default:
        take_small(at, type == WW_Q4_1 || type == WW_Q5_1,
                   type == WW_Q5_0 || type == WW_Q5_1, r);
    }
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// One output's component of every texel of a record.
static void put(const struct ww_layout *l, const struct run *r, uint32_t (*record)[4], int output)
{
    const uint32_t width = 32 / l->inputs, mask = width == 32 ? ~0u : (1u << width) - 1;
    const uint32_t numbers_end = WW_TILE / l->inputs;
    for (uint32_t i = 0; i < WW_TILE; i++) {
        record[WW_BESIDE * (i / l->inputs)][output] |= (r->bits[i] & mask) << i % l->inputs * width;
        if (l->high) // so many bits each, in order
            record[WW_BESIDE * (numbers_end + i * l->high / 32)][output] |= r->bits[i] >> 4 << i * l->high % 32;
    }
    uint32_t(*scale)[4] = record + WW_BESIDE * (numbers_end + l->high);
    if (l->scale == WW_SCALE_HALF || l->scale == WW_SCALE_HALVES)
        scale[0][output] = r->d | (uint32_t)r->m << 16;
    else if (l->scale != WW_SCALE_NONE)
        for (int i = 0; i < 2; i++)
            scale[WW_BESIDE * i][output] = float_bits(r->scale[i]);
}

static void pack_tile(const struct ww_linear *m, int k, const uint8_t *rows, size_t row_bytes,
                      const bool *there, uint32_t (*to)[4])
{
    const struct ww_layout *l = &layouts[m->type];
    for (int block = 0; block * WW_TILE < k; block++)
        for (int o = 0; o < WW_TILE; o++) {
            struct run r;
            if (!there[o])
                continue;
            take(m->type, rows + (size_t)o * row_bytes, k, block, &r);
            put(l, &r, to + (size_t)block * WW_BESIDE * l->texels + (size_t)(o / 4), o % 4);
        }
}

bool ww_linear_write(struct ww_device *device, const struct ww_linear *m, int k, ww_row_fn row,
                     void *opaque, struct ww_error *err)
{
    const size_t row_bytes = k % (int)ww_type_block(m->type)
                                 ? 0
                                 : (size_t)k / ww_type_block(m->type) * ww_type_block_bytes(m->type);
    const size_t tile_bytes = ww_linear_texels(m) * 16 / (size_t)(m->n / WW_TILE);
    if (!row_bytes || k > m->k)
        return ww_fail(err, WW_E_FILE, "rows of %d numbers are no whole blocks of %s", k,
                       ww_type_name(m->type));
    uint8_t *rows = ww_room_for(WW_TILE, row_bytes, err);
    void *tile = rows ? ww_room_for(1, tile_bytes, err) : NULL;
    bool ok = tile != NULL;
    for (int t = 0; ok && t < m->n / WW_TILE; t++) {
        bool there[WW_TILE];
        for (int o = 0; ok && o < WW_TILE; o++) {
            const int got = row(opaque, t * WW_TILE + o, rows + (size_t)o * row_bytes, err);
            ok = got >= 0;
            there[o] = got > 0;
        }
        memset(tile, 0, tile_bytes);
        if (ok)
            pack_tile(m, k, rows, row_bytes, there, tile);
        ok = ok && ww_storage_write(device, m->storage, (uint64_t)m->first * 16 + (uint64_t)t * tile_bytes,
                                    tile, tile_bytes, err);
    }
    free(rows);
    free(tile);
    return ok;
}

static float as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float plain(uint32_t kind, uint32_t bits)
{
    if (kind == WW_KIND_F16)
        return half((uint16_t)bits);
    return as_float(kind == WW_KIND_BF16 ? bits << 16 : bits);
}

void ww_linear_record(enum ww_type type, const void *from, float w[4][WW_TILE])
{
    const struct ww_layout *l = &layouts[type];
    const uint32_t(*record)[4] = from;
    const uint32_t width = 32 / l->inputs, mask = width == 32 ? ~0u : (1u << width) - 1;
    const uint32_t numbers_end = WW_TILE / l->inputs;
    const uint32_t(*scale)[4] = record + WW_BESIDE * (numbers_end + l->high);
    for (uint32_t o = 0; o < 4; o++)
        for (uint32_t i = 0; i < WW_TILE; i++) {
            const uint32_t bits = record[WW_BESIDE * (i / l->inputs)][o] >> i % l->inputs * width & mask;
            if (l->scale == WW_SCALE_NONE) {
                w[o][i] = plain(l->kind, bits);
                continue;
            }
            int32_t q = l->kind == WW_KIND_BYTES ? (int8_t)bits : (int32_t)bits;
            if (l->high)
                q |= (int32_t)(record[WW_BESIDE * (numbers_end + i * l->high / 32)][o] >> i * l->high % 32 &
                               ((1u << l->high) - 1)) << 4;
            const float number_ = (float)(q + l->offset);
            if (l->scale == WW_SCALE_PAIR)
                w[o][i] = as_float(scale[0][o]) * number_ + as_float(scale[WW_BESIDE][o]);
            else if (l->scale == WW_SCALE_SIXTEENS)
                w[o][i] = as_float(scale[WW_BESIDE * (i / 16)][o]) * number_;
            else
                w[o][i] = half(scale[0][o] & 0xffff) * number_ + half((uint16_t)(scale[0][o] >> 16));
        }
}
