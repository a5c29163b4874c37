// deformable-detr-hall.h: where frames are looked at, for the file that looks and the one that tells stages.

#pragma once

#include "class-words.h"
#include "deformable-detr.h"
#include "inlet.h"

#define WW_DETR_MAX_BATCH 64

struct ww_detr_model {
    struct ww_detr *detr;
    struct ww_preprocessor preprocessor;
    struct ww_class_words *words;
};

// A class that a query may be, with its score.
struct ww_detr_found {
    float score;
    int query, class;
};

struct ww_detr_seat {
    struct ww_detr_hall *hall;
    struct ww_inlet inlet;
    const struct ww_words *words; // borrowed
    int *phrase;                  // of each class, -1: nobody asked for it
    struct ww_detr_found final[WW_MAX_OBJECTS]; // of the last look
    int num_final;
    bool broken; // a score in it is no number
};

struct ww_detr_hall {
    struct ww_device *device;
    const struct ww_detr_model *model;
    struct ww_hall_params params;
    struct ww_detr_found *found; // room for every query and class: what was chosen last, best first
    int num_found;
    struct ww_tensor input;
    struct ww_plan *plan;
    struct ww_detr_pass pass;
    struct ww_detr_place {
        struct ww_detr_seat *seat; // in the last look
        int w, h;                  // px that the plan was told are the picture's
    } places[WW_DETR_MAX_BATCH];
    int num; // pictures of the last look
};

// The box of a query in px of the frame at place `b`, not clamped: x0, y0, x1, y1.
void ww_detr_box(struct ww_detr_hall *hall, int b, int query, float out[4]);

void ww_detr_trace(void *hall,
                   void (*each)(void *opaque, const char *name, int rank, const int64_t *dim,
                                const float *data),
                   void *opaque);
