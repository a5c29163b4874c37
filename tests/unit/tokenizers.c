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
    const size_t num = ww_tokenizer_encode(t, same, sizeof same, 0, NULL, 0);
    CHECK(strcmp(name, "bert") ? num > 1000 : num == 1); // longer than BERT knows words
    free(line);
    fclose(file);
    ww_tokenizer_close(&t);
    CHECK(!t);
}

static struct ww_tokenizer *open_kind(const char *model)
{
    char path[512];
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/%s", TOKENIZERS, model);
    struct ww_tokenizer *t = ww_tokenizer_open(path, &err);
    CHECK_STR(err.text, "");
    return t;
}

// Prompts as transformers writes and encodes them with the checkpoint's own template.
static void check_chats(const struct ww_tokenizer *t)
{
    struct ww_error err = {0};
    struct ww_json *cases = ww_json_load(TOKENIZERS "/smollm2-chats.json", 1 << 20, NULL, &err);
    CHECK_STR(err.text, "");
    CHECK_CMP(ww_tokenizer_chat_form(t), ==, WW_CHAT_CHATML);
    for (const struct ww_json *c = ww_json_first(cases); c; c = ww_json_next(c)) {
        struct ww_chat_message messages[8];
        struct ww_chat chat = {WW_CHAT_CHATML, messages, 0};
        for (const struct ww_json *m = ww_json_first(ww_json_get(c, "messages")); m;
             m = ww_json_next(m))
            messages[chat.num_messages++] =
                (struct ww_chat_message){ww_json_string(ww_json_get(m, "role")),
                                         ww_json_string(ww_json_get(m, "content"))};
        static char text[MAX];
        static uint32_t ids[MAX];
        check_about("%s", ww_json_string(ww_json_get(c, "title")));
        ww_chat_text(t, &chat, text, sizeof text, &err);
        CHECK_STR(text, ww_json_string(ww_json_get(c, "text")));
        const size_t num = ww_chat_encode(t, &chat, ids, MAX, &err);
        CHECK(same_ids(ww_json_get(c, "ids"), ids, num));
        CHECK_CMP(ww_chat_encode(t, &chat, ids, 3, &err), ==, num);
    }
    ww_json_free(&cases);
}

// What a user writes ends no turn and begins none.
static void check_guard(const struct ww_tokenizer *t, enum ww_chat_form form, const char *mark)
{
    const struct ww_chat_message message = {"user", mark};
    const struct ww_chat chat = {form, &message, 1};
    struct ww_error err = {0};
    uint32_t ids[512];
    const uint32_t id = ww_tokenizer_id(t, mark);
    const size_t num = ww_chat_encode(t, &chat, ids, 512, &err);
    unsigned in_prompt = 0;
    for (size_t i = 0; i < num; i++)
        in_prompt += ids[i] == id;
    check_about("%s from a user", mark);
    CHECK_CMP(num, >, 0);
    CHECK_CMP(id, !=, WW_NO_TOKEN);
    CHECK_CMP(in_prompt, ==, form == WW_CHAT_CHATML ? 2u : 0u);
}

static void check_vicuna(const struct ww_tokenizer *t)
{
    static const char *const want = "Be brief. USER: Hello! ASSISTANT: Hi.</s>USER: Bye ASSISTANT:";
    const struct ww_chat_message messages[] = {
        {"system", "Be brief."}, {"user", "Hello!"}, {"assistant", "Hi."}, {"user", "Bye"}};
    struct ww_chat chat = {WW_CHAT_VICUNA, messages, 4};
    struct ww_error err = {0};
    char text[512];
    uint32_t ids[512], expected[512];
    check_about("Vicuna");
    CHECK_CMP(ww_chat_text(t, &chat, text, sizeof text, &err), ==, strlen(want));
    CHECK_STR(text, want);
    const size_t num = ww_chat_encode(t, &chat, ids, 512, &err);
    CHECK_CMP(ww_tokenizer_encode(t, want, strlen(want), 3, expected, 512), ==, num);
    CHECK(!memcmp(ids, expected, num * sizeof *ids));
    chat = (struct ww_chat){WW_CHAT_VICUNA, messages + 1, 1};
    ww_chat_text(t, &chat, text, sizeof text, &err);
    CHECK_STR(text, "A chat between a curious user and an artificial intelligence assistant. The "
              "assistant gives helpful, detailed, and polite answers to the user's questions. "
              "USER: Hello! ASSISTANT:");
    chat.messages = &(struct ww_chat_message){"tool", "1"};
    CHECK_CMP(ww_chat_encode(t, &chat, ids, 512, &err), ==, 0);
    CHECK_HAS(err.text, "'tool'");
    chat.form = ww_tokenizer_chat_form(t);
    CHECK_CMP(chat.form, ==, WW_CHAT_NONE);
    CHECK_CMP(ww_chat_text(t, &chat, text, sizeof text, &err), ==, 0);
    chat = (struct ww_chat){WW_CHAT_VICUNA, &(struct ww_chat_message){"user", "\xff\xe2\x82"}, 1};
    ww_chat_text(t, &chat, text, sizeof text, &err);
    CHECK_HAS(text, "USER: \xef\xbf\xbd\xef\xbf\xbd ASSISTANT:");
}

static void check_chat(void)
{
    struct ww_tokenizer *smollm2 = open_kind("smollm2.gguf"), *llama = open_kind("llama");
    if (!CHECK(smollm2 && llama))
        return;
    check_chats(smollm2);
    check_guard(smollm2, WW_CHAT_CHATML, "<|im_end|>");
    check_guard(llama, WW_CHAT_VICUNA, "</s>");
    check_vicuna(llama);
    ww_tokenizer_close(&smollm2);
    ww_tokenizer_close(&llama);
}

int main(void)
{
    check_kind("llama.gguf", "llama");
    check_kind("llama", "llama-newer");
    check_kind("smollm2.gguf", "smollm2");
    check_kind("bert", "bert");
    check_kind("clip", "clip");
    check_chat();
    return check_done();
}
