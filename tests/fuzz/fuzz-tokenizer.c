// A first byte that says which file, any bytes as vocab.txt or tokenizer.model, and what follows
// their first two bytes of 0x01 as a text: its tokens are the tokenizer's, no more than promised, as
// many as counted, and what is decoded keeps its bound.

#include "models/match.h"

#include <string.h>
#include <watchword/tokenizer.h>

#include "fuzz.h"

static char dir[] = "/tmp/fuzz-tokenizer-XXXXXX";
static char paths[2][64];

static void clean(void)
{
    unlink(paths[0]);
    unlink(paths[1]);
    rmdir(dir);
}

static void write_file(const char *path, const uint8_t *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    EXPECT(file);
    EXPECT(fwrite(data, 1, bytes, file) == bytes && !fclose(file));
}

static void check_text(const struct ww_tokenizer *t, const char *text, size_t bytes, unsigned flags)
{
    const size_t num = ww_tokenizer_encode(t, text, bytes, flags, NULL, 0);
    EXPECT(num <= 4 * bytes + 2);
    uint32_t *ids = malloc(sizeof *ids * (num + !num)); // the sanitizer knows where it ends
    EXPECT(ids && ww_tokenizer_encode(t, text, bytes, flags, ids, num) == num);
    for (size_t i = 0; i < num; i++)
        EXPECT(ids[i] < ww_tokenizer_size(t) && ww_tokenizer_text(t, ids[i]));
    const size_t length = ww_tokenizer_decode(t, ids, num, true, NULL, 0);
    char *back = malloc(length + 1);
    EXPECT(back && ww_tokenizer_decode(t, ids, num, true, back, length + 1) == length);
    EXPECT(!back[length]);
    free(back);
    free(ids);
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
    if (!**paths) {
        EXPECT(mkdtemp(dir));
        snprintf(paths[0], sizeof paths[0], "%s/vocab.txt", dir);
        snprintf(paths[1], sizeof paths[1], "%s/tokenizer.model", dir);
        atexit(clean);
    }
    const char *path = paths[*data & 1];
    const uint8_t *mark = memmem(data + 1, size - 1, "\1\1", 2);
    const size_t bytes = mark ? (size_t)(mark - data) - 1 : size - 1;
    unlink(paths[!(*data & 1)]);
    write_file(path, data + 1, bytes);
    const size_t rest = mark ? size - bytes - 3 : 0;
    char *text = malloc(rest + 1);
    EXPECT(text);
    memcpy(text, data + size - rest, rest);
    text[rest] = '\0';
    struct ww_error err = {0};
    struct ww_tokenizer *t = ww_tokenizer_open(dir, &err);
    EXPECT(t || strstr(err.text, "tokenizer"));
    if (t) {
        check_text(t, text, rest, 0);
        check_text(t, text, rest, WW_ENCODE_ADD_SPECIAL | WW_ENCODE_PARSE_SPECIAL);
        check_chat(t, text);
    }
    const int name = ww_match_name(text, names, 3), word = ww_match_word(text, names, 3);
    EXPECT(name < 3 && word < 3 && (name < 0 || name == word));
    ww_tokenizer_close(&t);
    free(text);
    return 0;
}
