// deformable-detr-session.h: one recorded batch of pictures, for the file that looks and the one that
// tells stages.

#pragma once

#include "class-words.h"
#include "deformable-detr.h"
#include "kernels/resample.h"
#include "preprocessor.h"

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

// One picture of the batch.
struct ww_detr_picture {
    struct ww_look_params params;
    int w, h; // px of the input that are the picture's
    struct ww_storage *storage;
    struct ww_resampling resampling;
    int *phrase;           // of each class, -1: nobody asked for it
    const char **label;    // and that phrase; borrowed from the words
    struct ww_detr_found final[WW_MAX_OBJECTS]; // of the last look
    int num_final;
};

struct ww_detr_session {
    struct ww_device *device;
    const struct ww_detr_model *model;
    int num;
    struct ww_detr_picture *pictures;
    struct ww_detr_found *found; // room for every query and class
    struct ww_plan *plan;
    struct ww_detr_pass pass;
};

// The box of a query in px of the frame, not clamped: x0, y0, x1, y1.
void ww_detr_box(struct ww_detr_session *s, int b, int query, float out[4]);

void ww_detr_trace(void *session,
                   void (*each)(void *opaque, const char *name, int rank, const int64_t *dim,
                                const float *data),
                   void *opaque);
