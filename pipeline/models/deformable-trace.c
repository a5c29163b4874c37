#include "deformable-trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

float *ww_tell_room(size_t count)
{
    float *data = calloc(count ? count : 1, sizeof *data);
    if (!data)
        abort();
    return data;
}

void ww_tell(const struct ww_telling *t, const char *name, int rank, const int64_t *dim, float *data)
{
    t->each(t->opaque, name, rank, dim, data);
    free(data);
}

static const struct ww_level *levels_of(const struct ww_telling *t, int b)
{
    return (const void *)((const float *)ww_plan_host(t->plan, t->levels) +
                          4 * (size_t)b * t->levels.step);
}

void ww_tell_sizes(const struct ww_telling *t, const int (*sizes)[2])
{
    const struct ww_pyramid *p = t->pyramid;
    float *valid = ww_tell_room((size_t)t->num * 2), *shapes = ww_tell_room((size_t)p->num_levels * 2);
    float *ratios = ww_tell_room((size_t)(t->num * p->num_levels) * 2);
    for (int b = 0; b < t->num; b++) {
        const struct ww_level *levels = levels_of(t, b);
        valid[2 * b] = (float)sizes[b][0];
        valid[2 * b + 1] = (float)sizes[b][1];
        for (int l = 0; l < p->num_levels; l++) {
            ratios[2 * (b * p->num_levels + l)] = levels[l].share_w;
            ratios[2 * (b * p->num_levels + l) + 1] = levels[l].share_h;
        }
    }
    for (int l = 0; l < p->num_levels; l++) {
        shapes[2 * l] = (float)p->h[l];
        shapes[2 * l + 1] = (float)p->w[l];
    }
    ww_tell(t, "pre.valid_size", 2, (const int64_t[]){t->num, 2}, valid);
    ww_tell(t, "enc.spatial_shapes", 2, (const int64_t[]){p->num_levels, 2}, shapes);
    ww_tell(t, "enc.valid_ratios", 3, (const int64_t[]){t->num, p->num_levels, 2}, ratios);
}

void ww_tell_levels(const struct ww_telling *t, const struct ww_position_params *params)
{
    const struct ww_pyramid *p = t->pyramid;
    const int width = params->width, half = width / 2;
    const struct ww_tensor lie = {.n = 1, .c = half, .h = 1, .w = ww_pyramid_codes(p)};
    float *codes = ww_tell_room((size_t)half * (size_t)lie.w);
    float *numbers = ww_tell_room(4 * (size_t)p->tokens);
    for (int l = 0; l < p->num_levels; l++) {
        const int cells = p->h[l] * p->w[l];
        float *mask = ww_tell_room((size_t)(t->num * cells));
        float *position = ww_tell_room((size_t)(t->num * cells) * (size_t)width), *to = position;
        for (int b = 0; b < t->num; b++) {
            const struct ww_level *levels = levels_of(t, b);
            for (int i = 0; i < cells; i++)
                mask[b * cells + i] = (float)(i / p->w[l]) < levels[l].valid_h &&
                                      (float)(i % p->w[l]) < levels[l].valid_w;
            ww_pyramid_positions(p, levels, params, numbers, codes);
            for (int c = 0; c < width; c++)
                for (int i = 0; i < cells; i++)
                    *to++ = codes[ww_at(lie, 0, c % half, 0, (int)numbers[4 * (p->first[l] + i) + c / half])];
        }
        char name[32];
        snprintf(name, sizeof name, "level%d.mask", l);
        ww_tell(t, name, 3, (const int64_t[]){t->num, p->h[l], p->w[l]}, mask);
        snprintf(name, sizeof name, "level%d.position", l);
        ww_tell(t, name, 4, (const int64_t[]){t->num, width, p->h[l], p->w[l]}, position);
    }
    free(codes);
    free(numbers);
}

void ww_tell_references(const struct ww_telling *t)
{
    const struct ww_pyramid *p = t->pyramid;
    const float *from = ww_plan_host(t->plan, t->references);
    float *data = ww_tell_room((size_t)t->num * (size_t)p->tokens * (size_t)p->num_levels * 2);
    float *to = data;
    for (int b = 0; b < t->num; b++) {
        const struct ww_level *levels = levels_of(t, b);
        for (int i = 0; i < p->tokens; i++, from += 4)
            for (int l = 0; l < p->num_levels; l++) {
                *to++ = from[0] * levels[l].share_w;
                *to++ = from[1] * levels[l].share_h;
            }
    }
    ww_tell(t, "enc.reference", 4, (const int64_t[]){t->num, p->tokens, p->num_levels, 2}, data);
}

// A stage of that name as it lies, [n][rows][c]; NULL: there is none.
static float *read_stage(const struct ww_telling *t, const char *layer, const char *part,
                         struct ww_tensor *lie)
{
    char name[64];
    snprintf(name, sizeof name, "%s.msda.%s", layer, part);
    for (int i = 0; i < ww_plan_num_stages(t->plan); i++) {
        struct ww_error err;
        if (strcmp(ww_plan_stage(t->plan, i, lie), name))
            continue;
        float *data = ww_tell_room((size_t)lie->n * (size_t)lie->w * (size_t)lie->c);
        if (ww_plan_read_stage(t->plan, i, data, &err))
            return data;
        free(data);
    }
    return NULL;
}

void ww_tell_looking(const struct ww_telling *t, const char *layer,
                     const struct ww_deformable_shape *shape)
{
    char name[64];
    struct ww_tensor lie;
    float *values = read_stage(t, layer, "values", &lie);
    if (values) {
        const int64_t dim[4] = {lie.n, lie.w, shape->heads, lie.c / shape->heads};
        snprintf(name, sizeof name, "%s.msda.value", layer);
        ww_tell(t, name, 4, dim, values);
    }
    float *places = read_stage(t, layer, "places", &lie); // x, y, weight, - of each point
    if (!places)
        return;
    const size_t points = (size_t)lie.n * (size_t)lie.w * (size_t)lie.c / 4;
    float *at = ww_tell_room(2 * points), *weight = ww_tell_room(points);
    for (size_t i = 0; i < points; i++) {
        at[2 * i] = places[4 * i];
        at[2 * i + 1] = places[4 * i + 1];
        weight[i] = places[4 * i + 2];
    }
    free(places);
    const int64_t dim[6] = {lie.n, lie.w, shape->heads, shape->levels, shape->points, 2};
    snprintf(name, sizeof name, "%s.msda.locations", layer);
    ww_tell(t, name, 6, dim, at);
    snprintf(name, sizeof name, "%s.msda.weights", layer);
    ww_tell(t, name, 5, dim, weight);
}

