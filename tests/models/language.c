// Two threads generate at once and say, token for token, what each says alone; a seed says the same
// thing twice; what is cut is never drawn; a full model and a prompt that does not fit are refused. What
// ends a generation is told: a token, a text across tokens, a limit, a full context, the caller.

#include "check.h"
#include "watch/sample.h"
#include "weights/weights.h"

#include <pthread.h>

struct told {
    struct ww_language *language;
    struct ww_generate_params params;
    uint32_t tokens[64];
    int num, enough;
    bool ok;
    struct ww_generated done;
};

static bool hear(void *opaque, uint32_t token, const char *text, size_t bytes)
{
    struct told *t = opaque;
    CHECK(text && bytes == 0); // no tokenizer was given
    t->tokens[t->num++] = token;
    return t->num < t->enough;
}

static void *tell(void *opaque)
{
    struct told *t = opaque;
    struct ww_error err = {0};
    t->num = 0;
    t->enough = t->enough ? t->enough : 64;
    t->params.each = hear;
    t->params.opaque = t;
    t->ok = ww_language_generate(t->language, &t->params, &t->done, &err) && t->done.tokens == t->num;
    if (!t->ok)
        printf("%s\n", err.text);
    return NULL;
}

static int read_ids(const struct ww_weight *w, uint32_t *out)
{
    for (int i = 0; i < (int)w->dim[0]; i++) {
        int64_t x;
        memcpy(&x, (const char *)w->data + 8 * i, sizeof x);
        out[i] = (uint32_t)x;
    }
    return (int)w->dim[0];
}

static void check_language(struct ww_language *l, const uint32_t *prompt, int num, const uint32_t *want)
{
    struct told a = {.language = l,
                     .params = {.prompt = prompt, .num_prompt = num, .max_tokens = 32}}, b = a;
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, tell, &b));
    tell(&a);
    pthread_join(thread, NULL);
    CHECK(a.ok && b.ok && a.num == 32 && b.num == 32);
    CHECK(!memcmp(a.tokens, want, 32 * sizeof *want));
    CHECK(!memcmp(b.tokens, want, 32 * sizeof *want));

    a.params.temperature = b.params.temperature = 1.5f;
    a.params.seed = b.params.seed = 7;
    tell(&a);
    tell(&b);
    CHECK(a.ok && !memcmp(a.tokens, b.tokens, 32 * sizeof *want));
    CHECK(memcmp(a.tokens, want, 32 * sizeof *want));

    struct ww_error err = {0};
    struct ww_generated done;
    a.params.temperature = 0;
    a.params.ends = want + 3; // where a word repeats, its first place counts
    a.params.num_ends = 1;
    a.num = 0;
    CHECK(ww_language_generate(l, &a.params, &done, &err) && done.end == WW_END_TOKEN &&
          done.tokens <= 3 && done.stop == -1);
    a.params.prompt = (const uint32_t[]){1u << 30};
    a.params.num_prompt = 1;
    CHECK(!ww_language_generate(l, &a.params, &done, &err) && err.code == WW_E_TEXT);
    a.params.num_prompt = 1000;
    CHECK(!ww_language_generate(l, &a.params, &done, &err) && err.code == WW_E_TEXT);
}

// Why it ended, and that what was said until then is what is always said.
static void check_ends(struct ww_language *l, const uint32_t *prompt, int num, const uint32_t *want)
{
    struct told t = {.language = l, .params = {.prompt = prompt, .num_prompt = num, .max_tokens = 5}};
    tell(&t);
    CHECK(t.ok && t.num == 5 && t.done.end == WW_END_LIMIT && !memcmp(t.tokens, want, 5 * sizeof *want));
    t.enough = 7;
    t.params.max_tokens = 32;
    tell(&t);
    CHECK(t.ok && t.num == 7 && t.done.end == WW_END_CALLER && !memcmp(t.tokens, want, 7 * sizeof *want));
    // The last row that fits takes the last but one token; what follows it is drawn, but cannot be run.
    const int context = ww_language_context(l);
    CHECK_CMP(context, ==, num + 33);
    t.enough = 64;
    t.params.max_tokens = 0;
    tell(&t);
    CHECK(t.ok && t.num == 34 && t.done.end == WW_END_CONTEXT && !memcmp(t.tokens, want, 32 * sizeof *want));
    const volatile sig_atomic_t now = 1;
    t.params.until = &now;
    tell(&t);
    CHECK(t.ok && t.num == 0 && t.done.end == WW_END_CALLER);
}

struct heard {
    char text[4096];
    size_t bytes;
    int tokens, last; // calls with a token, and with the rest
};

static bool hear_text(void *opaque, uint32_t token, const char *text, size_t bytes)
{
    struct heard *h = opaque;
    if (!CHECK_CMP(h->bytes + bytes, <, sizeof h->text))
        return false;
    memcpy(h->text + h->bytes, text, bytes);
    h->text[h->bytes += bytes] = '\0';
    h->tokens += token != WW_NO_TOKEN;
    h->last += token == WW_NO_TOKEN;
    return true;
}

