#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/log.h>
#include <watchword/models.h>

#define RETRY_NS       1000000000

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ww_engine *engines; // of this process

// A sign of life.
static void get_on(struct ww_engine *engine)
{
    atomic_store(&engine->sign_ns, ww_now_ns());
}

void ww_engine_say(struct ww_engine *engine, const char *text)
{
    get_on(engine);
    pthread_mutex_lock(&engine->lock);
    snprintf(engine->activity, sizeof engine->activity, "%s", text);
    pthread_mutex_unlock(&engine->lock);
}

static void pause_opaque(void *opaque)
{
    get_on(opaque);
    ww_watch_pause(opaque);
}

static void say_opaque(void *opaque, const char *text)
{
    ww_engine_say(opaque, text);
}

static bool open_device(struct ww_engine *engine, struct ww_error *err)
{
    ww_engine_say(engine, "opening the device");
    engine->device = ww_device_open(engine->key, err);
    if (!engine->device)
        return false;
    engine->device->activity = say_opaque;
    engine->device->activity_opaque = engine;
    engine->device->pause = pause_opaque;
    engine->device->pause_opaque = engine;
    pthread_mutex_lock(&engine->lock);
    engine->info = engine->device->info;
    pthread_mutex_unlock(&engine->lock);
    ww_engine_say(engine, "ready");
    return true;
}

// Lets go of everything that lived on a lost device. Models keep their place and are loaded again.
static void drop_device(struct ww_engine *engine)
{
    ww_log(WW_LOG_ERROR, "device '%s' was lost; it will be reopened", engine->info.name);
    ww_watch_lose_all(engine);
    ww_language_lose_all(engine);
    for (struct loaded *l = engine->models; l; l = l->next) {
        if (l->model)
            l->family->unload(engine->device, l->model);
        l->model = NULL;
    }
    ww_device_close(&engine->device);
    pthread_mutex_lock(&engine->lock);
    engine->stats.device_losses++;
    pthread_mutex_unlock(&engine->lock);
}

struct ww_device *ww_engine_need_device(struct ww_engine *engine, struct ww_error *err)
{
    if (engine->device && engine->device->lost)
        drop_device(engine);
    if (engine->device)
        return engine->device;
    if (ww_now_ns() < engine->retry_ns) {
        ww_fail(err, WW_E_DEVICE, "the device was lost and could not be reopened yet");
        return NULL;
    }
    engine->retry_ns = ww_now_ns() + RETRY_NS;
    return open_device(engine, err) ? engine->device : NULL;
}

bool ww_engine_reload(struct ww_engine *engine, struct loaded *l, struct ww_error *err)
{
    struct ww_device *device = ww_engine_need_device(engine, err);
    if (!device)
        return false;
    if (l->model)
        return true;
    char text[160];
    snprintf(text, sizeof text, "loading %.140s", l->dir);
    ww_engine_say(engine, text);
    l->model = l->family->load(device, l->dir, l->config, l->variant[0] ? l->variant : NULL,
                               &l->info, err);
    ww_engine_say(engine, "ready");
    return l->model || ww_within(err, "model '%s'", l->dir);
}

static struct loaded *find_loaded(struct ww_engine *engine, const char *dir, const char *variant)
{
    for (struct loaded *l = engine->models; l; l = l->next)
        if (!strcmp(l->dir, dir) && !strcmp(l->variant, variant))
            return l;
    return NULL;
}

struct loaded *ww_engine_load(struct ww_engine *engine, const char *model, struct ww_error *err)
{
    char dir[512], path[600];
    if (!ww_model_find(model, dir, sizeof dir, err))
        return NULL;
    const char *variant = ww_family_variant(model, dir);
    struct loaded *l = find_loaded(engine, dir, variant);
    if (l) { // but gone, if the device was lost since
        if (!ww_engine_reload(engine, l, err))
            return NULL;
        l->refs++;
        return l;
    }
    l = calloc(1, sizeof *l);
    if (!l)
        abort();
    snprintf(l->dir, sizeof l->dir, "%s", dir);
    snprintf(l->variant, sizeof l->variant, "%s", variant);
    snprintf(l->info.dir, sizeof l->info.dir, "%s", dir);
    snprintf(path, sizeof path, "%s/config.json", dir);
    l->config = ww_family_config(dir, err);
    const struct ww_json *type =
        l->config ? ww_json_need(l->config, "model_type", WW_JSON_STRING, err) : NULL;
    if (type) {
        l->family = ww_family_find(ww_json_string(type));
        if (!l->family)
            ww_fail(err, WW_E_UNSUPPORTED, "%s: model_type '%.60s' is no family that this build has",
                    path, ww_json_string(type));
    }
    if (!l->family || !ww_engine_reload(engine, l, err)) {
        ww_json_free(&l->config);
        free(l);
        return NULL;
    }
    snprintf(l->info.family, sizeof l->info.family, "%s", l->family->name);
    l->refs = 1;
    l->next = engine->models;
    engine->models = l;
    return l;
}

