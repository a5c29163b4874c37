// A prompt goes through alone, in stretches; then each step takes a token of every generation that
// waits for one: whoever asks for a step takes the others along.

#include <watchword/language.h>

#include "engine.h"
#include "models/llama.h"
#include "sample.h"

#include <stdlib.h>
#include <string.h>

#define STRETCH 256

struct generation {
    const struct ww_generate_params *params;
    bool taken, waiting; // in use; its last token is to be run
    int position;        // of the next row
    uint32_t token;      // drawn last
    uint64_t state;      // of the random numbers
    struct ww_error error;
};

struct ww_language {
    struct ww_engine *engine;
    struct ww_llama *model;
    struct ww_llama_session *session;
    struct ww_device *device; // it was opened on; another one, if that was lost
    struct generation generations[WW_FEW_ROWS];
    int sequences;
    float *logits, *scratch;
}; // all of it the engine thread's, but for what a caller does between its jobs

// A call on the engine's thread.
struct call {
    struct ww_language *language;
    const struct ww_language_params *params;
    const struct ww_generate_params *generate;
    struct generation *generation;
    struct ww_error *err;
    bool ok;
};

static void open_job(struct ww_engine *engine, void *opaque)
{
    struct call *c = opaque;
    struct ww_language *l = c->language;
    struct ww_device *device = ww_engine_need_device(engine, c->err);
    l->device = device;
    l->model = device ? ww_llama_load(device, c->params->model, c->err) : NULL;
    l->session = l->model ? ww_llama_open(device, l->model,
                                          ww_llama_params(.sequences = l->sequences,
                                                          .context = c->params->context,
                                                          .stretch = STRETCH),
                                          c->err)
                          : NULL;
    c->ok = l->session != NULL;
}

static void close_job(struct ww_engine *engine, void *opaque)
{
    struct ww_language *l = ((struct call *)opaque)->language;
    if (engine->device != l->device)
        return; // it took all of this along
    ww_llama_close(l->device, &l->session);
    ww_llama_unload(l->device, &l->model);
}

struct ww_language *ww_language_open(struct ww_engine *engine, const struct ww_language_params *params,
                                     struct ww_error *err)
{
    struct ww_language *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->engine = engine;
    l->sequences = params->sequences > 0 ? params->sequences : 1;
    struct call call = {.language = l, .params = params, .err = err};
    ww_engine_do(engine, open_job, &call);
    if (!call.ok) {
        ww_language_close(&l);
        return NULL;
    }
    const size_t room = sizeof *l->logits * (size_t)ww_llama_shape(l->model)->vocabulary;
    l->logits = malloc(room);
    l->scratch = malloc(room);
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
    free(l);
    *pointer = NULL;
}

static bool there(const struct ww_engine *engine, const struct ww_language *l, struct ww_error *err)
{
    return engine->device == l->device && !l->device->lost
               ? true
               : ww_fail(err, WW_E_DEVICE, "the device was lost; the language model is to be opened anew");
}

static void draw(struct ww_language *l, struct generation *g, int picked)
{
    ww_llama_logits(l->session, picked, l->logits);
    g->token = ww_sample(g->params, l->logits, l->scratch, ww_llama_shape(l->model)->vocabulary,
                         &g->state);
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
    c->ok = there(engine, l, c->err) && ww_llama_run(l->session, rows, num, c->err);
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
        rows[num] = (struct ww_llama_row){.token = g->token, .sequence = i, .position = g->position,
                                          .picked = true};
        who[num++] = g;
    }
    struct ww_error err = {0};
    const bool ok = there(engine, l, &err) && ww_llama_run(l->session, rows, num, &err);
    for (int i = 0; i < num; i++) {
        who[i]->waiting = false;
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

static bool generate(struct ww_language *l, struct generation *g, struct ww_generated *out,
                     struct ww_error *err)
{
    const struct ww_generate_params *p = g->params;
    struct call call = {.language = l, .generation = g, .err = err, .ok = true};
    int64_t begun = ww_now_ns();
    while (call.ok && g->position < p->num_prompt)
        ww_engine_do(l->engine, prompt_job, &call);
    out->prompt_ns = (uint64_t)(ww_now_ns() - begun);
    begun = ww_now_ns();
    while (call.ok) {
        out->ended = ends(p, g->token);
        if (out->ended)
            break;
        out->tokens++;
        if ((p->each && !p->each(p->opaque, g->token)) || out->tokens == p->max_tokens ||
            g->position == ww_llama_context(l->session))
            break;
        ww_engine_do(l->engine, wait_job, &call);
        ww_engine_do(l->engine, step_job, &call);
        call.ok = !g->error.code || ww_fail(err, g->error.code, "%s", g->error.text);
    }
    out->tokens_ns = (uint64_t)(ww_now_ns() - begun);
    return call.ok;
}

bool ww_language_generate(struct ww_language *l, const struct ww_generate_params *params,
                          struct ww_generated *out, struct ww_error *err)
{
    *out = (struct ww_generated){0};
    if (params->num_prompt < 1 || params->num_prompt > ww_llama_context(l->session))
        return ww_fail(err, WW_E_TEXT, "a prompt of %d tokens: 1 to %d are possible", params->num_prompt,
                       ww_llama_context(l->session));
    struct call call = {.language = l, .generate = params};
    ww_engine_do(l->engine, take_job, &call);
    if (!call.generation)
        return ww_fail(err, WW_E_UNSUPPORTED, "all %d sequences of this model are in use", l->sequences);
    const bool ok = generate(l, call.generation, out, err);
    ww_engine_do(l->engine, release_job, &call);
    return ok;
}
