// Grounding DINO from the backbone's maps on, against the transformers library and the first release:
// every stage of four golden cases, in both layouts of the weights, on every device. The backbone has a
// test of its own.

#include "devices.h"
#include "base/json.h"
#include "models/grounding-dino-phrases.h"

#define DATA "/tests/models/grounding-dino/"

static char *path_of(const char *folder, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s" DATA "%s/%s", getenv("WATCHWORD_SOURCE"), folder, name);
    return path;
}

static struct ww_tokenizer *tokenizer;
static struct ww_gdino_vocabulary vocabulary;
static const int channels[WW_GDINO_MAPS] = {24, 48, 96};

struct run {
    const char *name;
    struct ww_device *device;
    const struct ww_gdino *model;
    bool original;
    struct ww_weights *want;
    struct ww_json *stages;
    int n, tokens, words; // texts; of the golden set; of ours
    struct ww_gdino_words *texts;
    struct ww_plan *reader, *plan;
    struct ww_gdino_reading reading;
    struct ww_gdino_pass pass;
    struct ww_tensor maps[WW_GDINO_MAPS];
    double closest;
    char where[96];
    int seen;
};

static const struct ww_weight *golden(const struct run *r, const char *name)
{
    return ww_weights_find(r->want, name);
}

static int64_t whole(const struct ww_weight *w, size_t i)
{
    int64_t x;
    memcpy(&x, (const char *)w->data + 8 * i, sizeof x);
    return x;
}

static double number(const struct ww_weight *w, size_t i)
{
    return w->type == WW_I64 ? (double)whole(w, i) : (double)ww_weight_float(w, i);
}

// What is tolerated of a stage; 0: it is whole numbers.
static double tolerance_of(const struct run *r, const char *name)
{
    double tolerance = 0;
    for (const struct ww_json *s = ww_json_first(r->stages); s; s = ww_json_next(s))
        if (!strcmp(ww_json_string(ww_json_get(s, "name")), name))
            ww_json_number(ww_json_get(s, "tolerance"), &tolerance);
    return tolerance;
}

// `got` [n][rows][c] or, as `map`, [n][c] maps of `rows` cells each; of it the golden stage's first rows
// or channels count.
static void compare(struct run *r, const char *stage, const float *got, int n, int rows, int c, bool turned)
{
    char name[96];
    snprintf(name, sizeof name, "original.%s", stage);
    // Between the layouts what boxes do to the decoder differs, by what their logits are clamped with.
    if (r->original && !golden(r, name) && !strncmp(stage, "dec.", 4))
        return;
    if (!r->original || !golden(r, name))
        snprintf(name, sizeof name, "%s", stage);
    const struct ww_weight *want = golden(r, name);
    if (!want)
        return;
    const double tolerance = tolerance_of(r, name);
    const int want_rows = (int)(turned ? want->dim[2] * want->dim[3] : want->dim[1]);
    const int want_c = (int)(turned ? want->dim[1] : want->rank == 3 ? want->dim[2] : 1);
    check_about("%s of %s%s on %s", name, r->name, r->original ? ", original" : "", r->device->info.name);
    CHECK_CMP((int)want->dim[0], ==, n);
    CHECK_CMP(want_rows, <=, rows);
    double worst = 0;
    for (int b = 0; b < n; b++)
        for (int i = 0; i < want_rows; i++)
            for (int k = 0; k < want_c; k++) {
                const int at = turned ? (b * want_c + k) * want_rows + i
                                      : (b * want_rows + i) * want_c + k;
                const double x = k < c ? (double)got[(b * rows + i) * c + k]
                                       : -HUGE_VAL; // behind the end of a text
                const double y = number(want, (size_t)at);
                const double d = x == y ? 0 : fabs(x - y);
                worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
            }
    CHECK_CMP(worst, <=, tolerance);
    if (tolerance > 0 && worst / tolerance > r->closest) {
        r->closest = worst / tolerance;
        snprintf(r->where, sizeof r->where, "%s", name);
    }
    r->seen++;
}

