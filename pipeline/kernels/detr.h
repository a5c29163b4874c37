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

// For attempts: levels of halving sizes from h x w on, an image of the batch valid in a part of them.
struct ww_tensor ww_try_levels(struct ww_try *t, int n, int levels, int h, int w, int *tokens);

extern const struct ww_kernel ww_kernel_deformable;
