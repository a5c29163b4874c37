// How Grounding DINO looks: at frames of any shape, several at once, each asked something of its own.

#include "grounding-dino-hall.h"
#include "base/room.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_STEP = 16 }; // texts of up to so many more tokens need no recording of their own
static const float text_threshold = 0.25f;

// Words -------------------------------------------------------------------------------------------

static struct ww_gdino_prompt *ask(const struct ww_gdino_model *m, const struct ww_words *words,
                                   struct ww_error *err)
{
    return ww_gdino_ask(m, words->as_given, (const char *const *)words->phrases, words->num_phrases, err);
}

// The longest text of a prompt, tokens.
static int longest(const struct ww_gdino_prompt *prompt)
{
    int most = 0;
    for (int i = 0; i < prompt->num_captions; i++)
        most = prompt->captions[i].text.num > most ? prompt->captions[i].text.num : most;
    return most;
}

bool ww_gdino_measure(const void *opaque, const struct ww_look_params *params, const struct ww_words *words,
                      bool together, struct ww_extent *out, struct ww_error *err)
{
    const struct ww_gdino_model *m = opaque;
    struct ww_gdino_prompt *prompt = ask(m, words, err);
    if (!prompt)
        return false;
    const int most = longest(prompt);
    out->texts = prompt->num_captions;
    out->words = WORDS_STEP;
    while (out->words < most)
        out->words += together ? out->words : WORDS_STEP;
    ww_gdino_prompt_destroy(&prompt);
    return ww_preprocessor_size(&m->preprocessor, params, &out->width, &out->height, err);
}

static void forget_words(struct ww_gdino_seat *seat)
{
    for (int i = 0; i < seat->num_words; i++)
        ww_gdino_forget(&seat->words[i]);
    free(seat->words);
    seat->words = NULL;
    seat->num_words = 0;
    ww_gdino_prompt_destroy(&seat->prompt);
}

// Room for what a look finds: each query once in each caption, or once for each phrase.
static void make_room(struct ww_gdino_seat *seat)
{
    const struct ww_gdino_model *m = seat->hall->model;
    const int each = m->whole ? seat->prompt->num_phrases : seat->prompt->num_captions;
    seat->max_found = each * ww_gdino_shape(m->gdino)->queries;
    seat->max_found = seat->max_found < 4 * WW_MAX_OBJECTS ? seat->max_found : 4 * WW_MAX_OBJECTS;
    free(seat->found);
    seat->found = ww_room((size_t)seat->max_found, sizeof *seat->found);
}

// Reads other words, once for each prompt. WW_E_UNSUPPORTED: this hall has no room for them.
static bool hear(struct ww_gdino_seat *seat, const struct ww_words *words, struct ww_error *err)
{
    struct ww_gdino_hall *hall = seat->hall;
    forget_words(seat);
    seat->asked = words;
    seat->serial = ++hall->serials;
    seat->prompt = ask(hall->model, words, err);
    if (!seat->prompt)
        return false;
    const int num = seat->prompt->num_captions;
    if (longest(seat->prompt) > hall->params.extent.words || (num > 1 && !hall->again))
        return ww_fail(err, WW_E_UNSUPPORTED, "words for which nothing is recorded");
    seat->num_words = num;
    seat->words = ww_room((size_t)num, sizeof *seat->words);
    make_room(seat);
    for (int i = 0; i < num; i++)
        if (!ww_gdino_listen(hall->reader, &hall->reading, &seat->prompt->captions[i].text, &seat->words[i],
                             err))
            return false;
    return true;
}

// Pictures need nothing new unless there is no room for the text, or only they would have room to spare.
bool ww_gdino_reword(void *opaque, const struct ww_words *words)
{
    struct ww_gdino_seat *seat = opaque;
    struct ww_error err;
    if (seat->asked->revision == words->revision && seat->num_words) { // other thresholds
        seat->asked = words;
        return true;
    }
    return hear(seat, words, &err) && (seat->num_words > 1) == (seat->hall->again != NULL);
}

// Halls -------------------------------------------------------------------------------------------

void ww_gdino_close(struct ww_device *device, void *opaque)
{
    struct ww_gdino_hall *hall = opaque;
    if (!hall)
        return;
    ww_plan_destroy(&hall->plan);
    ww_plan_destroy(&hall->again);
    ww_plan_destroy(&hall->reader);
    ww_storage_destroy(device, &hall->tokens);
    free(hall);
}

