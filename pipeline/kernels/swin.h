// swin.h: the kernels of transformers whose tokens see their own window of the map.

#pragma once

#include "filter.h"

// Attention within windows of `window` x `window` tokens, laid over the map from its top left after it
// was rolled by `shift` rows and columns towards it; tokens that came from beyond an edge do not mix
// with those that were there before. What a window has beyond the map is padding, which is seen like
// any token.
//
// y [n][heads width][h][w]; q, k and v [n][heads width][1][h w + 1]: the tokens of the map, row by row,
// and one more that stands for all padding. `width` is a multiple of 4 and at most 64.
struct ww_windows_params {
    int heads, window;
    int shift;             // less than `window`
    struct ww_tensor bias; // ww_pack_window_bias's, added to the scores
};
#define ww_windows_params(...) (&(struct ww_windows_params){__VA_ARGS__})
void ww_windows(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor q, struct ww_tensor k,
                struct ww_tensor v, const struct ww_windows_params *params);

// The bias of each pair of tokens by how far one is from the other: `table` [(2 window - 1)^2][heads], a
// row for each distance down and, faster, to the right, -(window - 1) first. WW_E_MEMORY.
bool ww_pack_window_bias(struct ww_bank *bank, struct ww_filter *filter, int window, int heads,
                         const float *table, struct ww_error *err);
struct ww_tensor ww_window_bias(struct ww_cmd *g, const struct ww_filter *filter, int window, int heads);

// Four pixels to one, y [n][4 c][ceil(h / 2)][ceil(w / 2)]: channels of the one at the top left, of that
// below it, of that to its right, and of that below to the right; zero beyond the map.
void ww_merge(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x);

extern const struct ww_kernel ww_kernel_windows, ww_kernel_merge;
