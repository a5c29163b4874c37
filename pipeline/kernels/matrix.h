// matrix.h: the weights of a linear layer, as they stay on the device: in the numbers of the file.
//
// y[o] = sum over i of W[o][i] x[i]. A record is 32 inputs of four outputs, P texels: first the
// numbers, each texel E inputs of four outputs (component = output), then their further bits, then
// scales. Eight records side by side are 32 outputs, a tile, and their texels alternate; a tile's records
// of all inputs follow each other, [n/32][k/32][P][8]: what eight lanes read, one quad of outputs each, is
// one stream without gaps, which the processor fetches ahead of them. Where lanes are rows, the same eight
// lanes fetch eight texels and hand them round.
//
// Both counts are filled up to a multiple of 32 with zeros, and so are the tensors that go in and
// come out: no kernel asks where a row ends.

#pragma once

#include "kernel.h"
#include "weights/weights.h"

struct ww_linear {
    enum ww_type type; // one that ww_linear_takes
    int k, n;   // inputs and outputs, filled up
    bool gated; // tiles alternate: 32 outputs of one matrix, the same 32 of another
    struct ww_storage *storage;
    uint32_t first;
};

#define WW_TILE 32
static inline int ww_tiled(int count)
{
    return (count + WW_TILE - 1) / WW_TILE * WW_TILE;
}

// Whether weights of that type are read by the device as they are: F32, F16, BF16, Q8_0, Q4_0, Q4_1,
// Q5_0, Q5_1, Q4_K, Q5_K, Q6_K. Bits of a weight, scales included, are 4 P: Q8_0 takes 9 for the
// file's 8.5; Q4_0 5 (4.5), Q4_1 5, Q5_0 6 (5.5), Q5_1 6; scales that a file nests are multiplied out,
// exactly: Q4_K 6 (4.5), Q5_K 7 (5.5), Q6_K 8 (6.6).
bool ww_linear_takes(enum ww_type type);
uint64_t ww_linear_texels(const struct ww_linear *m);

// Packs and writes a matrix to its storage, tile after tile. `row` copies the numbers of one output
// to `to`, `k` of them as the file has them, or returns 0: nothing there, zeros; -1: failed.
typedef int (*ww_row_fn)(void *opaque, int output, void *to, struct ww_error *err);
bool ww_linear_write(struct ww_device *device, const struct ww_linear *m, int k, ww_row_fn row,
                     void *opaque, struct ww_error *err);

// One record as floats, w[output][input]: for references. The record's next texel is WW_BESIDE further.
#define WW_BESIDE 8
void ww_linear_record(enum ww_type type, const void *record, float w[4][WW_TILE]);
// What shaders are specialised by, in this order from constant 1 on: shaders/matrix.glsl.
enum { WW_KIND_F32, WW_KIND_F16, WW_KIND_BF16, WW_KIND_BYTES, WW_KIND_NIBBLES };
enum { WW_SCALE_NONE, WW_SCALE_HALF, WW_SCALE_HALVES, WW_SCALE_PAIR, WW_SCALE_SIXTEENS };
struct ww_layout {
    uint32_t kind;
    uint32_t inputs;  // E, of a texel
    uint32_t high;    // bits of a number beyond four; as many texels
    uint32_t scale;   // none; d; d and m as halves; d and m as floats; d for each 16 inputs
    int32_t offset;   // value = d (q + offset) or d q + m
    uint32_t fetches; // that bring two quads: 8 / E
    uint32_t texels;  // P
};
struct ww_layout ww_linear_layout(enum ww_type type);

// Where the record of a quad of outputs and a block of 32 inputs begins, of `blocks` that a row has.
static inline size_t ww_linear_texel(enum ww_type type, size_t blocks, size_t quad, size_t block)
{
    return (quad / WW_BESIDE * blocks + block) * WW_BESIDE * ww_linear_layout(type).texels + quad % WW_BESIDE;
}

// How rows are turned by their positions, and where keys and values go.
struct ww_turning {
    struct ww_tensor rows;  // [1][4][1][rows] of whole numbers: token, position, row of the cache, its
                            // sequence's first row there
    struct ww_tensor turns; // [1][4 head / 4][1]... texel [position][head / 4]: cos, sin, cos, sin
    struct ww_tensor cache; // [1][keys + values][1][slots]; of halves, half as many channels
    bool half;              // eight of them a texel, in the order of the channels
    int first, q, k;        // channels: where this matrix stands in q | k | v, and the widths of q, k
    int head;               // width of a head
};

struct ww_matmul_params {
    struct ww_tensor residual;         // added
    const struct ww_turning *turning;  // y is the queries; the rest goes into the cache
    const struct ww_filter *norm;      // few rows: x is normed first, with this gain
    int width;                         // channels that its mean is taken over
    float eps;
};
