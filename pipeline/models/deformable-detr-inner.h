// deformable-detr-inner.h: the weights, for the file that loads them and the one that computes.

#pragma once

#include "deformable-detr.h"

#define WW_DETR_MAX_LAYERS   24
#define WW_DETR_MAX_STORAGES 8

struct ww_detr_encoder_layer {
    struct ww_looking look;
    struct ww_feeding feed;
    struct ww_filter look_norm, feed_norm;
};

struct ww_detr_decoder_layer {
    struct ww_attending self;
    struct ww_looking look;
    struct ww_feeding feed;
    struct ww_filter self_norm, look_norm, feed_norm;
    struct ww_mlp box; // of the last layer alone, unless boxes are refined
};

struct ww_detr {
    struct ww_detr_shape shape;
    struct ww_storage *storage[WW_DETR_MAX_STORAGES];
    int num_storages, num_classes;
    struct ww_resnet *resnet;
    struct ww_filter project[WW_MAX_LEVELS], project_norm[WW_MAX_LEVELS];
    float *level_embed; // [levels][width]
    struct ww_detr_encoder_layer encoder[WW_DETR_MAX_LAYERS];
    struct ww_detr_decoder_layer decoder[WW_DETR_MAX_LAYERS];
    struct ww_filter class;
    // One stage: position and content of each query, and where it begins to look.
    struct ww_filter query, point;
    // Two stages: proposals, and queries made of their boxes.
    struct ww_filter select, select_norm, select_score, transform, transform_norm;
    struct ww_mlp select_box;
};

// Stages of the backbone that become levels, and the first of them.
static inline int ww_detr_maps(const struct ww_detr_shape *s)
{
    return s->levels > 1 ? 3 : 1;
}
