// daemon.h: everything together: cameras, the engine they share, the socket they speak by.
// Thread-safety: the main thread, whose main loop has to run.

#pragma once

#include "config.h"

struct daemon;

struct daemon_params {
    struct config *config;   // gets a reference
    const char *config_path; // read again by daemon_reload
    // Called once the daemon is done, by daemon_stop or because it cannot go on.
    void (*on_done)(void *opaque, bool failed);
    void *opaque;
};

// Binds the socket and starts all cameras; the device is opened in the background. NULL: the plugin is
// not installed, the socket is taken, or an element of GStreamer is missing.
struct daemon *daemon_create(const struct daemon_params *params, struct ww_error *err);

// Reads the configuration again and applies the difference: streams that are the same go on without a
// gap, words change live, others are stopped or started. A configuration that is wrong changes nothing.
void daemon_reload(struct daemon *daemon);

// Tries cameras that are waited for now, however long their wait had become.
void daemon_hurry(struct daemon *daemon);

// Begins to end: what is being looked at is published, then a last status. Takes a few seconds at most.
void daemon_stop(struct daemon *daemon);

void daemon_destroy(struct daemon **daemon); // after on_done