static bool record_reader(struct ww_gdino_hall *hall, struct ww_error *err)
{
    struct ww_cmd *g = ww_cmd_create(hall->device);
    ww_keep_stages(g, hall->params.keep_stages);
    hall->reading = ww_gdino_read(g, hall->model->gdino, hall->params.extent.words);
    hall->reader = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return hall->reader != NULL;
}

// The tokens of all pictures, in a storage of their own; stored as they are among the activations.
static struct ww_tensor stored_tokens(struct ww_gdino_hall *hall, struct ww_cmd *g, struct ww_tensor X,
                                      struct ww_error *err)
{
    const bool halves = hall->device->halves;
    const uint64_t bytes = (uint64_t)X.step * (uint64_t)X.n * (halves ? 8 : 16) + 64;
    static const float zero[16]; // what lies outside a picture
    if (!hall->tokens) {
        hall->tokens = ww_storage_create(hall->device, bytes, WW_PLACE_DEVICE, err);
        if (!hall->tokens || !ww_storage_write(hall->device, hall->tokens, 0, zero, sizeof zero, err))
            return (struct ww_tensor){0};
    }
    return ww_stored_as(g, halves, hall->tokens, 4, X.n, X.c, 1, X.w);
}

static bool record_again(struct ww_gdino_hall *hall, struct ww_tensor X, struct ww_error *err)
{
    struct ww_cmd *g = ww_cmd_create(hall->device);
    const struct ww_tensor kept = stored_tokens(hall, g, X, err);
    if (ww_some(kept)) {
        hall->again_pass =
            ww_gdino(g, hall->model->gdino, kept, &hall->pass.pyramid, hall->params.extent.words);
        hall->again = ww_plan_create(g, err);
    }
    ww_cmd_destroy(&g);
    return hall->again != NULL;
}

static bool record(struct ww_gdino_hall *hall, struct ww_error *err)
{
    const struct ww_tensor none = {0};
    const struct ww_extent *extent = &hall->params.extent;
    const struct ww_gdino_shape *shape = ww_gdino_shape(hall->model->gdino);
    struct ww_cmd *g = ww_cmd_create(hall->device);
    ww_keep_stages(g, hall->params.keep_stages);
    hall->input = ww_input_tensor(g, hall->params.room, 3, extent->height, extent->width);
    ww_stage_map(g, hall->input, "pre.pixel_values");
    struct ww_tensor stage[WW_SWIN_STAGES];
    ww_swin(g, hall->model->swin, hall->input, stage, "swin.");
    struct ww_pyramid pyramid = {.height = extent->height, .width = extent->width};
    struct ww_tensor X = ww_gdino_tokens(g, hall->model->gdino, stage + 1, &pyramid);
    bool ok = pyramid.tokens >= shape->queries ||
              ww_fail(err, WW_E_CONFIG,
                      "an input of %dx%d has %d places to look at; this model chooses %d of them: make "
                      "it larger",
                      extent->width, extent->height, pyramid.tokens, shape->queries);
    if (ok && extent->texts > 1) {
        ww_label(g, "keep");
        const struct ww_tensor kept = stored_tokens(hall, g, X, err);
        ok = ww_some(kept);
        if (ok)
            ww_combine(g, kept, X, none, none, WW_ACT_NONE);
    }
    if (ok) {
        hall->pass = ww_gdino(g, hall->model->gdino, X, &pyramid, extent->words);
        hall->plan = ww_plan_create(g, err);
    }
    ww_cmd_destroy(&g);
    return hall->plan && (extent->texts <= 1 || record_again(hall, X, err));
}

// Says how much of the picture at place `b` is one, unless that is known.
static void place(struct ww_gdino_hall *hall, int b, int w, int h)
{
    struct ww_gdino_place *p = &hall->places[b];
    if (p->w == w && p->h == h)
        return;
    p->w = w;
    p->h = h;
    ww_gdino_place(hall->plan, hall->model->gdino, &hall->pass, b, h, w);
    if (hall->again)
        ww_gdino_place(hall->again, hall->model->gdino, &hall->again_pass, b, h, w);
}

void *ww_gdino_open(struct ww_device *device, const void *model, const struct ww_hall_params *params,
                    struct ww_error *err)
{
    struct ww_gdino_hall *hall = ww_room(1, sizeof *hall);
    hall->device = device;
    hall->model = model;
    hall->params = *params;
    if (!record_reader(hall, err) || !record(hall, err)) {
        ww_gdino_close(device, hall);
        return NULL;
    }
    for (int b = 0; b < params->room; b++)
        place(hall, b, params->extent.width, params->extent.height);
    return hall;
}

