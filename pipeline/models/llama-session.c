// Sequences of tokens on their way through a LLaMA: their cache, and the two plans that move them on.

#include "llama-inner.h"

#include "base/room.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CONTEXT   4096 // unless more is asked for
#define STRETCH        256
#define MOST_POSITIONS 131072 // of a sequence that slides: 64 MiB of turns where a head is 128 wide

struct pass {
    struct ww_plan *plan;
    struct ww_tensor rows, picks, given;
    struct llama_outputs out;
    int width; // rows it was recorded for
};

struct ww_llama_session {
    const struct ww_llama *model;
    int sequences, context, slots;
    int positions, sinks; // of a sequence; slots of it that are kept when the context is full
    bool half;            // of the cache
    bool stages;          // kept by stretches; of one sequence, a single row goes through as one, too
    struct ww_storage **cache, *turns;
    struct pass few, many, *last; // one token each, a stretch; the one that ran
};

// Angles in double: position times theta^(-2 j / head) loses its digits early in float.
static bool write_turns(struct ww_device *device, struct ww_llama_session *s, struct ww_error *err)
{
    const struct ww_llama_shape *shape = &s->model->shape;
    const size_t texels = (size_t)s->positions * (size_t)(shape->head / 4);
    float *data = ww_room_for(texels, 16, err);
    if (!data)
        return false;
    const double gain = ww_rope_gain(&shape->rope);
    for (int j = 0; j < shape->head / 2; j++) {
        const double angle = ww_rope_angle(&shape->rope, shape->head, j);
        for (int p = 0; p < s->positions; p++) {
            float *to = data + (size_t)p * (size_t)shape->head + 2 * j;
            to[0] = (float)(gain * cos(p * angle));
            to[1] = (float)(gain * sin(p * angle));
        }
    }
    s->turns = ww_storage_create(device, texels * 16, WW_PLACE_DEVICE, err);
    const bool ok = s->turns && ww_storage_write(device, s->turns, 0, data, texels * 16, err);
    free(data);
    return ok;
}

static bool create_cache(struct ww_device *device, struct ww_llama_session *s, struct ww_error *err)
{
    const struct ww_llama_shape *shape = &s->model->shape;
    const size_t bytes = (size_t)(2 * ww_tiled(shape->kv_heads * shape->head)) * (s->half ? 2 : 4) *
                         (size_t)s->slots;
    s->cache = ww_room_for((size_t)shape->layers, sizeof *s->cache, err);
    void *zero = s->cache ? ww_room_for(1, bytes, err) : NULL;
    bool ok = zero != NULL;
    for (int l = 0; ok && l < shape->layers; l++) {
        s->cache[l] = ww_storage_create(device, bytes, WW_PLACE_DEVICE, err);
        ok = s->cache[l] && ww_storage_write(device, s->cache[l], 0, zero, bytes, err);
    }
    free(zero);
    return ok || ww_within(err, "keys and values of %d x %d positions", s->sequences, s->context);
}

static bool record(struct ww_device *device, struct ww_llama_session *s, struct pass *pass, int width,
                   const struct ww_llama_params *params, bool stages, struct ww_error *err)
{
    const struct ww_llama_shape *shape = &s->model->shape;
    struct ww_cmd *g = ww_cmd_create(device);
    ww_keep_stages(g, stages);
    pass->width = width;
    pass->rows = ww_upload_tensor(g, 1, 4, 1, width);
    pass->picks = ww_upload_tensor(g, 1, 4, 1, s->sequences);
    if (params->given)
        pass->given = ww_upload_tensor(g, 1, ww_tiled(shape->hidden), 1, width);
    pass->out = ww_llama_forward(
        g, s->model,
        &(struct llama_inputs){.rows = pass->rows, .picks = pass->picks, .given = pass->given,
                               .turns = ww_stored_tensor(g, s->turns, 0, 1, 4, 1,
                                                         s->positions * (shape->head / 4)),
                               .cache = s->cache, .slots = s->slots, .ring = s->context,
                               .half = s->half});
    pass->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    if (pass->plan && params->given)
        memset(ww_plan_host(pass->plan, pass->given), 0, (size_t)pass->given.step * 16);
    return pass->plan != NULL;
}

struct ww_llama_session *ww_llama_open(struct ww_device *device, const struct ww_llama *model,
                                       const struct ww_llama_params *params, struct ww_error *err)
{
    const int trained = model->shape.context, stretch = params->stretch ? params->stretch : STRETCH;
    const int context = params->context ? params->context
                        : trained < MOST_CONTEXT ? trained : MOST_CONTEXT;
    const int sequences = params->sequences ? params->sequences : 1;
    if (context < 1 || context > trained || sequences < 1 || sequences > WW_FEW_ROWS || stretch < 1) {
        ww_fail(err, WW_E_CONFIG, "%d sequences of %d positions: 1 to %d of at most %d are possible",
                sequences, context, WW_FEW_ROWS, trained);
        return NULL;
    }
    if (params->half_cache && model->shape.head % 8) {
        ww_fail(err, WW_E_UNSUPPORTED, "keys and values in half precision: a head of %d is no multiple of 8 wide",
                model->shape.head);
        return NULL;
    }
    const int most = trained < MOST_POSITIONS ? trained : MOST_POSITIONS;
    const int furthest = most > context ? most : context;
    struct ww_llama_session *s = ww_room(1, sizeof *s);
    // One slot more, for what rows that are there only to fill up write.
    *s = (struct ww_llama_session){.model = model, .sequences = sequences, .context = context,
                                   .slots = sequences * context + 1,
                                   .positions = params->slides ? furthest : context,
                                   .sinks = context > 2 * WW_SINKS ? WW_SINKS : 0,
                                   .half = params->half_cache, .stages = params->keep_stages};
    const int width = (int)ww_div_up(stretch > WW_FEW_ROWS ? stretch : WW_STRIP, WW_STRIP) * WW_STRIP;
    if (write_turns(device, s, err) && create_cache(device, s, err) &&
        record(device, s, &s->few, sequences, params, false, err) &&
        record(device, s, &s->many, width, params, params->keep_stages, err))
        return s;
    ww_llama_close(device, &s);
    return NULL;
}

