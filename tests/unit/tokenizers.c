// Texts to ids and back, against the vectors of the original implementations: transformers 4.34 and
// 4.46, tokenizers 0.20 and llama.cpp (llama: the older rule for blanks behind special tokens, as
// in GGUF files).

#include <watchword/tokenizer.h>

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "check.h"
#include "text/inner.h"

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

// In order, inside the text, and (in UTF-8) not inside a character; where the vector has them, the
// very ones that the package "tokenizers" gives. (It has none where that package does otherwise: it
// leaves out accents that melt into their letter, and counts blanks that a special token takes.)
static void check_spans(const struct ww_tokenizer *t, const struct ww_json *v, const char *text,
                        size_t bytes, const uint32_t *ids, size_t num)
{
    static uint32_t same[4 * MAX];
    static struct ww_span spans[4 * MAX];
    CHECK_CMP(ww_tokenizer_encode_spans(t, text, bytes, 3, same, spans, 4 * MAX), ==, num);
    CHECK(!memcmp(ids, same, num * sizeof *ids));
    bool sound = true;
    for (size_t i = 0; i < num; i++)
        sound &= spans[i].begin <= spans[i].end && spans[i].end <= bytes &&
                 (!i || (spans[i].begin >= spans[i - 1].begin && spans[i].end >= spans[i - 1].end));
    for (size_t i = 0; i < num && ww_utf8_valid(text, bytes); i++)
        sound &= (spans[i].begin == bytes || (text[spans[i].begin] & 0xc0) != 0x80) &&
                 (spans[i].end == bytes || (text[spans[i].end] & 0xc0) != 0x80);
    CHECK(sound);
    size_t at = 0;
    const struct ww_json *want = ww_json_get(v, "spans");
    for (const struct ww_json *x = ww_json_first(want); x; x = ww_json_next(x), at++) {
        int64_t place = -1;
        ww_json_integer(x, &place);
        const size_t got = at % 2 ? spans[at / 2].end : spans[at / 2].begin;
        if (!CHECK_CMP(at, <, 2 * num) || !CHECK_CMP(got, ==, (size_t)place))
            break;
    }
    CHECK(!want || at == 2 * num);
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
    check_spans(t, v, text, bytes, ids, num);
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

// Words that were seen before in a long text bring the same as those that are cut anew.
static void check_seen(const struct ww_tokenizer *t, const char *text, size_t bytes)
{
    static uint32_t ids[2][1 << 20];
    static struct ww_span spans[2][1 << 20];
    size_t num[2];
    for (unsigned i = 0; i < 2; i++)
        num[i] = ww_encode_guarded(t, text, bytes, i ? WW_ENCODE_ANEW : 0, NULL, ids[i], spans[i],
                                   1 << 20);
    CHECK_CMP(num[0], ==, num[1]);
    CHECK_CMP(num[0], >, 5000);
    CHECK(!memcmp(ids[0], ids[1], num[0] * sizeof **ids));
    CHECK(!memcmp(spans[0], spans[1], num[0] * sizeof **spans));
}

static void check_kind_at(const char *model, const char *name)
{
    static char all[1 << 20];
    char path[512], *line = NULL;
    size_t room = 0, num_all = 0;
    struct ww_error err = {0};
    struct ww_tokenizer *t = ww_tokenizer_open(model, &err);
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
        if (v && num_all + MAX < sizeof all) {
            num_all += from_hex(ww_json_string(ww_json_get(v, "hex")), all + num_all);
            all[num_all++] = n % 3 ? '\n' : ' ';
        }
        ww_json_free(&v);
    }
    check_about("%s, all texts as one", name);
    check_seen(t, all, num_all);
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

static void check_kind(const char *model, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", TOKENIZERS, model);
    check_kind_at(path, name);
}

// --- tokenizer.json, put together from the files that hold the same vocabulary ---

static char scratch[] = "/tmp/tokenizers-XXXXXX", document[64];

static char *read_data(const char *name)
{
    char path[512];
    size_t bytes;
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/%s", TOKENIZERS, name);
    char *data = ww_read_whole(path, 8 << 20, &bytes, &err);
    CHECK_STR(err.text, "");
    return data;
}

static void put_string(FILE *out, const char *text, size_t bytes)
{
    fputc('"', out);
    for (size_t i = 0; i < bytes; i++)
        fprintf(out, text[i] == '"' || text[i] == '\\' ? "\\%c" : "%c", text[i]);
    fputc('"', out);
}

// Every line but the first as a string, or with its number as a member of an object.
static void put_lines(FILE *out, const char *name, bool numbered)
{
    char *data = read_data(name), *line = data ? data : (char[]){""};
    for (int number = 0; *line; number++) {
        char *end = line + strcspn(line, "\n");
        if (number || numbered)
            put_string(out, line, (size_t)(end - line));
        if (numbered)
            fprintf(out, ":%d", number);
        if ((number || numbered) && end[0] && end[1])
            fputc(',', out);
        line = *end ? end + 1 : end;
    }
    free(data);
}

static void check_clip_json(void)
{
    FILE *out = fopen(document, "w");
    char *vocab = read_data("clip/vocab.json");
    if (!CHECK(out && vocab))
        return;
    fputs("{\"added_tokens\":[{\"id\":49406,\"content\":\"<|startoftext|>\",\"normalized\":true,"
          "\"special\":true},{\"id\":49407,\"content\":\"<|endoftext|>\",\"normalized\":true,"
          "\"special\":true}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
          "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"},"
          "{\"type\":\"Lowercase\"}]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
          "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|"
          "[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"},\"behavior\":\"Removed\",\"invert\":true},"
          "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]},\"post_processor\":{\"type\":"
          "\"RobertaProcessing\",\"sep\":[\"<|endoftext|>\",49407],\"cls\":[\"<|startoftext|>\",49406]},"
          "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<|endoftext|>\",\"continuing_subword_prefix\":\"\","
          "\"end_of_word_suffix\":\"</w>\",\"vocab\":", out);
    fputs(vocab, out);
    fputs(",\"merges\":[", out);
    put_lines(out, "clip/merges.txt", false);
    fputs("]}}", out);
    CHECK(!fclose(out));
    free(vocab);
    check_kind_at(scratch, "clip-newer");
}

