// resample.h: pictures resized as Pillow's BILINEAR does, bit by bit: what detectors of the
// transformers library were trained with and are measured by.
//
// A triangle filter that widens where a picture shrinks; rows first, then columns, with 8-bit levels
// after each.

#pragma once

#include "kernels.h"

// Weights of both passes, made on the host.
struct ww_resampling {
    int in_w, in_h, out_w, out_h;
    struct ww_tensor columns, rows; // tables, upload tensors
};
struct ww_resampling ww_resampling(struct ww_cmd *g, int in_w, int in_h, int out_w, int out_h);
// Once, before the first replay.
void ww_resampling_fill(struct ww_plan *plan, const struct ww_resampling *r);

// A packed picture (ww_packing) as y [1][3][h][w], of which the first out_h rows and out_w columns are
// the picture, R'G'B' 0..255 times gain plus lift, and the rest is zero.
struct ww_resample_params {
    enum ww_format format;
    enum ww_matrix matrix;
    enum ww_range range;
    float gain[3], lift[3];
    struct ww_tensor between; // [1][3][in_h][out_w], to work in; none: an activation
};
#define ww_resample_params(...) (&(struct ww_resample_params){__VA_ARGS__})
void ww_resample(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor picture,
                 const struct ww_resampling *r, const struct ww_resample_params *params);

// R' = Y' + r_v V and so on, for Y' = y_gain Y + y_lift and U, V around 0, all in 0..255 (ITU-R BT.601
// and BT.709).
struct ww_colours {
    float y_gain, y_lift, r_v, g_u, g_v, b_u;
};
struct ww_colours ww_colours(enum ww_matrix matrix, enum ww_range range);

extern const struct ww_kernel ww_kernel_resample, ww_kernel_resample_rows;
