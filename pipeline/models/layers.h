// layers.h: what convolutional networks are written with: loading filters by name, and calls that
// fuse where they may and keep every stage where a trace asks for it.

#pragma once

#include "kernels/filter.h"
#include "weights/weights.h"

// Loads filters from a checkpoint into a bank. Sticky: after the first error nothing more is read.
struct ww_loader {
    const struct ww_weights *weights;
    struct ww_bank *bank;
    struct ww_error *err;
    bool failed;
};

// Zeros for what is made of weights, which the caller frees; NULL after an error.
float *ww_loader_floats(struct ww_loader *l, size_t count);

// All elements of a F32, F16 or BF16 tensor as floats, which the caller frees; NULL after an error, also
// where one is no finite number.
float *ww_load_floats(struct ww_loader *l, const struct ww_weight *w);

// Weights `name` [k][k][c_in][c_out] and, unless NULL, bias [c_out]. `outputs` picks num_outputs of
// the c_out; NULL: all.
void ww_load_conv(struct ww_loader *l, struct ww_filter *f, int k, int c_in, int c_out,
                  const char *name, const char *bias);
void ww_load_some(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out, const int *outputs,
                  int num_outputs, const char *name, const char *bias);
// Weights [k][k][c][1].
void ww_load_window(struct ww_loader *l, struct ww_filter *f, int k, int c, const char *name,
                    const char *bias);
void ww_load_image(struct ww_loader *l, struct ww_filter *f, int h, int w, const char *name);

// Which rows of a specification's table the parts of a call are; 0: not in the table.
struct ww_rows {
    int expand, scale, window, point, add;
};

struct ww_layer {
    const struct ww_filter *expand;         // before a window and a point; `inner` follows
    const struct ww_filter *window, *point; // either or both
    int stride;                             // 0: 1
    enum ww_activation_fn inner;            // after the window, where a point follows, and after expand
    enum ww_activation_fn act;              // at the end, before `residual`
    struct ww_tensor scale, residual;
    struct ww_tensor into; // a slice to write to; none: a new tensor
    struct ww_rows rows;
};

// x -> expand -> inner -> scale -> window -> inner -> point -> act -> + residual, as one launch or, where
// stages are kept, as one for each row. What expands is a launch of its own on hardware, and where channels
// are many.
struct ww_tensor ww_layer_(struct ww_cmd *g, struct ww_tensor x, const struct ww_layer *layer);
#define ww_layer(g, x, ...) ww_layer_(g, x, &(struct ww_layer){__VA_ARGS__})
