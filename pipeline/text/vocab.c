// What several files hold alike: a JSON object of texts with their ids, merges, and the names that
// tokenizer_config.json gives to tokens.

#include <string.h>

#include "base/json.h"
#include "inner.h"

enum { MAX_HOLES = 4096 }; // ids that no text has

bool ww_vocab_read(struct ww_tokenizer *t, const struct ww_json *vocab, size_t more,
                   struct ww_error *err)
{
    const size_t count = ww_json_count(vocab) + more;
    if (!ww_json_count(vocab) || count > WW_MAX_TOKENS - MAX_HOLES)
        return ww_fail(err, WW_E_FILE, "%zu tokens: 1 to %d are allowed", count,
                       WW_MAX_TOKENS - MAX_HOLES);
    t->num_tokens = (uint32_t)count + MAX_HOLES;
    t->tokens = ww_new_table(t, struct ww_token, t->num_tokens, err);
    if (!t->tokens)
        return false;
    for (const struct ww_json *x = ww_json_first(vocab); x; x = ww_json_next(x)) {
        const char *text = ww_json_name(x);
        int64_t id = -1;
        if (!ww_json_integer(x, &id) || id < 0 || id >= t->num_tokens)
            return ww_fail(err, WW_E_FILE, "'%.100s': an id from 0 to %u is wanted", text,
                           t->num_tokens - 1);
        if (t->tokens[id].kind != WW_TOKEN_NONE)
            return ww_fail(err, WW_E_FILE, "'%.100s' has the id %d, as has '%.100s'", text, (int)id,
                           t->tokens[id].text);
        if (!ww_token_set(t, (uint32_t)id, text, strlen(text), WW_TOKEN_NORMAL, 0, err))
            return false;
    }
    return true;
}

void ww_vocab_trim(struct ww_tokenizer *t)
{
    while (t->num_tokens && t->tokens[t->num_tokens - 1].kind == WW_TOKEN_NONE)
        t->num_tokens--;
}

uint32_t ww_vocab_find(const struct ww_tokenizer *t, const char *text)
{
    for (uint32_t id = 0; text && id < t->num_tokens; id++)
        if (t->tokens[id].text && !strcmp(t->tokens[id].text, text))
            return id;
    return WW_NO_TOKEN;
}

bool ww_merge_add(struct ww_tokenizer *t, struct ww_text left, struct ww_text right,
                  struct ww_error *err)
{
    char both[2 * WW_MAX_TOKEN_BYTES];
    struct ww_merge m = {.left = WW_NO_TOKEN, .rank = t->num_merges};
    if (left.bytes <= WW_MAX_TOKEN_BYTES && right.bytes <= WW_MAX_TOKEN_BYTES) {
        memcpy(both, left.at, left.bytes);
        memcpy(both + left.bytes, right.at, right.bytes);
        m.left = ww_find_text(t, &t->by_text, left.at, left.bytes);
        m.right = ww_find_text(t, &t->by_text, right.at, right.bytes);
        m.result = ww_find_text(t, &t->by_text, both, left.bytes + right.bytes);
    }
    if (m.left == WW_NO_TOKEN || m.right == WW_NO_TOKEN || m.result == WW_NO_TOKEN)
        return ww_fail(err, WW_E_FILE, "'%.*s %.*s' has a part, or gives a whole, that is no token",
                       (int)(left.bytes < 50 ? left.bytes : 50), left.at,
                       (int)(right.bytes < 50 ? right.bytes : 50), right.at);
    t->merges[t->num_merges++] = m;
    return true;
}

bool ww_merge_add_line(struct ww_tokenizer *t, const char *at, size_t bytes, struct ww_error *err)
{
    const char *gap = bytes ? memchr(at, ' ', bytes) : NULL;
    if (!gap)
        return ww_fail(err, WW_E_FILE, "two tokens and a blank between them are wanted");
    return ww_merge_add(t, (struct ww_text){at, (size_t)(gap - at)},
                        (struct ww_text){gap + 1, bytes - (size_t)(gap - at) - 1}, err);
}

uint32_t ww_vocab_named(const struct ww_tokenizer *t, const struct ww_json *config, const char *key)
{
    const struct ww_json *value = ww_json_get(config, key);
    return ww_vocab_find(t, ww_json_string(ww_json_kind(value) == WW_JSON_OBJECT ? ww_json_get(value, "content")
                                                                                 : value));
}

bool ww_vocab_read_config(struct ww_tokenizer *t, const char *path, struct ww_error *err)
{
    const struct {
        const char *key;
        uint32_t *id;
    } names[] = {{"bos_token", &t->special.bos},
                 {"eos_token", &t->special.eos},
                 {"unk_token", &t->special.unk},
                 {"pad_token", &t->special.pad}};
    struct ww_json *config = ww_json_load(path, 16 << 20, NULL, err);
    if (!config)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const uint32_t id = ww_vocab_named(t, config, names[i].key);
        if (id == WW_NO_TOKEN)
            continue; // not named, or the name of nothing
        *names[i].id = id;
        t->tokens[id].special = true;
        if (t->tokens[id].kind == WW_TOKEN_NORMAL)
            t->tokens[id].kind = WW_TOKEN_CONTROL;
    }
    if (t->pieces) {
        ww_json_bool(ww_json_get(config, "add_bos_token"), &t->add_bos);
        ww_json_bool(ww_json_get(config, "add_eos_token"), &t->add_eos);
    }
    const char *chat = ww_json_string(ww_json_get(config, "chat_template"));
    t->chat_template = ww_arena_strdup(t->arena, chat);
    ww_json_free(&config);
    return true;
}
