#include "hall.h"
#include "trace-language.h"
#include "weights/weights.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/trace.h>

struct tracing {
    const struct ww_trace_params *params;
    struct ww_error *err;
    struct ww_weights_writer *writer;
    char prefix[24]; // "2." with several images
    bool ok;
};

static void add(void *opaque, const char *name, int rank, const int64_t *dim, const float *data)
{
    struct tracing *t = opaque;
    char full[128];
    if (t->params->stages && fnmatch(t->params->stages, name, 0))
        return;
    snprintf(full, sizeof full, "%s%s", t->prefix, name);
    ww_weights_write_add(t->writer, full, WW_F32, rank, dim, data);
}

// Turns [n][h][w][c] into [n][c][h][w].
static void turn(struct ww_tensor t, float *data)
{
    const size_t pixels = (size_t)t.h * (size_t)t.w, channels = (size_t)t.c;
    float *one = malloc(sizeof *one * pixels * channels);
    if (!one)
        abort();
    for (int n = 0; n < t.n; n++, data += pixels * channels) {
        for (size_t c = 0; c < channels; c++)
            for (size_t p = 0; p < pixels; p++)
                one[c * pixels + p] = data[p * channels + c];
        memcpy(data, one, sizeof *one * pixels * channels);
    }
    free(one);
}

