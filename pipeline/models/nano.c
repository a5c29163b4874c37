// nano: what a machine without a GPU can see. CenterNet finds COCO's 80 classes; for poses, MoveNet
// looks at a square around each person found.

#include "centernet.h"
#include "class-words.h"
#include "config.h"
#include "movenet.h"
#include "picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    INPUT = 512,      // longer side, px
    LIST_CAP = 8192,  // peaks that the device may report
    MAX_CROPS = 4,    // in one batch
    PERSON = 0,       // of the classes
    PARAM_FLOOR = 0,  // in the parameter block
    PARAM_REGION = 1, // of the detector; of the crops: 0..
};
static const float threshold_default = 0.35f; // precision 0.8 on PETS09-S2L1
static const float duplicate_iou = 0.6f;
static const float crop_margin = 1.25f; // of the box's height

struct nano {
    struct ww_weights *weights;
    struct ww_centernet *detector;
    struct ww_movenet *pose;
    struct ww_class_words *words;
};

struct hall {
    struct ww_device *device;
    const struct nano *model;
    struct session *last; // that looked
};

// Classes that are computed depend on the words, so nothing is recorded that could be shared.
struct session {
    struct ww_device *device;
    const struct nano *model;
    struct ww_look_params params;
    struct ww_words words; // borrowed: phrases and targets of the revision it was opened with
    int input_w, input_h;
    int heads[WW_CENTERNET_CLASSES]; // phrase of each class computed
    struct ww_class_head head;
    struct ww_storage *picture;
    struct ww_plan *detect, *pose;
    struct ww_tensor list;      // of detect
    struct ww_tensor keypoints; // of pose
    struct found *found;        // LIST_CAP
    float final[WW_MAX_OBJECTS][6];
    float final_pose[WW_MOVENET_KEYPOINTS][3];
};

// A peak of the heat map.
struct found {
    int head, cell;
    float score, x0, y0, x1, y1; // input px
};

static void unload(struct ww_device *device, void *opaque)
{
    struct nano *m = opaque;
    if (!m)
        return;
    ww_centernet_destroy(device, &m->detector);
    ww_movenet_destroy(device, &m->pose);
    ww_weights_close(&m->weights);
    ww_class_words_destroy(&m->words);
    free(m);
}

// A file of the model's directory, named by a string of its configuration.
static struct ww_weights *open_weights(const char *dir, const struct ww_json *parent,
                                       const char *field, struct ww_error *err)
{
    const struct ww_json *name = ww_json_need(parent, field, WW_JSON_STRING, err);
    if (!name)
        return NULL;
    if (!ww_config_is_beside(ww_json_string(name))) {
        ww_fail(err, WW_E_FILE, "'%s' must be a file of this directory, not '%s'", field,
                ww_json_string(name));
        return NULL;
    }
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, ww_json_string(name));
    return ww_weights_open(path, err);
}

static bool check_variant(const char *variant, struct ww_error *err)
{
    return !strcmp(variant, "thunder") || !strcmp(variant, "lightning") ||
           ww_fail(err, WW_E_CONFIG, "no variant '%s'; there are lightning and thunder", variant);
}

static bool load_pose(struct ww_device *device, struct nano *m, const char *dir,
                      const struct ww_json *config, const char *variant, struct ww_error *err)
{
    const char *standard = ww_json_string(ww_json_get(config, "default_pose"));
    if (!variant)
        variant = standard ? standard : "lightning";
    const bool thunder = !strcmp(variant, "thunder");
    if (!check_variant(variant, err))
        return false;
    const struct ww_json *files = ww_json_need(config, "pose", WW_JSON_OBJECT, err);
    struct ww_weights *weights = files ? open_weights(dir, files, variant, err) : NULL;
    if (weights)
        m->pose = ww_movenet_load(device, weights,
                                  thunder ? WW_MOVENET_THUNDER : WW_MOVENET_LIGHTNING, err);
    ww_weights_close(&weights);
    return m->pose != NULL;
}

