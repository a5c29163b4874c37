// deformable-detr.h: Deformable DETR, a detector of a closed set of classes: one stage or two, with or
// without refinement of boxes from layer to layer.

#pragma once

#include "config.h"
#include "deformable.h"
#include "pyramid.h"
#include "resnet.h"

// What a configuration says, checked.
struct ww_detr_shape {
    struct ww_deformable_shape encoder, decoder;
    int encoder_layers, decoder_layers;
    int levels, queries;
    bool refine, two_stage, dilated;
};
bool ww_detr_read_shape(const struct ww_json *config, struct ww_detr_shape *out,
                        struct ww_error *err);

struct ww_detr;

// Loads what the transformers library saves. The storages are the detector's.
struct ww_detr *ww_detr_load(struct ww_device *device, const struct ww_weights *weights,
                             const struct ww_detr_shape *shape, struct ww_error *err);
void ww_detr_destroy(struct ww_device *device, struct ww_detr **detr);
const struct ww_detr_shape *ww_detr_shape(const struct ww_detr *detr);
int ww_detr_classes(const struct ww_detr *detr);

// A recorded forward pass: what the host writes before the first replay, and reads after each.
struct ww_detr_pass {
    struct ww_pyramid pyramid;
    struct ww_tensor levels, references; // written by ww_detr_place
    struct ww_token_positions positions; // likewise
    struct ww_tensor anchors, kept;                 // of two stages
    struct ww_tensor logits; // [n][classes][1][queries]
    struct ww_tensor boxes;  // [n][4][1][queries]: middle and size, in [0, 1] of the picture
};
// frame [n][3][h][w], normalised, zero where padded.
struct ww_detr_pass ww_detr(struct ww_cmd *g, const struct ww_detr *detr, struct ww_tensor frame);
// Says how much of picture `b` of the batch is one, px.
void ww_detr_place(struct ww_plan *plan, const struct ww_detr *detr, const struct ww_detr_pass *pass,
                   int b, int valid_h, int valid_w);
// The cells of `b`'s levels that count, as placed.
const struct ww_level *ww_detr_levels(struct ww_plan *plan, const struct ww_detr_pass *pass, int b);
