// camera-inner.h: what a camera is made of. Only for camera*.c.

#pragma once

#include "camera.h"
#include "reach.h"
#include "sighting.h"
#include "source.h"

#define MAX_WATCHES ((int)G_N_ELEMENTS(((struct camera_status *)0)->watches))

// One wwinfer. The counters are guarded by the camera's mutex.
struct watch {
    GstElement *infer; // its pipeline's
    guint64 looked_at;
    struct tally tally;
    guint revision;
    struct cause failure; // why its last frame could not be looked at; none where it could
    struct rate rate;
};

struct camera {
    // The configuration it was made with, for all threads, and the one with the words that are in
    // force; each with the whole that it belongs to.
    const struct stream_config *config, *words;
    struct config *config_whole, *words_whole;
    struct camera_params params;
    GstElement *pipeline, *watches_bin;
    GstPad *sink; // of watches_bin
    struct watch watches[32];
    bool watches_open; // models are loaded
    struct capture *capture;
    gint busy; // atomic: tasks of other threads that need the camera
    gint wording;         // atomic: how many configurations brought words, this one's the last
    GMutex wording_mutex; // they are taken up one after the other
    guint bus_watch;
    bool stopping;

    enum camera_state state;
    gint64 since_unix_us;
    struct cause cause;
    struct cause warning; // the connection's last one: tells how it was closed

    struct source *source; // NULL while not connected
    struct reach *reach;
    gint64 attempt_us, live_us; // monotonic; 0: not now
    gint64 retry_us;            // when to try again; 0: not waiting
    gint64 reopen_us;           // the same of watches for which there was no device, or no memory on it
    char activity[160];         // of the engine, when it was asked last ...
    gint64 activity_us;         // ... and when it last changed
    int attempts;               // without success, for the back-off
    int in_vain;                // of these, those that ended with ...
    enum cause_code vain;       // ... this, the last cause that takes patience
    gint64 password_ns;         // since when the password that was tried last is in its file; 0: in none
    bool knock;                 // see whether anybody is there before trying
    bool udp;                   // transport for now
    guint64 reconnects;
    guint64 lost, received; // by earlier connections
    struct rate frame_rate;

    GMutex mutex;            // guards the rest
    guint64 frames, left;    // that went in before the watches, and came out behind them
    guint64 late;            // of a burst, which no watch was shown
    gint64 frame_us;         // of the last frame; 0: none by this connection
    gint64 last_frame_us;    // the same, by whatever connection
    gint64 interval_us;      // between frames, smoothed towards the longest
    gint64 result_us;        // of the last result; 0: none ever
    gint64 left_us;          // when a frame last left the watches
    struct latency latency;
};

// Makes the right half of the pipeline.
bool camera_build_watches(struct camera *camera, struct ww_error *err);

// Loads the models in the background. Ends with an application message "watches-open" on the bus, or
// with an error from inside watches_bin.
void camera_open_watches(struct camera *camera);

// Publishes what is being looked at, then lets go of the models; in the background.
void camera_close_watches(struct camera *camera);

// Words, threshold and rate of each watch as the configuration has them: at once, while no watch is open; then
// in the background, for the engine takes up words between two looks.
void camera_configure_watches(struct camera *camera);
void camera_reconfigure_watches(struct camera *camera);
