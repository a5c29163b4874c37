// tokenizer.model, a SentencePiece model in protobuf's wire format, and tokenizer_config.json, which
// adds tokens to it and says which rule for blanks the model was trained with.

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "inner.h"

enum { MAX_BYTES = 64 << 20, MAX_ADDED = 4096 };

struct field {
    uint64_t number, value; // of a varint
    const char *at;         // of bytes
    size_t bytes;
};

static bool read_varint(const char **at, const char *end, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; *at < end && shift < 70; shift += 7) {
        const unsigned char c = (unsigned char)*(*at)++;
        *out |= shift < 64 ? (uint64_t)(c & 127) << shift : 0;
        if (c < 128)
            return true;
    }
    return false;
}

static bool read_field(const char **at, const char *end, struct field *f)
{
    uint64_t key, bytes;
    if (!read_varint(at, end, &key))
        return false;
    *f = (struct field){.number = key >> 3};
    if ((key & 7) == 0)
        return read_varint(at, end, &f->value);
    if ((key & 7) == 2) {
        if (!read_varint(at, end, &bytes))
            return false;
    } else if ((key & 7) == 1 || (key & 7) == 5) {
        bytes = (key & 7) == 1 ? 8 : 4;
    } else {
        return false;
    }
    if (bytes > (size_t)(end - *at))
        return false;
    f->at = *at;
    f->bytes = bytes;
    *at += bytes;
    return true;
}

static bool read_piece(struct ww_tokenizer *t, uint32_t id, const struct field *piece,
                       struct ww_error *err)
{
    const char *at = piece->at, *end = at + piece->bytes;
    struct field f, text = {.at = ""};
    float score = 0;
    uint64_t kind = WW_TOKEN_NORMAL;
    while (at < end) {
        if (!read_field(&at, end, &f))
            return ww_fail(err, WW_E_FILE, "piece %u is broken", id);
        if (f.number == 1 && f.at)
            text = f;
        else if (f.number == 2 && f.bytes == 4)
            memcpy(&score, f.at, 4);
        else if (f.number == 3)
            kind = f.value <= WW_TOKEN_BYTE ? f.value : WW_TOKEN_NONE;
    }
    if (score != score)
        return ww_fail(err, WW_E_FILE, "piece %u: its score is no number", id);
    return ww_token_set(t, id, text.at, text.bytes, (enum ww_token_kind)kind, score, err);
}

// TrainerSpec (2) and NormalizerSpec (3); what LLaMA's models say is what is known here.
static bool read_spec(struct ww_tokenizer *t, const struct field *spec, struct ww_error *err)
{
    const char *at = spec->at, *end = at + spec->bytes;
    uint64_t model = 1, squeeze = 1;
    for (struct field f; at < end;) {
        if (!read_field(&at, end, &f))
            return ww_fail(err, WW_E_FILE, "field %d is broken", (int)spec->number);
        if (spec->number == 2 && f.number == 3)
            model = f.value;
        else if (spec->number == 2 && f.number >= 40 && f.number <= 43)
            *(uint32_t *[]){&t->special.unk, &t->special.bos, &t->special.eos,
                            &t->special.pad}[f.number - 40] = (uint32_t)f.value;
        else if (spec->number == 3 && f.number == 2 && f.bytes)
            return ww_fail(err, WW_E_UNSUPPORTED, "it normalises characters; LLaMA's do not");
        else if (spec->number == 3 && f.number == 3)
            t->prefix = f.value;
        else if (spec->number == 3 && f.number == 4)
            squeeze = f.value;
    }
    if (spec->number == 2 && model != 2)
        return ww_fail(err, WW_E_UNSUPPORTED, "model_type %d: only 2, BPE, is known", (int)model);
    if (spec->number == 3 && squeeze)
        return ww_fail(err, WW_E_UNSUPPORTED, "it removes blanks; LLaMA's do not");
    return true;
}