// Seats -------------------------------------------------------------------------------------------

void ww_gdino_rise(void *opaque)
{
    struct ww_gdino_seat *seat = opaque;
    if (!seat)
        return;
    ww_inlet_close(seat->hall->device, &seat->inlet);
    forget_words(seat);
    free(seat->found);
    free(seat);
}

void *ww_gdino_sit(void *opaque, const struct ww_look_params *params, const struct ww_words *words,
                   struct ww_error *err)
{
    struct ww_gdino_hall *hall = opaque;
    struct ww_gdino_seat *seat = ww_room(1, sizeof *seat);
    seat->hall = hall;
    if (ww_inlet_open(&seat->inlet, hall->device, &hall->model->preprocessor, params, hall->plan, hall->input,
                      err) &&
        hear(seat, words, err))
        return seat;
    ww_gdino_rise(seat);
    return NULL;
}

// Looking -----------------------------------------------------------------------------------------

static int by_score(const void *a, const void *b)
{
    const struct ww_gdino_found *x = a, *y = b;
    return ww_by_score(x->score, y->score, x->query, y->query, x->phrase, y->phrase);
}

// Keeps the best that there is room for.
static struct ww_gdino_found *add_found(struct ww_gdino_seat *p, float score)
{
    if (p->num_found < p->max_found)
        return &p->found[p->num_found++];
    struct ww_gdino_found *least = &p->found[0];
    for (int i = 1; i < p->num_found; i++)
        least = p->found[i].score < least->score ? &p->found[i] : least;
    return least->score < score ? least : NULL;
}

static void keep(struct ww_gdino_hall *s, int b, int caption, const struct ww_gdino_found *found,
                 const float *likely)
{
    struct ww_gdino_seat *p = s->places[b].seat;
    struct ww_gdino_found *to = add_found(p, found->score);
    if (!to)
        return;
    *to = *found;
    to->caption = caption;
    ww_gdino_label(&s->model->vocabulary, &p->prompt->captions[caption].text, likely, text_threshold,
                   s->model->layout, to->words, sizeof to->words);
    ww_utf8_tidy(to->words); // where it was cut
}

static int phrase_of(const struct ww_gdino_seat *seat, const struct ww_gdino_found *found)
{
    return found->phrase < 0 || seat->asked->as_given ? 0 : found->phrase;
}

static bool are_numbers(const float *x, int num)
{
    bool all = true;
    for (int i = 0; i < num; i++)
        all &= !isnan(x[i]);
    return all;
}

// What of a caption was found in picture `b`, by a plan that just ran.
static void find(struct ww_gdino_hall *s, int b, int caption, struct ww_plan *plan,
                 const struct ww_gdino_pass *pass)
{
    struct ww_gdino_seat *seat = s->places[b].seat;
    const struct ww_gdino_caption *c = &seat->prompt->captions[caption];
    const struct ww_tensor t = pass->logits;
    const float *logits = ww_plan_host(plan, t), *boxes = ww_plan_host(plan, pass->boxes);
    float likely[WW_GDINO_MAX_TOKENS];
    const bool whole = s->model->whole;
    for (int q = 0; q < t.w; q++) {
        struct ww_gdino_found found = {.query = q};
        memcpy(found.box, boxes + ww_at(pass->boxes, b, 0, 0, q), sizeof found.box);
        ww_gdino_likely(&c->text, logits + ww_at(t, b, 0, 0, q), t.w, likely);
        seat->broken |= !are_numbers(likely, c->text.num) || !are_numbers(found.box, 4);
        for (int i = whole ? c->first : c->end - 1; i < c->end; i++) {
            const struct ww_gdino_match m =
                whole ? (struct ww_gdino_match){ww_gdino_match_whole(c, likely, i), i}
                      : ww_gdino_match(c, likely);
            found.score = m.score;
            found.phrase = m.phrase;
            if (m.score > ww_words_threshold(seat->asked, phrase_of(seat, &found), seat->threshold))
                keep(s, b, caption, &found, likely);
        }
    }
}

