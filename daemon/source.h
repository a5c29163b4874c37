// source.h: one connection to a camera, from its URL to decoded pictures on a pad.
//
// A camera has one pipeline for its whole life and a source for each connection: a bin that is made,
// linked to the watches, and thrown away when the connection is lost. Everything that may block
// (opening devices, name lookups, saying goodbye to a dead server) happens on GStreamer's threads.

#pragma once

#include "capture.h"
#include "config.h"
#include "credentials.h"

struct source;

struct source_params {
    const struct stream_config *config; // must outlive the source
    GstElement *pipeline;
    GstPad *sink; // where pictures go
    struct capture *capture;
    bool udp; // transport for now, where the configuration leaves it open
    // Called on streaming threads. `on_end` only for live sources, which must not end the pipeline.
    void (*on_frame)(void *opaque);
    void (*on_late)(void *opaque); // a picture of a burst, which goes no further
    void (*on_end)(void *opaque);
    void *opaque;
};

// Makes and links, but does not start. NULL: an element is missing, or its settings are refused.
struct source *source_create(const struct source_params *params, struct ww_error *err);

// Connects in the background; errors come on the pipeline's bus from inside `source_owns`.
void source_start(struct source *source);

// Pictures wait until this is called: `sink` takes them from now on.
void source_open_gate(struct source *source);

// Unlinks at once, disconnects in the background and frees. No callback comes after it returned,
// except one that is running just now. `done` is called, on any thread, when the connection is gone.
void source_destroy(struct source **source, void (*done)(void *opaque), void *opaque);

bool source_owns(const struct source *source, GstObject *object);

struct source_stats {
    gint64 packet_us;       // monotonic time of the last packet; 0: none yet
    gint64 caps_us;         // since when the watches are made ready for its pictures; 0: they are
    gint64 ready_us;        // when they were; 0: not yet
    guint64 packets;        // since it was created, where they are seen
    bool at_gate;           // something waits, or waited, for the gate to open
    guint64 received, lost; // RTP packets by the jitter buffer's count; 0 without RTP
    char encoding[32];      // what the camera announced, "H264"; "" not known
};
void source_stats(struct source *source, struct source_stats *out);
