// watch-inner.h: what a watch is made of, for watch.c, which others call, and serve.c, the engine's half.

#pragma once

#include "hall.h"

enum { WW_MAX_WAITING = 4 };

struct ww_watch {
    struct ww_engine *engine;
    struct ww_watch *next; // of the engine

    // Given at creation.
    enum ww_task task;
    int input_size, input_width, input_height;
    int batch; // 0: the device's choice
    float nms; // 0: the model's own
    ww_result_fn on_result;
    void *opaque;

    // Under the engine's lock.
    float threshold; // 0: the model's own
    struct ww_words *words;       // in use; the engine's thread swaps it
    struct ww_words *words_next;  // NULL: no change
    uint32_t revision;            // the newest
    struct waiting {
        struct ww_frame frame;
        int64_t since_ns;
    } waiting[WW_MAX_WAITING];    // frames offered, the oldest first
    int num_waiting;
    bool behind;                  // frames were replaced since the last time that none waited
    bool looking;                 // the engine works for this watch
    const struct ww_frame *shown; // by ww_watch_look, which waits
    bool shown_done;
    int64_t shown_ns; // since when
    struct ww_watch_stats stats;

    // The engine thread's own, but for the results of a look, which its caller reads.
    struct loaded *loaded;
    float own_threshold; // the model's; constant, so that all threads may read it
    struct seat seat;
    struct ww_look_params seat_params;
    uint32_t seat_revision;
    struct {
        struct ww_error error; // code 0: none
        int64_t again_ns;
        uint64_t bytes; // in use on the device then
    } refused;           // when there was no memory for a seat
    int64_t took_ns; // its share of the last look, without what overtook that; 0: not known
    bool overtook;   // in the pause at hand
    struct taken {
        struct ww_frame frame;
        bool offered; // not shown
        float threshold;
        int64_t since_ns, begin_ns;
        struct ww_words *old_words; // to be freed when nothing borrows them any more
        bool ok;
    } taken; // what is being looked at
    struct ww_findings findings;
    struct ww_result result;
    struct ww_error error;
};

// watch.c: gives a frame back to whoever made it.
void ww_watch_release(struct ww_frame *frame);