void ww_llama_close(struct ww_device *device, struct ww_llama_session **pointer)
{
    struct ww_llama_session *s = *pointer;
    if (!s)
        return;
    ww_plan_destroy(&s->few.plan);
    ww_plan_destroy(&s->many.plan);
    for (int l = 0; s->cache && l < s->model->shape.layers; l++)
        ww_storage_destroy(device, &s->cache[l]);
    ww_storage_destroy(device, &s->turns);
    free(s->cache);
    free(s);
    *pointer = NULL;
}

// Where keys and values of a position lie among the sequence's.
static int slot_of(const struct ww_llama_session *s, int position)
{
    const int going = s->context - s->sinks; // round and round
    return position < s->context ? position : s->sinks + (position - s->sinks) % going;
}

// Whether a row would be written over by another of its sequence before it was read.
static bool alone(const struct ww_llama_row *rows, int num, int i)
{
    for (int k = 0; k < num; k++)
        if (k != i && rows[k].sequence == rows[i].sequence)
            return false;
    return true;
}

static bool check(const struct ww_llama_session *s, const struct ww_llama_row *rows, int num,
                  struct ww_error *err)
{
    int picked = 0;
    for (int i = 0; i < num; i++) {
        const struct ww_llama_row *r = &rows[i];
        picked += r->picked;
        if (r->position < 0 || r->position >= s->positions)
            return ww_fail(err, WW_E_TEXT, "position %d is past the context of %d tokens", r->position,
                           s->positions);
        if (r->position >= s->context && !alone(rows, num, i))
            return ww_fail(err, WW_E_TEXT, "position %d is past the context of %d tokens, where rows of a "
                           "sequence go one by one", r->position, s->context);
        if (!r->given && r->token >= (uint32_t)s->model->shape.vocabulary)
            return ww_fail(err, WW_E_TEXT, "token %u: the vocabulary has %d", r->token,
                           s->model->shape.vocabulary);
        if (r->sequence < 0 || r->sequence >= s->sequences ||
            (num > s->sequences && r->sequence != rows[0].sequence))
            return ww_fail(err, WW_E_UNSUPPORTED, "a run is a stretch of one of %d sequences, or a "
                           "token each of several", s->sequences);
    }
    return num > 0 && num <= s->many.width && picked <= s->sequences
               ? true
               : ww_fail(err, WW_E_UNSUPPORTED, "%d rows, %d picked, in one run: %d and %d are possible",
                         num, picked, s->many.width, s->sequences);
}

static void fill(const struct ww_llama_session *s, struct pass *pass, const struct ww_llama_row *rows,
                 int num)
{
    uint32_t *to = ww_plan_host(pass->plan, pass->rows), *pick = ww_plan_host(pass->plan, pass->picks);
    const int filled = pass == &s->few ? pass->width : (int)ww_div_up(num, WW_STRIP) * WW_STRIP;
    const uint32_t spare = (uint32_t)s->slots - 1;
    int picked = 0;
    for (int i = 0; i < filled; i++) {
        const struct ww_llama_row *r = &rows[i];
        const uint32_t first = i < num ? (uint32_t)(r->sequence * s->context) : spare;
        const uint32_t position = i < num ? (uint32_t)r->position : 0;
        memcpy(to + 4 * i,
               (uint32_t[]){i >= num   ? 0
                            : r->given ? WW_GIVEN
                                       : r->token,
                            position, first + (uint32_t)slot_of(s, (int)position), first},
               16);
        if (i < num && r->picked)
            pick[4 * picked++] = (uint32_t)i;
        if (i < num && r->given && ww_some(pass->given)) {
            float *given = ww_plan_host(pass->plan, pass->given);
            for (int c = 0; c < s->model->shape.hidden; c++)
                given[ww_at(pass->given, 0, c, 0, i)] = r->given[c];
        }
    }
}

bool ww_llama_run(struct ww_llama_session *s, const struct ww_llama_row *rows, int num,
                  struct ww_error *err)
{
    if (!check(s, rows, num, err))
        return false;
    const bool few = num <= s->few.width && !(s->stages && s->sequences == 1);
    struct pass *pass = s->last = few ? &s->few : &s->many;
    fill(s, pass, rows, num);
    return ww_plan_run(pass->plan, pass == &s->few ? 1 : (int)ww_div_up(num, WW_STRIP), err);
}

static void read_picked(struct ww_llama_session *s, struct ww_tensor t, int i, int count, float *out)
{
    const float *from = ww_plan_host(s->last->plan, t);
    if (t.w == 1)
        memcpy(out, from, sizeof *out * (size_t)count);
    else
        for (int c = 0; c < count; c++)
            out[c] = from[ww_at(t, 0, c, 0, i)];
}

void ww_llama_logits(struct ww_llama_session *s, int i, float *out)
{
    read_picked(s, s->last->out.logits, i, s->model->shape.vocabulary, out);
}

void ww_llama_hidden(struct ww_llama_session *s, int i, float *out)
{
    read_picked(s, s->last->out.hidden, i, s->model->shape.hidden, out);
}

struct ww_plan *ww_llama_plan(struct ww_llama_session *s)
{
    return s->many.plan;
}

int ww_llama_context(const struct ww_llama_session *s)
{
    return s->context;
}

int ww_llama_positions(const struct ww_llama_session *s)
{
    return s->positions;
}
