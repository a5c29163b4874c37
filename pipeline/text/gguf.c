#include <string.h>

#include "inner.h"

static bool is(struct ww_text text, const char *word)
{
    return text.bytes == strlen(word) && !memcmp(text.at, word, text.bytes);
}

static bool read_tokens(struct ww_tokenizer *t, const struct ww_weights *w, struct ww_error *err)
{
    const struct ww_meta *texts, *kinds, *scores;
    if (!ww_weights_array(w, "tokenizer.ggml.tokens", true, WW_META_STRING, &texts, err) ||
        !ww_weights_array(w, "tokenizer.ggml.token_type", false, WW_META_I64, &kinds, err) ||
        !ww_weights_array(w, "tokenizer.ggml.scores", t->pieces, WW_META_F64, &scores, err))
        return false;
    if (texts->count > WW_MAX_TOKENS || (kinds && kinds->count != texts->count) ||
        (t->pieces && scores->count != texts->count))
        return ww_fail(err, WW_E_FILE,
                       "tokenizer.ggml.tokens: %zu tokens, %zu kinds, %zu scores: as many of each, "
                       "and at most %d, are allowed",
                       texts->count, kinds ? kinds->count : 0, scores ? scores->count : 0,
                       WW_MAX_TOKENS);
    t->num_tokens = (uint32_t)texts->count;
    t->tokens = ww_new_table(t, struct ww_token, texts->count, err);
    if (!t->tokens)
        return false;
    for (uint32_t id = 0; id < t->num_tokens; id++) {
        struct ww_text text = {0};
        int64_t kind = WW_TOKEN_NORMAL;
        double score = 0;
        ww_meta_text(texts, id, &text);
        ww_meta_integer(kinds, id, &kind);
        ww_meta_real(scores, id, &score);
        if (kind < 0 || kind > WW_TOKEN_BYTE)
            kind = WW_TOKEN_NONE;
        if (!ww_token_set(t, id, text.at, text.bytes, (enum ww_token_kind)kind, (float)score, err))
            return false;
    }
    return true;
}

static bool read_merges(struct ww_tokenizer *t, const struct ww_weights *w, struct ww_error *err)
{
    const struct ww_meta *list;
    if (!ww_weights_array(w, "tokenizer.ggml.merges", true, WW_META_STRING, &list, err))
        return false;
    if (list->count > WW_MAX_TOKENS)
        return ww_fail(err, WW_E_FILE, "tokenizer.ggml.merges: %zu of them, at most %d",
                       list->count, WW_MAX_TOKENS);
    if (!ww_slots_of_texts(t, &t->by_text, false, err))
        return false;
    t->merges = ww_new_table(t, struct ww_merge, list->count, err);
    if (!t->merges)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        struct ww_text text = {0};
        ww_meta_text(list, i, &text);
        if (!ww_merge_add_line(t, text.at, text.bytes, err))
            return ww_within(err, "tokenizer.ggml.merges[%zu]", i);
    }
    return ww_slots_of_merges(t, err);
}

static bool read_splitting(struct ww_tokenizer *t, const struct ww_weights *w,
                           struct ww_error *err)
{
    struct ww_text name = {"default", 7};
    if (!ww_weights_text(w, "tokenizer.ggml.pre", false, &name, err))
        return false;
    t->split_digits = is(name, "smollm");
    if (t->split_digits || is(name, "gpt-2") || is(name, "default"))
        return true;
    return ww_fail(err, WW_E_UNSUPPORTED,
                   "tokenizer.ggml.pre: '%.*s' is not known; smollm, gpt-2 and default are",
                   (int)(name.bytes < 100 ? name.bytes : 100), name.at);
}

static bool read_special(struct ww_tokenizer *t, const struct ww_weights *w, struct ww_error *err)
{
    const struct {
        const char *key;
        uint32_t *id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", &t->special.bos},
               {"tokenizer.ggml.eos_token_id", &t->special.eos},
               {"tokenizer.ggml.unknown_token_id", &t->special.unk},
               {"tokenizer.ggml.padding_token_id", &t->special.pad}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        int64_t id = WW_NO_TOKEN;
        if (!ww_weights_integer(w, ids[i].key, false, 0, WW_NO_TOKEN, &id, err))
            return false;
        *ids[i].id = (uint32_t)id;
    }
    struct ww_text chat = {0};
    t->add_bos = t->prefix = t->pieces;
    if (!ww_weights_bool(w, "tokenizer.ggml.add_bos_token", false, &t->add_bos, err) ||
        !ww_weights_bool(w, "tokenizer.ggml.add_eos_token", false, &t->add_eos, err) ||
        !ww_weights_bool(w, "tokenizer.ggml.add_space_prefix", false, &t->prefix, err) ||
        !ww_weights_text(w, "tokenizer.chat_template", false, &chat, err))
        return false;
    if (chat.at)
        t->chat_template = ww_arena_strndup(t->arena, chat.at, chat.bytes);
    return true;
}

bool ww_tokenizer_read_gguf(struct ww_tokenizer *t, const struct ww_weights *w,
                            struct ww_error *err)
{
    struct ww_text model;
    if (!ww_weights_text(w, "tokenizer.ggml.model", true, &model, err))
        return false;
    t->pieces = t->legacy = is(model, "llama");
    if (!t->pieces && !is(model, "gpt2"))
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "tokenizer.ggml.model: '%.*s' is not known; llama and gpt2 are",
                       (int)(model.bytes < 100 ? model.bytes : 100), model.at);
    return read_tokens(t, w, err) && read_special(t, w, err) &&
           (t->pieces || (read_splitting(t, w, err) && read_merges(t, w, err)));
}
