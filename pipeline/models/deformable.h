// deformable.h: the layers of transformers that look at pictures by deformable attention. Deformable
// DETR is made of them, Grounding DINO has more between them.
//
// All tensors are rows, [n][width][1][rows]: tokens of a pyramid or queries. Stages are named by what
// callers give, and kept where a trace asks for them; otherwise sums are fused into products.

#pragma once

#include "kernels/detr.h"
#include "torch.h"

struct ww_deformable_shape {
    int width, heads, inner; // of a row, of attention; between the two linear layers
    int levels, points;
    float eps; // of norms
};

// Multi-scale deformable attention: NAME.{sampling_offsets, attention_weights, value_proj,
// output_proj}. Any number of points.
struct ww_looking {
    struct ww_filter offsets, weights, value, out;
};
void ww_load_looking(struct ww_loader *l, struct ww_looking *to,
                     const struct ww_deformable_shape *shape, const char *fmt, ...) WW_PRINTF(4, 5);

// What the looking of all layers has in common.
struct ww_scene {
    struct ww_tensor levels; // [n][4][1][2 levels], see detr.h
    struct ww_tensor tokens; // [n][width][1][tokens]: what is looked at
};

// What every token is told of its place, see ww_positions.
struct ww_token_positions {
    struct ww_tensor cells, codes; // [n][4][1][tokens], [n][width / 2][1][codes]
};
// Uploads for a pyramid of `tokens` and `codes`; where stages are kept, enc.position is one.
struct ww_token_positions ww_upload_positions(struct ww_cmd *g, int n, int width, int tokens, int codes);
// x + the position of each token.
struct ww_tensor ww_at_its_place(struct ww_cmd *g, struct ww_tensor x, const struct ww_token_positions *positions);

struct ww_look_at {
    struct ww_tensor query, reference; // [n][4][1][rows], in [0, 1] of the picture
    bool boxes;                        // references are boxes, else points
    struct ww_tensor residual;
    const struct ww_filter *norm;
    const char *stage; // STAGE.msda is what it saw; with `detail` also STAGE.msda.values, .places
    bool detail;
};
// norm(residual + out(what the query sees of `scene`))
struct ww_tensor ww_look_at(struct ww_cmd *g, const struct ww_looking *w,
                            const struct ww_deformable_shape *shape, const struct ww_scene *scene,
                            const struct ww_look_at *params);

// Attention among rows. Names of the query's, key's, value's and output's layers differ.
struct ww_attending {
    struct ww_filter qk, v, out; // query and key side by side, they read the same rows
};
void ww_load_attending(struct ww_loader *l, struct ww_attending *to, int width,
                       const char *const names[4], const char *fmt, ...) WW_PRINTF(5, 6);
// norm(x + out(attention of x + position among themselves, to x))
struct ww_tensor ww_attend_self(struct ww_cmd *g, const struct ww_attending *w,
                                const struct ww_deformable_shape *shape, struct ww_tensor x,
                                struct ww_tensor position, const struct ww_filter *norm);

// norm(x + outer(act(inner(x))))
struct ww_feeding {
    struct ww_filter inner, outer;
};
void ww_load_feeding(struct ww_loader *l, struct ww_feeding *to, int width, int inner,
                     const char *fmt, ...) WW_PRINTF(5, 6); // NAMEfc1, NAMEfc2
struct ww_tensor ww_feed(struct ww_cmd *g, const struct ww_feeding *w, struct ww_tensor x,
                         enum ww_activation_fn act, const struct ww_filter *norm, float eps);

// x + y, rows alike.
struct ww_tensor ww_sum(struct ww_cmd *g, struct ww_tensor x, struct ww_tensor y);

// Linear layers with ReLU between them, none at the end: NAME.layers.0 and on.
#define WW_MAX_HEAD_LAYERS 4
struct ww_mlp {
    int num;
    struct ww_filter layer[WW_MAX_HEAD_LAYERS];
};
void ww_load_mlp(struct ww_loader *l, struct ww_mlp *to, int num, int c_in, int c_mid, int c_out,
                 const char *fmt, ...) WW_PRINTF(7, 8);
struct ww_tensor ww_mlp(struct ww_cmd *g, const struct ww_mlp *w, struct ww_tensor x);
