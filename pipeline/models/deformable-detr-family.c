// Deformable DETR as a family: a directory as the transformers library saves it, and frames of any shape,
// several at once.

#include "deformable-detr-hall.h"
#include "base/room.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float threshold_default = 0.5f; // the library's

// The model ---------------------------------------------------------------------------------------

static void unload(struct ww_device *device, void *opaque)
{
    struct ww_detr_model *m = opaque;
    if (!m)
        return;
    ww_detr_destroy(device, &m->detr);
    ww_class_words_destroy(&m->words);
    free(m);
}

// The names of classes, from "id2label"; gaps in COCO's numbers are called N/A. A class that has no name
// there is called by its number.
static struct ww_class_words *read_words(struct ww_device *device, const char *model,
                                         const struct ww_json *config, int num, struct ww_error *err)
{
    enum { MAX = 4096 };
    const struct ww_json *labels = ww_json_get(config, "id2label");
    const int count = num >= 0 ? num : (int)ww_json_count(labels);
    if (count > MAX) {
        ww_fail(err, WW_E_FILE, "'id2label' has %d classes; at most %d", count, MAX);
        return NULL;
    }
    const char **names = ww_room_for((size_t)count + 1, sizeof *names, err);
    char(*numbers)[16] = names ? ww_room_for((size_t)count + 1, sizeof *numbers, err) : NULL;
    for (int i = 0; numbers && i < count; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%d", i);
        const char *name = ww_json_string(ww_json_get(labels, numbers[i]));
        names[i] = !name ? numbers[i] : strcmp(name, "N/A") ? name : NULL;
    }
    struct ww_class_words *words = numbers ? ww_class_words_create(device, model, names, count) : NULL;
    free(names);
    free(numbers);
    return words;
}

static bool check_variant(const char *variant, struct ww_error *err)
{
    return !variant || ww_fail(err, WW_E_CONFIG, "there is no variant '%s'", variant);
}

static void *load(struct ww_device *device, const char *dir, const struct ww_json *config,
                  const char *variant, struct ww_model_info *info, struct ww_error *err)
{
    struct ww_detr_model *m = ww_room(1, sizeof *m);
    struct ww_weights *weights = NULL;
    struct ww_detr_shape shape;
    if (!check_variant(variant, err))
        goto fail;
    const char *slash = strrchr(dir, '/');
    const char *name = slash && slash[1] ? slash + 1 : dir;
    if (!ww_detr_read_shape(config, &shape, err)) {
        ww_within(err, "config.json");
        goto fail;
    }
    if (!ww_preprocessor_read(dir, &m->preprocessor, err))
        goto fail;
    weights = ww_weights_open(dir, err);
    m->detr = weights ? ww_detr_load(device, weights, &shape, err) : NULL;
    if (!m->detr)
        goto fail;
    m->words = read_words(device, name, config, ww_detr_classes(m->detr), err);
    if (!m->words)
        goto fail;
    char hex[65];
    ww_weights_digest(weights, hex);
    snprintf(info->name, sizeof info->name, "%s", name);
    snprintf(info->digest, sizeof info->digest, "sha256:%s", hex);
    ww_weights_close(&weights);
    return m;
fail:
    ww_weights_close(&weights);
    unload(device, m);
    return NULL;
}

static bool understand_words(struct ww_class_words *classes, enum ww_task task,
                             const char *const *phrases, int num_phrases, struct ww_words *words,
                             struct ww_error *err)
{
    if (task != WW_TASK_DETECT)
        return ww_fail(err, WW_E_UNSUPPORTED, "Deformable DETR can do the task detect, not '%s'",
                       ww_task_name(task));
    return ww_class_words_understand(classes, phrases, num_phrases, words, err);
}

static bool understand(const void *opaque, enum ww_task task, const char *const *phrases,
                       int num_phrases, struct ww_words *words, struct ww_error *err)
{
    const struct ww_detr_model *m = opaque;
    return understand_words(m->words, task, phrases, num_phrases, words, err);
}

static bool check(const char *dir, const struct ww_json *config, const char *variant, enum ww_task task,
                  const char *const *phrases, int num_phrases, struct ww_error *err)
{
    struct ww_detr_shape shape;
    (void)dir;
    if (!check_variant(variant, err))
        return false;
    struct ww_words *words = ww_room(1, sizeof *words);
    struct ww_class_words *classes = read_words(NULL, NULL, config, -1, err);
    const bool ok = classes && ww_detr_read_shape(config, &shape, err) &&
                    understand_words(classes, task, phrases, num_phrases, words, err);
    ww_class_words_destroy(&classes);
    ww_words_free(&words);
    return ok;
}

