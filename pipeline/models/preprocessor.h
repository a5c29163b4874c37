// preprocessor.h: what a detector of the transformers library wants done to a picture before it looks:
// preprocessor_config.json, and the sizes that follow from it.

#pragma once

#include "family.h"
#include "kernels/resample.h"

struct ww_preprocessor {
    bool resize;             // else pictures keep their size
    int shortest, longest;   // edges, px; or, where shortest is 0,
    int width, height;       // a size for all
    bool rounded;            // the first releases' rule for the other edge
    float gain[3], lift[3];  // of levels 0..255
};

// Reads DIR/preprocessor_config.json; where there is none: 800 and 1333 px, ImageNet's mean and deviation.
// WW_E_FILE names the field; WW_E_UNSUPPORTED: another filter than the bilinear one.
bool ww_preprocessor_read(const char *dir, struct ww_preprocessor *out, struct ww_error *err);
// The same from what the file says, or NULL.
bool ww_preprocessor_parse(const struct ww_json *config, struct ww_preprocessor *out,
                           struct ww_error *err);

// The size that a frame is resized to: as `look` forces it, else by the rule. WW_E_CONFIG: out of range.
bool ww_preprocessor_size(const struct ww_preprocessor *p, const struct ww_look_params *look, int *w,
                          int *h, struct ww_error *err);
