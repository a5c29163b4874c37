#include "watch-inner.h"

#include <stdlib.h>
#include <string.h>

#include "models/picture.h"

#define PATIENCE_NS 150000000 // how long a frame may wait and still be looked at before a newer one

// Creating ---------------------------------------------------------------------------------------

struct creation {
    struct ww_watch *watch;
    const struct ww_watch_params *params;
    struct ww_error *err;
    bool ok;
};

static bool check_thresholds(const char *const *phrases, const float *thresholds, int num, struct ww_error *err)
{
    for (int i = 0; thresholds && i < num; i++)
        if (!(thresholds[i] >= 0 && thresholds[i] <= 1))
            return ww_fail(err, WW_E_CONFIG, "threshold %g of '%.60s': must be from 0 to 1",
                           (double)thresholds[i], phrases[i]);
    return true;
}

// A phrase that a model takes for several gives its threshold to each of them.
static void set_thresholds(struct ww_words *words, const float *thresholds, int num)
{
    if (!thresholds || !num)
        return;
    words->thresholds = calloc((size_t)words->num_phrases + 1, sizeof *words->thresholds);
    if (!words->thresholds)
        abort();
    for (int i = 0; i < words->num_phrases; i++) {
        const int from = words->given ? words->given[i] : i;
        words->thresholds[i] = from < num ? thresholds[from] : 0;
    }
}

static struct ww_words *understand(const struct ww_watch *watch, const char *const *phrases,
                                   const float *thresholds, int num, uint32_t revision, struct ww_error *err)
{
    if (!check_thresholds(phrases, thresholds, num, err))
        return NULL;
    struct ww_words *words = calloc(1, sizeof *words);
    if (!words)
        abort();
    words->revision = revision;
    if (!watch->loaded->family->understand(watch->loaded->model, watch->task, phrases, num, words,
                                           err))
        ww_words_free(&words);
    else
        set_thresholds(words, thresholds, num);
    return words;
}

static void create_job(struct ww_engine *engine, void *opaque)
{
    struct creation *c = opaque;
    struct ww_watch *watch = c->watch;
    watch->loaded = ww_engine_load(engine, c->params->model ? c->params->model : "nano", c->err);
    if (!watch->loaded)
        return;
    if (ww_input_check(watch->input_size, watch->input_width, watch->input_height,
                       watch->loaded->family->step, c->err))
        watch->words = understand(watch, c->params->phrases, c->params->thresholds, c->params->num_phrases,
                                  1, c->err);
    if (!watch->words) {
        ww_engine_unload(engine, watch->loaded);
        return;
    }
    watch->revision = 1;
    watch->own_threshold = watch->loaded->family->threshold(watch->loaded->model, watch->task);
    pthread_mutex_lock(&engine->lock);
    watch->next = engine->watches;
    engine->watches = watch;
    pthread_mutex_unlock(&engine->lock);
    c->ok = true;
}

static bool check_params(const struct ww_watch_params *p, struct ww_error *err)
{
    if (!(p->threshold >= 0 && p->threshold <= 1))
        return ww_fail(err, WW_E_CONFIG, "threshold %g: must be from 0 to 1", p->threshold);
    if ((unsigned)p->task >= WW_NUM_TASKS)
        return ww_fail(err, WW_E_CONFIG, "no task %d", p->task);
    if (p->input_size < 0 || p->input_width < 0 || p->input_height < 0 ||
        !p->input_width != !p->input_height)
        return ww_fail(err, WW_E_CONFIG,
                       "input width and height must both be given, or neither; none is negative");
    if (!(p->nms >= 0 && p->nms <= 1))
        return ww_fail(err, WW_E_CONFIG, "nms %g: must be from 0 to 1", (double)p->nms);
    if (p->batch < 0 || p->batch > WW_MAX_BATCH)
        return ww_fail(err, WW_E_CONFIG, "batch %d: must be from 0 to %d", p->batch, WW_MAX_BATCH);
    return true;
}

