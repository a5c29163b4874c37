// Grounding DINO as a family: a directory with config.json, vocab.txt and weights of either layout, frames
// of any shape, several at once, each asked something of its own.

#include "grounding-dino-session.h"
#include "base/utf8.h"
#include "picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_STEP = 16 }; // texts of up to so many more tokens need no recording of their own
static const float box_threshold = 0.25f, original_box_threshold = 0.3f, text_threshold = 0.25f;

static void *room(size_t count, size_t bytes)
{
    void *data = calloc(count ? count : 1, bytes);
    if (!data)
        abort();
    return data;
}

// The model ---------------------------------------------------------------------------------------

static void unload(struct ww_device *device, void *opaque)
{
    struct ww_gdino_model *m = opaque;
    if (!m)
        return;
    ww_gdino_destroy(device, &m->gdino);
    ww_swin_destroy(&m->swin);
    for (int i = 0; i < m->num_storages; i++)
        ww_storage_destroy(device, &m->storage[i]);
    ww_tokenizer_close(&m->tokenizer);
    free(m);
}

// Of the first release tensors alone tell it.
static bool read_backbone(const struct ww_json *config, const struct ww_weights *weights,
                          struct ww_swin_shape *out, struct ww_error *err)
{
    char prefix[64];
    enum ww_gdino_layout layout;
    const struct ww_json *part = ww_json_get(config, "backbone_config");
    if (!part && weights && ww_json_get(config, "text_encoder")) {
        if (!ww_gdino_layout(weights, &layout, prefix, err) ||
            !ww_swin_find_shape(weights, prefix, out, err))
            return false;
    } else if (!ww_swin_read_shape(part, out, err)) {
        return ww_within(err, "'backbone_config'");
    }
    bool ours = out->stages == WW_GDINO_MAPS + 1;
    for (int s = 0; s < out->stages; s++)
        ours &= out->out[s] == (s > 0);
    return ours || ww_fail(err, WW_E_UNSUPPORTED, "%s: the last three of four stages must give maps out",
                           part ? "'backbone_config'" : "the backbone");
}

static bool load_backbone(struct ww_gdino_model *m, struct ww_device *device,
                          const struct ww_weights *weights, const struct ww_swin_shape *shape,
                          struct ww_error *err)
{
    char prefix[64];
    if (!ww_gdino_layout(weights, &m->layout, prefix, err))
        return false;
    struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = err};
    m->swin = ww_swin_load(&l, prefix, shape);
    const bool ok = m->swin && ww_bank_upload(l.bank, device, m->storage,
                                              sizeof m->storage / sizeof *m->storage,
                                              &m->num_storages, err);
    ww_bank_destroy(&l.bank);
    return ok;
}

// In the directory or, of the first release, in the text encoder's.
static struct ww_tokenizer *open_tokenizer(const char *dir, const struct ww_json *config,
                                           struct ww_error *err)
{
    char path[1024];
    const char *encoder = ww_json_string(ww_json_get(config, "text_encoder"));
    snprintf(path, sizeof path, "%s/vocab.txt", dir);
    if (!encoder || !access(path, F_OK))
        return ww_tokenizer_open(dir, err);
    snprintf(path, sizeof path, "%s/%s", dir, encoder);
    return ww_tokenizer_open(path, err);
}

static bool load_weights(struct ww_gdino_model *m, struct ww_device *device, const char *dir,
                         const struct ww_json *config, const struct ww_weights *weights,
                         struct ww_error *err)
{
    struct ww_gdino_shape shape;
    struct ww_swin_shape backbone;
    if (!ww_gdino_read_shape(config, &shape, err) || !read_backbone(config, weights, &backbone, err))
        return ww_within(err, "configuration");
    if (!load_backbone(m, device, weights, &backbone, err))
        return false;
    const int channels[WW_GDINO_MAPS] = {ww_swin_channels(m->swin, 1), ww_swin_channels(m->swin, 2),
                                         ww_swin_channels(m->swin, 3)};
    m->gdino = ww_gdino_load(device, weights, &shape, channels, err);
    m->tokenizer = m->gdino ? open_tokenizer(dir, config, err) : NULL;
    return m->tokenizer && (ww_gdino_vocabulary(m->tokenizer, shape.text.words, shape.max_tokens,
                                                &m->vocabulary, err) ||
                            ww_within(err, "%s", dir));
}

