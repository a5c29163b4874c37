// movenet.h: MoveNet, the 17 keypoints of one person near the middle of a square picture.

#pragma once

#include "layers.h"

#define WW_MOVENET_KEYPOINTS 17

enum ww_movenet_size { WW_MOVENET_LIGHTNING, WW_MOVENET_THUNDER };

struct ww_movenet;

// Borrows `weights` for the call.
struct ww_movenet *ww_movenet_load(struct ww_device *device, const struct ww_weights *weights,
                                   enum ww_movenet_size size, struct ww_error *err);
void ww_movenet_destroy(struct ww_device *device, struct ww_movenet **net);

int ww_movenet_side(const struct ww_movenet *net); // of the input, px: 192 or 256
// What a cell is of the input square's side: 1/48 rounded to half precision, or 1/64.
float ww_movenet_unit(const struct ww_movenet *net);

struct ww_movenet_out {
    struct ww_tensor heat, regress, centre, offset; // [n][17, 34, 1, 34][side/4][side/4]
    struct ww_tensor prior;                         // [1][1][side/4][side/4]
};
// crops: [n][3][side][side], R'G'B' times WW_MOVENET_GAIN minus 1.
#define WW_MOVENET_GAIN 0.007843017578125f // 1/127.5 in half precision
struct ww_movenet_out ww_movenet(struct ww_cmd *g, const struct ww_movenet *net,
                                 struct ww_tensor crops);