static void compare_stages(struct run *r, struct ww_plan *plan)
{
    for (int i = 0; i < ww_plan_num_stages(plan); i++) {
        struct ww_tensor t;
        struct ww_error err = {0};
        const char *name = ww_plan_stage(plan, i, &t);
        float *data = malloc(sizeof *data * (size_t)t.n * (size_t)t.h * (size_t)t.w * (size_t)t.c);
        if (CHECK(data && ww_plan_read_stage(plan, i, data, &err)))
            compare(r, name, data, t.n, t.h * t.w, t.c, ww_plan_stage_kind(plan, i) == WW_STAGE_MAP);
        free(data);
    }
}

// Words ------------------------------------------------------------------------------------------

static void compare_divided(struct run *r, int b)
{
    const struct ww_gdino_text *text = &r->texts[b].text;
    const struct ww_weight *position = golden(r, "text.position_ids");
    const struct ww_weight *mask = golden(r, "text.self_attention_mask");
    int wrong = 0;
    for (int i = 0; i < text->num; i++) {
        wrong += whole(position, (size_t)(b * r->tokens + i)) != text->position[i];
        for (int j = 0; j < text->num; j++)
            wrong += whole(mask, (size_t)((b * r->tokens + i) * r->tokens + j)) !=
                     (text->block[i] == text->block[j]);
    }
    check_about("phrases of text %d of %s", b, r->name);
    CHECK_CMP(wrong, ==, 0);
}

// Of text `b`, a stage of the reader's.
static void compare_reader(struct run *r, int b)
{
    for (int i = 0; i < ww_plan_num_stages(r->reader); i++) {
        struct ww_tensor t;
        struct ww_error err = {0};
        char name[96];
        const char *stage = ww_plan_stage(r->reader, i, &t);
        int layer;
        if (!strcmp(stage, "embeddings.out"))
            snprintf(name, sizeof name, "text.embeddings");
        else if (sscanf(stage, "layer.%d.", &layer) == 1 && strstr(stage, ".out"))
            snprintf(name, sizeof name, "text.bert%d", layer);
        else
            snprintf(name, sizeof name, "%s", stage);
        const struct ww_weight *want = golden(r, name);
        if (!want)
            continue;
        float *data = malloc(sizeof *data * (size_t)t.w * (size_t)t.c);
        if (!CHECK(data && ww_plan_read_stage(r->reader, i, data, &err)))
            return;
        double worst = 0;
        const size_t all = (size_t)(r->tokens * t.c); // padding, too
        for (size_t k = 0; k < all; k++)
            worst = fmax(worst, fabs((double)data[k] - number(want, (size_t)b * all + k)));
        check_about("%s of text %d of %s on %s", name, b, r->name, r->device->info.name);
        CHECK_CMP(worst, <=, tolerance_of(r, name));
        r->seen++;
        free(data);
    }
}

static bool read_texts(struct run *r, struct ww_error *err)
{
    const struct ww_weight *ids = golden(r, "text.input_ids"), *mask = golden(r, "text.attention_mask");
    struct ww_cmd *g = ww_cmd_create(r->device);
    ww_keep_stages(g, true);
    r->reading = ww_gdino_read(g, r->model, r->words);
    r->reader = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    for (int b = 0; r->reader && b < r->n; b++) {
        struct ww_gdino_text text = {0};
        for (int i = 0; i < r->tokens; i++) {
            text.ids[i] = (int32_t)whole(ids, (size_t)(b * r->tokens + i));
            text.num += (int)whole(mask, (size_t)(b * r->tokens + i));
        }
        ww_gdino_divide(&text, vocabulary.ends);
        if (!ww_gdino_listen(r->reader, &r->reading, &text, &r->texts[b], err))
            return false;
        compare_divided(r, b);
        compare_reader(r, b);
    }
    return r->reader != NULL;
}

