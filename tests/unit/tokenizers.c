// Texts to ids and back, against the vectors of the original implementations: transformers 4.34 and
// 4.46 and llama.cpp (llama: the older rule for blanks behind special tokens, as in GGUF files).

#include <watchword/tokenizer.h>

#include "base/json.h"
#include "check.h"

enum { MAX = 1 << 16 };

static size_t from_hex(const char *hex, char *out)
{
    size_t n = 0;
    for (; hex[2 * n] && n < MAX; n++) {
        unsigned byte;
        sscanf(hex + 2 * n, "%2x", &byte);
        out[n] = (char)byte;
    }
    return n;
}

static bool same_ids(const struct ww_json *want, const uint32_t *ids, size_t num)
{
    size_t i = 0;
    int64_t id;
    for (const struct ww_json *x = ww_json_first(want); x; x = ww_json_next(x), i++)
        if (!ww_json_integer(x, &id) || i >= num || ids[i] != (uint32_t)id)
            return false;
    return i == num;
}

static void check_vector(const struct ww_tokenizer *t, const struct ww_json *v)
{
    static char text[MAX], got[4 * MAX], want[MAX], pieces[4 * MAX];
    static uint32_t ids[4 * MAX];
    const size_t bytes = from_hex(ww_json_string(ww_json_get(v, "hex")), text);
    const size_t num = ww_tokenizer_encode(
        t, text, bytes, WW_ENCODE_ADD_SPECIAL | WW_ENCODE_PARSE_SPECIAL, ids, 4 * MAX);
    CHECK(same_ids(ww_json_get(v, "ids"), ids, num));
    CHECK_CMP(ww_tokenizer_encode(t, text, bytes, 3, NULL, 0), ==, num);
    const char *hex = ww_json_string(ww_json_get(v, "decoded_hex"));
    const size_t length = ww_tokenizer_decode(t, ids, num, false, got, sizeof got);
    if (hex) {
        const size_t wanted = from_hex(hex, want);
        CHECK(wanted == length && !memcmp(want, got, length));
    }
    struct ww_decoder d = {.tokenizer = t};
    size_t at = 0;
    for (size_t i = 0; i < num; i++)
        at += ww_decoder_put(&d, ids[i], pieces + at, sizeof pieces - at);
    at += ww_decoder_end(&d, pieces + at, sizeof pieces - at);
    CHECK(at == length && !memcmp(pieces, got, at));
}

static void check_kind(const char *model, const char *name)
{
    char path[512], *line = NULL;
    size_t room = 0;
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/%s", TOKENIZERS, model);
    struct ww_tokenizer *t = ww_tokenizer_open(path, &err);
    snprintf(path, sizeof path, "%s/%s.jsonl", TOKENIZERS, name);
    FILE *file = fopen(path, "re");
    CHECK_STR(err.text, "");
    if (!CHECK(t && file))
        return;
    while (getline(&line, &room, file) > 0) {
        struct ww_json *v = ww_json_parse(line, strlen(line), NULL, &err);
        int64_t n = -1;
        ww_json_integer(ww_json_get(v, "n"), &n);
        check_about("%s, text %d", name, (int)n);
        if (CHECK(v))
            check_vector(t, v);
        ww_json_free(&v);
    }
    // 100,000 of one letter, as one word: merging is no square of it.
    static char same[100000];
    memset(same, 'a', sizeof same);
    check_about("%s, one letter", name);
    CHECK_CMP(ww_tokenizer_encode(t, same, sizeof same, 0, NULL, 0), >, 1000u);
    free(line);
    fclose(file);
    ww_tokenizer_close(&t);
    CHECK(!t);
}

int main(void)
{
    check_kind("llama.gguf", "llama");
    check_kind("llama", "llama-newer");
    check_kind("smollm2.gguf", "smollm2");
    return check_done();
}
