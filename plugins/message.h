// message.h: a result as the structure of an element message. docs/elements.md is its definition;
// the daemon reads it, and so may anyone.

#pragma once

#include <gst/gst.h>
#include <watchword/watch.h>

#include "moment.h"

struct ww_tally {
    guint64 offered, processed, replaced, skipped_rate, failed;
};

// Sets the fields of `structure` that count.
void ww_tally_set(GstStructure *structure, const struct ww_tally *tally);

GstStructure *ww_message_new(const struct ww_result *result, const struct ww_moment *moment,
                             enum ww_task task, const struct ww_model_info *model,
                             const struct ww_tally *tally);

// A frame that came to nothing.
GstStructure *ww_message_new_failure(const struct ww_error *err, const struct ww_tally *tally);
