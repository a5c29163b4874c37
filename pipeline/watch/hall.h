// hall.h: where watches look. Those whose looks take the same share a hall (models/family.h): what waits in
// it when the device gets free is looked at in one pass, and its memory is there once for all of them. A hall
// has room for as many frames as it has seats, up to a limit, and is made larger as watches come.
//
// All of it on the engine's thread.

#pragma once

#include "engine.h"

#define WW_MAX_BATCH 64

struct hall {
    struct hall *next; // of the engine
    struct loaded *loaded;
    enum ww_task task;
    struct ww_extent extent;
    int most;      // frames at once, ever
    int room;      // frames at once, now
    int refused;   // seats for which it could not be made larger; 0: it always could
    uint64_t full_bytes; // of all that was in use on the device then
    bool busy;     // frames are looked at in it, or a seat is made
    uint64_t bytes; // of device memory, without seats
    void *own;     // the family's
    struct seat *seats;
    int num_seats;
};

// A watch's place in a hall.
struct seat {
    struct hall *hall; // NULL: none
    void *own;         // the family's
    struct seat *next; // in the hall
};

// How many frames at once pay on this device: 1 in software, where a batch takes as long as its frames do one
// after the other; more on a card, which one frame alone does not fill.
int ww_hall_default(const struct ww_device *device);

// Finds a hall for such looks or opens one, and takes a seat in it. `most` 1: in a hall of its own. Others in a
// hall that is made larger for this lose their seats and have to take them again. Where the device has no memory
// for a larger one, its seats share the room there is, and it is tried again when memory was given up or for one
// seat more, not for every frame. Borrows the words.
bool ww_hall_sit(struct ww_engine *engine, struct loaded *loaded, const struct ww_look_params *params,
                 const struct ww_words *words, int most, struct seat *seat, struct ww_error *err);
// Makes a hall larger that has more seats than room, if memory was given up since that could not be done. True:
// everybody in it has lost his seat and has to take it again, and somebody must at once.
bool ww_hall_widen(struct ww_engine *engine, struct hall *hall);
// Gives it up, if there is one; the hall ends with its last seat.
void ww_hall_rise(struct ww_engine *engine, struct seat *seat);

// For who looks without a watch: a hall that nobody else knows, for `num` looks at once, and the family's seats
// in it. NULL on failure.
void *ww_hall_open(struct ww_engine *engine, struct loaded *loaded, const struct ww_look_params *params,
                   const struct ww_words *const *words, int num, void **seats, struct ww_error *err);
void ww_hall_close(struct ww_engine *engine, struct loaded *loaded, void *hall, void **seats, int num);