static void *load(struct ww_device *device, const char *dir, const struct ww_json *config,
                  const char *variant, struct ww_model_info *info, struct ww_error *err)
{
    struct ww_gdino_model *m = room(1, sizeof *m);
    struct ww_weights *weights = NULL;
    m->whole = variant && !strcmp(variant, "whole");
    bool ok = !variant || m->whole ||
              ww_fail(err, WW_E_CONFIG, "there is no variant '%s'; 'whole' scores whole phrases", variant);
    ok = ok && ww_preprocessor_read(dir, &m->preprocessor, err);
    weights = ok ? ww_weights_open(dir, err) : NULL;
    if (!weights || !load_weights(m, device, dir, config, weights, err)) {
        ww_weights_close(&weights);
        unload(device, m);
        return NULL;
    }
    m->preprocessor.rounded = m->layout == WW_GDINO_ORIGINAL;
    const char *slash = strrchr(dir, '/');
    char hex[65];
    ww_weights_digest(weights, hex);
    snprintf(info->name, sizeof info->name, "%s", slash && slash[1] ? slash + 1 : dir);
    snprintf(info->digest, sizeof info->digest, "sha256:%s", hex);
    ww_weights_close(&weights);
    return m;
}

static bool check_task(enum ww_task task, struct ww_error *err)
{
    return task == WW_TASK_GROUND || task == WW_TASK_DETECT ||
           ww_fail(err, WW_E_UNSUPPORTED,
                   "Grounding DINO can do the tasks ground and detect, not '%s'", ww_task_name(task));
}

static struct ww_gdino_prompt *make_prompt(const struct ww_gdino_model *m, bool as_given,
                                           const char *const *phrases, int num_phrases,
                                           struct ww_error *err)
{
    return as_given && num_phrases == 1
               ? ww_gdino_prompt_as_given(&m->vocabulary, phrases[0], err)
               : ww_gdino_prompt_create(&m->vocabulary, phrases, num_phrases, err);
}

// A text that is taken as it is stays one, whatever phrases are in it.
static bool understand(const void *opaque, enum ww_task task, const char *const *phrases,
                       int num_phrases, struct ww_words *words, struct ww_error *err)
{
    if (!check_task(task, err))
        return false;
    struct ww_gdino_prompt *p = make_prompt(opaque, words->as_given, phrases, num_phrases, err);
    if (!p)
        return false;
    const bool keep = words->as_given && num_phrases == 1;
    words->num_phrases = keep ? 1 : p->num_phrases;
    words->phrases = room((size_t)words->num_phrases, sizeof *words->phrases);
    words->targets = room((size_t)words->num_phrases, sizeof *words->targets);
    for (int i = 0; i < words->num_phrases; i++) {
        words->phrases[i] = strdup(keep ? phrases[0] : p->phrases[i]);
        words->targets[i] = i;
        if (!words->phrases[i])
            abort();
    }
    ww_gdino_prompt_destroy(&p);
    return true;
}

static bool check(const struct ww_json *config, enum ww_task task, const char *const *phrases,
                  int num_phrases, struct ww_error *err)
{
    struct ww_gdino_shape shape;
    struct ww_swin_shape backbone;
    (void)phrases;
    return check_task(task, err) && ww_gdino_read_shape(config, &shape, err) &&
           (ww_json_get(config, "text_encoder") || read_backbone(config, NULL, &backbone, err)) &&
           (num_phrases > 0 || ww_fail(err, WW_E_TEXT, "this model looks for what it is told, and no "
                                                       "phrase is given"));
}

static float own_threshold(const void *opaque, enum ww_task task)
{
    const struct ww_gdino_model *m = opaque;
    (void)task;
    return m->layout == WW_GDINO_ORIGINAL ? original_box_threshold : box_threshold;
}

// Opening -----------------------------------------------------------------------------------------

static void forget_words(struct ww_gdino_picture *p)
{
    for (int i = 0; i < p->num_words; i++)
        ww_gdino_forget(&p->words[i]);
    free(p->words);
    p->words = NULL;
    p->num_words = 0;
    ww_gdino_prompt_destroy(&p->prompt);
}

