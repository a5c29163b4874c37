// A prompt goes through alone, in stretches; then each step takes a token of every generation that
// waits for one: whoever asks for a step takes the others along.

#include <watchword/language.h>

#include "engine.h"
#include "models/llama.h"
#include "sample.h"
#include "text/inner.h"
#include "text/stops.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRETCH   256
#define MOST_TEXT (3 * WW_MAX_TOKEN_BYTES + 16 + WW_STOP_BYTES) // that comes at once

struct generation {
    const struct ww_generate_params *params;
    bool taken, waiting; // in use; its last token is to be run
    int position;        // of the next row
    int loss;            // what `losses` was when it began
    uint32_t token;      // drawn last
    uint64_t state;      // of the random numbers
    struct ww_error error;
};

struct ww_language {
    struct ww_engine *engine;
    struct ww_language *next; // of the engine's
    char *path;
    int sequences, wanted_context;
    bool slides, half_cache;
    struct ww_llama *model; // NULL while the device is lost
    struct ww_llama_session *session;
    int losses; // of the device
    struct generation generations[WW_FEW_ROWS];
    int context, positions, vocabulary; // since it was first loaded
    float *logits, *scratch;
}; // all of it the engine thread's, but for what a caller does between its jobs, and what never changes

// A call on the engine's thread.
struct call {
    struct ww_language *language;
    const struct ww_generate_params *generate;
    struct generation *generation;
    struct ww_error *err;
    bool ok;
};

static void lose(struct ww_engine *engine, struct ww_language *l)
{
    ww_llama_close(engine->device, &l->session);
    ww_llama_unload(engine->device, &l->model);
}

void ww_language_lose_all(struct ww_engine *engine)
{
    for (struct ww_language *l = engine->languages; l; l = l->next) {
        lose(engine, l);
        l->losses++;
    }
}

// Loads what is not there: at first, and when the device was lost.
static bool load(struct ww_engine *engine, struct ww_language *l, struct ww_error *err)
{
    struct ww_device *device = ww_engine_need_device(engine, err);
    if (!device || l->session)
        return device != NULL;
    char text[160];
    snprintf(text, sizeof text, "loading %.140s", l->path);
    ww_engine_say(engine, text);
    l->model = ww_llama_load(device, l->path, err);
    l->session = l->model ? ww_llama_open(device, l->model,
                                          ww_llama_params(.sequences = l->sequences,
                                                          .context = l->wanted_context,
                                                          .slides = l->slides,
                                                          .half_cache = l->half_cache,
                                                          .stretch = STRETCH),
                                          err)
                          : NULL;
    ww_engine_say(engine, "ready");
    const int context = l->session ? ww_llama_context(l->session) : 0;
    const int vocabulary = l->model ? ww_llama_shape(l->model)->vocabulary : 0;
    const bool first = !l->context, same = context == l->context && vocabulary == l->vocabulary;
    if (l->session && (first || same)) {
        l->context = context;
        l->positions = ww_llama_positions(l->session);
        l->vocabulary = vocabulary;
        return true;
    }
    if (l->session)
        ww_fail(err, WW_E_FILE, "%s: it is another model than the one that was opened", l->path);
    lose(engine, l);
    return false;
}

static void open_job(struct ww_engine *engine, void *opaque)
{
    struct call *c = opaque;
    c->language->next = engine->languages;
    engine->languages = c->language;
    c->ok = load(engine, c->language, c->err);
}

static void close_job(struct ww_engine *engine, void *opaque)
{
    struct ww_language *l = ((struct call *)opaque)->language;
    struct ww_language **at = &engine->languages;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    lose(engine, l);
}

struct ww_language *ww_language_open(struct ww_engine *engine, const struct ww_language_params *params,
                                     struct ww_error *err)
{
    struct ww_language *l = calloc(1, sizeof *l);
    char *path = strdup(params->model);
    if (!l || !path)
        abort();
    *l = (struct ww_language){.engine = engine, .path = path, .wanted_context = params->context,
                              .slides = params->slides, .half_cache = params->half_cache,
                              .sequences = params->sequences > 0 ? params->sequences : 1};
    struct call call = {.language = l, .err = err};
    ww_engine_do(engine, open_job, &call);
    if (!call.ok) {
        ww_language_close(&l);
        return NULL;
    }
    l->logits = calloc((size_t)l->vocabulary, sizeof *l->logits);
    l->scratch = calloc((size_t)l->vocabulary, sizeof *l->scratch);
    if (!l->logits || !l->scratch)
        abort();
    return l;
}

