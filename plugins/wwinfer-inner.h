// wwinfer-inner.h: what wwinfer is made of. Only for wwinfer*.c.

#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/video/video.h>
#include <watchword/watch.h>

#include "message.h"
#include "moment.h"
#include "pace.h"
#include "settings.h"
#include "wwinfer.h"

struct _WwInfer {
    GstBaseTransform parent;

    struct ww_settings settings; // under the object lock
    GMutex watch_lock;           // `watch` comes and goes only with this and `lock`
    GMutex lock;

    // From start() to stop(), constant in between.
    struct ww_engine *engine; // read by the application with `lock`
    struct ww_watch *watch;
    struct ww_model_info model;
    enum ww_task task;
    enum ww_mode mode;

    // The streaming thread's.
    GstVideoInfo info, prepared; // of the stream; what the engine was made ready for
    guint64 next_index;
    struct ww_pace pace;
    guint64 dropped_told; // in the last QoS message
    gint64 qos_told_us;   // and when that was

    // Under `lock`.
    struct ww_moments *moments;
    guint64 first_index;  // results of earlier frames are thrown away: a flush came between
    GstBuffer *pending;   // no pixels, only the metadata for the next buffer
    guint64 skipped_rate; // frames
    guint64 unmapped;     // frames that failed before the library saw them
    struct ww_latency latency;

    gint64 warned_us, failed_us; // when trouble was last told, in words and in numbers; see trouble.h
};

// How frames fared so far. With the watch alive: its streaming or callback thread, or watch_lock held.
struct ww_tally ww_infer_tally(WwInfer *self);

// Nothing of what was seen up to here reaches what comes now.
void ww_infer_forget(WwInfer *self, guint64 first_index);

// A result in latest mode, on the engine's thread.
void ww_infer_on_result(void *opaque, const struct ww_result *result, const struct ww_error *err);

// Of the class, in wwinfer-start.c.
gboolean ww_infer_start(GstBaseTransform *base);
gboolean ww_infer_stop(GstBaseTransform *base);
void ww_infer_set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec);
void ww_infer_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec);
