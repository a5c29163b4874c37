#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/log.h>

struct ww_watch {
    struct ww_engine *engine;
    struct ww_watch *next; // of the engine

    // Given at creation.
    enum ww_task task;
    int input_size, input_width, input_height;
    ww_result_fn on_result;
    void *opaque;

    // Under the engine's lock.
    float threshold; // 0: the model's own
    struct ww_words *words;       // in use; the engine's thread swaps it
    struct ww_words *words_next;  // NULL: no change
    uint32_t revision;            // the newest
    struct ww_frame slot;         // the newest frame offered
    bool waiting;                 // one is in the slot
    bool looking;                 // the engine works for this watch
    const struct ww_frame *shown; // by ww_watch_look, which waits
    bool shown_done;
    int64_t since_ns; // waiting since
    struct ww_watch_stats stats;

    // The engine thread's own, but for the results of a look, which its caller reads.
    struct loaded *loaded;
    float own_threshold; // the model's; constant, so that all threads may read it
    void *session;
    struct ww_look_params session_params;
    uint32_t session_revision;
    int64_t took_ns; // the last look, without what overtook it; 0: not known
    bool overtook;   // in the pause at hand
    struct ww_findings findings;
    struct ww_result result;
    struct ww_error error;
};

// Creating ---------------------------------------------------------------------------------------

struct creation {
    struct ww_watch *watch;
    const struct ww_watch_params *params;
    struct ww_error *err;
    bool ok;
};

static struct ww_words *understand(const struct ww_watch *watch, const char *const *phrases, int num,
                                   uint32_t revision, struct ww_error *err)
{
    struct ww_words *words = calloc(1, sizeof *words);
    if (!words)
        abort();
    words->revision = revision;
    if (!watch->loaded->family->understand(watch->loaded->model, watch->task, phrases, num, words,
                                           err))
        ww_words_free(&words);
    return words;
}

static void create_job(struct ww_engine *engine, void *opaque)
{
    struct creation *c = opaque;
    struct ww_watch *watch = c->watch;
    watch->loaded = ww_engine_load(engine, c->params->model ? c->params->model : "nano", c->err);
    if (!watch->loaded)
        return;
    watch->words = understand(watch, c->params->phrases, c->params->num_phrases, 1, c->err);
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
    watch->on_result = params->on_result;
    watch->opaque = params->opaque;
    struct creation creation = {.watch = watch, .params = params, .err = err};
    ww_engine_do(engine, create_job, &creation);
    if (creation.ok)
        return watch;
    free(watch);
    return NULL;
}

static void release(struct ww_frame *frame)
{
    if (frame->release)
        frame->release(frame->opaque);
    *frame = (struct ww_frame){0};
}

void ww_watch_lose_device(struct ww_watch *watch)
{
    if (watch->session)
        watch->loaded->family->close(watch->engine->device, watch->session);
    watch->session = NULL;
}

static void destroy_job(struct ww_engine *engine, void *opaque)
{
    struct ww_watch *watch = opaque;
    ww_watch_lose_device(watch);
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
    struct ww_frame left = {0};
    pthread_mutex_lock(&watch->engine->lock);
    if (watch->waiting)
        left = watch->slot;
    watch->waiting = false;
    pthread_mutex_unlock(&watch->engine->lock);
    release(&left);
    ww_engine_do(watch->engine, destroy_job, watch); // comes after what is being looked at
    ww_words_free(&watch->words);
    ww_words_free(&watch->words_next);
    free(watch);
    *pointer = NULL;
}

// Looking, on the engine's thread ------------------------------------------------------------------

struct ww_watch *ww_watch_waiting_longest(struct ww_engine *engine)
{
    struct ww_watch *longest = NULL;
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        if ((w->waiting || w->shown) && (!longest || w->since_ns < longest->since_ns))
            longest = w;
    return longest;
}

void ww_watch_lose_all(struct ww_engine *engine)
{
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        ww_watch_lose_device(w);
}

static bool same_params(const struct ww_look_params *a, const struct ww_look_params *b)
{
    return a->task == b->task && a->format == b->format && a->matrix == b->matrix &&
           a->range == b->range && a->width == b->width && a->height == b->height;
}

static struct ww_look_params look_params(const struct ww_watch *watch, const struct ww_frame *frame)
{
    return (struct ww_look_params){.task = watch->task,
                                   .format = frame->format,
                                   .matrix = frame->matrix,
                                   .range = frame->range,
                                   .width = frame->width,
                                   .height = frame->height,
                                   .input_size = watch->input_size,
                                   .input_width = watch->input_width,
                                   .input_height = watch->input_height};
}

