#include "sentence.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A text is padded to one of these lengths, so that three plans serve all: most phrases are short.
static const int buckets[] = {16, 64, 512};
enum { NUM_BUCKETS = 3, MAX_BATCH_TOKENS = 2048, MAX_CONFIG_BYTES = 1 << 20 };

// Texts of at most `tokens` tokens, recorded.
struct pass {
    struct ww_plan *plan;
    int texts, tokens;
    struct ww_tensor ids, lengths, out;
};

struct ww_sentences {
    struct ww_device *device;
    struct ww_bert *bert;
    int max_tokens;
    struct pass single[NUM_BUCKETS]; // of one text; kept
};

static struct ww_json *load_json(const char *dir, const char *name, struct ww_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return ww_json_load(path, MAX_CONFIG_BYTES, NULL, err);
}

static bool check_pooling(const char *dir, struct ww_error *err)
{
    bool mean = false;
    struct ww_json *pooling = load_json(dir, "1_Pooling/config.json", err);
    if (!pooling)
        return false;
    ww_json_bool(ww_json_get(pooling, "pooling_mode_mean_tokens"), &mean);
    bool other = false;
    for (const struct ww_json *x = ww_json_first(pooling); x; x = ww_json_next(x)) {
        bool on = false;
        other |= !strncmp(ww_json_name(x), "pooling_mode_", 13) && ww_json_bool(x, &on) && on &&
                 strcmp(ww_json_name(x), "pooling_mode_mean_tokens");
    }
    ww_json_free(&pooling);
    return (mean && !other) ||
           ww_fail(err, WW_E_UNSUPPORTED,
                   "%s/1_Pooling/config.json: only 'pooling_mode_mean_tokens' alone can be computed",
                   dir);
}

// How many tokens it reads: what the library was told, and no more than there are positions.
static int read_limit(const char *dir, int positions)
{
    int64_t limit = positions;
    struct ww_json *config = load_json(dir, "sentence_bert_config.json", NULL);
    ww_json_integer(ww_json_get(config, "max_seq_length"), &limit);
    ww_json_free(&config);
    const int most = positions < buckets[NUM_BUCKETS - 1] ? positions : buckets[NUM_BUCKETS - 1];
    return limit >= 2 && limit < most ? (int)limit : most;
}

static bool load(struct ww_sentences *s, const char *dir, struct ww_error *err)
{
    char path[4096];
    struct ww_bert_shape shape;
    struct ww_json *config = load_json(dir, "config.json", err);
    if (!config)
        return false;
    const char *type = ww_json_string(ww_json_get(config, "model_type"));
    bool ok = (type && !strcmp(type, "bert")) ||
              ww_fail(err, WW_E_UNSUPPORTED, "'model_type' is '%.40s'; sentences are read by 'bert'",
                      type ? type : "");
    ok = ok && ww_bert_read_shape(config, &shape, err);
    if (!ok)
        ww_within(err, "%s/config.json", dir);
    else if (shape.hidden > WW_SENTENCE_MAX_WIDTH)
        ok = ww_fail(err, WW_E_UNSUPPORTED, "%s/config.json: 'hidden_size' %d is more than %d", dir,
                     shape.hidden, WW_SENTENCE_MAX_WIDTH);
    ww_json_free(&config);
    if (!ok || !check_pooling(dir, err))
        return false;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    struct ww_weights *weights = ww_weights_open(path, err);
    s->bert = weights ? ww_bert_load(s->device, weights, NULL, &shape, err) : NULL;
    ww_weights_close(&weights);
    s->max_tokens = read_limit(dir, shape.positions);
    return s->bert != NULL;
}

struct ww_sentences *ww_sentences_load(struct ww_device *device, const char *dir,
                                       struct ww_error *err)
{
    struct ww_sentences *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->device = device;
    if (!load(s, dir, err))
        ww_sentences_destroy(&s);
    return s;
}

void ww_sentences_destroy(struct ww_sentences **pointer)
{
    struct ww_sentences *s = *pointer;
    if (!s)
        return;
    for (int i = 0; i < NUM_BUCKETS; i++)
        ww_plan_destroy(&s->single[i].plan);
    ww_bert_destroy(s->device, &s->bert);
    free(s);
    *pointer = NULL;
}

int ww_sentences_width(const struct ww_sentences *s)
{
    return ww_bert_shape(s->bert)->hidden;
}

static bool record(struct ww_sentences *s, struct pass *pass, struct ww_error *err)
{
    struct ww_cmd *g = ww_cmd_create(s->device);
    pass->ids = ww_upload_tensor(g, 1, 3, pass->texts, pass->tokens);
    pass->lengths = ww_upload_tensor(g, 1, 1, 1, pass->texts);
    const struct ww_tensor x =
        ww_bert(g, s->bert, &(struct ww_bert_text){.ids = pass->ids, .lengths = pass->lengths});
    pass->out = ww_result_tensor(g, 1, x.c, x.h, x.w);
    const struct ww_tensor none = {0};
    ww_combine(g, pass->out, x, none, none, WW_ACT_NONE);
    pass->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return pass->plan != NULL;
}