static void close_session(struct ww_device *device, void *opaque)
{
    struct ww_gdino_session *s = opaque;
    if (!s)
        return;
    ww_plan_destroy(&s->plan);
    ww_plan_destroy(&s->again);
    ww_plan_destroy(&s->reader);
    ww_storage_destroy(device, &s->tokens);
    for (int b = 0; s->pictures && b < s->num; b++) {
        ww_storage_destroy(device, &s->pictures[b].storage);
        forget_words(&s->pictures[b]);
        free(s->pictures[b].found);
    }
    free(s->pictures);
    free(s);
}

static bool prompt_picture(struct ww_gdino_session *s, int b, const struct ww_words *words,
                           struct ww_error *err)
{
    struct ww_gdino_picture *p = &s->pictures[b];
    p->asked = words;
    p->prompt = make_prompt(s->model, words->as_given, (const char *const *)words->phrases,
                            words->num_phrases, err);
    if (!p->prompt)
        return false;
    p->num_words = p->prompt->num_captions;
    p->words = room((size_t)p->num_words, sizeof *p->words);
    return true;
}

// The longest text of a prompt, tokens.
static int longest(const struct ww_gdino_prompt *prompt)
{
    int most = 0;
    for (int i = 0; i < prompt->num_captions; i++)
        most = prompt->captions[i].text.num > most ? prompt->captions[i].text.num : most;
    return most;
}

static bool open_picture(struct ww_gdino_session *s, int b, const struct ww_look_params *params,
                         const struct ww_words *words, struct ww_error *err)
{
    struct ww_gdino_picture *p = &s->pictures[b];
    p->params = *params;
    const struct ww_packing packing = ww_packing(params->format, params->width, params->height);
    p->storage = ww_storage_create(s->device, packing.bytes + 64ull + 16, WW_PLACE_UPLOAD, err);
    if (!p->storage || !ww_preprocessor_size(&s->model->preprocessor, params, &p->w, &p->h, err) ||
        !prompt_picture(s, b, words, err))
        return false;
    const int most = longest(p->prompt), captions = p->prompt->num_captions;
    s->words = most > s->words ? most : s->words;
    s->captions = captions > s->captions ? captions : s->captions;
    return true;
}

// Reads the captions of a picture, once for each prompt.
static bool listen(struct ww_gdino_session *s, int b, struct ww_error *err)
{
    struct ww_gdino_picture *p = &s->pictures[b];
    for (int i = 0; i < p->num_words; i++)
        if (!ww_gdino_listen(s->reader, &s->reading, &p->prompt->captions[i].text, &p->words[i], err))
            return false;
    return true;
}

static bool record_reader(struct ww_gdino_session *s, struct ww_error *err)
{
    struct ww_cmd *g = ww_cmd_create(s->device);
    ww_keep_stages(g, s->pictures[0].params.keep_stages);
    s->reading = ww_gdino_read(g, s->model->gdino, s->words);
    s->reader = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return s->reader != NULL;
}

static void prepare(struct ww_gdino_session *s, struct ww_cmd *g, int b, struct ww_tensor input)
{
    struct ww_gdino_picture *p = &s->pictures[b];
    ww_preprocess(g, &s->model->preprocessor, &p->params, p->storage, &p->resampling, b, p->w, p->h, input);
}

// The tokens of all pictures, in a storage of their own.
static struct ww_tensor stored_tokens(struct ww_gdino_session *s, struct ww_cmd *g, struct ww_tensor X,
                                      struct ww_error *err)
{
    const uint64_t bytes = ((uint64_t)X.step * (uint64_t)X.n + 4) * 16;
    static const float zero[16]; // what lies outside a picture
    if (!s->tokens) {
        s->tokens = ww_storage_create(s->device, bytes, WW_PLACE_DEVICE, err);
        if (!s->tokens || !ww_storage_write(s->device, s->tokens, 0, zero, sizeof zero, err))
            return (struct ww_tensor){0};
    }
    return ww_stored_tensor(g, s->tokens, 4, X.n, X.c, 1, X.w);
}