static void check_bert_json(void)
{
    FILE *out = fopen(document, "w");
    if (!CHECK(out))
        return;
    fputs("{\"added_tokens\":[{\"id\":0,\"content\":\"[PAD]\",\"special\":true},{\"id\":100,\"content\":"
          "\"[UNK]\",\"special\":true},{\"id\":101,\"content\":\"[CLS]\",\"special\":true},{\"id\":102,"
          "\"content\":\"[SEP]\",\"special\":true},{\"id\":103,\"content\":\"[MASK]\",\"special\":true}],"
          "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
          "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
          "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
          "\"[CLS]\"}},{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"[SEP]\"}}],"
          "\"special_tokens\":{\"[CLS]\":{\"ids\":[101]},\"[SEP]\":{\"ids\":[102]}}},\"model\":{"
          "\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
          "\"max_input_chars_per_word\":100,\"vocab\":{", out);
    put_lines(out, "bert/vocab.txt", true);
    fputs("}}}", out);
    CHECK(!fclose(out));
    check_kind_at(scratch, "bert");
}

// The older rule for blanks: the two steps that say so in place of the newer one.
static void check_llama_json(void)
{
    char *newer = read_data("llama/tokenizer.json");
    char *begin = newer ? strstr(newer, "\"normalizer\":") : NULL;
    char *end = newer ? strstr(newer, "\"post_processor\":") : NULL;
    FILE *out = fopen(document, "w");
    if (!CHECK(begin && end && out))
        return;
    fprintf(out, "%.*s\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
            "\"prepend\":\"\xe2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
            "\"content\":\"\xe2\x96\x81\"}]},\"pre_tokenizer\":null,%s", (int)(begin - newer), newer,
            end);
    CHECK(!fclose(out));
    free(newer);
    check_kind_at(scratch, "llama-json-legacy");
}