static bool read_model(struct ww_tokenizer *t, const char *at, size_t bytes, struct ww_error *err)
{
    const char *const begin = at, *const end = at + bytes;
    uint32_t num = 0;
    struct field f;
    while (at < end) {
        if (!read_field(&at, end, &f))
            return ww_fail(err, WW_E_FILE, "no SentencePiece model: broken before byte %zu",
                           (size_t)(at - begin));
        num += f.number == 1 && f.at;
    }
    if (!num || num > WW_MAX_TOKENS - MAX_ADDED)
        return ww_fail(err, WW_E_FILE, "%u pieces: 1 to %d are allowed", num,
                       WW_MAX_TOKENS - MAX_ADDED);
    t->pieces = t->legacy = t->prefix = t->add_bos = true;
    t->special = (struct ww_special_ids){.unk = 0, .bos = 1, .eos = 2, .pad = WW_NO_TOKEN};
    t->num_tokens = num + MAX_ADDED;
    t->tokens = ww_new_table(t, struct ww_token, t->num_tokens, err);
    if (!t->tokens)
        return false;
    num = 0;
    for (at = begin; at < end && read_field(&at, end, &f);) {
        if (f.number == 1 && f.at && !read_piece(t, num++, &f, err))
            return false;
        if ((f.number == 2 || f.number == 3) && f.at && !read_spec(t, &f, err))
            return false;
    }
    return true;
}

static bool read_added(struct ww_tokenizer *t, const struct ww_json *added, struct ww_error *err)
{
    for (const struct ww_json *x = ww_json_first(added); x; x = ww_json_next(x)) {
        char *end;
        const unsigned long id = strtoul(ww_json_name(x), &end, 10);
        const char *text = ww_json_string(ww_json_get(x, "content"));
        if (*end || id >= t->num_tokens || !text)
            return ww_fail(err, WW_E_FILE, "added_tokens_decoder.%.40s: an id below %u and a text "
                           "'content' are wanted", ww_json_name(x), t->num_tokens);
        if (!ww_token_set(t, (uint32_t)id, text, strlen(text), WW_TOKEN_CONTROL, 0, err))
            return false;
        ww_json_bool(ww_json_get(x, "lstrip"), &t->tokens[id].lstrip);
        ww_json_bool(ww_json_get(x, "rstrip"), &t->tokens[id].rstrip);
    }
    return true;
}

static bool read_config(struct ww_tokenizer *t, const char *path, struct ww_error *err)
{
    struct ww_json *config = ww_json_load(path, 16 << 20, NULL, err);
    if (!config)
        return false;
    ww_json_bool(ww_json_get(config, "legacy"), &t->legacy);
    ww_json_bool(ww_json_get(config, "add_bos_token"), &t->add_bos);
    ww_json_bool(ww_json_get(config, "add_eos_token"), &t->add_eos);
    const char *chat = ww_json_string(ww_json_get(config, "chat_template"));
    t->chat_template = ww_arena_strdup(t->arena, chat);
    const bool ok = read_added(t, ww_json_get(config, "added_tokens_decoder"), err);
    const uint32_t pad = ok ? ww_vocab_named(t, config, "pad_token") : WW_NO_TOKEN;
    if (pad != WW_NO_TOKEN)
        t->special.pad = pad;
    ww_json_free(&config);
    return ok || ww_within(err, "%s", path);
}

bool ww_tokenizer_read_sentencepiece(struct ww_tokenizer *t, const char *path, const char *config,
                                     struct ww_error *err)
{
    size_t bytes;
    char *data = ww_read_whole(path, MAX_BYTES, &bytes, err);
    if (!data)
        return false;
    const bool ok = read_model(t, data, bytes, err);
    free(data);
    if (!ok)
        return ww_within(err, "%s", path);
    if (config && !read_config(t, config, err))
        return false;
    while (t->num_tokens && t->tokens[t->num_tokens - 1].kind == WW_TOKEN_NONE)
        t->num_tokens--;
    return true;
}
