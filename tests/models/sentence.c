// The real MiniLM against the sentence-transformers library: 177 texts, names of classes, phrases and
// odd ones (empty, emoji, longer than it reads). Skipped where all-MiniLM-L6-v2 is not installed:
// scripts/fetch-models does that.

#include "check.h"
#include "models/sentence.h"

#include <watchword/models.h>
#include <watchword/tokenizer.h>

enum { MAX_TEXTS = 256, MAX_TOKENS = 512, READ_TOKENS = 256 };

struct texts {
    struct ww_token_ids list[MAX_TEXTS];
    int32_t ids[MAX_TEXTS][MAX_TOKENS];
    int num;
};

static char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/tests/models/minilm/%s", getenv("WATCHWORD_SOURCE"), name);
    return path;
}

static void read_texts(struct texts *to)
{
    struct ww_error err = {0};
    struct ww_json *file = ww_json_load(path_of("texts.json"), 1 << 20, NULL, &err);
    const struct ww_json *list = ww_json_get(file, "texts");
    for (const struct ww_json *x = ww_json_first(list); x && to->num < MAX_TEXTS;
         x = ww_json_next(x), to->num++) {
        int num = 0;
        for (const struct ww_json *id = ww_json_first(ww_json_get(x, "ids"));
             id && num < MAX_TOKENS; id = ww_json_next(id)) {
            int64_t value = -1;
            CHECK(ww_json_integer(id, &value));
            to->ids[to->num][num++] = (int32_t)value;
        }
        to->list[to->num] = (struct ww_token_ids){to->ids[to->num], num};
    }
    ww_json_free(&file);
}

// All texts are cut into the very same tokens.
static void check_tokens(const char *dir, const struct texts *texts)
{
    struct ww_error err = {0};
    struct ww_tokenizer *v = ww_tokenizer_open(dir, &err);
    struct ww_json *file = ww_json_load(path_of("texts.json"), 1 << 20, NULL, &err);
    int t = 0;
    for (const struct ww_json *x = ww_json_first(ww_json_get(file, "texts")); CHECK(v) && x;
         x = ww_json_next(x), t++) {
        const char *text = ww_json_string(ww_json_get(x, "text"));
        uint32_t ids[MAX_TOKENS];
        size_t num = ww_tokenizer_encode(v, text, strlen(text), WW_ENCODE_ADD_SPECIAL, ids,
                                         MAX_TOKENS);
        if (num > READ_TOKENS) { // of a longer text the model reads the beginning and the end mark
            num = READ_TOKENS;
            ids[num - 1] = ww_tokenizer_special(v).eos;
        }
        check_about("'%.40s'", text);
        if (!CHECK_CMP(num, ==, texts->list[t].num_ids))
            continue;
        CHECK(!memcmp(ids, texts->list[t].ids, sizeof *ids * num));
    }
    CHECK_CMP(t, ==, texts->num);
    ww_json_free(&file);
    ww_tokenizer_close(&v);
}

static double worst_of(const float *got, const struct ww_weight *want, int width, int first, int num)
{
    double worst = 0;
    for (int i = 0; i < num * width; i++) {
        const double d =
            fabs((double)got[i] - (double)ww_weight_float(want, (size_t)(first * width + i)));
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    return worst;
}

static void check_device(struct ww_device *device, const char *dir, const struct texts *texts,
                         const struct ww_weight *want, int num)
{
    struct ww_error err = {0};
    check_about("%s", device->info.name);
    struct ww_sentences *s = ww_sentences_load(device, dir, &err);
    if (!CHECK(s != NULL)) {
        printf("%s\n", err.text);
        return;
    }
    const int width = ww_sentences_width(s);
    CHECK_CMP(width, ==, 384);
    float *out = calloc((size_t)(num * width), sizeof *out);
    float alone[WW_SENTENCE_MAX_WIDTH];
    if (CHECK(ww_sentences_embed(s, texts->list, num, out, &err))) {
        const double worst = worst_of(out, want, width, 0, num);
        printf("%s: %d texts, vectors within %.1e\n", device->info.name, num, worst);
        CHECK_CMP(worst, <=, 1e-6); // vectors of length 1; the library itself is 3.1e-7 off
        CHECK(ww_sentences_embed(s, &texts->list[1], 1, alone, &err));
        CHECK_CMP(worst_of(alone, want, width, 1, 1), <=, 1e-6);
        const struct ww_token_ids none = {NULL, 0}, wrong = {(const int32_t[]){101, 30522, 102}, 3};
        CHECK(!ww_sentences_embed(s, &none, 1, alone, &err) && err.code == WW_E_TEXT);
        CHECK(!ww_sentences_embed(s, &wrong, 1, alone, &err) && strstr(err.text, "30522"));
    }
    if (err.code && err.code != WW_E_TEXT)
        printf("%s\n", err.text);
    free(out);
    ww_sentences_destroy(&s);
}

int main(void)
{
    struct ww_error err = {0};
    char dir[4096];
    if (!ww_model_find("all-MiniLM-L6-v2", dir, sizeof dir, &err))
        check_skip("%s", err.text);
    static struct texts texts;
    read_texts(&texts);
    check_tokens(dir, &texts);
    struct ww_weights *golden = ww_weights_open(path_of("embeddings.safetensors"), &err);
    const struct ww_weight *want =
        golden ? ww_weights_need(golden, "embeddings", &err, 2, (int64_t)texts.num, (int64_t)384)
               : NULL;
    if (!CHECK(want != NULL)) {
        printf("%s\n", err.text);
        return check_done();
    }
    struct ww_device *device = ww_device_open("reference", &err);
    check_device(device, dir, &texts, want, 4);
    ww_device_close(&device);
    device = ww_device_open("", &err);
    if (device)
        check_device(device, dir, &texts, want, texts.num);
    ww_device_close(&device);
    ww_weights_close(&golden);
    return check_done();
}
