// Grounding DINO as a family: a directory with config.json, vocab.txt and weights of either layout. How it
// looks is in grounding-dino-look.c.

#include "grounding-dino-hall.h"
#include "base/room.h"
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const float box_threshold = 0.25f, original_box_threshold = 0.3f;

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
    if (encoder && !ww_config_is_beside(encoder)) {
        ww_fail(err, WW_E_FILE, "%s: 'text_encoder' is '%s'; it must be the name of a directory beside it", dir,
                encoder);
        return NULL;
    }
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

static bool check_variant(const char *variant, struct ww_error *err)
{
    return !variant || !strcmp(variant, "whole") ||
           ww_fail(err, WW_E_CONFIG, "there is no variant '%s'; 'whole' scores whole phrases", variant);
}

static void *load(struct ww_device *device, const char *dir, const struct ww_json *config,
                  const char *variant, struct ww_model_info *info, struct ww_error *err)
{
    struct ww_gdino_model *m = ww_room(1, sizeof *m);
    struct ww_weights *weights = NULL;
    m->whole = variant != NULL;
    const bool ok = check_variant(variant, err) && ww_preprocessor_read(dir, &m->preprocessor, err);
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
    snprintf(info->name, sizeof info->name, "%s%s", slash && slash[1] ? slash + 1 : dir, m->whole ? ":whole" : "");
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

struct ww_gdino_prompt *ww_gdino_ask(const struct ww_gdino_model *m, bool as_given,
                                     const char *const *phrases, int num_phrases, struct ww_error *err)
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
    struct ww_gdino_prompt *p = ww_gdino_ask(opaque, words->as_given, phrases, num_phrases, err);
    if (!p)
        return false;
    const bool keep = words->as_given && num_phrases == 1;
    words->num_phrases = keep ? 1 : p->num_phrases;
    words->phrases = ww_room((size_t)words->num_phrases, sizeof *words->phrases);
    words->targets = ww_room((size_t)words->num_phrases, sizeof *words->targets);
    words->given = ww_room((size_t)words->num_phrases, sizeof *words->given);
    for (int i = 0; i < words->num_phrases; i++) {
        words->phrases[i] = strdup(keep ? phrases[0] : p->phrases[i]);
        words->targets[i] = i;
        words->given[i] = p->given[i];
        if (!words->phrases[i])
            abort();
    }
    ww_gdino_prompt_destroy(&p);
    return true;
}

// The vocabulary lies beside the weights.
static bool check_words(const char *dir, const struct ww_json *config, const struct ww_gdino_shape *shape,
                        const char *const *phrases, int num_phrases, struct ww_error *err)
{
    struct ww_gdino_vocabulary vocabulary;
    struct ww_gdino_prompt *prompt = NULL;
    struct ww_tokenizer *t = open_tokenizer(dir, config, err);
    if (t && ww_gdino_vocabulary(t, shape->text.words, shape->max_tokens, &vocabulary, err))
        prompt = ww_gdino_prompt_create(&vocabulary, phrases, num_phrases, err);
    const bool ok = prompt != NULL;
    ww_gdino_prompt_destroy(&prompt);
    ww_tokenizer_close(&t);
    return ok;
}

static bool check(const char *dir, const struct ww_json *config, const char *variant, enum ww_task task,
                  const char *const *phrases, int num_phrases, struct ww_error *err)
{
    struct ww_gdino_shape shape;
    struct ww_swin_shape backbone;
    return check_variant(variant, err) && check_task(task, err) && ww_gdino_read_shape(config, &shape, err) &&
           (ww_json_get(config, "text_encoder") || read_backbone(config, NULL, &backbone, err)) &&
           check_words(dir, config, &shape, phrases, num_phrases, err);
}

static float own_threshold(const void *opaque, enum ww_task task)
{
    const struct ww_gdino_model *m = opaque;
    (void)task;
    return m->layout == WW_GDINO_ORIGINAL ? original_box_threshold : box_threshold;
}

const struct ww_family ww_family_grounding_dino = {
    .name = "grounding-dino",
    .load = load,
    .unload = unload,
    .step = 1,
    .check = check,
    .understand = understand,
    .threshold = own_threshold,
    .most = WW_GDINO_MAX_BATCH,
    .measure = ww_gdino_measure,
    .open = ww_gdino_open,
    .close = ww_gdino_close,
    .sit = ww_gdino_sit,
    .rise = ww_gdino_rise,
    .reword = ww_gdino_reword,
    .look = ww_gdino_look,
    .plan = ww_gdino_plan,
    .rows = ww_gdino_rows,
    .trace = ww_gdino_trace,
};