// Picture and both -------------------------------------------------------------------------------

static void fill_maps(struct run *r)
{
    for (int l = 0; l < WW_GDINO_MAPS; l++) {
        char name[32];
        snprintf(name, sizeof name, "swin.feature%d", l + 1);
        const struct ww_weight *from = golden(r, name);
        float *to = ww_plan_host(r->plan, r->maps[l]);
        size_t i = 0;
        for (int b = 0; b < r->n; b++)
            for (int c = 0; c < r->maps[l].c; c++)
                for (int p = 0; p < r->maps[l].h * r->maps[l].w; p++)
                    to[ww_at(r->maps[l], b, c, 0, p)] = ww_weight_float(from, i++);
    }
}

static bool record(struct run *r, int height, int width, struct ww_error *err)
{
    struct ww_cmd *g = ww_cmd_create(r->device);
    ww_keep_stages(g, true);
    for (int l = 0; l < WW_GDINO_MAPS; l++) {
        char name[32];
        snprintf(name, sizeof name, "swin.feature%d", l + 1);
        const struct ww_weight *map = golden(r, name);
        r->maps[l] = ww_upload_tensor(g, r->n, channels[l], (int)map->dim[2], (int)map->dim[3]);
    }
    struct ww_pyramid pyramid = {.height = height, .width = width};
    const struct ww_tensor X = ww_gdino_tokens(g, r->model, r->maps, &pyramid);
    r->pass = ww_gdino(g, r->model, X, &pyramid, r->words);
    ww_stage_rows(g, r->pass.boxes, "out.boxes");
    r->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return r->plan != NULL;
}

// Where a text ends, so do its logits.
static void compare_logits(struct run *r)
{
    const struct ww_tensor t = r->pass.logits;
    const float *logits = ww_plan_host(r->plan, t);
    float *rows = malloc(sizeof *rows * (size_t)(t.n * t.w * t.c));
    if (!rows)
        abort();
    for (int b = 0; b < t.n; b++)
        for (int q = 0; q < t.w; q++)
            for (int c = 0; c < t.c; c++)
                rows[(b * t.w + q) * t.c + c] = c < r->texts[b].text.num
                                                    ? logits[ww_at(t, b, c, 0, q)]
                                                    : -INFINITY;
    compare(r, "out.logits", rows, t.n, t.w, t.c, false);
    free(rows);
}

// What is found, and by what words: equal letter by letter.
static void compare_found(struct run *r, const struct ww_json *at_case, int b)
{
    double box_threshold, text_threshold;
    char name[32];
    snprintf(name, sizeof name, "post%d.queries", b);
    const struct ww_weight *queries = golden(r, name);
    const struct ww_json *detection = ww_json_first(ww_json_get(at_case, "detections"));
    for (int i = 0; i < b; i++)
        detection = ww_json_next(detection);
    const struct ww_json *want = ww_json_first(
        ww_json_get(detection, r->original ? "original_phrases" : "labels"));
    ww_json_number(ww_json_get(at_case, "box_threshold"), &box_threshold);
    ww_json_number(ww_json_get(at_case, "text_threshold"), &text_threshold);
    const struct ww_tensor t = r->pass.logits;
    const struct ww_gdino_caption caption = {.text = r->texts[b].text};
    int64_t found = 0;
    check_about("found of picture %d of %s%s", b, r->name, r->original ? ", original" : "");
    for (int q = 0; q < t.w; q++) {
        float likely[WW_GDINO_MAX_TOKENS];
        char label[1024];
        ww_gdino_likely(&caption.text, (float *)ww_plan_host(r->plan, t) + ww_at(t, b, 0, 0, q), t.w,
                        likely);
        if (!((double)ww_gdino_match(&caption, likely).score > box_threshold))
            continue;
        ww_gdino_label(&vocabulary, &caption.text, likely, (float)text_threshold,
                       r->original ? WW_GDINO_ORIGINAL : WW_GDINO_LIBRARY, label, sizeof label);
        if (!CHECK(want != NULL && found < queries->dim[0]))
            return;
        CHECK_STR(label, ww_json_string(want));
        if (!r->original)
            CHECK_CMP(whole(queries, (size_t)found), ==, (int64_t)q);
        want = ww_json_next(want);
        found++;
    }
    CHECK_CMP(found, ==, queries->dim[0]);
}