void ww_language_close(struct ww_language **pointer)
{
    struct ww_language *l = *pointer;
    if (!l)
        return;
    ww_engine_do(l->engine, close_job, &(struct call){.language = l});
    free(l->logits);
    free(l->scratch);
    free(l->path);
    free(l);
    *pointer = NULL;
}

// The device, and on it what this generation has read so far: at its beginning that is nothing, and a
// model that is gone is loaded again.
static bool ready(struct ww_engine *engine, struct ww_language *l, struct generation *g,
                  struct ww_error *err)
{
    if (g->position == 0) {
        const bool ok = load(engine, l, err);
        g->loss = l->losses;
        return ok;
    }
    return l->session && g->loss == l->losses && !engine->device->lost
               ? true
               : ww_fail(err, WW_E_DEVICE, "the device was lost, and with it what this text was to go on from");
}

static bool run(struct ww_engine *engine, struct ww_language *l, const struct ww_llama_row *rows, int num,
                struct ww_error *err)
{
    struct ww_error why = {0};
    if (ww_llama_run(l->session, rows, num, &why))
        return true;
    if (why.code == WW_E_DEVICE)
        engine->device->lost = true; // whatever it was, nothing on it can be trusted
    return ww_fail(err, why.code, "%s", why.text);
}

static void draw(struct ww_language *l, struct generation *g, int picked)
{
    ww_llama_logits(l->session, picked, l->logits);
    g->token = ww_sample(g->params, l->logits, l->scratch, l->vocabulary, &g->state);
}

// One stretch of a prompt; draws after the last.
static void prompt_job(struct ww_engine *engine, void *opaque)
{
    struct call *c = opaque;
    struct ww_language *l = c->language;
    struct generation *g = c->generation;
    struct ww_llama_row rows[STRETCH] = {0};
    const int left = g->params->num_prompt - g->position, num = left < STRETCH ? left : STRETCH;
    for (int i = 0; i < num; i++)
        rows[i] = (struct ww_llama_row){.token = g->params->prompt[g->position + i],
                                        .sequence = (int)(g - l->generations),
                                        .position = g->position + i,
                                        .picked = i == left - 1};
    c->ok = ready(engine, l, g, c->err) && run(engine, l, rows, num, c->err);
    g->position += num;
    if (c->ok && num == left)
        draw(l, g, 0);
}

// One token of everybody who waits, unless an earlier call took this one along.
static void step_job(struct ww_engine *engine, void *opaque)
{
    struct call *c = opaque;
    struct ww_language *l = c->language;
    struct ww_llama_row rows[WW_FEW_ROWS] = {0};
    struct generation *who[WW_FEW_ROWS];
    int num = 0;
    if (!c->generation->waiting)
        return;
    for (int i = 0; i < l->sequences; i++) {
        struct generation *g = &l->generations[i];
        if (!g->waiting)
            continue;
        g->waiting = false;
        if (!ready(engine, l, g, &g->error))
            continue;
        rows[num] = (struct ww_llama_row){.token = g->token, .sequence = i, .position = g->position,
                                          .picked = true};
        who[num++] = g;
    }
    struct ww_error err = {0};
    const bool ok = num > 0 && run(engine, l, rows, num, &err);
    for (int i = 0; i < num; i++) {
        who[i]->error = err;
        who[i]->position++;
        if (ok)
            draw(l, who[i], i);
    }
}

// Says that a generation waits for its next token: on the engine's thread, where nobody else looks.
static void wait_job(struct ww_engine *engine, void *opaque)
{
    (void)engine;
    ((struct call *)opaque)->generation->waiting = true;
}

static void take_job(struct ww_engine *engine, void *opaque)
{
    struct call *c = opaque;
    struct ww_language *l = c->language;
    (void)engine;
    for (int i = 0; i < l->sequences && !c->generation; i++)
        if (!l->generations[i].taken)
            c->generation = &l->generations[i];
    if (c->generation)
        *c->generation = (struct generation){.params = c->generate, .taken = true,
                                             .state = c->generate->seed};
}