struct ww_watch *ww_watch_create(struct ww_engine *engine, const struct ww_watch_params *params,
                                 struct ww_error *err)
{
    if (!check_params(params, err))
        return NULL;
    struct ww_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        abort();
    watch->engine = engine;
    watch->task = params->task;
    watch->threshold = params->threshold;
    watch->input_size = params->input_size;
    watch->input_width = params->input_width;
    watch->input_height = params->input_height;
    watch->batch = params->batch;
    watch->nms = params->nms;
    watch->on_result = params->on_result;
    watch->opaque = params->opaque;
    struct creation creation = {.watch = watch, .params = params, .err = err};
    ww_engine_do(engine, create_job, &creation);
    if (creation.ok)
        return watch;
    free(watch);
    return NULL;
}

void ww_watch_release(struct ww_frame *frame)
{
    if (frame->release)
        frame->release(frame->opaque);
    *frame = (struct ww_frame){0};
}

static void destroy_job(struct ww_engine *engine, void *opaque)
{
    struct ww_watch *watch = opaque;
    ww_hall_rise(engine, &watch->seat);
    ww_engine_unload(engine, watch->loaded);
    pthread_mutex_lock(&engine->lock);
    struct ww_watch **at = &engine->watches;
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    pthread_mutex_unlock(&engine->lock);
}

void ww_watch_destroy(struct ww_watch **pointer)
{
    struct ww_watch *watch = *pointer;
    if (!watch)
        return;
    pthread_mutex_lock(&watch->engine->lock);
    const int num_left = watch->num_waiting;
    watch->num_waiting = 0; // so that nobody else touches what is there
    pthread_mutex_unlock(&watch->engine->lock);
    for (int i = 0; i < num_left; i++)
        ww_watch_release(&watch->waiting[i].frame);
    ww_engine_do(watch->engine, destroy_job, watch); // comes after what is being looked at
    ww_words_free(&watch->words);
    ww_words_free(&watch->words_next);
    free(watch);
    *pointer = NULL;
}

// Looking, from other threads ----------------------------------------------------------------------