void ww_gdino_box(const struct ww_gdino_seat *p, const struct ww_gdino_found *found, float out[4])
{
    const float *box = found->box, w = (float)p->inlet.params.width, h = (float)p->inlet.params.height;
    out[0] = (box[0] - box[2] / 2) * w;
    out[1] = (box[1] - box[3] / 2) * h;
    out[2] = (box[0] + box[2] / 2) * w;
    out[3] = (box[1] + box[3] / 2) * h;
}

static void report(const struct ww_gdino_seat *seat, const struct ww_look *look)
{
    struct ww_findings *out = look->out;
    qsort(seat->found, (size_t)seat->num_found, sizeof *seat->found, by_score);
    out->num_objects = 0;
    out->keypoint_set = NULL;
    out->broken = seat->broken;
    out->num_captions = seat->prompt->num_captions > 1 ? seat->prompt->num_captions : 0;
    for (int i = 0; i < seat->num_found && out->num_objects < WW_MAX_OBJECTS; i++) {
        const struct ww_gdino_found *f = &seat->found[i];
        const int phrase = phrase_of(seat, f);
        char *words = out->words[out->num_objects];
        float box[4];
        memcpy(words, f->words, sizeof f->words);
        ww_gdino_box(seat, f, box);
        ww_findings_add(out,
                        &(struct ww_object){.phrase = phrase,
                                            .label = seat->asked->phrases[phrase],
                                            .words = words,
                                            .score = f->score},
                        box, seat->inlet.params.width, seat->inlet.params.height, look->nms);
    }
}

// Tells the plan of first captions what the picture at place `b` is asked, unless it was the last to know.
static void tell(struct ww_gdino_hall *hall, int b, const struct ww_gdino_seat *seat)
{
    if (hall->places[b].serial == seat->serial)
        return;
    hall->places[b].serial = seat->serial;
    ww_gdino_say(hall->plan, hall->model->gdino, &hall->pass, b, &seat->words[0]);
}

// Asks the pictures, whose tokens are kept, caption `i`. Who has none is asked his last again, and the answer
// is not read.
static bool look_again(struct ww_gdino_hall *hall, int i, struct ww_error *err)
{
    for (int b = 0; b < hall->num; b++) {
        const struct ww_gdino_seat *seat = hall->places[b].seat;
        ww_gdino_say(hall->again, hall->model->gdino, &hall->again_pass, b,
                     &seat->words[i < seat->num_words ? i : seat->num_words - 1]);
    }
    if (!ww_plan_run(hall->again, hall->num, err))
        return false;
    for (int b = 0; b < hall->num; b++)
        if (i < hall->places[b].seat->num_words)
            find(hall, b, i, hall->again, &hall->again_pass);
    return true;
}

bool ww_gdino_look(void *opaque, const struct ww_look *looks, int num, struct ww_error *err)
{
    struct ww_gdino_hall *hall = opaque;
    int captions = 1;
    hall->num = num;
    for (int b = 0; b < num; b++) {
        struct ww_gdino_seat *seat = hall->places[b].seat = looks[b].seat;
        seat->num_found = 0;
        seat->broken = false;
        seat->threshold = looks[b].threshold;
        captions = seat->num_words > captions ? seat->num_words : captions;
        place(hall, b, seat->inlet.w, seat->inlet.h);
        tell(hall, b, seat);
        if (!ww_inlet_put(&seat->inlet, looks[b].frame, b, err))
            return false;
    }
    if (!ww_plan_run(hall->plan, num, err))
        return false;
    for (int b = 0; b < num; b++)
        find(hall, b, 0, hall->plan, &hall->pass);
    for (int i = 1; i < captions; i++)
        if (!look_again(hall, i, err))
            return false;
    for (int b = 0; b < num; b++)
        report(hall->places[b].seat, &looks[b]);
    return true;
}

struct ww_plan *ww_gdino_plan(void *opaque, int i)
{
    struct ww_gdino_hall *hall = opaque;
    return i == 0 ? hall->plan : i == 1 ? hall->again : NULL;
}

// Stages of words have as many rows as the longest text of the batch, not as there is room for.
int ww_gdino_rows(void *opaque, const char *stage)
{
    const struct ww_gdino_hall *hall = opaque;
    int most = 0;
    for (int b = 0; b < hall->num; b++) {
        const int num = hall->places[b].seat->prompt->captions[0].text.num;
        most = num > most ? num : most;
    }
    return !strncmp(stage, "enc.", 4) && strstr(stage, "text") ? most : 0;
}