// [h][w][c], or with a batch [n][h][w][c]; maps as [n][c][h][w], rows as [n][rows][c],
// or [n][rows] of one channel.
static bool add_stages(struct tracing *t, const struct ww_family *family, void *hall,
                       struct ww_plan *plan)
{
    for (int i = 0; i < ww_plan_num_stages(plan); i++) {
        struct ww_tensor s;
        const char *name = ww_plan_stage(plan, i, &s);
        const enum ww_stage_kind kind = ww_plan_stage_kind(plan, i);
        const int64_t pixels[4] = {s.n, s.h, s.w, s.c}, map[4] = {s.n, s.c, s.h, s.w};
        float *data = malloc(sizeof *data * (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c);
        if (!data)
            abort();
        const bool ok = ww_plan_read_stage(plan, i, data, t->err);
        const int count = family->rows && kind == WW_STAGE_ROWS ? family->rows(hall, name) : 0;
        if (ok && count && count < s.w) { // the rest of each is nobody's
            const size_t row = sizeof *data * (size_t)s.c;
            for (int n = 0; n < s.n; n++)
                memmove((char *)data + (size_t)(n * count) * row, (char *)data + (size_t)(n * s.w) * row,
                        (size_t)count * row);
            s.w = count;
        }
        const int64_t rows[3] = {s.n, (int64_t)s.h * s.w, s.c};
        if (ok && kind == WW_STAGE_MAP)
            turn(s, data);
        if (ok && kind == WW_STAGE_ROWS)
            add(t, name, s.c == 1 ? 2 : 3, rows, data);
        else if (ok && kind == WW_STAGE_MAP)
            add(t, name, 4, map, data);
        else if (ok)
            add(t, name, s.n == 1 ? 3 : 4, s.n == 1 ? pixels + 1 : pixels, data);
        free(data);
        if (!ok)
            return false;
    }
    return true;
}

static struct ww_look_params look_of(const struct ww_trace_params *p, const struct ww_frame *frame)
{
    struct ww_look_params params = ww_look_for(p->task, frame);
    params.input_size = p->input_size;
    params.input_width = p->input_width;
    params.input_height = p->input_height;
    params.shortest_edge = p->shortest_edge;
    params.longest_edge = p->longest_edge;
    params.keep_stages = true;
    return params;
}

// One picture, or all of them as a batch.
static bool trace_images(struct ww_engine *engine, struct tracing *t, struct loaded *loaded,
                         struct ww_words *const *words, const struct ww_frame *frames, int num)
{
    const struct ww_family *family = loaded->family;
    struct ww_findings *findings = calloc((size_t)num, sizeof *findings);
    struct ww_look_params *params = calloc((size_t)num, sizeof *params);
    struct ww_look *looks = calloc((size_t)num, sizeof *looks);
    const struct ww_words **all = calloc((size_t)num, sizeof *all);
    void **seats = calloc((size_t)num, sizeof *seats);
    if (!findings || !params || !looks || !all || !seats)
        abort();
    bool ok = true;
    for (int i = 0; ok && i < num; i++) {
        params[i] = look_of(t->params, &frames[i]);
        all[i] = words[t->params->num_texts > 1 ? i : 0];
        ok = ww_frame_check(&frames[i], t->err);
    }
    void *hall = ok ? ww_hall_open(engine, loaded, params, all, num, seats, t->err) : NULL;
    // Unless told otherwise, everything down to a score that is noise: who compares decides what counts.
    const float threshold = t->params->threshold > 0 ? t->params->threshold : 0.05f;
    for (int i = 0; i < num; i++)
        looks[i] = (struct ww_look){
            .seat = seats[i], .frame = &frames[i], .threshold = threshold, .out = &findings[i]};
    ok = hall && family->look(hall, looks, num, t->err);
    for (int i = 0; ok && family->plan(hall, i); i++)
        ok = add_stages(t, family, hall, family->plan(hall, i));
    if (ok)
        family->trace(hall, add, t);
    if (hall)
        ww_hall_close(engine, loaded, hall, seats, num);
    free(findings);
    free(params);
    free(looks);
    free(all);
    free(seats);
    return ok;
}

// Of each text, or of nothing, where none is given.
static bool understand(struct tracing *t, const struct loaded *loaded, struct ww_words **words)
{
    const struct ww_trace_params *p = t->params;
    for (int i = 0; i < (p->num_texts ? p->num_texts : 1); i++) {
        words[i] = calloc(1, sizeof **words);
        if (!words[i])
            abort();
        words[i]->as_given = true;
        if (!loaded->family->understand(loaded->model, p->task, p->texts ? p->texts + i : NULL,
                                        p->texts ? 1 : 0, words[i], t->err))
            return false;
    }
    return true;
}

static void trace_job(struct ww_engine *engine, void *opaque)
{
    struct tracing *t = opaque;
    const struct ww_trace_params *p = t->params;
    struct loaded *loaded = ww_engine_load(engine, p->model, t->err);
    if (!loaded)
        return;
    struct ww_words **words = calloc((size_t)p->num_texts + 1, sizeof *words);
    if (!words)
        abort();
    t->writer = ww_weights_write_begin();
    t->ok = ww_engine_reload(engine, loaded, t->err) && understand(t, loaded, words);
    const int each = loaded->family->most > 1 ? p->num_images : 1;
    for (int i = 0; t->ok && i < p->num_images; i += each) {
        if (p->num_images > each)
            snprintf(t->prefix, sizeof t->prefix, "%d.", i);
        t->ok = trace_images(engine, t, loaded, words + (p->num_texts > 1 ? i : 0), &p->images[i], each);
    }
    t->ok = ww_weights_write_end(&t->writer, t->ok ? p->out : "", t->err) && t->ok;
    for (int i = 0; i <= p->num_texts; i++)
        ww_words_free(&words[i]);
    free(words);
    ww_engine_unload(engine, loaded);
}

bool ww_trace(struct ww_engine *engine, const struct ww_trace_params *params, struct ww_error *err)
{
    if (params->num_ids > 0)
        return ww_trace_language(engine, params, err);
    if (params->num_images < 1)
        return ww_fail(err, WW_E_CONFIG, "a trace needs an image");
    if (params->num_texts > 1 && params->num_texts != params->num_images)
        return ww_fail(err, WW_E_CONFIG, "%d texts for %d pictures: one is wanted for each, or one for all",
                       params->num_texts, params->num_images);
    struct tracing t = {.params = params, .err = err};
    ww_engine_do(engine, trace_job, &t);
    return t.ok;
}
