// What a trace tells beside the stages that lie on the device.

#include "deformable-detr-hall.h"
#include "deformable-trace.h"

#include <stdio.h>

static void tell_found(const struct ww_telling *t, struct ww_detr_hall *s, int b)
{
    const struct ww_detr_seat *p = s->places[b].seat;
    const int64_t dim[2] = {p->num_final, 4};
    const size_t num = (size_t)p->num_final;
    float *scores = ww_tell_room(num), *labels = ww_tell_room(num);
    float *queries = ww_tell_room(num), *boxes = ww_tell_room(4 * num);
    for (int i = 0; i < p->num_final; i++) {
        scores[i] = p->final[i].score;
        labels[i] = (float)p->final[i].class;
        queries[i] = (float)p->final[i].query;
        ww_detr_box(s, b, p->final[i].query, boxes + 4 * i);
    }
    char name[32];
    snprintf(name, sizeof name, "post%d.scores", b);
    ww_tell(t, name, 1, dim, scores);
    snprintf(name, sizeof name, "post%d.labels", b);
    ww_tell(t, name, 1, dim, labels);
    snprintf(name, sizeof name, "post%d.queries", b);
    ww_tell(t, name, 1, dim, queries);
    snprintf(name, sizeof name, "post%d.boxes", b);
    ww_tell(t, name, 2, dim, boxes);
}

void ww_detr_trace(void *hall, ww_tell_fn each, void *opaque)
{
    struct ww_detr_hall *s = hall;
    const struct ww_detr_shape *shape = ww_detr_shape(s->model->detr);
    const struct ww_telling t = {.each = each,
                                 .opaque = opaque,
                                 .plan = s->plan,
                                 .num = s->num,
                                 .pyramid = &s->pass.pyramid,
                                 .levels = s->pass.levels,
                                 .references = s->pass.references};
    int sizes[WW_DETR_MAX_BATCH][2];
    for (int b = 0; b < s->num; b++) {
        sizes[b][0] = s->places[b].h;
        sizes[b][1] = s->places[b].w;
    }
    ww_tell_sizes(&t, (const int(*)[2])sizes);
    ww_tell_levels(&t, &(struct ww_position_params){
                           .width = shape->encoder.width, .temperature = 10000, .offset = -0.5f});
    ww_tell_references(&t);
    ww_tell_looking(&t, "enc.layer0", &shape->encoder);
    ww_tell_looking(&t, "dec.layer0", &shape->decoder);
    for (int b = 0; b < s->num; b++)
        tell_found(&t, s, b);
}