static int length_of(const struct ww_sentences *s, const struct ww_token_ids *text)
{
    return text->num_ids < s->max_tokens ? text->num_ids : s->max_tokens;
}

// The library cuts the middle out: what is too long keeps its last token, which ends every text.
static int32_t token_of(const struct ww_sentences *s, const struct ww_token_ids *text, int i)
{
    return i + 1 == s->max_tokens ? text->ids[text->num_ids - 1] : text->ids[i];
}

// The mean over the tokens of text `t`, of length 1.
static void pool(const struct pass *pass, int t, int length, float *to)
{
    const struct ww_tensor x = pass->out;
    const float *states = ww_plan_host(pass->plan, x);
    double squares = 0;
    for (int c = 0; c < x.c; c++) {
        double sum = 0;
        for (int i = 0; i < length; i++)
            sum += states[ww_at(x, 0, c, t, i)];
        to[c] = (float)(sum / length);
        squares += (double)to[c] * to[c];
    }
    for (int c = 0; c < x.c; c++)
        to[c] = (float)(to[c] / fmax(sqrt(squares), 1e-12));
}

static bool run(struct ww_sentences *s, struct pass *pass, const struct ww_token_ids *texts,
                float *out, struct ww_error *err)
{
    float *ids = ww_plan_host(pass->plan, pass->ids), *length = ww_plan_host(pass->plan, pass->lengths);
    memset(ids, 0, sizeof *ids * 4 * (size_t)(pass->texts * pass->tokens));
    for (int t = 0; t < pass->texts; t++) {
        length[4 * t] = (float)length_of(s, &texts[t]);
        for (int i = 0; i < length_of(s, &texts[t]); i++) {
            ids[4 * (t * pass->tokens + i)] = (float)token_of(s, &texts[t], i);
            ids[4 * (t * pass->tokens + i) + 1] = (float)i;
        }
    }
    if (!ww_plan_run(pass->plan, 1, err))
        return false;
    for (int t = 0; t < pass->texts; t++)
        pool(pass, t, length_of(s, &texts[t]), out + t * ww_sentences_width(s));
    return true;
}

static bool check_tokens(const struct ww_sentences *s, const struct ww_token_ids *texts, int num,
                         struct ww_error *err)
{
    const int words = ww_bert_shape(s->bert)->words;
    for (int t = 0; t < num; t++) {
        if (texts[t].num_ids < 1)
            return ww_fail(err, WW_E_TEXT, "text %d has no tokens", t);
        for (int i = 0; i < texts[t].num_ids; i++)
            if (texts[t].ids[i] < 0 || texts[t].ids[i] >= words)
                return ww_fail(err, WW_E_TEXT, "text %d: there is no token %d; the model has %d", t,
                               (int)texts[t].ids[i], words);
    }
    return true;
}

static bool embed_one(struct ww_sentences *s, const struct ww_token_ids *text, float *out,
                      struct ww_error *err)
{
    int b = 0;
    while (length_of(s, text) > buckets[b])
        b++;
    struct pass *pass = &s->single[b];
    pass->texts = 1;
    pass->tokens = buckets[b] < s->max_tokens ? buckets[b] : s->max_tokens;
    return (pass->plan || record(s, pass, err)) && run(s, pass, text, out, err);
}

// How many texts from the first on go into one batch; each is padded to the longest.
static int batch_of(const struct ww_sentences *s, const struct ww_token_ids *texts, int num,
                    int *tokens)
{
    int taken = 0;
    *tokens = 0;
    while (taken < num) {
        const int length = length_of(s, &texts[taken]);
        const int longest = length > *tokens ? length : *tokens;
        if (taken && longest * (taken + 1) > MAX_BATCH_TOKENS)
            break;
        *tokens = longest;
        taken++;
    }
    return taken;
}

bool ww_sentences_embed(struct ww_sentences *s, const struct ww_token_ids *texts, int num,
                        float *out, struct ww_error *err)
{
    if (!check_tokens(s, texts, num, err))
        return false;
    bool ok = true;
    for (int at = 0; ok && at < num;) {
        struct pass pass = {0};
        pass.texts = batch_of(s, texts + at, num - at, &pass.tokens);
        float *to = out + at * ww_sentences_width(s);
        if (pass.texts == 1)
            ok = embed_one(s, &texts[at], to, err);
        else
            ok = record(s, &pass, err) && run(s, &pass, texts + at, to, err);
        ww_plan_destroy(&pass.plan);
        at += pass.texts;
    }
    return ok;
}
