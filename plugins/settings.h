// settings.h: what gst-inspect-1.0 shows of wwinfer: what it is for, what it takes, and what can be
// set, with ranges, defaults and explanations.

#pragma once

#include <gst/gst.h>
#include <stdbool.h>

enum ww_mode { WW_MODE_SYNC, WW_MODE_LATEST };

enum ww_property {
    WW_PROP_MODEL = 1,
    WW_PROP_TASK,
    WW_PROP_PHRASES,
    WW_PROP_INSTRUCTION,
    WW_PROP_THRESHOLD,
    WW_PROP_RATE,
    WW_PROP_DEVICE,
    WW_PROP_MODE,
    WW_PROP_INPUT_SIZE,
    WW_PROP_INPUT_WIDTH,
    WW_PROP_INPUT_HEIGHT,
    WW_PROP_NMS,
    WW_PROP_BATCH,
    WW_PROP_REVISION, // from here on they are only read, and wwinfer answers
    WW_PROP_STATS,
    WW_PROP_ACTIVITY,
};

struct ww_settings {
    char *model, *phrases, *instruction, *device; // never NULL
    int task;                                     // enum ww_task
    enum ww_mode mode;
    float threshold, nms;
    double rate;
    int input_size, input_width, input_height, batch;
};

// Adds the description and the pads, and every property.
void ww_settings_describe(GstElementClass *class);
void ww_settings_install(GObjectClass *class);

// Holds the defaults after init, until finish.
void ww_settings_init(struct ww_settings *settings);
void ww_settings_finish(struct ww_settings *settings);

// Writes or reads one of the properties before WW_PROP_REVISION.
void ww_settings_set(struct ww_settings *settings, enum ww_property property, const GValue *value);
void ww_settings_get(const struct ww_settings *settings, enum ww_property property, GValue *value);