// The very ids that the implementations made, from the text as it is given.
static void compare_ids(struct run *r, const struct ww_json *at_case)
{
    const struct ww_weight *ids = golden(r, "text.input_ids");
    const struct ww_json *text = ww_json_first(ww_json_get(at_case, "text"));
    for (int b = 0; b < r->n; b++, text = ww_json_next(text)) {
        struct ww_error err = {0};
        struct ww_gdino_prompt *p = ww_gdino_prompt_as_given(&vocabulary, ww_json_string(text), &err);
        check_about("ids of text %d of %s", b, r->name);
        if (!CHECK(p && p->num_captions == 1))
            continue;
        CHECK_CMP(p->captions[0].text.num, ==, r->texts[b].text.num);
        for (int i = 0; i < p->captions[0].text.num; i++)
            CHECK_CMP((int64_t)p->captions[0].text.ids[i], ==,
                      whole(ids, (size_t)(b * r->tokens + i)));
        ww_gdino_prompt_destroy(&p);
    }
}

static void check_case(struct ww_device *device, const struct ww_gdino *model, bool original,
                       const char *name, int least)
{
    struct ww_error err = {0};
    struct run r = {.name = name, .device = device, .model = model, .original = original};
    r.want = ww_weights_open(path_of(name, "stages.safetensors"), &err);
    r.stages = ww_json_load(path_of(name, "stages.json"), 1 << 16, NULL, &err);
    check_about("%s on %s", name, device->info.name);
    if (!CHECK(r.want && r.stages)) {
        printf("%s\n", err.text);
        return;
    }
    const struct ww_weight *ids = golden(&r, "text.input_ids"), *size = golden(&r, "pre.valid_size");
    r.n = (int)ids->dim[0];
    r.tokens = (int)ids->dim[1];
    r.words = (r.tokens + 3) / 4 * 4 + 4; // and some that nobody fills
    r.texts = calloc((size_t)r.n, sizeof *r.texts);
    int height = 0, width = 0;
    for (int b = 0; b < r.n; b++) {
        height = (int)fmax(height, (double)whole(size, (size_t)(2 * b)));
        width = (int)fmax(width, (double)whole(size, (size_t)(2 * b + 1)));
    }
    if (CHECK(r.texts && read_texts(&r, &err) && record(&r, height, width, &err))) {
        fill_maps(&r);
        for (int b = 0; b < r.n; b++) {
            ww_gdino_place(r.plan, model, &r.pass, b, (int)whole(size, (size_t)(2 * b)),
                           (int)whole(size, (size_t)(2 * b + 1)));
            ww_gdino_say(r.plan, model, &r.pass, b, &r.texts[b]);
        }
        if (CHECK(ww_plan_run(r.plan, r.n, &err))) {
            compare_stages(&r, r.plan);
            compare_logits(&r);
            struct ww_json *at_case = ww_json_load(path_of(name, "case.json"), 1 << 16, NULL, &err);
            compare_ids(&r, at_case);
            for (int b = 0; b < r.n; b++)
                compare_found(&r, at_case, b);
            ww_json_free(&at_case);
        }
    }
    if (err.code)
        printf("%s\n", err.text);
    check_about("%s on %s", name, device->info.name);
    CHECK_CMP(r.seen, >=, least);
    printf("  %-12s %-8s %d stages, closest to its own tolerance %s (%.2f)\n", name,
           original ? "original" : "library", r.seen, r.where, r.closest);
    for (int b = 0; b < r.n; b++)
        ww_gdino_forget(&r.texts[b]);
    free(r.texts);
    ww_plan_destroy(&r.reader);
    ww_plan_destroy(&r.plan);
    ww_json_free(&r.stages);
    ww_weights_close(&r.want);
}