static bool record_again(struct ww_gdino_session *s, struct ww_tensor X, struct ww_error *err)
{
    struct ww_cmd *g = ww_cmd_create(s->device);
    const struct ww_tensor kept = stored_tokens(s, g, X, err);
    if (ww_some(kept)) {
        s->again_pass = ww_gdino(g, s->model->gdino, kept, &s->pass.pyramid, s->words);
        s->again = ww_plan_create(g, err);
    }
    ww_cmd_destroy(&g);
    return s->again != NULL;
}

static bool record(struct ww_gdino_session *s, struct ww_error *err)
{
    const struct ww_tensor none = {0};
    int w = 0, h = 0;
    for (int b = 0; b < s->num; b++) {
        w = s->pictures[b].w > w ? s->pictures[b].w : w;
        h = s->pictures[b].h > h ? s->pictures[b].h : h;
    }
    struct ww_cmd *g = ww_cmd_create(s->device);
    ww_keep_stages(g, s->pictures[0].params.keep_stages);
    ww_label(g, "prepare");
    const struct ww_tensor input = ww_activation(g, s->num, 3, h, w);
    for (int b = 0; b < s->num; b++)
        prepare(s, g, b, input);
    ww_stage_map(g, input, "pre.pixel_values");
    struct ww_tensor stage[WW_SWIN_STAGES];
    ww_swin(g, s->model->swin, input, stage, "swin.");
    struct ww_pyramid pyramid = {.height = h, .width = w};
    struct ww_tensor X = ww_gdino_tokens(g, s->model->gdino, stage + 1, &pyramid);
    bool ok = pyramid.tokens >= ww_gdino_shape(s->model->gdino)->queries ||
              ww_fail(err, WW_E_CONFIG,
                      "an input of %dx%d has %d places to look at; this model chooses %d of them: make "
                      "it larger",
                      w, h, pyramid.tokens, ww_gdino_shape(s->model->gdino)->queries);
    if (ok && s->captions > 1) {
        ww_label(g, "keep");
        const struct ww_tensor kept = stored_tokens(s, g, X, err);
        ok = ww_some(kept);
        if (ok)
            ww_combine(g, kept, X, none, none, WW_ACT_NONE);
    }
    if (ok) {
        s->pass = ww_gdino(g, s->model->gdino, X, &pyramid, s->words);
        s->plan = ww_plan_create(g, err);
    }
    ww_cmd_destroy(&g);
    return s->plan && (s->captions == 1 || record_again(s, X, err));
}

// Everything that stays as it is from look to look.
static void fill(struct ww_gdino_session *s)
{
    for (int b = 0; b < s->num; b++) {
        const struct ww_gdino_picture *p = &s->pictures[b];
        ww_resampling_fill(s->plan, &p->resampling);
        ww_gdino_place(s->plan, s->model->gdino, &s->pass, b, p->h, p->w);
        if (s->again)
            ww_gdino_place(s->again, s->model->gdino, &s->again_pass, b, p->h, p->w);
        ww_gdino_say(s->plan, s->model->gdino, &s->pass, b, &p->words[0]);
    }
}

// Room for what a look finds: each query once in each caption, or once for each phrase.
static void make_room(struct ww_gdino_session *s, int b)
{
    struct ww_gdino_picture *p = &s->pictures[b];
    const int each = s->model->whole ? p->prompt->num_phrases : p->prompt->num_captions;
    p->max_found = each * ww_gdino_shape(s->model->gdino)->queries;
    p->max_found = p->max_found < 4 * WW_MAX_OBJECTS ? p->max_found : 4 * WW_MAX_OBJECTS;
    free(p->found);
    p->found = room((size_t)p->max_found, sizeof *p->found);
}