// A session for frames of this shape and the words in use; the one there is, if it fits.
static bool need_session(struct ww_watch *watch, const struct ww_frame *frame, struct ww_error *err)
{
    const struct ww_look_params params = look_params(watch, frame);
    if (!ww_engine_reload(watch->engine, watch->loaded, err))
        return false;
    if (watch->session && same_params(&watch->session_params, &params) &&
        watch->session_revision == watch->words->revision)
        return true;
    ww_watch_lose_device(watch);
    watch->session_params = params;
    watch->session_revision = watch->words->revision;
    ww_engine_say(watch->engine, "recording");
    watch->session = watch->loaded->family->open(watch->engine->device, watch->loaded->model,
                                                 &params, watch->words, err);
    ww_engine_say(watch->engine, "ready");
    if (!watch->session)
        return false;
    pthread_mutex_lock(&watch->engine->lock);
    watch->engine->stats.plans_recorded++;
    pthread_mutex_unlock(&watch->engine->lock);
    return true;
}

// A look, while the device works on it.
struct ww_turn {
    struct ww_watch *watch;
    int64_t begin_ns, overtaken_ns; // of the latter, what others took
    bool began, paused;
};

static bool look(struct ww_watch *watch, const struct ww_frame *frame, float threshold,
                 int64_t since_ns, struct ww_error *err)
{
    const int64_t begin = ww_now_ns();
    if (!need_session(watch, frame, err))
        return false;
    if (threshold <= 0)
        threshold = watch->own_threshold;
    struct ww_engine *engine = watch->engine;
    struct ww_turn turn = {.watch = watch, .begin_ns = ww_now_ns()}, *outer = engine->turn;
    engine->turn = &turn;
    const bool ok =
        watch->loaded->family->look(watch->session, frame, threshold, &watch->findings, err);
    engine->turn = outer;
    watch->took_ns = ok ? ww_now_ns() - turn.begin_ns - turn.overtaken_ns : 0;
    if (!ok) {
        if (err->code == WW_E_DEVICE)
            engine->device->lost = true; // whatever it was, nothing on it can be trusted
        return false;
    }
    watch->result = (struct ww_result){.index = frame->index,
                                       .pts_ns = frame->pts_ns,
                                       .width = frame->width,
                                       .height = frame->height,
                                       .revision = watch->words->revision,
                                       .keypoint_set = watch->findings.keypoint_set,
                                       .num_objects = watch->findings.num_objects,
                                       .objects = watch->findings.objects,
                                       .num_understood =
                                           watch->words->understood ? watch->words->num_phrases : 0,
                                       .understood = watch->words->understood,
                                       .num_captions = watch->findings.num_captions,
                                       .wait_ns = begin - since_ns,
                                       .infer_ns = ww_now_ns() - begin};
    return true;
}

struct preparation {
    struct ww_watch *watch;
    const struct ww_frame *frame;
    struct ww_error *err;
    bool ok;
};

static void prepare_job(struct ww_engine *engine, void *opaque)
{
    (void)engine;
    struct preparation *p = opaque;
    p->ok = look(p->watch, p->frame, 0, ww_now_ns(), p->err);
}

bool ww_watch_prepare(struct ww_watch *watch, const struct ww_frame *frame, struct ww_error *err)
{
    if (!ww_frame_check(frame, err))
        return false;
    struct ww_error ignored;
    struct preparation p = {.watch = watch, .frame = frame, .err = err ? err : &ignored};
    ww_engine_do(watch->engine, prepare_job, &p);
    return p.ok;
}

// The session borrows from words that are about to be freed: it takes the new ones, or ends.
static void reword_session(struct ww_watch *watch)
{
    const struct ww_family *family = watch->loaded->family;
    watch->took_ns = 0; // more words may take longer
    if (watch->session && family->reword && family->reword(watch->session, watch->words))
        watch->session_revision = watch->words->revision;
    else
        ww_watch_lose_device(watch);
}

