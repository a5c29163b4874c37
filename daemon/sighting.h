// sighting.h: what wwinfer posted on the bus, as the library's own structs again.

#pragma once

#include <gst/gst.h>
#include <watchword/watch.h>

// How frames fared up to that moment.
struct tally {
    guint64 replaced, skipped_rate, failed;
};

struct sighting {
    struct ww_result result; // its arrays belong to the sighting, its strings to the message
    struct ww_model_info model;
    enum ww_task task;
    struct tally tally;
};

// What was not seen, and why; the string is the message's.
struct oversight {
    const char *error;
    struct tally tally;
};
bool oversight_init(struct oversight *oversight, GstMessage *message);

// False if the message is none of wwinfer's. docs/elements.md defines its fields.
bool sighting_init(struct sighting *sighting, GstMessage *message);
void sighting_finish(struct sighting *sighting);