// What the names of the classes in the configuration let it understand.
static struct ww_class_words *read_words(struct ww_device *device, const struct ww_json *config,
                                         struct ww_error *err)
{
    const struct ww_json *list = ww_json_need(config, "classes", WW_JSON_ARRAY, err);
    if (!list)
        return NULL;
    const char *names[WW_CENTERNET_CLASSES];
    int num = 0;
    for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x), num++) {
        if (num == WW_CENTERNET_CLASSES || !ww_json_string(x))
            break;
        names[num] = ww_json_string(x);
    }
    if (num != WW_CENTERNET_CLASSES || ww_json_count(list) != WW_CENTERNET_CLASSES) {
        ww_fail(err, WW_E_FILE, "'classes' must be %d names", WW_CENTERNET_CLASSES);
        return NULL;
    }
    return ww_class_words_create(device, "nano", names, WW_CENTERNET_CLASSES);
}

static void *load(struct ww_device *device, const char *dir, const struct ww_json *config,
                  const char *variant, struct ww_model_info *info, struct ww_error *err)
{
    struct nano *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->words = read_words(device, config, err);
    if (!m->words)
        goto fail;
    m->weights = open_weights(dir, config, "detector", err);
    if (!m->weights)
        goto fail;
    m->detector = ww_centernet_load(device, m->weights, err);
    if (!m->detector || !load_pose(device, m, dir, config, variant, err))
        goto fail;
    char hex[65];
    ww_weights_digest(m->weights, hex);
    snprintf(info->name, sizeof info->name, "nano%s%s", variant ? ":" : "", variant ? variant : "");
    snprintf(info->digest, sizeof info->digest, "sha256:%s", hex);
    return m;
fail:
    unload(device, m);
    return NULL;
}

static bool understand_words(struct ww_class_words *classes, enum ww_task task,
                             const char *const *phrases, int num_phrases, struct ww_words *words,
                             struct ww_error *err)
{
    static const char *const person = "person";
    if (task != WW_TASK_DETECT && task != WW_TASK_POSE)
        return ww_fail(err, WW_E_UNSUPPORTED, "nano can do the tasks detect and pose, not '%s'",
                       ww_task_name(task));
    const bool persons = task == WW_TASK_POSE && num_phrases == 0;
    if (!ww_class_words_understand(classes, persons ? &person : phrases, persons ? 1 : num_phrases,
                                   words, err))
        return false;
    if (persons) { // nobody said so
        free((char *)words->understood[0].meant);
        free(words->understood);
        words->understood = NULL;
    }
    for (int i = 0; task == WW_TASK_POSE && i < words->num_phrases; i++)
        if (words->targets[i] != PERSON)
            return ww_fail(err, WW_E_TEXT, "nano knows the poses of persons alone, not of '%s'",
                           phrases[i]);
    return true;
}

static bool understand(const void *opaque, enum ww_task task, const char *const *phrases,
                       int num_phrases, struct ww_words *words, struct ww_error *err)
{
    const struct nano *m = opaque;
    return understand_words(m->words, task, phrases, num_phrases, words, err);
}

static bool check(const char *dir, const struct ww_json *config, const char *variant, enum ww_task task,
                  const char *const *phrases, int num_phrases, struct ww_error *err)
{
    (void)dir;
    if (variant && !check_variant(variant, err))
        return false;
    struct ww_words *words = calloc(1, sizeof *words);
    if (!words)
        abort();
    struct ww_class_words *classes = read_words(NULL, config, err);
    const bool ok =
        classes && understand_words(classes, task, phrases, num_phrases, words, err);
    ww_class_words_destroy(&classes);
    ww_words_free(&words);
    return ok;
}

static float own_threshold(const void *model, enum ww_task task)
{
    (void)model, (void)task;
    return threshold_default;
}

