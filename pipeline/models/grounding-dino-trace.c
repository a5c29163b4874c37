// What a trace tells beside the stages that lie on the device.

#include "deformable-trace.h"
#include "grounding-dino-hall.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ww_gdino_text *text_of(const struct ww_gdino_hall *s, int b)
{
    return &s->places[b].seat->prompt->captions[0].text;
}

// The first text of each picture, filled up to the longest with what padding is: word 0 that sees itself.
static void tell_texts(const struct ww_telling *t, struct ww_gdino_hall *s, int most)
{
    const size_t all = (size_t)(s->num * most);
    float *ids = ww_tell_room(all), *mask = ww_tell_room(all), *positions = ww_tell_room(all);
    float *sees = ww_tell_room(all * (size_t)most);
    for (int b = 0; b < s->num; b++) {
        const struct ww_gdino_text *text = text_of(s, b);
        for (int i = 0; i < most; i++) {
            const int at = b * most + i;
            sees[at * most + i] = 1;
            if (i >= text->num)
                continue;
            ids[at] = (float)text->ids[i];
            mask[at] = 1;
            positions[at] = (float)text->position[i];
            for (int j = 0; j < text->num; j++)
                sees[at * most + j] = text->block[i] == text->block[j];
        }
    }
    const int64_t dim[3] = {s->num, most, most};
    ww_tell(t, "text.input_ids", 2, dim, ids);
    ww_tell(t, "text.attention_mask", 2, dim, mask);
    ww_tell(t, "text.position_ids", 2, dim, positions);
    ww_tell(t, "text.self_attention_mask", 3, dim, sees);
}

// What a trace calls a stage of the reader; false: nothing.
static bool name_stage(const char *stage, char name[64])
{
    int layer, end = 0;
    if (!strcmp(stage, "embeddings.out"))
        snprintf(name, 64, "text.embeddings");
    else if (sscanf(stage, "layer.%d.out%n", &layer, &end) == 1 && end && !stage[end])
        snprintf(name, 64, "text.bert%d", layer);
    else if (!strcmp(stage, "text.projected"))
        snprintf(name, 64, "%s", stage);
    else
        return false;
    return true;
}

// The reader reads one text at a time, so each is read again.
static void tell_reading(const struct ww_telling *t, struct ww_gdino_hall *s, int most)
{
    const int num = ww_plan_num_stages(s->reader);
    float **told = calloc((size_t)num + 1, sizeof *told);
    if (!told)
        abort();
    struct ww_tensor lie;
    char name[64];
    struct ww_error err;
    for (int b = 0; b < s->num; b++) {
        if (!ww_gdino_listen(s->reader, &s->reading, text_of(s, b), &s->places[b].seat->words[0], &err))
            break;
        for (int i = 0; i < num; i++) {
            if (!name_stage(ww_plan_stage(s->reader, i, &lie), name))
                continue;
            const size_t row = (size_t)lie.c, size = (size_t)most * row;
            float *data = ww_tell_room((size_t)(lie.h * lie.w) * row);
            if (!told[i])
                told[i] = ww_tell_room((size_t)s->num * size);
            if (ww_plan_read_stage(s->reader, i, data, &err))
                memcpy(told[i] + (size_t)b * size, data, sizeof *data * size);
            free(data);
        }
    }
    for (int i = 0; i < num; i++)
        if (told[i]) {
            name_stage(ww_plan_stage(s->reader, i, &lie), name);
            ww_tell(t, name, 3, (const int64_t[]){s->num, most, lie.c}, told[i]);
        }
    free(told);
}

