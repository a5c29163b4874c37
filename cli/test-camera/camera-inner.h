// camera-inner.h: what camera.c and faults.c share.

#pragma once

#include <gst/app/gstappsrc.h>
#include <gst/rtsp-server/rtsp-server.h>
#include <pthread.h>

#include "camera.h"

// One open media. `lock` of its camera guards it.
struct feed {
    struct camera *camera;
    GstRTSPMedia *media; // borrowed; only compared
    struct film *film;
    GstAppSrc *src;
    guint timer;      // 0: none
    int unit;         // of the film, sent next
    gint64 slot;      // frames since the start of the stream, sent or not
    gint64 start_us;  // when slot 0 was due; 0 before PLAY
    guint64 sent;
    gboolean playing; // a client has asked for PLAY
    gboolean gap;     // something was left out: go on with a key frame
    gboolean ended, gone;
};

struct camera {
    // Feeds and what follows them; the server's threads take it, too. Not a GMutex: the thread sanitizer
    // does not see those.
    pthread_mutex_t lock;
    GPtrArray *feeds;
    struct film *film; // sent to new clients
    gboolean silent, garbage;
    guint32 jump; // added to RTP's timestamps
    gboolean bad_sdp, wrong_codec;
    double loss; // percent
    GRand *rand;

    GPtrArray *films; // every film opened so far: feeds may still use an older one
    char *path, *cache, *mount, *user, *password, *basic;
    const char *scheme; // of the URL
    int num_frames;
    double fps;
    gboolean end, digest;
    gint64 start_us;
    GstRTSPLowerTrans protocols;
    GstRTSPServer *server;
    GstRTSPAuth *auth;
    guint listening;  // source; 0: the port is closed
    guint timers[16]; // what ends each fault, see faults.c
};

struct film *camera_film(struct camera *camera, const char *codec, GError **error);
gboolean camera_listen(struct camera *camera, GError **error);
void camera_mount(struct camera *camera);
void camera_unmount(struct camera *camera);
void camera_set_password(struct camera *camera, const char *password);
void camera_drop_clients(struct camera *camera);

// Makes a description of the stream wrong while a fault says so.
void camera_spoil_answer(struct camera *camera, GstRTSPMessage *message);

// Loses and damages RTP packets while a fault says so.
GstPadProbeReturn camera_spoil_packets(GstPad *pad, GstPadProbeInfo *info, void *opaque);