// Each of these changes one thing in a small document that is sound.
static void check_json_errors(void)
{
    static const char sound[] =
        "{\"added_tokens\":[{\"id\":2,\"content\":\"<s>\",\"single_word\":false}],\"normalizer\":null,"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"post_processor\":null,"
        "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"vocab\":{\"a\":0,\"aa\":1},\"merges\":[\"a a\"]}}";
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"\"BPE\"", "\"Unigram\"", "model.type: 'Unigram' is not known here"},
        {"\"model\"", "\"mode\"", "'model' is missing"},
        {"\"vocab\"", "\"voca\"", "model: 'vocab' is missing"},
        {"\"vocab\":{\"a\":0,\"aa\":1}", "\"vocab\":[]", "model: 'vocab' is a list"},
        {"\"aa\":1", "\"aa\":0", "model.vocab: 'aa' has the id 0, as has 'a'"},
        {"\"aa\":1", "\"aa\":-1", "model.vocab: 'aa': an id from 0"},
        {"\"aa\":1", "\"aa\":1e9", "model.vocab: 'aa': an id from 0"},
        {"\"a a\"", "\"a b\"", "model.merges[0]: 'a b' has a part"},
        {"\"a a\"", "\"aa\"", "model.merges[0]: two tokens and a blank"},
        {"\"a a\"", "[\"a\"]", "model.merges[0]: two tokens"},
        {"\"merges\":[\"a a\"]", "\"merges\":3", "model: 'merges' is a number"},
        {"\"dropout\":null", "\"dropout\":0.1", "model.dropout"},
        {"\"dropout\":null", "\"ignore_merges\":true", "model.ignore_merges"},
        {"\"dropout\":null", "\"end_of_word_suffix\":\"@\"", "'end_of_word_suffix'"},
        {"\"dropout\":null", "\"end_of_word_suffix\":\"</w>\"", "normalizer: 'nothing' where NFC"},
        {"\"dropout\":null", "\"byte_fallback\":true", "pre_tokenizer: 'ByteLevel' where Metaspace"},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"NFKC\"}", "normalizer: 'NFKC' where nothing"},
        {"\"normalizer\":null", "\"normalizer\":7", "'normalizer' is a number"},
        {"\"add_prefix_space\":false", "\"add_prefix_space\":true", "'add_prefix_space' false"},
        {"\"ByteLevel\"", "\"Whitespace\"", "pre_tokenizer: 'Whitespace' where ByteLevel"},
        {"\"post_processor\":null", "\"post_processor\":{\"type\":\"X\"}", "post_processor: 'X' is not"},
        {"\"id\":2", "\"id\":true", "added_tokens[0]: an 'id' from 0"},
        {"\"id\":2", "\"id\":1", "added_tokens[0]: '<s>' has the id 1, as has 'aa'"},
        {"\"single_word\":false", "\"single_word\":true", "added_tokens[0]: '<s>': 'single_word' is true"},
    };
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
        const bool is_sound = i == sizeof cases / sizeof *cases;
        char *at = strstr(sound, is_sound ? "{" : cases[i].from);
        FILE *out = fopen(document, "w");
        struct ww_error err = {0};
        check_about("%s", is_sound ? "a sound document" : cases[i].to);
        if (!CHECK(at && out))
            return;
        fprintf(out, "%.*s%s%s", (int)(at - sound), sound, is_sound ? "" : cases[i].to,
                at + (is_sound ? 0 : strlen(cases[i].from)));
        CHECK(!fclose(out));
        struct ww_tokenizer *t = ww_tokenizer_open(scratch, &err);
        CHECK(!t == !is_sound);
        if (!is_sound && CHECK_HAS(err.text, document))
            CHECK_HAS(err.text, cases[i].says);
        ww_tokenizer_close(&t);
    }
}

// A special token of half a character would cut texts inside characters: pieces "<unk>", "a" and, by
// its score and kind, a control piece "\xC3".
static void check_half_special(void)
{
    static const char model[] = "\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02"
                                "\x0a\x08\x0a\x01" "a\x15\0\0\0\0"
                                "\x0a\x0a\x0a\x01\xc3\x15\0\0\0\0\x18\x03";
    char path[64];
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/tokenizer.model", scratch);
    FILE *out = fopen(path, "w");
    if (!CHECK(out && fwrite(model, 1, sizeof model - 1, out) == sizeof model - 1 && !fclose(out)))
        return;
    struct ww_tokenizer *t = ww_tokenizer_open(path, &err);
    CHECK(!t);
    CHECK_HAS(err.text, "special token 2 is not UTF-8");
    ww_tokenizer_close(&t);
    unlink(path);
}

