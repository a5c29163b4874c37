// engine.h: the thread that owns the device, and what hangs on it.
//
// Everything that touches the device happens on that thread: other threads leave jobs or frames and
// wait, or do not wait. One lock guards what threads share; it is never held while the device works.

#pragma once

#include "base/clock.h"
#include <pthread.h>
#include <stdatomic.h>

#include "models/family.h"

// Loaded once, shared by watches.
struct loaded {
    char dir[512], variant[64];
    int refs;
    const struct ww_family *family;
    struct ww_json *config;
    void *model; // NULL while the device is lost
    struct ww_model_info info;
    struct loaded *next;
};

// A call that the engine's thread makes for another thread, which waits.
struct job {
    void (*call)(struct ww_engine *engine, void *opaque);
    void *opaque;
    bool done;
    struct job *next;
};

struct ww_engine {
    char key[256]; // what it was opened by
    int refs;
    struct ww_engine *next; // in the process's list

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; // to the engine: something to do
    pthread_cond_t done; // from the engine: a job or a frame is finished
    bool stopping;
    struct job *jobs, **last_job;
    struct ww_watch *watches; // those with something waiting are served, the longest waiting first
    char activity[160];
    _Atomic int64_t sign_ns; // when its thread last got on with something; 0: it is at nothing

    // The engine thread's own.
    struct ww_device *device; // NULL while it is lost
    struct ww_device_info info;
    struct loaded *models;
    struct hall *halls;
    struct ww_language *languages;
    int64_t retry_ns; // not reopened before
    struct ww_turn *turn; // whose frame the device works on; NULL: nobody's
    struct ww_engine_stats stats; // under the lock
};

// Runs `call` on the engine's thread and waits for it.
void ww_engine_do(struct ww_engine *engine, void (*call)(struct ww_engine *engine, void *opaque),
                  void *opaque);

// On the engine's thread: the device, reopened if it was lost, or NULL and WW_E_DEVICE.
struct ww_device *ww_engine_need_device(struct ww_engine *engine, struct ww_error *err);
// On the engine's thread: finds or loads; `ww_engine_unload` gives back.
struct loaded *ww_engine_load(struct ww_engine *engine, const char *model, struct ww_error *err);
void ww_engine_unload(struct ww_engine *engine, struct loaded *loaded);
// On the engine's thread: loads again what was lost with the device.
bool ww_engine_reload(struct ww_engine *engine, struct loaded *loaded, struct ww_error *err);
void ww_engine_say(struct ww_engine *engine, const char *text);

// serve.c, for the engine's thread. Called with the lock held, which they let go while they work.
struct ww_watch *ww_watch_waiting_longest(struct ww_engine *engine);
void ww_watch_serve(struct ww_watch *watch);
void ww_watch_pause(struct ww_engine *engine); // without the lock: short looks overtake a long one
void ww_watch_lose_all(struct ww_engine *engine);

// language.c, for the engine's thread: lets go of what lived on a lost device.
void ww_language_lose_all(struct ww_engine *engine);

