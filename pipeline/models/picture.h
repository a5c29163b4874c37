// picture.h: frames on their way to the device.

#pragma once

#include "family.h"
#include "kernels/kernels.h"

// Memory on the device for one packed frame of that shape. WW_E_MEMORY: none is left, or more than the device can
// read.
struct ww_storage *ww_picture_storage(struct ww_device *device, const struct ww_look_params *params,
                                      struct ww_error *err);
// Copies a frame's planes, packed as ww_prepare reads them.
void ww_picture_pack(const struct ww_frame *frame, void *to);

// Whether a network whose sides are multiples of `step` can have an input that a watch was told, as in
// ww_watch_params. WW_E_CONFIG.
bool ww_input_check(int size, int width, int height, int step, struct ww_error *err);

// The network input for a frame: `input_width` x `input_height` if given, else the longer side
// `input_size` (0: `standard`), the other by the frame's aspect; both rounded to multiples of `step`.
// WW_E_CONFIG: out of range.
bool ww_input_size(const struct ww_look_params *params, int standard, int step, int *w, int *h,
                   struct ww_error *err);