void ww_watch_serve(struct ww_watch *watch)
{
    struct ww_engine *engine = watch->engine;
    const bool offered = watch->waiting;
    const struct ww_frame frame = offered ? watch->slot : *watch->shown;
    const float threshold = watch->threshold;
    const int64_t since = watch->since_ns;
    struct ww_words *old = NULL;
    if (watch->words_next) {
        old = watch->words;
        watch->words = watch->words_next;
        watch->words_next = NULL;
    }
    watch->waiting = false;
    watch->looking = true;
    pthread_mutex_unlock(&engine->lock);

    if (old)
        reword_session(watch);
    ww_words_free(&old);
    watch->error = (struct ww_error){0};
    const bool ok = look(watch, &frame, threshold, since, &watch->error);
    if (offered) {
        struct ww_frame done = frame;
        release(&done);
        if (watch->on_result)
            watch->on_result(watch->opaque, ok ? &watch->result : NULL, ok ? NULL : &watch->error);
    }

    pthread_mutex_lock(&engine->lock);
    watch->looking = false;
    watch->stats.processed += ok;
    watch->stats.failed += !ok;
    engine->stats.inferences += ok;
    if (!offered) {
        watch->shown = NULL;
        watch->shown_done = true;
    }
}

// Whether its look is so much shorter than the one at hand that it need not wait for that, and replays
// what is recorded.
static bool may_overtake(const struct ww_watch *watch, const struct ww_watch *by)
{
    if (!(watch->waiting || watch->shown) || watch->looking || watch->words_next || !watch->took_ns ||
        watch->took_ns > by->took_ns / 4 || !watch->loaded->model)
        return false;
    const struct ww_look_params params = look_params(watch, watch->waiting ? &watch->slot : watch->shown);
    return watch->session && same_params(&watch->session_params, &params) &&
           watch->session_revision == watch->words->revision;
}

// Of those that may and have not yet in this pause, the one that waits longest.
static struct ww_watch *next_overtaker(const struct ww_engine *engine, const struct ww_watch *by)
{
    struct ww_watch *longest = NULL;
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        if (!w->overtook && (!longest || w->since_ns < longest->since_ns) && may_overtake(w, by))
            longest = w;
    return longest;
}

// What overtakes a look takes no more time than that had so far, give or take one: it is done at half
// speed at worst.
void ww_watch_pause(struct ww_engine *engine)
{
    struct ww_turn *turn = engine->turn;
    if (!turn || turn->paused)
        return;
    const int64_t begin = ww_now_ns(), budget = begin - turn->begin_ns - 2 * turn->overtaken_ns;
    if (!turn->began || budget < 0) { // nothing was done yet, so nobody waits for it
        turn->began = true;
        return;
    }
    turn->paused = true;
    pthread_mutex_lock(&engine->lock);
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        w->overtook = false;
    struct ww_watch *next;
    while (!engine->device->lost && ww_now_ns() - begin <= budget &&
           (next = next_overtaker(engine, turn->watch))) {
        next->overtook = true;
        ww_watch_serve(next);
        pthread_cond_broadcast(&engine->done);
    }
    pthread_mutex_unlock(&engine->lock);
    turn->paused = false;
    turn->overtaken_ns += ww_now_ns() - begin;
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
    if (!watch->waiting)
        watch->since_ns = ww_now_ns();
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

bool ww_watch_offer(struct ww_watch *watch, const struct ww_frame *frame, struct ww_error *err)
{
    struct ww_frame give_back = *frame;
    if (!ww_frame_check(frame, err)) {
        release(&give_back);
        return false;
    }
    struct ww_engine *engine = watch->engine;
    pthread_mutex_lock(&engine->lock);
    watch->stats.offered++;
    const bool replaced = watch->waiting;
    if (replaced) {
        give_back = watch->slot;
        watch->stats.replaced++;
    } else {
        watch->since_ns = ww_now_ns(); // a replaced frame leaves its place in the queue to the newer
    }
    watch->slot = *frame;
    watch->waiting = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    if (replaced)
        release(&give_back);
    return true;
}

void ww_watch_drain(struct ww_watch *watch)
{
    struct ww_engine *engine = watch->engine;
    pthread_mutex_lock(&engine->lock);
    while (watch->waiting || watch->looking)
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

struct rewording {
    struct ww_watch *watch;
    const char *const *phrases;
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
    struct ww_words *words =
        understand(watch, r->phrases, r->num_phrases, watch->revision + 1, r->err);
    if (!words)
        return;
    pthread_mutex_lock(&engine->lock);
    const struct ww_words *newest = watch->words_next ? watch->words_next : watch->words;
    if (!same_words(newest, words)) {
        struct ww_words *never_used = watch->words_next;
        watch->words_next = words;
        watch->revision = words->revision;
        words = never_used;
    }
    r->revision = watch->revision;
    pthread_mutex_unlock(&engine->lock);
    ww_words_free(&words);
}

uint32_t ww_watch_set_phrases(struct ww_watch *watch, const char *const *phrases, int num_phrases,
                              struct ww_error *err)
{
    struct rewording r = {watch, phrases, num_phrases, err, 0};
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
