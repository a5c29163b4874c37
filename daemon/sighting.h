// sighting.h: what wwinfer posted on the bus, as the library's own structs again.

#pragma once

#include <gst/gst.h>
#include <watchword/watch.h>

struct sighting {
    struct ww_result result; // its arrays belong to the sighting, its strings to the message
    struct ww_model_info model;
    enum ww_task task;
    guint64 replaced, skipped_rate, failed; // the watch's counters at that moment
};

// False if the message is none of wwinfer's. docs/elements.md defines its fields.
bool sighting_init(struct sighting *sighting, GstMessage *message);
void sighting_finish(struct sighting *sighting);
