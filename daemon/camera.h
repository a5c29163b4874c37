// camera.h: one stream, kept alive.
//
// A camera has one GStreamer pipeline for its whole life:
//
//     source (a new one for each connection)  →  videoconvert → wwinfer … wwinfer → fakesink
//
// The right half stays through every loss, and with it models, plans, frame indices and revisions; the
// left half is made anew (source.h). The state:
//
//     starting ──> live <──> stalled      stalled: connected, but no pictures for a while
//        │          │           │
//        └────> reconnecting <──┘         with a cause; back-off to a second, with jitter, and further
//                                         where the camera is there and refuses
//     ended     a file is over
//     disabled  by the configuration, or a watch that cannot be (cause)
//
// Thread-safety: the main thread. Results go to the publisher straight from the thread that made them.

#pragma once

#include "capture.h"
#include "cause.h"
#include "config.h"
#include "meter.h"
#include "publish.h"

enum camera_state {
    CAMERA_STARTING,
    CAMERA_LIVE,
    CAMERA_STALLED,
    CAMERA_RECONNECTING,
    CAMERA_ENDED,
    CAMERA_DISABLED,
    NUM_CAMERA_STATES
};
const char *camera_state_name(enum camera_state state);

struct camera;

// Of the messages about one stream, whatever cameras it has one after the other: the topics count on.
struct numbers {
    GMutex mutex;
    guint64 results[WW_NUM_TASKS]; // by kind of message; with the mutex until the message is on its way
    guint64 status;                // the main thread's
};

struct camera_params {
    struct publisher *publisher; // must outlive the camera, like the numbers and strings here that are not
                                 // its configuration's
    struct numbers *numbers;
    const char *epoch;
    const char *device;
    // Called when state or cause changed, on the main thread, not from within camera_create.
    void (*on_change)(void *opaque, struct camera *camera);
    void *opaque;
};

// `stream` is a part of `config`, which gets a reference. Begins to load models and to connect at once,
// both in the background. NULL: a GStreamer element is missing.
struct camera *camera_create(struct config *config, const struct stream_config *stream,
                             const struct camera_params *params, struct ww_error *err);

// Takes up a configuration that stream_config_same_place: other words, thresholds or rates, live, each watch
// as soon as the engine is between two looks.
void camera_update(struct camera *camera, struct config *config,
                   const struct stream_config *stream);

// Whether it is disabled for a watch that cannot be. Another one, with other words or more memory, may.
bool camera_is_broken(const struct camera *camera);

// Looks at the time: a few times a second.
void camera_tick(struct camera *camera, gint64 now_us);

// A camera that is waited for is tried with the next tick.
void camera_hurry(struct camera *camera);

// Begins to end it: what is being looked at is still published. Then wait until camera_is_stopped.
void camera_stop(struct camera *camera);
bool camera_is_stopped(const struct camera *camera);
void camera_destroy(struct camera **camera); // only when stopped

// The part of the configuration that is in force.
const struct stream_config *camera_config(const struct camera *camera);

struct watch_status {
    guint revision; // 0: not yet open
    guint64 looked_at;
    double looked_at_fps;
    guint64 skipped_newer, skipped_rate, failed;
    struct cause failure; // why its last frame could not be looked at; none where it could
};

// What a status message tells; see docs/messages.md.
struct camera_status {
    enum camera_state state;
    gint64 since_unix_us;
    struct cause cause;
    char activity[200]; // what the engine does, while a first result is awaited; "" afterwards
    guint64 frames, reconnects, packets_received, packets_lost;
    double fps;
    gint64 frame_age_us; // -1: no frame yet
    double latency_p50_ms, latency_p99_ms; // -1: no result yet
    struct watch_status watches[32];       // as many as the configuration has
};
// Rates are taken over the calls of this function: about once a second.
void camera_status(struct camera *camera, struct camera_status *out);