static void *open_many(struct ww_device *device, const void *model,
                       const struct ww_look_params *params, const struct ww_words *const *words,
                       int num, struct ww_error *err)
{
    if (num > WW_GDINO_MAX_BATCH) {
        ww_fail(err, WW_E_CONFIG, "%d pictures at once; at most %d", num, WW_GDINO_MAX_BATCH);
        return NULL;
    }
    struct ww_gdino_session *s = room(1, sizeof *s);
    s->device = device;
    s->model = model;
    s->num = num;
    s->pictures = room((size_t)num, sizeof *s->pictures);
    bool ok = true;
    for (int b = 0; ok && b < num; b++)
        ok = open_picture(s, b, &params[b], words[b], err);
    s->words = (s->words + WORDS_STEP - 1) / WORDS_STEP * WORDS_STEP;
    ok = ok && record_reader(s, err);
    for (int b = 0; ok && b < num; b++) {
        ok = listen(s, b, err);
        make_room(s, b);
    }
    if (ok && record(s, err)) {
        fill(s);
        return s;
    }
    close_session(device, s);
    return NULL;
}

static void *open_session(struct ww_device *device, const void *model,
                          const struct ww_look_params *params, const struct ww_words *words,
                          struct ww_error *err)
{
    return open_many(device, model, params, &words, 1, err);
}

// Other words are read here and now; pictures need nothing new unless there is no room for the text.
static bool reword(void *opaque, const struct ww_words *words)
{
    struct ww_gdino_session *s = opaque;
    struct ww_error err;
    struct ww_gdino_picture *p = &s->pictures[0];
    forget_words(p);
    if (!prompt_picture(s, 0, words, &err) || longest(p->prompt) > s->words ||
        (p->prompt->num_captions > 1) != (s->again != NULL) || !listen(s, 0, &err))
        return false;
    make_room(s, 0);
    s->captions = p->prompt->num_captions;
    ww_gdino_say(s->plan, s->model->gdino, &s->pass, 0, &p->words[0]);
    return true;
}

// Looking -----------------------------------------------------------------------------------------

static int by_score(const void *a, const void *b)
{
    const struct ww_gdino_found *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return (x->phrase > y->phrase) - (x->phrase < y->phrase);
}

// Keeps the best that there is room for.
static struct ww_gdino_found *add_found(struct ww_gdino_picture *p, float score)
{
    if (p->num_found < p->max_found)
        return &p->found[p->num_found++];
    struct ww_gdino_found *least = &p->found[0];
    for (int i = 1; i < p->num_found; i++)
        least = p->found[i].score < least->score ? &p->found[i] : least;
    return least->score < score ? least : NULL;
}

static void keep(struct ww_gdino_session *s, int b, int caption, const struct ww_gdino_found *found,
                 const float *likely)
{
    struct ww_gdino_picture *p = &s->pictures[b];
    struct ww_gdino_found *to = add_found(p, found->score);
    if (!to)
        return;
    *to = *found;
    to->caption = caption;
    ww_gdino_label(&s->model->vocabulary, &p->prompt->captions[caption].text, likely, text_threshold,
                   s->model->layout, to->words, sizeof to->words);
    ww_utf8_tidy(to->words); // where it was cut
}

// What of a caption was found in picture `b`, by a plan that just ran.
static void find(struct ww_gdino_session *s, int b, int caption, struct ww_plan *plan,
                 const struct ww_gdino_pass *pass)
{
    const struct ww_gdino_caption *c = &s->pictures[b].prompt->captions[caption];
    const struct ww_tensor t = pass->logits;
    const float *logits = ww_plan_host(plan, t), *boxes = ww_plan_host(plan, pass->boxes);
    float likely[WW_GDINO_MAX_TOKENS];
    const bool whole = s->model->whole;
    for (int q = 0; q < t.w; q++) {
        struct ww_gdino_found found = {.query = q};
        memcpy(found.box, boxes + ww_at(pass->boxes, b, 0, 0, q), sizeof found.box);
        ww_gdino_likely(&c->text, logits + ww_at(t, b, 0, 0, q), t.w, likely);
        for (int i = whole ? c->first : c->end - 1; i < c->end; i++) {
            const struct ww_gdino_match m =
                whole ? (struct ww_gdino_match){ww_gdino_match_whole(c, likely, i), i}
                      : ww_gdino_match(c, likely);
            found.score = m.score;
            found.phrase = m.phrase;
            if (m.score > s->threshold)
                keep(s, b, caption, &found, likely);
        }
    }
}

