// serve.c: what waits is looked at, the longest waiting first, and with it whatever waits in the same hall.
//
// Nobody waits for company: what is there when the device gets free goes together, and a frame that comes
// alone goes alone. A watch that has to be made ready (a first frame, another shape, other words) is the first
// of its batch, never one of those that join, so that it holds up nobody who was ready. Between the pieces of
// a long look short ones of other halls overtake it, and all of them do while kernels are compiled for one that
// is made ready.

#include "watch-inner.h"

#include <string.h>

enum { SHORTEST_PAUSE_NS = 1000000000 }; // before a seat that was refused is asked for again

// A pass, while the device works on it; or what makes one watch ready.
struct ww_turn {
    struct ww_watch *watches[WW_MAX_BATCH];
    int num;
    int64_t begin_ns, overtaken_ns; // of the latter, what others took
    int64_t expected_ns;            // 0: not known
    bool began, paused;
};

static bool waits(const struct ww_watch *watch)
{
    return watch->num_waiting || watch->shown;
}

static int64_t since_ns(const struct ww_watch *watch)
{
    return watch->num_waiting ? watch->waiting[0].since_ns : watch->shown_ns;
}

struct ww_watch *ww_watch_waiting_longest(struct ww_engine *engine)
{
    struct ww_watch *longest = NULL;
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        if (waits(w) && (!longest || since_ns(w) < since_ns(longest)))
            longest = w;
    return longest;
}

void ww_watch_lose_all(struct ww_engine *engine)
{
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        ww_hall_rise(engine, &w->seat);
}

// Being ready -------------------------------------------------------------------------------------

static bool same_params(const struct ww_look_params *a, const struct ww_look_params *b)
{
    return a->task == b->task && a->format == b->format && a->matrix == b->matrix &&
           a->range == b->range && a->width == b->width && a->height == b->height;
}

static struct ww_look_params look_params(const struct ww_watch *watch, const struct ww_frame *frame)
{
    struct ww_look_params params = ww_look_for(watch->task, frame);
    params.input_size = watch->input_size;
    params.input_width = watch->input_width;
    params.input_height = watch->input_height;
    return params;
}

// Whether the last seat asked for would do for this frame.
static bool is_alike(const struct ww_watch *watch, const struct ww_frame *frame)
{
    const struct ww_look_params params = look_params(watch, frame);
    return same_params(&watch->seat_params, &params) && watch->seat_revision == watch->words->revision;
}

// Whether what is recorded can be replayed for this frame.
static bool has_seat(const struct ww_watch *watch, const struct ww_frame *frame)
{
    return watch->seat.hall && is_alike(watch, frame);
}

// Whether a seat was refused for want of memory so short a time ago that trying again would do no more than hold
// up everybody else. Memory given up since ends that.
static bool is_refused(const struct ww_watch *watch, const struct ww_frame *frame)
{
    return watch->refused.error.code && is_alike(watch, frame) && ww_now_ns() < watch->refused.again_ns &&
           watch->engine->device->bytes >= watch->refused.bytes;
}

// At most a tenth of the time goes into what fails.
static void refuse(struct ww_watch *watch, int64_t tried_ns, const struct ww_error *err)
{
    const int64_t pause_ns = 9 * tried_ns;
    watch->refused.error = *err;
    watch->refused.again_ns = ww_now_ns() + (pause_ns > SHORTEST_PAUSE_NS ? pause_ns : SHORTEST_PAUSE_NS);
    watch->refused.bytes = watch->engine->device->bytes;
}

// A seat for frames of this shape and the words in use; the one there is, if it fits and its hall is large
// enough. Within another's turn no hall changes: who overtakes has his seat.
static bool need_seat(struct ww_watch *watch, const struct ww_frame *frame, struct ww_error *err)
{
    struct ww_engine *engine = watch->engine;
    if (!ww_engine_reload(engine, watch->loaded, err))
        return false;
    if (has_seat(watch, frame) && (engine->turn || !ww_hall_widen(engine, watch->seat.hall)))
        return true;
    if (is_refused(watch, frame)) {
        *err = watch->refused.error;
        return false;
    }
    ww_hall_rise(engine, &watch->seat);
    watch->took_ns = 0;
    watch->seat_params = look_params(watch, frame);
    watch->seat_revision = watch->words->revision;
    watch->refused.error.code = 0;
    struct ww_turn turn = {.begin_ns = ww_now_ns(), .expected_ns = INT64_MAX, .began = true};
    engine->turn = &turn;
    const bool ok =
        ww_hall_sit(engine, watch->loaded, &watch->seat_params, watch->words,
                    watch->batch ? watch->batch : ww_hall_default(engine->device), &watch->seat, err);
    engine->turn = NULL;
    if (!ok && err->code == WW_E_MEMORY)
        refuse(watch, ww_now_ns() - turn.begin_ns - turn.overtaken_ns, err);
    return ok;
}