static void check_json(void)
{
    if (!CHECK(mkdtemp(scratch)))
        return;
    check_half_special();
    snprintf(document, sizeof document, "%s/tokenizer.json", scratch);
    check_clip_json();
    check_bert_json();
    check_llama_json();
    check_json_errors();
    unlink(document);
    rmdir(scratch);
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

// A million texts that all fall into one slot under a function without a key, this project's first
// one: eight bytes times an odd number, of which the upper half is the same for all. Such a file was
// read for hours; now it is like any other.
static void check_collisions(void)
{
    enum { LINES = 1000000 };
    const uint64_t factor = 0xd6e8feb86659fd93, length = 8 * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t inverse = factor; // 3 bits of it are right, and each step doubles them
    for (int i = 0; i < 5; i++)
        inverse *= 2 - factor * inverse;
    char path[] = "/tmp/collisions-XXXXXX", vocab[64], text[9] = "";
    if (!CHECK(mkdtemp(path)))
        return;
    snprintf(vocab, sizeof vocab, "%s/vocab.txt", path);
    FILE *out = fopen(vocab, "w");
    if (!CHECK(out))
        return;
    fputs("[UNK]\n[CLS]\n[SEP]\n", out);
    for (uint64_t i = 0, made = 0; made < LINES; i++) {
        const uint64_t bytes = (UINT64_C(12345) << 32 | i) * inverse ^ length;
        memcpy(text, &bytes, 8);
        if (!memchr(text, '\n', 8) && !memchr(text, '\r', 8) && !memchr(text, '\0', 8)) {
            fputs(text, out);
            fputc('\n', out);
            made++;
        }
    }
    CHECK(!fclose(out));
    struct ww_error err = {0};
    struct ww_tokenizer *t = ww_tokenizer_open(path, &err);
    CHECK_STR(err.text, "");
    if (CHECK(t)) {
        CHECK_CMP(ww_tokenizer_id(t, text), ==, LINES + 2);
        uint32_t longest = 0; // of a slot; under that function, a million
        for (uint32_t slot = 0; slot <= t->by_text.mask; slot++) {
            const uint32_t num = t->by_text.begin[slot + 1] - t->by_text.begin[slot];
            longest = num > longest ? num : longest;
        }
        CHECK_CMP(longest, <, 200);
    }
    ww_tokenizer_close(&t);
    unlink(vocab);
    rmdir(path);
}

// Spans in texts that no other program was asked for.
static void check_some_spans(void)
{
    static const struct {
        const char *model, *text;
        size_t num, want[8];
    } cases[] = {
        {"bert", "Cafe\xcc\x81 x", 4, {0, 0, 0, 4, 7, 8, 8, 8}}, // an accent that goes: of no token
        {"clip", "CAFE\xcc\x81\xe2\x80\x8b\xff?", 4, {0, 0, 0, 6, 10, 11, 11, 11}},
        {"llama", "[DET] a", 3, {0, 0, 0, 5, 6, 7}},
        {"smollm2.gguf", "a\xe2\x82", 2, {0, 1, 1, 3}}, // two bytes that become one U+FFFD
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ww_tokenizer *t = open_kind(cases[i].model);
        uint32_t ids[8];
        struct ww_span spans[8] = {0};
        if (!CHECK(t))
            return;
        check_about("%s, spans", cases[i].model);
        const size_t num = ww_tokenizer_encode_spans(t, cases[i].text, strlen(cases[i].text), 3,
                                                     ids, spans, 8);
        CHECK_CMP(num, ==, cases[i].num);
        for (size_t k = 0; k < num && k < 4; k++) {
            CHECK_CMP(spans[k].begin, ==, cases[i].want[2 * k]);
            CHECK_CMP(spans[k].end, ==, cases[i].want[2 * k + 1]);
        }
        ww_tokenizer_close(&t);
    }
}

int main(void)
{
    check_kind("llama.gguf", "llama");
    check_kind("llama", "llama-newer");
    check_kind("smollm2.gguf", "smollm2");
    check_kind("bert", "bert");
    check_kind("clip", "clip");
    check_kind("smollm2", "smollm2");
    check_kind("llama/tokenizer.json", "llama-json");
    check_json();
    check_some_spans();
    check_chat();
    check_collisions();
    return check_done();
}