void ww_engine_unload(struct ww_engine *engine, struct loaded *loaded)
{
    if (!loaded || --loaded->refs)
        return;
    struct loaded **at = &engine->models;
    while (*at != loaded)
        at = &(*at)->next;
    *at = loaded->next;
    if (loaded->model)
        loaded->family->unload(engine->device, loaded->model);
    ww_json_free(&loaded->config);
    free(loaded);
}

// Copies what the device counts to where others may read it.
static void publish_stats(struct ww_engine *engine)
{
    if (!engine->device)
        return;
    engine->stats.pipelines_created = engine->device->pipelines_created;
    engine->stats.device_bytes = engine->device->bytes;
}

static void *run(void *opaque)
{
    struct ww_engine *engine = opaque;
    pthread_mutex_lock(&engine->lock);
    for (;;) {
        struct job *job = engine->jobs;
        get_on(engine);
        if (job) { // jobs before frames: somebody waits, and they are few
            engine->jobs = job->next;
            if (!engine->jobs)
                engine->last_job = &engine->jobs;
            pthread_mutex_unlock(&engine->lock);
            job->call(engine, job->opaque);
            pthread_mutex_lock(&engine->lock);
            job->done = true;
            publish_stats(engine);
            pthread_cond_broadcast(&engine->done);
            continue;
        }
        struct ww_watch *watch = ww_watch_waiting_longest(engine);
        if (watch) {
            ww_watch_serve(watch);
            publish_stats(engine);
            pthread_cond_broadcast(&engine->done);
            continue;
        }
        if (engine->stopping)
            break;
        atomic_store(&engine->sign_ns, 0);
        pthread_cond_wait(&engine->wake, &engine->lock);
    }
    pthread_mutex_unlock(&engine->lock);
    ww_device_close(&engine->device);
    return NULL;
}

void ww_engine_do(struct ww_engine *engine, void (*call)(struct ww_engine *engine, void *opaque),
                  void *opaque)
{
    struct job job = {.call = call, .opaque = opaque};
    pthread_mutex_lock(&engine->lock);
    *engine->last_job = &job;
    engine->last_job = &job.next;
    pthread_cond_signal(&engine->wake);
    while (!job.done)
        pthread_cond_wait(&engine->done, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
}

struct opening {
    struct ww_error *err;
    bool ok;
};

static void open_job(struct ww_engine *engine, void *opaque)
{
    struct opening *opening = opaque;
    opening->ok = open_device(engine, opening->err);
}

static void stop(struct ww_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->thread, NULL);
    pthread_cond_destroy(&engine->wake);
    pthread_cond_destroy(&engine->done);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

static struct ww_engine *start(const char *key, struct ww_error *err)
{
    struct ww_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        abort();
    snprintf(engine->key, sizeof engine->key, "%s", key);
    engine->refs = 1;
    engine->last_job = &engine->jobs;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->wake, NULL);
    pthread_cond_init(&engine->done, NULL);
    if (pthread_create(&engine->thread, NULL, run, engine)) {
        ww_fail(err, WW_E_DEVICE, "cannot start the engine's thread");
        free(engine);
        return NULL;
    }
    pthread_setname_np(engine->thread, "ww-engine");
    struct opening opening = {.err = err};
    ww_engine_do(engine, open_job, &opening);
    if (opening.ok)
        return engine;
    stop(engine);
    return NULL;
}

struct ww_engine *ww_engine_open(const struct ww_engine_params *params, struct ww_error *err)
{
    const char *key = params && params->device ? params->device : "";
    if (!*key && getenv("WATCHWORD_DEVICE"))
        key = getenv("WATCHWORD_DEVICE");
    pthread_mutex_lock(&list_lock);
    struct ww_engine *engine = engines;
    while (engine && strcmp(engine->key, key))
        engine = engine->next;
    if (engine) {
        engine->refs++;
    } else {
        engine = start(key, err);
        if (engine) {
            engine->next = engines;
            engines = engine;
        }
    }
    pthread_mutex_unlock(&list_lock);
    return engine;
}

void ww_engine_close(struct ww_engine **pointer)
{
    struct ww_engine *engine = *pointer;
    *pointer = NULL;
    if (!engine)
        return;
    pthread_mutex_lock(&list_lock);
    if (--engine->refs == 0) {
        struct ww_engine **at = &engines;
        while (*at != engine)
            at = &(*at)->next;
        *at = engine->next;
        stop(engine);
    }
    pthread_mutex_unlock(&list_lock);
}

void ww_engine_activity(struct ww_engine *engine, char *text, size_t size)
{
    pthread_mutex_lock(&engine->lock);
    snprintf(text, size, "%s", engine->activity);
    pthread_mutex_unlock(&engine->lock);
}

void ww_engine_device(struct ww_engine *engine, struct ww_device_info *out)
{
    pthread_mutex_lock(&engine->lock);
    *out = engine->info;
    pthread_mutex_unlock(&engine->lock);
}

void ww_engine_stats(struct ww_engine *engine, struct ww_engine_stats *out)
{
    pthread_mutex_lock(&engine->lock);
    *out = engine->stats;
    pthread_mutex_unlock(&engine->lock);
    const int64_t sign = atomic_load(&engine->sign_ns);
    out->silent_ns = sign ? ww_now_ns() - sign : 0;
}