// A text of several tokens ends it, and all in front of it was said.
static void check_stops(struct ww_language *l, const struct ww_tokenizer *t, const uint32_t *prompt, int num,
                        const uint32_t *want)
{
    char whole[4096], part[64];
    struct ww_error err = {0};
    struct ww_generated done;
    struct heard h = {0};
    struct ww_generate_params p = {.prompt = prompt, .num_prompt = num, .max_tokens = 32, .tokenizer = t,
                                   .goes_on = true, .each = hear_text, .opaque = &h};
    ww_tokenizer_decode(t, want, 32, false, whole, sizeof whole);
    CHECK(ww_language_generate(l, &p, &done, &err) && done.end == WW_END_LIMIT && done.stop == -1);
    CHECK_STR(h.text, whole);
    CHECK_CMP(h.tokens, ==, 32);

    const size_t from = ww_tokenizer_decode(t, want, 20, false, NULL, 0);
    const size_t bytes = ww_tokenizer_decode(t, want + 20, 3, false, part, sizeof part);
    const char *const stops[] = {"never said", part};
    CHECK(bytes > 2 && strstr(whole, part) == whole + from);
    p.stops = stops;
    p.num_stops = 2;
    h = (struct heard){0};
    CHECK(ww_language_generate(l, &p, &done, &err) && done.end == WW_END_TEXT && done.stop == 1);
    CHECK(h.bytes == from && !memcmp(h.text, whole, from));
    CHECK(done.tokens == 23 && h.tokens == 23 && h.last == 0);

    // It begins and comes to nothing, for no more tokens are wanted: what was held back is said.
    p.max_tokens = 22;
    h = (struct heard){0};
    CHECK(ww_language_generate(l, &p, &done, &err) && done.end == WW_END_LIMIT && done.stop == -1);
    CHECK(h.bytes > from && !memcmp(h.text, whole, h.bytes) && h.last == 1);
    p.stops = (const char *const[]){""};
    p.num_stops = 1;
    CHECK(!ww_language_generate(l, &p, &done, &err) && err.code == WW_E_TEXT);
}

static void check_sample(void)
{
    const float given[5] = {2, 1, 1.5f, -1, 1.9f};
    int drawn[5] = {0};
    uint64_t state = 1;
    for (int i = 0; i < 1000; i++) {
        float logits[5], scratch[5];
        memcpy(logits, given, sizeof given);
        drawn[ww_sample(ww_generate_params(.temperature = 1, .top_k = 3), logits, scratch, 5, &state)]++;
    }
    CHECK(drawn[0] > drawn[4] && drawn[4] > drawn[2] && drawn[2] > 150 && !drawn[1] && !drawn[3]);
    memset(drawn, 0, sizeof drawn);
    for (int i = 0; i < 1000; i++) {
        float logits[5], scratch[5];
        memcpy(logits, given, sizeof given);
        // Shares are .31 .11 .19 .02 .28: two do not reach .7, three do; min-p takes the third.
        drawn[ww_sample(ww_generate_params(.temperature = 1, .top_p = 0.7f, .min_p = i % 2 ? 0.7f : 0),
                        logits, scratch, 5, &state)]++;
    }
    CHECK(drawn[2] > 60 && drawn[2] < 200 && !drawn[1] && !drawn[3]);
    memset(drawn, 0, sizeof drawn);
    for (int i = 0; i < 1000; i++) {
        float logits[5], scratch[5];
        memcpy(logits, given, sizeof given);
        // Half of the likeliest's share is .16, which three have; min-p first would leave top-p .7 of .78,
        // which two have.
        drawn[ww_sample(ww_generate_params(.temperature = 1, .top_p = 0.7f, .min_p = 0.5f), logits, scratch,
                        5, &state)]++;
    }
    CHECK(drawn[2] > 150 && drawn[2] < 350 && !drawn[1] && !drawn[3]);
}

int main(void)
{
    char path[4096];
    struct ww_error err = {0};
    uint32_t prompt[64], want[64];
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE names no source tree");
    check_sample();
    snprintf(path, sizeof path, "%s/tests/models/llama/gqa/stages.safetensors", source);
    struct ww_weights *golden = ww_weights_open(path, &err);
    struct ww_engine *engine = ww_engine_open(ww_engine_params(0), &err);
    snprintf(path, sizeof path, "%s/tests/models/llama/gqa/model", source);
    struct ww_language *l =
        engine ? ww_language_open(engine, ww_language_params(.model = path, .sequences = 2), &err) : NULL;
    if (CHECK(golden && l)) {
        const int num = read_ids(ww_weights_find(golden, "prompt.ids"), prompt);
        read_ids(ww_weights_find(golden, "greedy.ids"), want);
        check_language(l, prompt, num, want);
        ww_language_close(&l);
        l = ww_language_open(engine, ww_language_params(.model = path, .context = num + 33), &err);
        struct ww_tokenizer *t = NULL;
        snprintf(path, sizeof path, "%s/tests/models/llama/gqa/gguf/BF16.gguf", source);
        if (CHECK(l && (t = ww_tokenizer_open(path, &err)))) {
            check_ends(l, prompt, num, want);
            check_stops(l, t, prompt, num, want);
        }
        ww_tokenizer_close(&t);
    } else {
        printf("%s\n", err.text);
    }
    ww_language_close(&l);
    ww_engine_close(&engine);
    ww_weights_close(&golden);
    return check_done();
}