const struct ww_result *ww_watch_look(struct ww_watch *watch, const struct ww_frame *frame,
                                      struct ww_error *err)
{
    if (!ww_frame_check(frame, err))
        return NULL;
    struct ww_engine *engine = watch->engine;
    pthread_mutex_lock(&engine->lock);
    watch->stats.offered++;
    watch->shown = frame;
    watch->shown_done = false;
    watch->shown_ns = ww_now_ns();
    pthread_cond_signal(&engine->wake);
    while (!watch->shown_done)
        pthread_cond_wait(&engine->done, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
    if (!watch->error.code)
        return &watch->result;
    if (err)
        *err = watch->error;
    return NULL;
}

// Whether what waits is given up for a frame that comes now: the device does not keep up with the camera, or
// something held it up for longer than a few frames may wait for it.
static bool gives_up(const struct ww_watch *watch, int64_t now_ns)
{
    return watch->num_waiting && (watch->behind || watch->num_waiting == WW_MAX_WAITING ||
                                  now_ns - watch->waiting[0].since_ns >= PATIENCE_NS);
}

bool ww_watch_offer(struct ww_watch *watch, const struct ww_frame *frame, struct ww_error *err)
{
    struct ww_frame given_up[WW_MAX_WAITING] = {*frame};
    if (!ww_frame_check(frame, err)) {
        ww_watch_release(&given_up[0]);
        return false;
    }
    struct ww_engine *engine = watch->engine;
    int num_given_up = 0;
    pthread_mutex_lock(&engine->lock);
    watch->stats.offered++;
    int64_t since_ns = ww_now_ns();
    if (gives_up(watch, since_ns)) {
        since_ns = watch->waiting[0].since_ns; // their place in the queue is the newer one's
        while (num_given_up < watch->num_waiting) {
            given_up[num_given_up] = watch->waiting[num_given_up].frame;
            num_given_up++;
        }
        watch->num_waiting = 0;
        watch->stats.replaced += (uint64_t)num_given_up;
        watch->behind = true;
    }
    watch->waiting[watch->num_waiting++] = (struct waiting){*frame, since_ns};
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    for (int i = 0; i < num_given_up; i++)
        ww_watch_release(&given_up[i]);
    return true;
}

void ww_watch_drain(struct ww_watch *watch)
{
    struct ww_engine *engine = watch->engine;
    pthread_mutex_lock(&engine->lock);
    while (watch->num_waiting || watch->looking)
        pthread_cond_wait(&engine->done, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
}

// Words and numbers --------------------------------------------------------------------------------

static bool same_words(const struct ww_words *a, const struct ww_words *b)
{
    if (a->num_phrases != b->num_phrases)
        return false;
    for (int i = 0; i < a->num_phrases; i++)
        if (strcmp(a->phrases[i], b->phrases[i]))
            return false;
    return true;
}

static bool same_thresholds(const struct ww_words *a, const struct ww_words *b)
{
    for (int i = 0; i < a->num_phrases; i++)
        if (ww_words_threshold(a, i, 0) != ww_words_threshold(b, i, 0))
            return false;
    return true;
}

struct rewording {
    struct ww_watch *watch;
    const char *const *phrases;
    const float *thresholds;
    int num_phrases;
    struct ww_error *err;
    uint32_t revision;
};

// On the engine's thread, where models are read: they may be reloaded there.
static void reword_job(struct ww_engine *engine, void *opaque)
{
    struct rewording *r = opaque;
    struct ww_watch *watch = r->watch;
    if (!ww_engine_reload(engine, watch->loaded, r->err))
        return;
    struct ww_words *words = understand(watch, r->phrases, r->thresholds, r->num_phrases,
                                        watch->revision + 1, r->err);
    if (!words)
        return;
    pthread_mutex_lock(&engine->lock);
    const struct ww_words *newest = watch->words_next ? watch->words_next : watch->words;
    const bool same = same_words(newest, words);
    if (same)
        words->revision = newest->revision;
    if (!same || !same_thresholds(newest, words)) {
        struct ww_words *never_used = watch->words_next;
        watch->words_next = words;
        watch->revision = words->revision;
        words = never_used;
    }
    r->revision = watch->revision;
    pthread_mutex_unlock(&engine->lock);
    ww_words_free(&words);
}

uint32_t ww_watch_set_phrases(struct ww_watch *watch, const char *const *phrases, const float *thresholds,
                              int num_phrases, struct ww_error *err)
{
    struct rewording r = {watch, phrases, thresholds, num_phrases, err, 0};
    ww_engine_do(watch->engine, reword_job, &r);
    return r.revision;
}

void ww_watch_set_threshold(struct ww_watch *watch, float threshold)
{
    pthread_mutex_lock(&watch->engine->lock);
    watch->threshold = threshold > 0 && threshold <= 1 ? threshold : 0;
    pthread_mutex_unlock(&watch->engine->lock);
}

uint32_t ww_watch_revision(struct ww_watch *watch)
{
    pthread_mutex_lock(&watch->engine->lock);
    const uint32_t revision = watch->revision;
    pthread_mutex_unlock(&watch->engine->lock);
    return revision;
}

float ww_watch_threshold(struct ww_watch *watch)
{
    pthread_mutex_lock(&watch->engine->lock);
    float threshold = watch->threshold;
    pthread_mutex_unlock(&watch->engine->lock);
    return threshold > 0 ? threshold : watch->own_threshold;
}

void ww_watch_stats(struct ww_watch *watch, struct ww_watch_stats *out)
{
    pthread_mutex_lock(&watch->engine->lock);
    *out = watch->stats;
    pthread_mutex_unlock(&watch->engine->lock);
}

void ww_watch_model(struct ww_watch *watch, struct ww_model_info *out)
{
    *out = watch->loaded->info;
}
