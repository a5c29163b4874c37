// A first byte that says which file, any bytes as that file (vocab.json and merges.txt are two,
// with 0x02 twice between them), and what follows their first two bytes of 0x01 as a text: its
// tokens are the tokenizer's, no more than promised, as many as counted, the same without what was
// seen before, they come from the text in order, and what is decoded keeps its bound.

#include "models/match.h"

#include <string.h>
#include <watchword/tokenizer.h>

#include "fuzz.h"
#include "text/inner.h"

enum { NUM_FILES = 5, MERGES = 4 }; // merges.txt is no choice of its own

static char dir[] = "/tmp/fuzz-tokenizer-XXXXXX";
static char paths[NUM_FILES][64];

static void clean(void)
{
    for (int i = 0; i < NUM_FILES; i++)
        unlink(paths[i]);
    rmdir(dir);
}

static void prepare(void)
{
    static const char *const names[NUM_FILES] = {"vocab.txt", "tokenizer.model", "tokenizer.json",
                                                 "vocab.json", "merges.txt"};
    EXPECT(mkdtemp(dir));
    for (int i = 0; i < NUM_FILES; i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", dir, names[i]);
    atexit(clean);
}

static void write_file(const char *path, const uint8_t *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    EXPECT(file);
    EXPECT(fwrite(data, 1, bytes, file) == bytes && !fclose(file));
}

static void write_files(int which, const uint8_t *data, size_t bytes)
{
    for (int i = 0; i < NUM_FILES; i++)
        unlink(paths[i]);
    const uint8_t *mark = which == MERGES - 1 ? memmem(data, bytes, "\2\2", 2) : NULL;
    const size_t first = mark ? (size_t)(mark - data) : bytes;
    write_file(paths[which], data, first);
    if (mark)
        write_file(paths[MERGES], mark + 2, bytes - first - 2);
}

static void check_spans(const struct ww_tokenizer *t, const char *text, size_t bytes,
                        unsigned flags, const uint32_t *ids, size_t num)
{
    const unsigned anew = flags | WW_ENCODE_ANEW;
    uint32_t *same = malloc(sizeof *same * (num + !num));
    struct ww_span *spans = malloc(sizeof *spans * (num + !num));
    EXPECT(same && spans);
    EXPECT(ww_encode_guarded(t, text, bytes, anew, NULL, same, spans, num) == num);
    EXPECT(!memcmp(ids, same, num * sizeof *ids));
    for (size_t i = 0; i < num; i++) {
        EXPECT(spans[i].begin <= spans[i].end && spans[i].end <= bytes);
        EXPECT(!i || spans[i].begin >= spans[i - 1].begin);
        EXPECT(!i || spans[i].end >= spans[i - 1].end);
    }
    struct ww_span *seen = malloc(sizeof *seen * (num + !num));
    EXPECT(seen && ww_tokenizer_encode_spans(t, text, bytes, flags, same, seen, num) == num);
    EXPECT(!memcmp(spans, seen, num * sizeof *spans));
    free(seen);
    free(spans);
    free(same);
}

static void check_text(const struct ww_tokenizer *t, const char *text, size_t bytes, unsigned flags)
{
    const size_t num = ww_tokenizer_encode(t, text, bytes, flags, NULL, 0);
    EXPECT(num <= 4 * bytes + 2);
    uint32_t *ids = malloc(sizeof *ids * (num + !num)); // the sanitizer knows where it ends
    EXPECT(ids && ww_tokenizer_encode(t, text, bytes, flags, ids, num) == num);
    for (size_t i = 0; i < num; i++)
        EXPECT(ids[i] < ww_tokenizer_size(t) && ww_tokenizer_text(t, ids[i]));
    check_spans(t, text, bytes, flags, ids, num);
    const size_t length = ww_tokenizer_decode(t, ids, num, true, NULL, 0);
    char *back = malloc(length + 1);
    EXPECT(back && ww_tokenizer_decode(t, ids, num, true, back, length + 1) == length);
    EXPECT(!back[length]);
    free(back);
    free(ids);
}

// A short text is also read several times over, long enough for words to be remembered.
static void check_long(const struct ww_tokenizer *t, const char *text, size_t bytes, unsigned flags)
{
    enum { TIMES = 8 };
    char *more = malloc(TIMES * (bytes + 1));
    EXPECT(more);
    for (size_t i = 0; i < TIMES; i++) {
        memcpy(more + i * (bytes + 1), text, bytes);
        more[i * (bytes + 1) + bytes] = ' ';
    }
    check_text(t, more, TIMES * (bytes + 1), flags);
    free(more);
}

static void check_chat(const struct ww_tokenizer *t, const char *text)
{
    const struct ww_chat_message messages[] = {{"user", text}, {"assistant", text}};
    const struct ww_chat chats[] = {{WW_CHAT_CHATML, messages, 1}, {WW_CHAT_VICUNA, messages, 2}};
    for (int i = 0; i < 2; i++) {
        struct ww_error err = {0};
        char *out = malloc(5);
        uint32_t *ids = malloc(3 * sizeof *ids);
        EXPECT(out && ids && ww_chat_text(t, &chats[i], out, 5, &err) > 5);
        ww_chat_encode(t, &chats[i], ids, 3, &err);
        EXPECT(!err.code);
        free(out);
        free(ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"car", "hot dog", "dog"};
    if (!size)
        return 0;
    if (!**paths)
        prepare();
    const uint8_t *mark = memmem(data + 1, size - 1, "\1\1", 2);
    const size_t bytes = mark ? (size_t)(mark - data) - 1 : size - 1;
    write_files(*data & 3, data + 1, bytes);
    const size_t rest = mark ? size - bytes - 3 : 0;
    char *text = malloc(rest + 1);
    EXPECT(text);
    memcpy(text, data + size - rest, rest);
    text[rest] = '\0';
    struct ww_error err = {0};
    struct ww_tokenizer *t = ww_tokenizer_open(dir, &err);
    EXPECT(t || (strstr(err.text, dir) && err.code));
    if (t) {
        check_text(t, text, rest, 0);
        check_text(t, text, rest, WW_ENCODE_ADD_SPECIAL | WW_ENCODE_PARSE_SPECIAL);
        if (rest < 1024 && size % 4 == 0) // four times as slow as the rest together
            check_long(t, text, rest, WW_ENCODE_PARSE_SPECIAL);
        check_chat(t, text);
    }
    const int name = ww_match_name(text, names, 3), word = ww_match_word(text, names, 3);
    EXPECT(name < 3 && word < 3 && (name < 0 || name == word));
    ww_tokenizer_close(&t);
    free(text);
    return 0;
}