// The seat borrows from words that are about to be freed: it takes the new ones, or ends.
static void reword_seat(struct ww_watch *watch)
{
    const struct ww_family *family = watch->loaded->family;
    watch->took_ns = 0; // more words may take longer
    if (watch->seat.hall && family->reword && family->reword(watch->seat.own, watch->words))
        watch->seat_revision = watch->words->revision;
    else
        ww_hall_rise(watch->engine, &watch->seat);
}

static bool make_ready(struct ww_watch *watch)
{
    if (watch->taken.old_words)
        reword_seat(watch);
    ww_words_free(&watch->taken.old_words);
    return need_seat(watch, &watch->taken.frame, &watch->error);
}

// Looking -----------------------------------------------------------------------------------------

static void set_result(struct ww_watch *watch, int64_t now_ns)
{
    const struct taken *t = &watch->taken;
    watch->result = (struct ww_result){.index = t->frame.index,
                                       .pts_ns = t->frame.pts_ns,
                                       .width = t->frame.width,
                                       .height = t->frame.height,
                                       .revision = watch->words->revision,
                                       .keypoint_set = watch->findings.keypoint_set,
                                       .num_objects = watch->findings.num_objects,
                                       .objects = watch->findings.objects,
                                       .num_understood =
                                           watch->words->understood ? watch->words->num_phrases : 0,
                                       .understood = watch->words->understood,
                                       .num_captions = watch->findings.num_captions,
                                       .wait_ns = t->begin_ns - t->since_ns,
                                       .infer_ns = now_ns - t->begin_ns};
}

// One pass over what the watches of a turn, who sit in one hall, have taken.
static void look(struct ww_engine *engine, struct ww_turn *turn)
{
    struct hall *hall = turn->watches[0]->seat.hall;
    struct ww_look looks[WW_MAX_BATCH];
    struct ww_error err = {0};
    for (int i = 0; i < turn->num; i++) {
        struct ww_watch *w = turn->watches[i];
        looks[i] = (struct ww_look){
            .seat = w->seat.own,
            .frame = &w->taken.frame,
            .threshold = w->taken.threshold > 0 ? w->taken.threshold : w->own_threshold,
            .nms = w->nms,
            .out = &w->findings};
        w->findings.broken = false;
        turn->expected_ns += w->took_ns;
    }
    struct ww_turn *outer = engine->turn;
    turn->begin_ns = ww_now_ns();
    engine->turn = turn;
    hall->busy = true;
    const bool ok = hall->loaded->family->look(hall->own, looks, turn->num, &err);
    hall->busy = false;
    engine->turn = outer;
    const int64_t now = ww_now_ns();
    if (!ok && err.code == WW_E_DEVICE)
        engine->device->lost = true; // whatever it was, nothing on it can be trusted
    for (int i = 0; i < turn->num; i++) {
        struct ww_watch *w = turn->watches[i];
        w->taken.ok = ok && !w->findings.broken;
        w->took_ns = ok ? (now - turn->begin_ns - turn->overtaken_ns) / turn->num : 0;
        if (w->taken.ok)
            set_result(w, now);
        else if (ok)
            ww_fail(&w->error, WW_E_FILE, "what the model makes of this frame is no numbers: its weights are damaged%s",
                    engine->device->halves ? ", or need WATCHWORD_PRECISION=float" : " or too large");
        else
            w->error = err;
    }
}

struct preparation {
    struct ww_watch *watch;
    const struct ww_frame *frame;
    struct ww_error *err;
    bool ok;
};