static void check_layout(struct ww_device *device, const struct ww_gdino_shape *shape, const char *folder,
                         const char *file, bool original)
{
    struct ww_error err = {0};
    struct ww_weights *weights = ww_weights_open(path_of(folder, file), &err);
    struct ww_gdino *model = weights ? ww_gdino_load(device, weights, shape, channels, &err) : NULL;
    check_about("%s on %s", file, device->info.name);
    if (CHECK(model != NULL)) {
        check_case(device, model, original, "a-single", original ? 25 : 45);
        check_case(device, model, original, "b-batch", original ? 18 : 26);
        check_case(device, model, original, "c-categories", 10);
        check_case(device, model, original, "d-panorama", 10);
    } else {
        printf("%s\n", err.text);
    }
    ww_gdino_destroy(device, &model);
    ww_weights_close(&weights);
}

static void check_model(struct ww_device *device, void *shape)
{
    printf("%s\n", device->info.name);
    check_layout(device, shape, "model", "model.safetensors", false);
    check_layout(device, shape, "model-original", "groundingdino_tiny.pth", true);
}

// Phrases ------------------------------------------------------------------------------------------

static void check_prompt(const char *const *phrases, int num, const char *told, int num_phrases,
                         int num_captions)
{
    struct ww_error err = {0};
    struct ww_gdino_prompt *p = ww_gdino_prompt_create(&vocabulary, phrases, num, &err);
    check_about("prompt '%.40s'", num ? phrases[0] : "");
    CHECK(!p == !!told);
    CHECK(p || strstr(err.text, told));
    if (!p) {
        if (!strstr(err.text, told))
            printf("%s\n", err.text);
        return;
    }
    CHECK_CMP(p->num_phrases, ==, num_phrases);
    CHECK_CMP(p->num_captions, ==, num_captions);
    int next = 0; // each phrase is in one caption, whole and in its turn
    for (int c = 0; c < p->num_captions; c++) {
        const struct ww_gdino_caption *caption = &p->captions[c];
        CHECK_CMP(caption->text.num, <=, vocabulary.max_tokens);
        CHECK_CMP(caption->text.ids[0], ==, vocabulary.cls);
        CHECK_CMP(caption->text.ids[caption->text.num - 1], ==, vocabulary.sep);
        for (int i = 1; i + 1 < caption->text.num; i++) {
            CHECK_CMP(caption->phrase[i], ==, next);
            CHECK_CMP(caption->text.block[i], ==, caption->text.block[i - caption->text.position[i]]);
            next += caption->closes[i];
        }
    }
    CHECK_CMP(next, ==, p->num_phrases);
    ww_gdino_prompt_destroy(&p);
}

