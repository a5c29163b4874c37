// detr.h: the kernels of detectors that are transformers: Deformable DETR, Grounding DINO and what
// descends from them. Tokens are the pixels of several maps, levels, one after the other, row by row:
// [n][c / 4][1][tokens][4]. A batch is filled up to its largest picture on the right and at the
// bottom, so what counts of a level is a rectangle in its corner.

#pragma once

#include "filter.h"

#define WW_MAX_LEVELS 8

// What kernels read of a level, as it lies in the tensor of levels, [n][4][1][2 levels]: for each of
// the batch, two texels a level.
struct ww_level {
    float w, h, first, unused;              // cells; its first token
    float valid_w, valid_h, share_w, share_h; // cells of the picture itself; valid_w / w, valid_h / h
};

// Multi-scale deformable attention (Zhu et al., 2020, arXiv:2010.04159, section 4.1): each query looks
// at a few points of every level of `value` [n][heads width][1][tokens], near its reference. Cells
// outside a level or its valid part are zero.
//
// For each head and level, `offsets` begin with a quad of their own, x and y of each point in turn,
// and so do `weights`, which are taken as they are before the softmax over a head's points: where the
// number of points is a multiple of 4, the channels are [heads][levels][points][2] without a gap, as
// networks give them out. `reference` [n][4][1][queries] is in [0, 1] of the valid picture.
struct ww_deformable_params {
    int heads, levels, points;
    bool boxes; // offsets count in half widths and heights of the reference / points; else in cells
    // Written if given, [n][4 heads levels points][1][queries]: x, y in [0, 1] of the level, weight, 0.
    struct ww_tensor places;
};
#define ww_deformable_params(...) (&(struct ww_deformable_params){__VA_ARGS__})
void ww_deformable(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor value,
                   struct ww_tensor offsets, struct ww_tensor weights, struct ww_tensor reference,
                   struct ww_tensor levels, const struct ww_deformable_params *params);

// y = (x - mean) / sqrt(variance + eps) gain + lift, over each of `groups` groups of channels and all
// pixels of a map x [n][c][h][w]; to pixels `at` and on of y, which may be rows of tokens.
void ww_groupnorm(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, int groups, float eps, int at);

// The rows of the y.w largest scores, the first channel of x [n][c][1][rows], best first, of equals
// the one of the smaller number: y [n][4][1][k] of number, score, 0, 0.
void ww_topk(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x);
// y[r] = x[rows[r]], as ww_topk numbers them.
void ww_gather(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor rows);
// y[r] = x[r] where kept[r], the first channel of [n][c][1][rows], is not 0; else 0.
void ww_keep(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor kept);

// Coordinates x [n][4][1][rows] in [0, 1] as sines and cosines in turn, of wavelengths from 1 to
// `temperature`: y [n][numbers x 1 to 4][1][rows], x before y or `y_first`.
struct ww_sinecode_params {
    int numbers; // of one coordinate, a multiple of 4
    float temperature;
    bool y_first;
    struct ww_tensor levels; // given: coordinates are of the valid part, the code of the picture
};
#define ww_sinecode_params(...) (&(struct ww_sinecode_params){__VA_ARGS__})
void ww_sinecode(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                 const struct ww_sinecode_params *params);

// y = x + the code of each token's row in its first channels, and of its column in the other half: y, x
// [n][c][1][tokens]; x may be none. `cells` [n][4][1][tokens] begin with the numbers of both codes among `codes`
// [n][c / 2][1][any]; c is a multiple of 8.
void ww_positions(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor cells,
                  struct ww_tensor codes);

// y = sigmoid(x + logit(reference)), all [n][4][1][rows]; y may be x.
struct ww_refine_params {
    float eps;
    bool inner;  // log(c / (1 - c)), c clamped to [eps, 1 - eps]; else log(max(r, eps) / max(1 - r, eps))
    bool points; // of the reference, x and y alone count
};
#define ww_refine_params(...) (&(struct ww_refine_params){__VA_ARGS__})
void ww_refine(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor reference,
               const struct ww_refine_params *params);

// For attempts: levels of halving sizes from h x w on, an image of the batch valid in a part of them.
struct ww_tensor ww_try_levels(struct ww_try *t, int n, int levels, int h, int w, int *tokens);

extern const struct ww_kernel ww_kernel_deformable, ww_kernel_moments, ww_kernel_groupnorm,
    ww_kernel_topk, ww_kernel_gather, ww_kernel_sinecode, ww_kernel_refine,
    ww_kernel_keep, ww_kernel_positions;