static bool record_detector(struct session *s, struct ww_error *err)
{
    const struct ww_packing packing =
        ww_packing(s->params.format, s->params.width, s->params.height);
    struct ww_cmd *g = ww_cmd_create(s->device);
    ww_keep_stages(g, s->params.keep_stages);
    ww_label(g, "prepare");
    const struct ww_tensor picture =
        ww_stored_tensor(g, s->picture, 4, 1, 4, 1, (int)(packing.bytes + 15) / 16);
    const struct ww_tensor frame = ww_activation(g, 1, 3, s->input_h, s->input_w);
    ww_prepare(g, frame, picture,
               ww_prepare_params(.format = s->params.format, .matrix = s->params.matrix,
                                 .range = s->params.range, .width = s->params.width,
                                 .height = s->params.height, .region = PARAM_REGION,
                                 .inside = true, .gain = 1));
    ww_stage(g, frame, "input");
    const struct ww_centernet_out out = ww_centernet(g, s->model->detector, &s->head, frame);
    ww_label(g, "peaks");
    s->list = ww_result_tensor(g, 1, 4, 1, 1 + 2 * LIST_CAP);
    ww_peaks(g, s->list, out.heat, out.wh, PARAM_FLOOR);
    s->detect = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    if (!s->detect)
        return false;
    float *params = ww_plan_params(s->detect);
    memcpy(params + 4 * PARAM_REGION,
           (float[]){0, 0, (float)s->params.width, (float)s->params.height}, 16);
    return true;
}

static bool record_pose(struct session *s, struct ww_error *err)
{
    const struct ww_packing packing =
        ww_packing(s->params.format, s->params.width, s->params.height);
    const int side = ww_movenet_side(s->model->pose);
    struct ww_cmd *g = ww_cmd_create(s->device);
    ww_keep_stages(g, s->params.keep_stages);
    ww_label(g, "prepare crops");
    const struct ww_tensor picture =
        ww_stored_tensor(g, s->picture, 4, 1, 4, 1, (int)(packing.bytes + 15) / 16);
    const struct ww_tensor crops =
        ww_activation(g, s->params.keep_stages ? 1 : MAX_CROPS, 3, side, side);
    ww_prepare(g, crops, picture,
               ww_prepare_params(.format = s->params.format, .matrix = s->params.matrix,
                                 .range = s->params.range, .width = s->params.width,
                                 .height = s->params.height, .region = 0, .gain = WW_MOVENET_GAIN,
                                 .lift = -1));
    ww_stage(g, crops, "row.000");
    const struct ww_movenet_out out = ww_movenet(g, s->model->pose, crops);
    ww_label(g, "keypoints");
    s->keypoints = ww_result_tensor(g, crops.n, 4, 1, WW_MOVENET_KEYPOINTS);
    ww_keypoints(g, s->keypoints, out.heat, out.regress, out.centre, out.offset, out.prior);
    s->pose = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return s->pose != NULL;
}

static bool measure(const void *model, const struct ww_look_params *params, const struct ww_words *words,
                    bool together, struct ww_extent *out, struct ww_error *err)
{
    (void)model, (void)words, (void)together;
    return ww_input_size(params, INPUT, WW_CENTERNET_STEP, &out->width, &out->height, err);
}

static void *open_hall(struct ww_device *device, const void *model, const struct ww_hall_params *params,
                       struct ww_error *err)
{
    (void)params, (void)err;
    struct hall *hall = calloc(1, sizeof *hall);
    if (!hall)
        abort();
    *hall = (struct hall){.device = device, .model = model};
    return hall;
}

static void close_hall(struct ww_device *device, void *hall)
{
    (void)device;
    free(hall);
}

static void rise(void *opaque)
{
    struct session *s = opaque;
    if (!s)
        return;
    ww_plan_destroy(&s->detect);
    ww_plan_destroy(&s->pose);
    ww_class_head_free(s->device, &s->head);
    ww_storage_destroy(s->device, &s->picture);
    free(s->found);
    free(s);
}

// Whether the session only looks at a crop that the caller chose: a trace of the pose network.
static bool whole_frame_is_crop(const struct session *s)
{
    return s->params.keep_stages && s->params.task == WW_TASK_POSE;
}

static void *sit(void *opaque, const struct ww_look_params *params, const struct ww_words *words,
                 struct ww_error *err)
{
    const struct hall *hall = opaque;
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    struct ww_device *device = s->device = hall->device;
    s->model = hall->model;
    s->params = *params;
    s->words = *words;
    s->found = calloc(LIST_CAP, sizeof *s->found);
    if (!s->found)
        abort();
    s->picture = ww_picture_storage(device, params, err);
    if (!s->picture || !ww_input_size(params, INPUT, WW_CENTERNET_STEP, &s->input_w, &s->input_h, err))
        goto fail;