#define PROMPT(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void check_prompts(void)
{
    check_prompt(PROMPT("a cat", "a remote control"), NULL, 2, 1);
    check_prompt(PROMPT("a cat. a remote control."), NULL, 2, 1);
    check_prompt(PROMPT(" .a cat ..  silver spoon ?wooden table", "boat."), NULL, 4, 1);
    check_prompt(PROMPT("[SEP] [CLS] cat"), NULL, 1, 1); // letters and brackets, no tokens of control
    check_prompt(NULL, 0, "no phrase is given", 0, 0);
    check_prompt(PROMPT(""), "no words", 0, 0);
    check_prompt(PROMPT("a cat", " \t"), "no words", 0, 0);
    check_prompt(PROMPT("....??.."), "no words", 0, 0);
    check_prompt(PROMPT("\x01\x02\x7f"), "no words", 0, 0);
    check_prompt(PROMPT("cat\xff"), "UTF-8", 0, 0);
    check_prompt(PROMPT("\xf0\x9f\x98\x80 \xf0\x9f\x98\x81"), "can read none", 0, 0);

    // 300 phrases of two tokens and a mark: 84 fit into 256 tokens.
    const char *many[WW_GDINO_MAX_PHRASES + 1];
    for (int i = 0; i <= WW_GDINO_MAX_PHRASES; i++)
        many[i] = "a cat";
    check_prompt(many, 300, NULL, 300, 4);
    check_prompt(many, WW_GDINO_MAX_PHRASES, NULL, WW_GDINO_MAX_PHRASES, 12);
    check_prompt(many, WW_GDINO_MAX_PHRASES + 1, "more than 1000 phrases", 0, 0);

    enum { LARGE = 100000 };
    char *large = malloc(LARGE + 1);
    if (!large)
        abort();
    large[LARGE] = '\0';
    for (int i = 0; i < LARGE; i++)
        large[i] = "cat "[i % 4];
    check_prompt(PROMPT(large), "a phrase of 25000 tokens", 0, 0);
    memset(large, '.', LARGE);
    check_prompt(PROMPT(large), "no words", 0, 0);
    memset(large, 'a', LARGE); // a word of more than 100 letters is none
    check_prompt(PROMPT(large), "can read none", 0, 0);
    memset(large, 1, LARGE);
    check_prompt(PROMPT(large), "no words", 0, 0);
    for (int i = 0; i < LARGE; i++)
        large[i] = "a."[i % 2];
    check_prompt(PROMPT(large), "more than 1000 phrases", 0, 0);
    free(large);
}

// Of tokens' likelihood, what phrases come to.
static void check_matches(void)
{
    struct ww_error err = {0};
    struct ww_gdino_prompt *p =
        ww_gdino_prompt_create(&vocabulary, PROMPT("a cat", "a remote control"), &err);
    check_about("matches");
    if (!CHECK(p != NULL))
        return;
    const struct ww_gdino_caption *c = &p->captions[0];
    // [CLS] a cat . a remote control . [SEP]
    const float marked[] = {0.1f, 0.2f, 0.6f, 0.3f, 0.1f, 0.5f, 0.3f, 0.7f, 0.05f};
    struct ww_gdino_match m = ww_gdino_match(c, marked);
    CHECK_NEAR((double)m.score, 0.7, 1e-7); // a closing mark speaks for its phrase
    CHECK_CMP(m.phrase, ==, 1);
    CHECK_NEAR((double)ww_gdino_match_whole(c, marked, 0), 0.4, 1e-6);
    CHECK_NEAR((double)ww_gdino_match_whole(c, marked, 1), 0.3, 1e-6);
    CHECK((double)ww_gdino_match_whole(c, marked, 2) < 0);
    const float first[] = {0.9f, 0.2f, 0.6f, 0.3f, 0.1f, 0.5f, 0.3f, 0.1f, 0.05f};
    m = ww_gdino_match(c, first);
    CHECK_NEAR((double)m.score, 0.9, 1e-7); // of [CLS], which is no phrase's
    CHECK_CMP(m.phrase, ==, 0);
    ww_gdino_prompt_destroy(&p);
}

int main(void)
{
    struct ww_error err = {0};
    struct ww_gdino_shape shape;
    struct ww_json *config = ww_json_load(path_of("model", "config.json"), 1 << 20, NULL, &err);
    tokenizer = ww_tokenizer_open(path_of("model", ""), &err);
    check_about("configuration");
    if (CHECK(config && tokenizer && ww_gdino_read_shape(config, &shape, &err) &&
              ww_gdino_vocabulary(tokenizer, shape.text.words, shape.max_tokens, &vocabulary, &err))) {
        check_prompts();
        check_matches();
        check_devices(check_model, &shape);
    } else {
        printf("%s\n", err.text);
    }
    ww_tokenizer_close(&tokenizer);
    ww_json_free(&config);
    return check_done();
}
