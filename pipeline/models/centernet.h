// centernet.h: CenterNet on MobileNetV3, a detector of COCO's 80 classes for machines without a GPU.

#pragma once

#include "layers.h"

#define WW_CENTERNET_CLASSES 80
#define WW_CENTERNET_STEP    32 // heights and widths are multiples of it

struct ww_centernet;

// Loads everything but the class head. Borrows `weights`, which must outlive it.
struct ww_centernet *ww_centernet_load(struct ww_device *device, const struct ww_weights *weights,
                                       struct ww_error *err);
void ww_centernet_destroy(struct ww_device *device, struct ww_centernet **net);

// The class head for some classes: heat is computed for no others.
struct ww_class_head {
    struct ww_filter filter;
    struct ww_storage *storage;
    int num_classes;
};
bool ww_class_head_load(struct ww_device *device, const struct ww_centernet *net,
                        const int *classes, int num_classes, struct ww_class_head *head,
                        struct ww_error *err);
void ww_class_head_free(struct ww_device *device, struct ww_class_head *head);

struct ww_centernet_out {
    struct ww_tensor heat; // [1][classes][h/4][w/4], scores
    struct ww_tensor wh;   // [1][4][h/4][w/4]: left, top, right, bottom of the cell, in input px
};
// frame: [1][3][h][w], R'G'B' 0..255.
struct ww_centernet_out ww_centernet(struct ww_cmd *g, const struct ww_centernet *net,
                                     const struct ww_class_head *head, struct ww_tensor frame);
