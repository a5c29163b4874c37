// source-inner.h: what the kinds of source share. Only for source*.c.

#pragma once

#include "source.h"

struct source {
    struct source_params params;
    gint refs; // atomic
    GstElement *bin;
    GstPad *out;     // the bin's, to params.sink
    gulong gate;     // a probe that blocks `out`; 0: open
    GMutex starting; // held while the bin changes state; guards `gone`
    bool gone;
    void (*done)(void *opaque);
    void *done_opaque;

    gint dead;    // atomic: no more callbacks
    GMutex mutex; // guards the rest
    struct source_stats stats;
    GstElement *jitter; // RTP: counts what was lost; NULL until there is one
    bool has_video, has_pad; // RTSP: announced; sending
    int refused;             // RTSP: how often the last request was, that came with a password

    // The streaming thread's: pictures that come in a burst, after something held them up.
    bool hasty;
    gint64 last_us;
    GstClockTime last_pts;
};

// Makes an element inside the bin; WW_E_UNSUPPORTED names the one that is missing.
GstElement *source_add(struct source *source, const char *factory, struct ww_error *err);

// Adds a decoder for whatever comes, whose pictures leave the bin.
GstElement *source_add_decoder(struct source *source, struct ww_error *err);

// Lets pictures of `pad` leave the bin.
void source_expose(struct source *source, GstPad *pad);

// Decodes what comes from `pad`, RTP packets of that encoding ("H264"); an error on the bus if nothing
// can. On a streaming thread, before the first packet.
void source_decode_rtp(struct source *source, GstPad *pad, const char *encoding);

// Adds rtspsrc and what hangs on it.
bool source_build_rtsp(struct source *source, struct ww_error *err);