// As wide as the model's longest text; behind the end of its own a query says nothing at all.
static void tell_heads(const struct ww_telling *t, struct ww_gdino_hall *s)
{
    const struct ww_tensor lie = s->pass.logits;
    const float *from = ww_plan_host(s->plan, lie), *box = ww_plan_host(s->plan, s->pass.boxes);
    float *logits = ww_tell_room((size_t)(s->num * lie.w) * WW_GDINO_MAX_TOKENS), *to = logits;
    float *boxes = ww_tell_room((size_t)(s->num * lie.w) * 4), *to_box = boxes;
    for (int b = 0; b < s->num; b++)
        for (int q = 0; q < lie.w; q++) {
            for (int i = 0; i < WW_GDINO_MAX_TOKENS; i++)
                *to++ = i < text_of(s, b)->num ? from[ww_at(lie, b, i, 0, q)] : -INFINITY;
            memcpy(to_box, box + ww_at(s->pass.boxes, b, 0, 0, q), sizeof(float[4]));
            to_box += 4;
        }
    ww_tell(t, "out.logits", 3, (const int64_t[]){s->num, lie.w, WW_GDINO_MAX_TOKENS}, logits);
    ww_tell(t, "out.boxes", 3, (const int64_t[]){s->num, lie.w, 4}, boxes);
}

static int by_query(const void *a, const void *b)
{
    const struct ww_gdino_found *x = a, *y = b;
    if (x->caption != y->caption)
        return x->caption - y->caption;
    return x->query != y->query ? x->query - y->query : x->phrase - y->phrase;
}

static void tell_found(const struct ww_telling *t, struct ww_gdino_hall *s, int b)
{
    struct ww_gdino_seat *p = s->places[b].seat;
    const int64_t dim[2] = {p->num_found, 4};
    const size_t num = (size_t)p->num_found;
    float *scores = ww_tell_room(num), *phrases = ww_tell_room(num);
    float *queries = ww_tell_room(num), *boxes = ww_tell_room(4 * num);
    qsort(p->found, num, sizeof *p->found, by_query);
    for (int i = 0; i < p->num_found; i++) {
        scores[i] = p->found[i].score;
        phrases[i] = (float)p->found[i].phrase;
        queries[i] = (float)p->found[i].query;
        ww_gdino_box(p, &p->found[i], boxes + 4 * i);
    }
    char name[32];
    snprintf(name, sizeof name, "post%d.scores", b);
    ww_tell(t, name, 1, dim, scores);
    snprintf(name, sizeof name, "post%d.phrases", b);
    ww_tell(t, name, 1, dim, phrases);
    snprintf(name, sizeof name, "post%d.queries", b);
    ww_tell(t, name, 1, dim, queries);
    snprintf(name, sizeof name, "post%d.boxes", b);
    ww_tell(t, name, 2, dim, boxes);
}

void ww_gdino_trace(void *hall, ww_tell_fn each, void *opaque)
{
    struct ww_gdino_hall *s = hall;
    const struct ww_gdino_shape *shape = ww_gdino_shape(s->model->gdino);
    const struct ww_telling t = {.each = each,
                                 .opaque = opaque,
                                 .plan = s->plan,
                                 .num = s->num,
                                 .pyramid = &s->pass.pyramid,
                                 .levels = s->pass.levels,
                                 .references = s->pass.references};
    int sizes[WW_GDINO_MAX_BATCH][2], most = 0;
    for (int b = 0; b < s->num; b++) {
        sizes[b][0] = s->places[b].h;
        sizes[b][1] = s->places[b].w;
        most = text_of(s, b)->num > most ? text_of(s, b)->num : most;
    }
    ww_tell_sizes(&t, (const int(*)[2])sizes);
    ww_tell_levels(&t, &(struct ww_position_params){.width = shape->encoder.width,
                                                    .temperature = shape->temperature});
    ww_tell_references(&t);
    ww_tell_looking(&t, "enc.layer0", &shape->encoder);
    ww_tell_looking(&t, "dec.layer0", &shape->decoder);
    tell_texts(&t, s, most);
    tell_reading(&t, s, most);
    tell_heads(&t, s);
    for (int b = 0; b < s->num; b++)
        tell_found(&t, s, b);
}
