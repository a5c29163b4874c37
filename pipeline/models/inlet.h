// inlet.h: somebody's frames on their way into a batch: packed, resized and normalised, each into that place
// of the batch's input which is free.

#pragma once

#include "preprocessor.h"

struct ww_inlet {
    struct ww_look_params params; // of the frames
    int w, h;                     // px of the input that are the picture's
    struct ww_storage *packed;
    struct ww_resampling resampling;
    struct ww_plan *plan; // a part for each place
};

// `input` [places][3][h][w] is an input tensor of `into`, which must outlive the inlet, and at least as large
// as the frames become. On failure the inlet is still to be closed: WW_E_CONFIG (the size), WW_E_MEMORY.
bool ww_inlet_open(struct ww_inlet *inlet, struct ww_device *device, const struct ww_preprocessor *pre,
                   const struct ww_look_params *params, struct ww_plan *into, struct ww_tensor input,
                   struct ww_error *err);
void ww_inlet_close(struct ww_device *device, struct ww_inlet *inlet);

// Before each replay of `into`: a frame of that shape becomes picture `place` of the batch.
bool ww_inlet_put(struct ww_inlet *inlet, const struct ww_frame *frame, int place, struct ww_error *err);