void ww_gdino_box(const struct ww_gdino_picture *p, const struct ww_gdino_found *found, float out[4])
{
    const float *box = found->box, w = (float)p->params.width, h = (float)p->params.height;
    out[0] = (box[0] - box[2] / 2) * w;
    out[1] = (box[1] - box[3] / 2) * h;
    out[2] = (box[0] + box[2] / 2) * w;
    out[3] = (box[1] + box[3] / 2) * h;
}

static float clamp(float x, int high)
{
    return fminf(fmaxf(x, 0), (float)high);
}

static void report(struct ww_gdino_session *s, int b, struct ww_findings *out)
{
    struct ww_gdino_picture *p = &s->pictures[b];
    qsort(p->found, (size_t)p->num_found, sizeof *p->found, by_score);
    out->num_objects = 0;
    out->keypoint_set = NULL;
    out->num_captions = p->prompt->num_captions > 1 ? p->prompt->num_captions : 0;
    for (int i = 0; i < p->num_found && out->num_objects < WW_MAX_OBJECTS; i++) {
        const struct ww_gdino_found *f = &p->found[i];
        float box[4];
        ww_gdino_box(p, f, box);
        char *words = out->words[out->num_objects];
        memcpy(words, f->words, sizeof f->words);
        const int phrase = f->phrase < 0 || p->asked->as_given ? 0 : f->phrase;
        const struct ww_object object = {.phrase = phrase,
                                         .label = p->asked->phrases[phrase],
                                         .words = words,
                                         .score = f->score,
                                         .x0 = clamp(box[0], p->params.width),
                                         .y0 = clamp(box[1], p->params.height),
                                         .x1 = clamp(box[2], p->params.width),
                                         .y1 = clamp(box[3], p->params.height)};
        if (object.x1 > object.x0 && object.y1 > object.y0)
            out->objects[out->num_objects++] = object;
    }
}

static bool look_many(void *opaque, const struct ww_frame *frames, float threshold,
                      struct ww_findings *out, struct ww_error *err)
{
    struct ww_gdino_session *s = opaque;
    s->threshold = threshold;
    for (int b = 0; b < s->num; b++) {
        ww_picture_pack(&frames[b], (char *)s->pictures[b].storage->map + 64);
        s->pictures[b].num_found = 0;
    }
    if (!ww_plan_run(s->plan, s->num, err))
        return false;
    for (int b = 0; b < s->num; b++)
        find(s, b, 0, s->plan, &s->pass);
    for (int i = 1; i < s->captions; i++) {
        // Who has no such caption is asked his last again, and the answer is not read.
        for (int b = 0; b < s->num; b++) {
            const struct ww_gdino_picture *p = &s->pictures[b];
            ww_gdino_say(s->again, s->model->gdino, &s->again_pass, b,
                         &p->words[i < p->num_words ? i : p->num_words - 1]);
        }
        if (!ww_plan_run(s->again, s->num, err))
            return false;
        for (int b = 0; b < s->num; b++)
            if (i < s->pictures[b].num_words)
                find(s, b, i, s->again, &s->again_pass);
    }
    for (int b = 0; b < s->num; b++)
        report(s, b, &out[b]);
    return true;
}

static struct ww_plan *plan(void *opaque, int i)
{
    struct ww_gdino_session *s = opaque;
    return i == 0 ? s->plan : i == 1 ? s->again : NULL;
}

// Stages of words have as many rows as the longest text of the batch, not as there is room for.
static int rows(void *opaque, const char *stage)
{
    const struct ww_gdino_session *s = opaque;
    int most = 0;
    for (int b = 0; b < s->num; b++) {
        const int num = s->pictures[b].prompt->captions[0].text.num;
        most = num > most ? num : most;
    }
    return !strncmp(stage, "enc.", 4) && strstr(stage, "text") ? most : 0;
}

const struct ww_family ww_family_grounding_dino = {
    .name = "grounding-dino",
    .load = load,
    .unload = unload,
    .check = check,
    .understand = understand,
    .threshold = own_threshold,
    .open = open_session,
    .close = close_session,
    .look = look_many, // of one
    .reword = reword,
    .open_many = open_many,
    .look_many = look_many,
    .plan = plan,
    .rows = rows,
    .trace = ww_gdino_trace,
};
