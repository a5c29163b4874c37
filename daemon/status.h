// status.h: how things stand, as the messages that say so.

#pragma once

#include "camera.h"

// Who speaks. `seq` counts the messages of one topic and belongs to its speaker.
struct speaker {
    struct publisher *publisher;
    const char *epoch;
};

// Publishes "status/STREAM/".
void status_publish_camera(const struct speaker *speaker, const struct stream_config *config,
                           const struct camera_status *status, guint64 seq);

struct daemon_status {
    const char *state; // "running", "stopping"
    gint64 started_unix_us;
    char device[256], activity[200];
    guint64 inferences, device_losses, device_bytes, resident_bytes;
    int num_streams[NUM_CAMERA_STATES];
    struct publisher_stats messages;
};
// Publishes "status/", the daemon's own.
void status_publish_daemon(const struct speaker *speaker, const struct daemon_status *status,
                           guint64 seq);
