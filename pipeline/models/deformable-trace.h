// deformable-trace.h: what the traces of detectors with deformable attention have in common: levels,
// places, and what an attention looked at, by the names that the golden sets use.

#pragma once

#include "deformable.h"
#include "pyramid.h"

typedef void (*ww_tell_fn)(void *opaque, const char *name, int rank, const int64_t *dim,
                           const float *data);

// Of a batch that was just looked at.
struct ww_telling {
    ww_tell_fn each;
    void *opaque;
    struct ww_plan *plan;
    int num; // pictures
    const struct ww_pyramid *pyramid;
    struct ww_tensor levels, references; // as uploaded
};

// Zeroed; and tells what is in it, then frees it.
float *ww_tell_room(size_t count);
void ww_tell(const struct ww_telling *t, const char *name, int rank, const int64_t *dim, float *data);

// pre.valid_size from `sizes`, height and width of each picture; enc.spatial_shapes, enc.valid_ratios.
void ww_tell_sizes(const struct ww_telling *t, const int (*sizes)[2]);
// levelL.mask, and levelL.position without what is added for each level.
void ww_tell_levels(const struct ww_telling *t, const struct ww_position_params *params);
// enc.reference: where tokens look from, in each level.
void ww_tell_references(const struct ww_telling *t);
// LAYER.msda.value, .locations and .weights, where the plan kept them.
void ww_tell_looking(const struct ww_telling *t, const char *layer,
                     const struct ww_deformable_shape *shape);