    // A class that two phrases name is computed once, for the first of them.
    int classes[WW_CENTERNET_CLASSES], num = 0;
    for (int i = 0; i < words->num_phrases; i++) {
        bool known = false;
        for (int k = 0; k < num; k++)
            known |= classes[k] == words->targets[i];
        if (known)
            continue;
        s->heads[num] = i;
        classes[num++] = words->targets[i];
    }
    if (!whole_frame_is_crop(s) &&
        (!ww_class_head_load(device, s->model->detector, classes, num, &s->head, err) ||
         !record_detector(s, err)))
        goto fail;
    if (params->task == WW_TASK_POSE && !record_pose(s, err))
        goto fail;
    return s;
fail:
    rise(s);
    return NULL;
}

// Best first; equals in the order of the reference's flattened index (cell, then class).
static int by_score(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return ww_by_score(x->score, y->score, x->cell, y->cell, x->head, y->head);
}

// Reads the device's list, sorted. Returns how many: at most LIST_CAP.
static int read_list(struct session *s)
{
    const float *list = ww_plan_host(s->detect, s->list);
    uint32_t count;
    memcpy(&count, list, sizeof count);
    const int num = count < LIST_CAP ? (int)count : LIST_CAP;
    for (int i = 0; i < num; i++) {
        const float *e = list + 4 * (1 + 2 * i);
        const float x = 4 * e[2], y = 4 * e[1];
        s->found[i] = (struct found){.head = (int)e[0],
                                     .cell = (int)e[1] * (s->input_w / 4) + (int)e[2],
                                     .score = e[3],
                                     .x0 = x - e[4],
                                     .y0 = y - e[5],
                                     .x1 = x + e[6],
                                     .y1 = y + e[7]};
    }
    qsort(s->found, (size_t)num, sizeof *s->found, by_score);
    return num;
}

// Drops what a better one of the same class covers, and turns the rest into objects.
static void add_objects(struct session *s, int num, const struct ww_look *look)
{
    const float sx = (float)s->params.width / (float)s->input_w;
    const float sy = (float)s->params.height / (float)s->input_h;
    look->out->num_objects = 0;
    for (int i = 0; i < num && look->out->num_objects < WW_MAX_OBJECTS; i++) {
        const struct found *f = &s->found[i];
        const int phrase = s->heads[f->head];
        const float box[4] = {f->x0 * sx, f->y0 * sy, f->x1 * sx, f->y1 * sy};
        if (f->score < ww_words_threshold(&s->words, phrase, look->threshold))
            continue;
        ww_findings_add(look->out,
                        &(struct ww_object){
                            .phrase = phrase, .label = s->words.phrases[phrase], .score = f->score},
                        box, s->params.width, s->params.height,
                        look->nms > 0 ? look->nms : duplicate_iou);
    }
}

static bool detect(struct session *s, const struct ww_look *look, struct ww_error *err)
{
    ((float *)ww_plan_params(s->detect))[4 * PARAM_FLOOR] = ww_words_least(&s->words, look->threshold);
    memset(ww_plan_host(s->detect, s->list), 0, 16);
    if (!ww_plan_run(s->detect, 1, err))
        return false;
    int num = read_list(s);
    num = num < WW_MAX_OBJECTS ? num : WW_MAX_OBJECTS; // as the reference: the 100 best peaks
    for (int i = 0; s->params.keep_stages && i < num; i++)
        memcpy(s->final[i],
               (float[]){s->found[i].x0, s->found[i].y0, s->found[i].x1, s->found[i].y1,
                         s->found[i].score, (float)s->words.targets[s->heads[s->found[i].head]]},
               sizeof s->final[i]);
    add_objects(s, num, look);
    return true;
}

struct square {
    float x, y, side;
};

