#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/room.h"
#include "base/utf8.h"
#include "inner.h"

void *ww_table(struct ww_tokenizer *t, size_t count, size_t bytes_each, struct ww_error *err)
{
    assert((size_t)t->num_tables < sizeof t->tables / sizeof *t->tables);
    void *table = ww_room_for(count, bytes_each, err);
    if (table)
        t->tables[t->num_tables++] = table;
    return table;
}

bool ww_token_set(struct ww_tokenizer *t, uint32_t id, const char *text, size_t bytes,
                  enum ww_token_kind kind, float score, struct ww_error *err)
{
    if (id >= t->num_tokens)
        return ww_fail(err, WW_E_FILE, "token %u: ids are below %u", id, t->num_tokens);
    if (bytes > WW_MAX_TOKEN_BYTES)
        return ww_fail(err, WW_E_FILE, "token %u has %zu bytes: at most %d", id, bytes,
                       WW_MAX_TOKEN_BYTES);
    if (kind < WW_TOKEN_NORMAL || kind > WW_TOKEN_BYTE)
        return ww_fail(err, WW_E_FILE, "token %u is of kind %d: 1 to 6 are known", id, (int)kind);
    if (kind == WW_TOKEN_UNUSED && t->pieces)
        return ww_fail(err, WW_E_UNSUPPORTED, "token %u is marked unused", id);
    if (t->pieces && kind == WW_TOKEN_BYTE && (bytes != 6 || memcmp(text, "<0x", 3)))
        return ww_fail(err, WW_E_FILE, "token %u is a byte, but not written like <0x0A>", id);
    const bool special = kind == WW_TOKEN_CONTROL || kind == WW_TOKEN_UNKNOWN;
    t->tokens[id] = (struct ww_token){
        .text = ww_arena_strndup(t->arena, text, bytes), .bytes = (uint32_t)bytes, .kind = kind,
        .score = score, .special = special || kind == WW_TOKEN_USER};
    return true;
}

static void find_bytes(struct ww_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char c[4 + sizeof "</w>"];
        t->byte_ids[b] = t->end_ids[b] = WW_NO_TOKEN;
        if (t->words && b < 128)
            t->byte_ids[b] = ww_find_text(t, &t->by_text, (char[]){(char)b}, 1);
        if (t->pieces && b < 128)
            t->end_ids[b] = ww_find_text(t, &t->by_text, (char[]){(char)b}, 1);
        if (t->pieces || t->words)
            continue;
        const size_t n = ww_put_char(ww_byte_to_char((unsigned char)b), c);
        memcpy(c + n, "</w>", 4);
        t->byte_ids[b] = ww_find_text(t, &t->by_text, c, n);
        t->end_ids[b] = ww_find_text(t, &t->by_text, c, n + 4);
    }
    for (uint32_t id = 0; t->pieces && id < t->num_tokens; id++)
        if (t->tokens[id].kind == WW_TOKEN_BYTE)
            t->byte_ids[strtoul(t->tokens[id].text + 3, NULL, 16) & 255] = id;
}

// Whether SentencePiece's blanks only begin tokens, or are all there is of one.
static bool are_apart(const struct ww_tokenizer *t)
{
    static const char mark[] = "\xe2\x96\x81";
    for (uint32_t id = 0; id < t->num_tokens; id++) {
        const struct ww_token *token = &t->tokens[id];
        uint32_t i = 0;
        while (i + 3 <= token->bytes && !memcmp(token->text + i, mark, 3))
            i += 3;
        if (i < token->bytes && strstr(token->text + i, mark))
            return false;
    }
    return true;
}