static void prepare_job(struct ww_engine *engine, void *opaque)
{
    struct preparation *p = opaque;
    struct ww_watch *watch = p->watch;
    struct ww_turn turn = {.watches = {watch}, .num = 1};
    watch->taken = (struct taken){.frame = *p->frame, .since_ns = ww_now_ns(), .begin_ns = ww_now_ns()};
    watch->error = (struct ww_error){0};
    if (make_ready(watch))
        look(engine, &turn);
    p->ok = watch->taken.ok;
    if (!p->ok)
        *p->err = watch->error;
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

// Serving, with the lock -----------------------------------------------------------------------------

static const struct ww_frame *frame_of(const struct ww_watch *watch)
{
    return watch->num_waiting ? &watch->waiting[0].frame : watch->shown;
}

// What waits is being looked at from now on.
static void take(struct ww_watch *watch)
{
    watch->taken = (struct taken){.frame = *frame_of(watch),
                                  .offered = watch->num_waiting > 0,
                                  .threshold = watch->threshold,
                                  .since_ns = since_ns(watch),
                                  .begin_ns = ww_now_ns()};
    if (watch->words_next) {
        watch->taken.old_words = watch->words;
        watch->words = watch->words_next;
        watch->words_next = NULL;
    }
    if (watch->num_waiting) {
        watch->num_waiting--;
        memmove(watch->waiting, watch->waiting + 1, (size_t)watch->num_waiting * sizeof *watch->waiting);
    }
    watch->looking = true;
    watch->overtook = true;
    watch->error = (struct ww_error){0};
}

// Whether a look could begin at once, and only replay.
static bool is_ready(const struct ww_watch *watch)
{
    return waits(watch) && !watch->looking && !watch->words_next &&
           watch->loaded->model && has_seat(watch, frame_of(watch)) && !watch->seat.hall->busy;
}

// Of those that are ready in the hall of the turn's first watch, the one that waits longest and would take no
// more than `most_ns`.
static struct ww_watch *next_companion(const struct ww_engine *engine, const struct ww_turn *turn,
                                       int64_t most_ns)
{
    const bool overtakes = engine->turn != NULL;
    struct ww_watch *longest = NULL;
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        if (w->seat.hall == turn->watches[0]->seat.hall && w->took_ns <= most_ns &&
            !(overtakes && (w->overtook || !w->took_ns)) &&
            (!longest || since_ns(w) < since_ns(longest)) && is_ready(w))
            longest = w;
    return longest;
}

// Serves a watch, together with what waits in the same hall, as long as that fits into `most_ns`. The lock is
// let go while the device works.
static void serve(struct ww_watch *first, int64_t most_ns)
{
    struct ww_engine *engine = first->engine;
    struct ww_turn turn = {.watches = {first}, .num = 1};
    take(first);
    pthread_mutex_unlock(&engine->lock);
    const bool ready = make_ready(first);
    pthread_mutex_lock(&engine->lock);
    struct ww_watch *next;
    most_ns -= first->took_ns;
    while (ready && turn.num < first->seat.hall->room && (next = next_companion(engine, &turn, most_ns))) {
        take(next);
        most_ns -= next->took_ns;
        turn.watches[turn.num++] = next;
    }
    pthread_mutex_unlock(&engine->lock);
    if (ready)
        look(engine, &turn);
    for (int i = 0; i < turn.num; i++) {
        struct ww_watch *w = turn.watches[i];
        if (!w->taken.offered)
            continue;
        ww_watch_release(&w->taken.frame);
        if (w->on_result)
            w->on_result(w->opaque, w->taken.ok ? &w->result : NULL, w->taken.ok ? NULL : &w->error);
    }
    pthread_mutex_lock(&engine->lock);
    for (int i = 0; i < turn.num; i++) {
        struct ww_watch *w = turn.watches[i];
        w->looking = false;
        w->behind = w->behind && w->num_waiting;
        w->stats.processed += w->taken.ok;
        w->stats.failed += !w->taken.ok;
        engine->stats.inferences += w->taken.ok;
        if (!w->taken.offered) {
            w->shown = NULL;
            w->shown_done = true;
        }
    }
    engine->stats.passes += first->taken.ok;
}

void ww_watch_serve(struct ww_watch *watch)
{
    serve(watch, INT64_MAX);
}

// Overtaking --------------------------------------------------------------------------------------

// Of those whose look is so much shorter than the one at hand that they need not wait for that, and which have
// not overtaken it in this pause, the one that waits longest.
static struct ww_watch *next_overtaker(const struct ww_engine *engine, const struct ww_turn *turn)
{
    struct ww_watch *longest = NULL;
    for (struct ww_watch *w = engine->watches; w; w = w->next)
        if (!w->overtook && w->took_ns && w->took_ns <= turn->expected_ns / 4 &&
            (!longest || since_ns(w) < since_ns(longest)) && is_ready(w))
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
    while (!engine->device->lost && ww_now_ns() - begin <= budget && (next = next_overtaker(engine, turn))) {
        serve(next, turn->expected_ns / 4);
        pthread_cond_broadcast(&engine->done);
    }
    pthread_mutex_unlock(&engine->lock);
    turn->paused = false;
    turn->overtaken_ns += ww_now_ns() - begin;
}
