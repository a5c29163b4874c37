// What a trace tells beside the stages that lie on the device.

#include "deformable-detr-session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*each_fn)(void *opaque, const char *name, int rank, const int64_t *dim,
                        const float *data);

struct teller {
    struct ww_detr_session *s;
    each_fn each;
    void *opaque;
};

static float *room(size_t count)
{
    float *data = calloc(count ? count : 1, sizeof *data);
    if (!data)
        abort();
    return data;
}

static void tell(const struct teller *t, const char *name, int rank, const int64_t *dim, float *data)
{
    t->each(t->opaque, name, rank, dim, data);
    free(data);
}

static void tell_sizes(const struct teller *t)
{
    const struct ww_detr_session *s = t->s;
    const struct ww_pyramid *p = &s->pass.pyramid;
    float *sizes = room((size_t)s->num * 2), *shapes = room((size_t)p->num_levels * 2);
    float *ratios = room((size_t)(s->num * p->num_levels) * 2);
    for (int b = 0; b < s->num; b++) {
        const struct ww_level *levels = ww_detr_levels(s->plan, &s->pass, b);
        sizes[2 * b] = (float)s->pictures[b].h;
        sizes[2 * b + 1] = (float)s->pictures[b].w;
        for (int l = 0; l < p->num_levels; l++) {
            ratios[2 * (b * p->num_levels + l)] = levels[l].share_w;
            ratios[2 * (b * p->num_levels + l) + 1] = levels[l].share_h;
        }
    }
    for (int l = 0; l < p->num_levels; l++) {
        shapes[2 * l] = (float)p->h[l];
        shapes[2 * l + 1] = (float)p->w[l];
    }
    tell(t, "pre.valid_size", 2, (const int64_t[]){s->num, 2}, sizes);
    tell(t, "enc.spatial_shapes", 2, (const int64_t[]){p->num_levels, 2}, shapes);
    tell(t, "enc.valid_ratios", 3, (const int64_t[]){s->num, p->num_levels, 2}, ratios);
}

// Masks, and positions without what is added for each level.
static void tell_levels(const struct teller *t)
{
    const struct ww_detr_session *s = t->s;
    const struct ww_pyramid *p = &s->pass.pyramid;
    const int width = ww_detr_shape(s->model->detr)->encoder.width;
    const struct ww_tensor lie = {.n = 1, .c = width, .h = 1, .w = p->tokens};
    float *all = room((size_t)width * (size_t)p->tokens);
    for (int l = 0; l < p->num_levels; l++) {
        const int cells = p->h[l] * p->w[l];
        float *mask = room((size_t)(s->num * cells));
        float *position = room((size_t)(s->num * cells) * (size_t)width), *to = position;
        for (int b = 0; b < s->num; b++) {
            const struct ww_level *levels = ww_detr_levels(s->plan, &s->pass, b);
            for (int i = 0; i < cells; i++)
                mask[b * cells + i] = (float)(i / p->w[l]) < levels[l].valid_h &&
                                      (float)(i % p->w[l]) < levels[l].valid_w;
            ww_pyramid_positions(p, levels,
                                 &(struct ww_position_params){
                                     .width = width, .temperature = 10000, .offset = -0.5f},
                                 all);
            for (int c = 0; c < width; c++)
                for (int i = 0; i < cells; i++)
                    *to++ = all[ww_at(lie, 0, c, 0, p->first[l] + i)];
        }
        char name[32];
        snprintf(name, sizeof name, "level%d.mask", l);
        tell(t, name, 3, (const int64_t[]){s->num, p->h[l], p->w[l]}, mask);
        snprintf(name, sizeof name, "level%d.position", l);
        tell(t, name, 4, (const int64_t[]){s->num, width, p->h[l], p->w[l]}, position);
    }
    free(all);
}