static float own_threshold(const void *model, enum ww_task task)
{
    (void)model, (void)task;
    return threshold_default;
}

// Opening -----------------------------------------------------------------------------------------

static bool measure(const void *opaque, const struct ww_look_params *params, const struct ww_words *words,
                    bool together, struct ww_extent *out, struct ww_error *err)
{
    const struct ww_detr_model *m = opaque;
    (void)words, (void)together; // words choose among results; the device has nothing to do with them
    return ww_preprocessor_size(&m->preprocessor, params, &out->width, &out->height, err);
}

static void close_hall(struct ww_device *device, void *opaque)
{
    struct ww_detr_hall *hall = opaque;
    (void)device;
    if (!hall)
        return;
    ww_plan_destroy(&hall->plan);
    free(hall->found);
    free(hall);
}

// Says how much of the picture at place `b` is one, unless that is known.
static void place(struct ww_detr_hall *hall, int b, int w, int h)
{
    struct ww_detr_place *p = &hall->places[b];
    if (p->w == w && p->h == h)
        return;
    p->w = w;
    p->h = h;
    ww_detr_place(hall->plan, hall->model->detr, &hall->pass, b, h, w);
}

static bool record(struct ww_detr_hall *hall, struct ww_error *err)
{
    const struct ww_detr_shape *shape = ww_detr_shape(hall->model->detr);
    const int w = hall->params.extent.width, h = hall->params.extent.height;
    struct ww_cmd *g = ww_cmd_create(hall->device);
    ww_keep_stages(g, hall->params.keep_stages);
    hall->input = ww_input_tensor(g, hall->params.room, 3, h, w);
    ww_stage_map(g, hall->input, "pre.pixel_values");
    hall->pass = ww_detr(g, hall->model->detr, hall->input);
    if (shape->two_stage && hall->pass.pyramid.tokens < shape->queries)
        ww_fail(err, WW_E_CONFIG,
                "an input of %dx%d has %d places to look at; this model chooses %d of them: make it larger",
                w, h, hall->pass.pyramid.tokens, shape->queries);
    else
        hall->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    for (int b = 0; hall->plan && b < hall->params.room; b++)
        place(hall, b, w, h);
    return hall->plan != NULL;
}

static void *open_hall(struct ww_device *device, const void *model, const struct ww_hall_params *params,
                       struct ww_error *err)
{
    struct ww_detr_hall *hall = ww_room(1, sizeof *hall);
    hall->device = device;
    hall->model = model;
    hall->params = *params;
    const size_t classes = (size_t)ww_detr_classes(hall->model->detr);
    hall->found =
        ww_room_for(classes * (size_t)ww_detr_shape(hall->model->detr)->queries, sizeof *hall->found, err);
    if (hall->found && record(hall, err))
        return hall;
    close_hall(device, hall);
    return NULL;
}

static void rise(void *opaque)
{
    struct ww_detr_seat *seat = opaque;
    if (!seat)
        return;
    ww_inlet_close(seat->hall->device, &seat->inlet);
    free(seat->phrase);
    free(seat);
}

// A class that two phrases name is told as the first of them.
static bool reword(void *opaque, const struct ww_words *words)
{
    struct ww_detr_seat *seat = opaque;
    const int classes = ww_detr_classes(seat->hall->model->detr);
    seat->words = words;
    for (int c = 0; c < classes; c++)
        seat->phrase[c] = -1;
    for (int i = 0; i < words->num_phrases; i++)
        if (seat->phrase[words->targets[i]] < 0)
            seat->phrase[words->targets[i]] = i;
    return true;
}

static void *sit(void *opaque, const struct ww_look_params *params, const struct ww_words *words,
                 struct ww_error *err)
{
    struct ww_detr_hall *hall = opaque;
    const size_t classes = (size_t)ww_detr_classes(hall->model->detr);
    struct ww_detr_seat *seat = ww_room(1, sizeof *seat);
    seat->hall = hall;
    seat->phrase = ww_room(classes, sizeof *seat->phrase);
    reword(seat, words);
    if (ww_inlet_open(&seat->inlet, hall->device, &hall->model->preprocessor, params, hall->plan, hall->input,
                      err))
        return seat;
    rise(seat);
    return NULL;
}