static int longest_first(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

// What is found in texts before all else, and how long such tokens are.
static bool find_specials(struct ww_tokenizer *t, struct ww_error *err)
{
    for (uint32_t id = 0; id < t->num_tokens; id++) {
        const struct ww_token *token = &t->tokens[id];
        if (token->bytes > t->longest)
            t->longest = token->bytes;
        if (!token->special || !token->bytes)
            continue;
        if (!ww_utf8_valid(token->text, token->bytes)) // or it would cut a text inside a character
            return ww_fail(err, WW_E_FILE, "special token %u is not UTF-8", id);
        t->special_starts[(unsigned char)token->text[0]] = true;
        uint32_t i = 0;
        while (i < t->num_lengths && t->special_lengths[i] != token->bytes)
            i++;
        if (i == sizeof t->special_lengths / sizeof *t->special_lengths)
            return ww_fail(err, WW_E_UNSUPPORTED, "special tokens of more than %u lengths", i);
        t->special_lengths[i] = token->bytes;
        t->num_lengths += i == t->num_lengths;
    }
    qsort(t->special_lengths, t->num_lengths, sizeof *t->special_lengths, longest_first);
    return ww_slots_of_texts(t, &t->specials, true, err);
}

static bool finish(struct ww_tokenizer *t, struct ww_error *err)
{
    uint32_t *const ids[] = {&t->special.bos, &t->special.eos, &t->special.unk, &t->special.pad};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (*ids[i] >= t->num_tokens || t->tokens[*ids[i]].kind == WW_TOKEN_NONE)
            *ids[i] = WW_NO_TOKEN;
    if (t->pieces || t->words || t->clip)
        t->unknown = t->special.unk;
    if (!t->by_text.begin && !ww_slots_of_texts(t, &t->by_text, false, err))
        return false;
    find_bytes(t);
    t->apart = t->pieces && are_apart(t);
    if (t->pieces && !t->merges && !ww_merges_of_pieces(t, err))
        return false;
    return find_specials(t, err);
}

const char *ww_beside(struct ww_tokenizer *t, const char *path, const char *name)
{
    return ww_arena_printf(t->arena, "%.*s/%s", (int)(strrchr(path, '/') - path), path, name);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

// In a directory, the first of these that is there counts: before tokenizer.json come files with
// one meaning alone, and vocab.json comes behind it, which does not say how texts are split.
static const struct {
    const char *name;
    bool (*read)(struct ww_tokenizer *t, const char *path, const char *config,
                 struct ww_error *err);
} files[] = {
    {"tokenizer.model", ww_tokenizer_read_sentencepiece},
    {"vocab.txt", ww_tokenizer_read_words},
    {"tokenizer.json", ww_tokenizer_read_json},
    {"vocab.json", ww_tokenizer_read_clip},
};

static bool read_file(struct ww_tokenizer *t, const char *path, size_t i, struct ww_error *err)
{
    const char *config = ww_beside(t, path, "tokenizer_config.json");
    return files[i].read(t, path, access(config, F_OK) ? NULL : config, err) && finish(t, err);
}

static bool read_path(struct ww_tokenizer *t, const char *path, struct ww_error *err)
{
    const bool directory = is_directory(path);
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *file =
            ww_arena_printf(t->arena, "%s/%s", directory ? path : ".", files[i].name);
        if (directory ? !access(file, F_OK) : !strcmp(name, files[i].name))
            return read_file(t, directory || name == path ? file : path, i, err);
    }
    struct ww_weights *weights = ww_weights_open(path, err);
    const bool other = weights && directory && strcmp(ww_weights_format(weights), "GGUF") != 0;
    if (other)
        ww_fail(err, WW_E_FILE, "the weights are %s", ww_weights_format(weights));
    if (directory && (!weights || other))
        ww_within(err, "there is no tokenizer.model, vocab.txt, tokenizer.json or vocab.json, and "
                       "no GGUF file to take it from");
    const bool ok = weights && !other && ww_tokenizer_read_gguf(t, weights, err) && finish(t, err);
    ww_weights_close(&weights);
    return ok;
}

struct ww_tokenizer *ww_tokenizer_open(const char *path, struct ww_error *err)
{
    struct ww_arena *arena = ww_arena_create();
    struct ww_tokenizer *t = ww_new(arena, struct ww_tokenizer);
    t->arena = arena;
    t->special = (struct ww_special_ids){WW_NO_TOKEN, WW_NO_TOKEN, WW_NO_TOKEN, WW_NO_TOKEN};
    t->unknown = WW_NO_TOKEN;
    if (!read_path(t, path, err)) {
        ww_within(err, "tokenizer '%s'", path);
        ww_tokenizer_close(&t);
    }
    return t;
}

void ww_tokenizer_close(struct ww_tokenizer **tokenizer)
{
    if (!*tokenizer)
        return;
    for (int i = 0; i < (*tokenizer)->num_tables; i++)
        free((*tokenizer)->tables[i]);
    struct ww_arena *arena = (*tokenizer)->arena; // the tokenizer lies in it
    ww_arena_destroy(&arena);
    *tokenizer = NULL;
}

struct ww_special_ids ww_tokenizer_special(const struct ww_tokenizer *t)
{
    return t->special;
}

uint32_t ww_tokenizer_size(const struct ww_tokenizer *t)
{
    return t->num_tokens;
}

const char *ww_tokenizer_text(const struct ww_tokenizer *t, uint32_t id)
{
    return id < t->num_tokens ? t->tokens[id].text : NULL;
}

uint32_t ww_tokenizer_id(const struct ww_tokenizer *t, const char *text)
{
    const uint32_t id = ww_find_text(t, &t->specials, text, strlen(text));
    return id != WW_NO_TOKEN ? id : ww_find_text(t, &t->by_text, text, strlen(text));
}

const char *ww_tokenizer_chat_template(const struct ww_tokenizer *t)
{
    return t->chat_template;
}
