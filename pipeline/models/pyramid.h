// pyramid.h: the maps of a backbone laid end to end as tokens, and what a detector that is a
// transformer knows of their places: levels, references, positions, anchors.
//
// A batch has one padded size; each picture of it counts in a rectangle from the top left. Of a level
// those cells count whose nearest pixel is the picture's, as PyTorch samples a mask. All of this is
// made on the host when sizes change, and lies where the plan's upload tensors do.

#pragma once

#include "kernels/detr.h"

struct ww_pyramid {
    int height, width; // px of the padded picture
    int num_levels;
    int h[WW_MAX_LEVELS], w[WW_MAX_LEVELS], first[WW_MAX_LEVELS]; // cells; the first token
    int tokens;
};

// Adds a level of h x w behind the last.
void ww_pyramid_add(struct ww_pyramid *p, int h, int w);

// What a picture of valid_h x valid_w px is of each level: a tensor of levels for one of the batch.
void ww_pyramid_levels(const struct ww_pyramid *p, int valid_h, int valid_w, struct ww_level *to);

// The middle of each cell in [0, 1] of the picture, beyond 1 in the padding: [tokens][4], x, y, 0, 0.
void ww_pyramid_references(const struct ww_pyramid *p, const struct ww_level *levels, float *to);

// Positions: sines and cosines of y, then of x (Carion et al., 2020, arXiv:2005.12872), plus a row for each
// level, as ww_positions takes them. `cells` [tokens][4] begin with the numbers of the codes of a token's row and
// column, of the ww_pyramid_codes that there are: `codes` [width / 8][codes][4], rounded up.
struct ww_position_params {
    int width; // a multiple of 4, and of 8 for ww_positions
    float temperature;
    float offset;       // of a cell's number, counted from 1
    const float *level; // [levels][width]; NULL: none
};
void ww_pyramid_positions(const struct ww_pyramid *p, const struct ww_level *levels,
                          const struct ww_position_params *params, float *cells, float *codes);
int ww_pyramid_codes(const struct ww_pyramid *p);

// A square around each cell, 0.05 of the picture and twice that for each further level, as logits of
// x, y, width and height: [tokens][4]. All are infinite where one of the four is not inside (0.01, 0.99)
// or the cell is padding; there `kept`, [tokens][4], begins with 0, else with 1.
void ww_pyramid_anchors(const struct ww_pyramid *p, const struct ww_level *levels, float *to,
                        float *kept);