static void release_job(struct ww_engine *engine, void *opaque)
{
    (void)engine;
    ((struct call *)opaque)->generation->taken = false;
}

static bool ends(const struct ww_generate_params *p, uint32_t token)
{
    for (int i = 0; i < p->num_ends; i++)
        if (p->ends[i] == token)
            return true;
    return false;
}

static bool stopped(const struct ww_generate_params *p)
{
    return p->until && *p->until;
}

// Hands a token out, and with WW_NO_TOKEN what text is left; false: the caller has enough.
static bool hand_out(const struct ww_generate_params *p, struct ww_stops *stops, uint32_t token)
{
    char text[MOST_TEXT];
    const size_t bytes = !p->tokenizer         ? 0
                         : token == WW_NO_TOKEN ? ww_stops_end(stops, text, sizeof text)
                                                : ww_stops_put(stops, token, text, sizeof text);
    if (!p->each || (token == WW_NO_TOKEN && !bytes))
        return true;
    return p->each(p->opaque, token, text, bytes);
}

// Hands out the token that was drawn last, unless it ends the generation. Whether it goes on; if not,
// `out->end` says why.
static bool goes_on(const struct ww_language *l, struct generation *g, struct ww_stops *stops,
                    struct ww_generated *out)
{
    const struct ww_generate_params *p = g->params;
    bool on = false;
    if (ends(p, g->token)) {
        out->end = WW_END_TOKEN;
        return false;
    }
    out->tokens++;
    const bool wanted = hand_out(p, stops, g->token);
    if (stops->met >= 0)
        out->end = WW_END_TEXT;
    else if (!wanted || stopped(p))
        out->end = WW_END_CALLER;
    else if (out->tokens == p->max_tokens)
        out->end = WW_END_LIMIT;
    else if (g->position == l->positions)
        out->end = WW_END_CONTEXT;
    else
        on = true;
    return on;
}

static bool generate(struct ww_language *l, struct generation *g, struct ww_stops *stops,
                     struct ww_generated *out, struct ww_error *err)
{
    const struct ww_generate_params *p = g->params;
    struct call call = {.language = l, .generation = g, .err = err, .ok = true};
    int64_t begun = ww_now_ns();
    while (call.ok && !stopped(p) && g->position < p->num_prompt)
        ww_engine_do(l->engine, prompt_job, &call);
    out->prompt_ns = (uint64_t)(ww_now_ns() - begun);
    out->end = WW_END_CALLER;
    begun = ww_now_ns();
    while (call.ok && !stopped(p) && goes_on(l, g, stops, out)) {
        ww_engine_do(l->engine, wait_job, &call);
        ww_engine_do(l->engine, step_job, &call);
        call.ok = !g->error.code || ww_fail(err, g->error.code, "%s", g->error.text);
    }
    out->tokens_ns = (uint64_t)(ww_now_ns() - begun);
    if (out->end != WW_END_CALLER || stopped(p)) // but for a caller who has said that it is enough
        hand_out(p, stops, WW_NO_TOKEN);
    out->stop = stops->met;
    return call.ok;
}

bool ww_language_generate(struct ww_language *l, const struct ww_generate_params *params,
                          struct ww_generated *out, struct ww_error *err)
{
    struct ww_stops stops;
    *out = (struct ww_generated){0};
    if (params->num_prompt < 1 || params->num_prompt > l->context)
        return ww_fail(err, WW_E_TEXT, "a prompt of %d tokens: 1 to %d are possible", params->num_prompt,
                       l->context);
    assert(params->tokenizer || !params->num_stops);
    if (!ww_stops_init(&stops, params->tokenizer, params->goes_on, params->stops, params->num_stops, err))
        return false;
    struct call call = {.language = l, .generate = params};
    ww_engine_do(l->engine, take_job, &call);
    if (!call.generation)
        return ww_fail(err, WW_E_UNSUPPORTED, "all %d sequences of this model are in use", l->sequences);
    const bool ok = generate(l, call.generation, &stops, out, err);
    ww_engine_do(l->engine, release_job, &call);
    return ok;
}

int ww_language_context(const struct ww_language *l)
{
    return l->context;
}
