// camera.h: an RTSP server that behaves like a camera, and like a bad one when told to.
//
// Everything runs on the default main context. Clients are served by threads of their own.

#pragma once

#include "film.h"

struct camera;

struct camera_params {
    const char *path;             // of the film
    const char *codec;            // "h264", "h265", "mjpeg"
    const char *cache;            // folder for encoded films
    int num_frames;               // 0: all
    const char *mount;            // "/cam"
    int port;                     // 0: any that is free
    double fps;                   // 0: the film's
    gboolean end;                 // the film waits for a client, is sent once, and starts anew for the next
    const char *transport;        // "tcp", "udp" or "both"
    const char *user, *password;  // NULL: open to all
    const char *certificate;      // PEM with its key: rtsps; NULL: rtsp
    gboolean digest;              // how the password is asked for
    guint seed;                   // of what gets lost or damaged
};

// NULL and `error`: the film cannot be read, the port is taken.
struct camera *camera_create(const struct camera_params *params, GError **error);
void camera_destroy(struct camera **camera);

// Does what one line of text says, "down 5": the list is `camera_faults_help`. False and `error` if
// it is no fault or lacks what it needs. Announces itself with `fault`, and `fault_end` when over.
gboolean camera_fault(struct camera *camera, const char *line, GError **error);
extern const char camera_faults_help[];

// One JSON object a line on standard output: {"event":EVENT,"mono":…,"unix":…, then `fmt`}, which is
// the text of further members ("\"frames\":%d"). Any thread.
void say(const char *event, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