// Looking -----------------------------------------------------------------------------------------

static int by_score(const void *a, const void *b)
{
    const struct ww_detr_found *x = a, *y = b;
    return ww_by_score(x->score, y->score, x->query, y->query, x->class, y->class);
}

// The best of what was asked for, or of `all` classes, every class of every query for itself.
static void choose(struct ww_detr_hall *s, int b, float threshold, bool all)
{
    struct ww_detr_seat *p = s->places[b].seat;
    const struct ww_tensor t = s->pass.logits;
    const float *logits = ww_plan_host(s->plan, t);
    int num = 0;
    p->broken = false;
    for (int q = 0; q < t.w; q++)
        for (int c = 0; c < t.c; c++) {
            if (!all && p->phrase[c] < 0)
                continue;
            const float score = 1 / (1 + expf(-logits[ww_at(t, b, c, 0, q)]));
            p->broken |= isnan(score);
            if (score >= (all ? threshold : ww_words_threshold(p->words, p->phrase[c], threshold)))
                s->found[num++] = (struct ww_detr_found){score, q, c};
        }
    qsort(s->found, (size_t)num, sizeof *s->found, by_score);
    s->num_found = num;
    p->num_final = num < WW_MAX_OBJECTS ? num : WW_MAX_OBJECTS;
    memcpy(p->final, s->found, sizeof *p->final * (size_t)p->num_final);
}

void ww_detr_box(struct ww_detr_hall *s, int b, int query, float out[4])
{
    const struct ww_look_params *look = &s->places[b].seat->inlet.params;
    const float *box = (const float *)ww_plan_host(s->plan, s->pass.boxes) +
                       ww_at(s->pass.boxes, b, 0, 0, query);
    const float w = (float)look->width, h = (float)look->height;
    out[0] = (box[0] - box[2] / 2) * w;
    out[1] = (box[1] - box[3] / 2) * h;
    out[2] = (box[0] + box[2] / 2) * w;
    out[3] = (box[1] + box[3] / 2) * h;
}

// Of what was chosen, as much as there is room for.
static void report(struct ww_detr_hall *s, int b, const struct ww_look *look)
{
    const struct ww_detr_seat *p = s->places[b].seat;
    look->out->num_objects = 0;
    look->out->keypoint_set = NULL;
    look->out->broken = p->broken;
    for (int i = 0; i < s->num_found && look->out->num_objects < WW_MAX_OBJECTS; i++) {
        const struct ww_detr_found *f = &s->found[i];
        float box[4];
        ww_detr_box(s, b, f->query, box);
        ww_findings_add(look->out,
                        &(struct ww_object){.phrase = p->phrase[f->class],
                                            .label = p->words->phrases[p->phrase[f->class]],
                                            .score = f->score},
                        box, p->inlet.params.width, p->inlet.params.height, look->nms);
    }
}

static bool look(void *opaque, const struct ww_look *looks, int num, struct ww_error *err)
{
    struct ww_detr_hall *hall = opaque;
    hall->num = num;
    for (int b = 0; b < num; b++) {
        struct ww_detr_seat *seat = hall->places[b].seat = looks[b].seat;
        place(hall, b, seat->inlet.w, seat->inlet.h);
        if (!ww_inlet_put(&seat->inlet, looks[b].frame, b, err))
            return false;
    }
    if (!ww_plan_run(hall->plan, num, err))
        return false;
    for (int b = 0; b < num; b++) {
        choose(hall, b, looks[b].threshold, false);
        report(hall, b, &looks[b]);
        if (hall->params.keep_stages) // classes without a name, too
            choose(hall, b, looks[b].threshold, true);
    }
    return true;
}

static struct ww_plan *plan(void *opaque, int i)
{
    struct ww_detr_hall *hall = opaque;
    return i == 0 ? hall->plan : NULL;
}

const struct ww_family ww_family_deformable_detr = {
    .name = "deformable_detr",
    .load = load,
    .unload = unload,
    .step = 1,
    .check = check,
    .understand = understand,
    .threshold = own_threshold,
    .most = WW_DETR_MAX_BATCH,
    .measure = measure,
    .open = open_hall,
    .close = close_hall,
    .sit = sit,
    .rise = rise,
    .reword = reword,
    .look = look,
    .plan = plan,
    .trace = ww_detr_trace,
};