// MoveNet wants the person in the middle of a square, a little larger than they are.
static struct square crop_of(const struct ww_object *o)
{
    const float h = o->y1 - o->y0, w = o->x1 - o->x0;
    const float side = fmaxf(roundf(crop_margin * fmaxf(h, w)), 8);
    return (struct square){roundf((o->x0 + o->x1 - side) / 2), roundf((o->y0 + o->y1 - side) / 2),
                           side};
}

// Keypoints of objects [first, first + num), one crop each.
static bool look_closer(struct session *s, int first, int num, struct ww_findings *out,
                        struct ww_error *err)
{
    struct square crop[MAX_CROPS];
    float *params = ww_plan_params(s->pose);
    for (int i = 0; i < num; i++) {
        crop[i] = whole_frame_is_crop(s) ? (struct square){0, 0, (float)s->params.width}
                                         : crop_of(&out->objects[first + i]);
        memcpy(params + 4 * i, (float[]){crop[i].x, crop[i].y, crop[i].side, crop[i].side}, 16);
    }
    if (!ww_plan_run(s->pose, num, err))
        return false;
    const float unit = ww_movenet_unit(s->model->pose);
    const float *found = ww_plan_host(s->pose, s->keypoints);
    for (int i = 0; i < num; i++) {
        struct ww_keypoint *to = out->keypoints + (first + i) * WW_MAX_KEYPOINTS;
        for (int k = 0; k < WW_MOVENET_KEYPOINTS; k++, found += 4) {
            to[k] = (struct ww_keypoint){.x = crop[i].x + found[1] * unit * crop[i].side,
                                         .y = crop[i].y + found[0] * unit * crop[i].side,
                                         .score = found[2]};
            if (s->params.keep_stages)
                memcpy(s->final_pose[k], (float[]){found[0] * unit, found[1] * unit, found[2]},
                       sizeof s->final_pose[k]);
        }
        out->objects[first + i].keypoints = to;
        out->objects[first + i].num_keypoints = WW_MOVENET_KEYPOINTS;
    }
    return true;
}

static bool look_at(struct session *s, const struct ww_look *look, struct ww_error *err)
{
    struct ww_findings *out = look->out;
    ww_picture_pack(look->frame, (char *)s->picture->map + 64);
    out->num_objects = 0;
    out->keypoint_set = s->pose ? "coco-17" : NULL;
    if (whole_frame_is_crop(s))
        out->num_objects = 1;
    else if (!detect(s, look, err))
        return false;
    for (int i = 0; s->pose && i < out->num_objects; i += MAX_CROPS) {
        const int left = out->num_objects - i;
        if (!look_closer(s, i, left < MAX_CROPS ? left : MAX_CROPS, out, err))
            return false;
    }
    return true;
}

static bool look(void *opaque, const struct ww_look *looks, int num, struct ww_error *err)
{
    struct hall *hall = opaque;
    bool ok = true;
    for (int i = 0; ok && i < num; i++) {
        hall->last = looks[i].seat;
        ok = look_at(looks[i].seat, &looks[i], err);
    }
    return ok;
}

static struct ww_plan *plan(void *opaque, int i)
{
    const struct session *s = ((struct hall *)opaque)->last;
    struct ww_plan *const plans[] = {s->detect ? s->detect : s->pose, s->detect ? s->pose : NULL};
    return i < 2 ? plans[i] : NULL;
}

static void trace(void *opaque,
                  void (*each)(void *opaque, const char *name, int rank, const int64_t *dim,
                               const float *data),
                  void *sink)
{
    struct session *s = ((struct hall *)opaque)->last;
    if (s->detect)
        each(sink, "final", 2, (const int64_t[]){WW_MAX_OBJECTS, 6}, s->final[0]);
    else
        each(sink, "final", 2, (const int64_t[]){WW_MOVENET_KEYPOINTS, 3}, s->final_pose[0]);
}

const struct ww_family ww_family_nano = {
    .name = "nano",
    .load = load,
    .unload = unload,
    .step = WW_CENTERNET_STEP,
    .check = check,
    .understand = understand,
    .threshold = own_threshold,
    .most = 1,
    .measure = measure,
    .open = open_hall,
    .close = close_hall,
    .sit = sit,
    .rise = rise,
    .look = look,
    .plan = plan,
    .trace = trace,
};