// Where tokens look from, in each level.
static void tell_references(const struct teller *t)
{
    const struct ww_detr_session *s = t->s;
    const struct ww_pyramid *p = &s->pass.pyramid;
    const float *from = ww_plan_host(s->plan, s->pass.references);
    float *data = room((size_t)s->num * (size_t)p->tokens * (size_t)p->num_levels * 2), *to = data;
    for (int b = 0; b < s->num; b++) {
        const struct ww_level *levels = ww_detr_levels(s->plan, &s->pass, b);
        for (int i = 0; i < p->tokens; i++, from += 4)
            for (int l = 0; l < p->num_levels; l++) {
                *to++ = from[0] * levels[l].share_w;
                *to++ = from[1] * levels[l].share_h;
            }
    }
    tell(t, "enc.reference", 4, (const int64_t[]){s->num, p->tokens, p->num_levels, 2}, data);
}

// A stage of that name as it lies, [n][rows][c]; NULL: there is none.
static float *read_stage(const struct teller *t, const char *layer, const char *part,
                         struct ww_tensor *lie)
{
    char name[64];
    snprintf(name, sizeof name, "%s.msda.%s", layer, part);
    for (int i = 0; i < ww_plan_num_stages(t->s->plan); i++) {
        struct ww_error err;
        if (strcmp(ww_plan_stage(t->s->plan, i, lie), name))
            continue;
        float *data = room((size_t)lie->n * (size_t)lie->w * (size_t)lie->c);
        if (ww_plan_read_stage(t->s->plan, i, data, &err))
            return data;
        free(data);
    }
    return NULL;
}

// What one deformable attention looked at, head by head, where, and with what weights.
static void tell_looking(const struct teller *t, const char *layer,
                         const struct ww_deformable_shape *shape)
{
    char name[64];
    struct ww_tensor lie;
    float *values = read_stage(t, layer, "values", &lie);
    if (values) {
        const int64_t dim[4] = {lie.n, lie.w, shape->heads, lie.c / shape->heads};
        snprintf(name, sizeof name, "%s.msda.value", layer);
        tell(t, name, 4, dim, values);
    }
    float *places = read_stage(t, layer, "places", &lie); // x, y, weight, - of each point
    if (!places)
        return;
    const size_t points = (size_t)lie.n * (size_t)lie.w * (size_t)lie.c / 4;
    float *at = room(2 * points), *weight = room(points);
    for (size_t i = 0; i < points; i++) {
        at[2 * i] = places[4 * i];
        at[2 * i + 1] = places[4 * i + 1];
        weight[i] = places[4 * i + 2];
    }
    free(places);
    const int64_t dim[6] = {lie.n, lie.w, shape->heads, shape->levels, shape->points, 2};
    snprintf(name, sizeof name, "%s.msda.locations", layer);
    tell(t, name, 6, dim, at);
    snprintf(name, sizeof name, "%s.msda.weights", layer);
    tell(t, name, 5, dim, weight);
}

static void tell_found(const struct teller *t, int b)
{
    const struct ww_detr_picture *p = &t->s->pictures[b];
    const int64_t dim[2] = {p->num_final, 4};
    const size_t num = (size_t)p->num_final;
    float *scores = room(num), *labels = room(num), *queries = room(num), *boxes = room(4 * num);
    for (int i = 0; i < p->num_final; i++) {
        scores[i] = p->final[i].score;
        labels[i] = (float)p->final[i].class;
        queries[i] = (float)p->final[i].query;
        ww_detr_box(t->s, b, p->final[i].query, boxes + 4 * i);
    }
    char name[32];
    snprintf(name, sizeof name, "post%d.scores", b);
    tell(t, name, 1, dim, scores);
    snprintf(name, sizeof name, "post%d.labels", b);
    tell(t, name, 1, dim, labels);
    snprintf(name, sizeof name, "post%d.queries", b);
    tell(t, name, 1, dim, queries);
    snprintf(name, sizeof name, "post%d.boxes", b);
    tell(t, name, 2, dim, boxes);
}

void ww_detr_trace(void *session, each_fn each, void *opaque)
{
    const struct teller t = {session, each, opaque};
    const struct ww_detr_shape *shape = ww_detr_shape(t.s->model->detr);
    tell_sizes(&t);
    tell_levels(&t);
    tell_references(&t);
    tell_looking(&t, "enc.layer0", &shape->encoder);
    tell_looking(&t, "dec.layer0", &shape->decoder);
    for (int b = 0; b < t.s->num; b++)
        tell_found(&t, b);
}
