// tokenizer.json, as the package "tokenizers" writes it: a pipeline of named steps around a
// vocabulary. Four pipelines are known, those of the four kinds of tokenizer; a step that is not
// one of theirs is refused by name, for texts would be cut in another way than the model learned.
//
// What the file says about decoding is not read: that follows from the kind.

#include <string.h>

#include "base/json.h"
#include "inner.h"

enum { MAX_BYTES = 64 << 20, MAX_VALUES = 4 << 20, MAX_STEPS = 4, MAX_ADDED = 1 << 16 };

static const char clip_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
static const char blank_mark[] = "\xe2\x96\x81"; // U+2581

// --- small questions ---

static bool says(const struct ww_json *object, const char *name, const char *text)
{
    const char *value = ww_json_string(ww_json_get(object, name));
    return value && !strcmp(value, text);
}

static bool is_true(const struct ww_json *object, const char *name, bool if_missing)
{
    ww_json_bool(ww_json_get(object, name), &if_missing);
    return if_missing;
}

static bool is_empty(const struct ww_json *value)
{
    const char *text = ww_json_string(value);
    return !value || ww_json_kind(value) == WW_JSON_NULL || (text && !*text);
}

static const char *type_of(const struct ww_json *step)
{
    const char *type = ww_json_string(ww_json_get(step, "type"));
    return type ? type : "";
}

// --- steps ---

struct steps {
    const struct ww_json *at[MAX_STEPS];
    int num;
};

// The steps in a field of the document: none, one, or those of a Sequence, whose list is `list`.
static bool read_steps(const struct ww_json *document, const char *field, const char *list,
                       struct steps *out, struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(document, field);
    out->num = 0;
    if (!value || ww_json_kind(value) == WW_JSON_NULL)
        return true;
    if (ww_json_kind(value) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "'%s' is %s, not an object", field,
                       ww_json_kind_name(ww_json_kind(value)));
    if (strcmp(type_of(value), "Sequence") != 0) {
        out->at[out->num++] = value;
        return true;
    }
    const struct ww_json *parts = ww_json_need(value, list, WW_JSON_ARRAY, err);
    if (!parts)
        return ww_within(err, "%s", field);
    if (ww_json_count(parts) > MAX_STEPS)
        return ww_fail(err, WW_E_UNSUPPORTED, "%s.%s: %zu steps: at most %d are known here", field,
                       list, ww_json_count(parts), MAX_STEPS);
    for (const struct ww_json *x = ww_json_first(parts); x; x = ww_json_next(x))
        out->at[out->num++] = x;
    return true;
}

struct step {
    const char *type;
    bool (*fits)(const struct ww_json *step); // NULL: whatever else it says
    const char *wants;                        // what does not hold where it does not fit
};

static bool follow(const char *field, const struct steps *steps, const struct step *wanted,
                   int num_wanted, const char *kind, struct ww_error *err)
{
    for (int i = 0; i < steps->num || i < num_wanted; i++) {
        const char *type = i < steps->num ? type_of(steps->at[i]) : "nothing";
        if (i >= num_wanted || strcmp(type, wanted[i].type) != 0)
            return ww_fail(err, WW_E_UNSUPPORTED, "%s: '%.60s' where %s is known here for %s",
                           field, type, i < num_wanted ? wanted[i].type : "nothing more", kind);
        if (wanted[i].fits && !wanted[i].fits(steps->at[i]))
            return ww_fail(err, WW_E_UNSUPPORTED, "%s: '%s' is known here only with %s", field,
                           type, wanted[i].wants);
    }
    return true;
}

static bool is_plain_bytes(const struct ww_json *step)
{
    return !is_true(step, "add_prefix_space", true) && is_true(step, "use_regex", true);
}

static bool has_no_prefix(const struct ww_json *step)
{
    return !is_true(step, "add_prefix_space", true);
}

static bool are_single_digits(const struct ww_json *step)
{
    return is_true(step, "individual_digits", false);
}

static bool is_clip_split(const struct ww_json *step)
{
    return says(ww_json_get(step, "pattern"), "Regex", clip_pattern) &&
           says(step, "behavior", "Removed") && is_true(step, "invert", false);
}

static bool joins_blanks(const struct ww_json *step)
{
    return says(ww_json_get(step, "pattern"), "Regex", "\\s+") && says(step, "content", " ");
}

static bool marks_blanks(const struct ww_json *step)
{
    return says(ww_json_get(step, "pattern"), "String", " ") && says(step, "content", blank_mark);
}

static bool prepends_mark(const struct ww_json *step)
{
    return says(step, "prepend", blank_mark);
}

static bool is_whole_metaspace(const struct ww_json *step)
{
    return says(step, "replacement", blank_mark) && !is_true(step, "split", true);
}

static bool is_bert_normalizer(const struct ww_json *step)
{
    return is_true(step, "clean_text", false) && is_true(step, "handle_chinese_chars", false);
}

// --- the four pipelines ---

static bool read_bytes(struct ww_tokenizer *t, const struct steps *normal, const struct steps *pre,
                       const struct ww_json *model, struct ww_error *err)
{
    static const struct step steps[] = {
        {"Digits", are_single_digits, "'individual_digits' true"},
        {"ByteLevel", is_plain_bytes, "'add_prefix_space' false and 'use_regex' true"},
    };
    const char *kind = "byte-level BPE";
    t->split_digits = pre->num > 0 && !strcmp(type_of(pre->at[0]), "Digits");
    const int from = t->split_digits ? 0 : 1;
    t->unknown = ww_vocab_find(t, ww_json_string(ww_json_get(model, "unk_token")));
    return follow("normalizer", normal, NULL, 0, kind, err) &&
           follow("pre_tokenizer", pre, steps + from, 2 - from, kind, err);
}

static bool read_clip(struct ww_tokenizer *t, const struct steps *normal, const struct steps *pre,
                      struct ww_error *err)
{
    static const struct step normals[] = {
        {"NFC", NULL, NULL},
        {"Replace", joins_blanks, "'\\s+' becoming a blank"},
        {"Lowercase", NULL, NULL},
    };
    static const struct step splits[] = {
        {"Split", is_clip_split, "CLIP's pattern, 'behavior' Removed and 'invert' true"},
        {"ByteLevel", has_no_prefix, "'add_prefix_space' false"},
    };
    return follow("normalizer", normal, normals, 3, "CLIP", err) &&
           follow("pre_tokenizer", pre, splits, 2, "CLIP", err) && ww_clip_begin(t, err);
}

static bool read_words(struct ww_tokenizer *t, const struct steps *normal, const struct steps *pre,
                       const struct ww_json *model, struct ww_error *err)
{
    static const struct step normals[] = {
        {"BertNormalizer", is_bert_normalizer, "'clean_text' and 'handle_chinese_chars' true"}};
    static const struct step splits[] = {{"BertPreTokenizer", NULL, NULL}};
    int64_t longest = 100;
    ww_json_integer(ww_json_get(model, "max_input_chars_per_word"), &longest);
    if (!follow("normalizer", normal, normals, 1, "WordPiece", err) ||
        !follow("pre_tokenizer", pre, splits, 1, "WordPiece", err))
        return false;
    if (!says(model, "continuing_subword_prefix", "##") || longest != 100)
        return ww_fail(err, WW_E_UNSUPPORTED, "model: only a 'continuing_subword_prefix' of ## and "
                       "a 'max_input_chars_per_word' of 100 are known here");
    t->words = true;
    t->lower = is_true(normal->at[0], "lowercase", true);
    t->strip_accents = is_true(normal->at[0], "strip_accents", t->lower);
    t->special.unk = ww_vocab_find(t, ww_json_string(ww_json_get(model, "unk_token")));
    t->special.pad = ww_vocab_find(t, "[PAD]");
    return t->special.unk != WW_NO_TOKEN ||
           ww_fail(err, WW_E_FILE, "model.unk_token: a token of the vocabulary is wanted");
}

static void mark_bytes(struct ww_tokenizer *t)
{
    for (uint32_t id = 0; id < t->num_tokens; id++) {
        struct ww_token *token = &t->tokens[id];
        if (token->bytes == 6 && !memcmp(token->text, "<0x", 3) && token->text[5] == '>' &&
            strspn(token->text + 3, "0123456789ABCDEFabcdef") == 2)
            token->kind = WW_TOKEN_BYTE;
    }
}

static bool read_pieces(struct ww_tokenizer *t, const struct steps *normal,
                        const struct steps *pre, const struct ww_json *model, struct ww_error *err)
{
    static const struct step normals[] = {
        {"Prepend", prepends_mark, "U+2581"},
        {"Replace", marks_blanks, "a blank becoming U+2581"},
    };
    static const struct step splits[] = {
        {"Metaspace", is_whole_metaspace, "'replacement' U+2581 and 'split' false"}};
    const char *kind = "SentencePiece's BPE";
    t->pieces = true;
    t->special.unk = ww_vocab_find(t, ww_json_string(ww_json_get(model, "unk_token")));
    mark_bytes(t);
    if (pre->num) { // the newer rule: one mark at the beginning of the text, if there is none
        const struct ww_json *scheme = ww_json_get(pre->at[0], "prepend_scheme");
        t->spare_prefix = true;
        t->prefix = scheme ? !says(pre->at[0], "prepend_scheme", "never")
                           : is_true(pre->at[0], "add_prefix_space", true);
        t->legacy = !says(pre->at[0], "prepend_scheme", "first");
        return follow("normalizer", normal, NULL, 0, kind, err) &&
               follow("pre_tokenizer", pre, splits, 1, kind, err);
    }
    t->legacy = true;
    t->prefix = normal->num > 1;
    return follow("normalizer", normal, normals + !t->prefix, 1 + t->prefix, kind, err);
}

// --- what all have ---

static bool read_added_token(struct ww_tokenizer *t, const struct ww_json *x, const char *unknown,
                             struct ww_error *err)
{
    const char *text = ww_json_string(ww_json_get(x, "content"));
    int64_t id = -1;
    if (!text || !ww_json_integer(ww_json_get(x, "id"), &id) || id < 0 || id >= t->num_tokens)
        return ww_fail(err, WW_E_FILE, "an 'id' from 0 to %u and a text 'content' are wanted",
                       t->num_tokens - 1);
    if (t->tokens[id].text && strcmp(t->tokens[id].text, text) != 0)
        return ww_fail(err, WW_E_FILE, "'%.100s' has the id %d, as has '%.100s'", text, (int)id,
                       t->tokens[id].text);
    if (is_true(x, "single_word", false))
        return ww_fail(err, WW_E_UNSUPPORTED, "'%.100s': 'single_word' is true: only false is "
                       "known here", text);
    const enum ww_token_kind kind = unknown && !strcmp(unknown, text)  ? WW_TOKEN_UNKNOWN
                                    : is_true(x, "special", false)     ? WW_TOKEN_CONTROL
                                                                       : WW_TOKEN_USER;
    if (!ww_token_set(t, (uint32_t)id, text, strlen(text), kind, 0, err))
        return false;
    t->tokens[id].lstrip = is_true(x, "lstrip", false);
    t->tokens[id].rstrip = is_true(x, "rstrip", false);
    t->tokens[id].normalized = is_true(x, "normalized", false);
    return true;
}

static bool read_vocab(struct ww_tokenizer *t, const struct ww_json *document,
                       const struct ww_json *model, struct ww_error *err)
{
    const struct ww_json *vocab = ww_json_need(model, "vocab", WW_JSON_OBJECT, err);
    if (!vocab)
        return ww_within(err, "model");
    const struct ww_json *added = ww_json_get(document, "added_tokens");
    const size_t num_added = ww_json_count(added);
    if (num_added > MAX_ADDED)
        return ww_fail(err, WW_E_FILE, "added_tokens: %zu of them, at most %d", num_added,
                       MAX_ADDED);
    if (!ww_vocab_read(t, vocab, num_added, err))
        return ww_within(err, "model.vocab");
    const char *unknown = ww_json_string(ww_json_get(model, "unk_token"));
    size_t i = 0;
    for (const struct ww_json *x = ww_json_first(added); x; x = ww_json_next(x), i++)
        if (!read_added_token(t, x, unknown, err))
            return ww_within(err, "added_tokens[%zu]", i);
    ww_vocab_trim(t);
    return true;
}

// "left right", or since 2024 ["left", "right"].
static bool read_merge(struct ww_tokenizer *t, const struct ww_json *merge, struct ww_error *err)
{
    const char *line = ww_json_string(merge);
    if (line)
        return ww_merge_add_line(t, line, strlen(line), err);
    const struct ww_json *first = ww_json_first(merge);
    const char *left = ww_json_string(first),
               *right = first ? ww_json_string(ww_json_next(first)) : NULL;
    if (ww_json_count(merge) != 2 || !left || !right)
        return ww_fail(err, WW_E_FILE, "two tokens are wanted");
    return ww_merge_add(t, (struct ww_text){left, strlen(left)},
                        (struct ww_text){right, strlen(right)}, err);
}

static bool read_merges(struct ww_tokenizer *t, const struct ww_json *model, struct ww_error *err)
{
    const struct ww_json *list = ww_json_need(model, "merges", WW_JSON_ARRAY, err);
    if (!list)
        return ww_within(err, "model");
    t->merges = ww_new_table(t, struct ww_merge, ww_json_count(list), err);
    if (!t->merges || !ww_slots_of_texts(t, &t->by_text, false, err))
        return false;
    for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x))
        if (!read_merge(t, x, err))
            return ww_within(err, "model.merges[%u]", t->num_merges);
    return ww_slots_of_merges(t, err);
}

// What stands in front of a text and behind it: one token each, at most.
static bool read_template(struct ww_tokenizer *t, const struct ww_json *step, struct ww_error *err)
{
    const struct ww_json *single = ww_json_need(step, "single", WW_JSON_ARRAY, err);
    const struct ww_json *tokens = ww_json_get(step, "special_tokens");
    bool behind = false;
    t->add_bos = t->add_eos = false;
    for (const struct ww_json *x = ww_json_first(single); x; x = ww_json_next(x)) {
        if (ww_json_get(x, "Sequence")) {
            behind = true;
            continue;
        }
        const char *name = ww_json_string(ww_json_get(ww_json_get(x, "SpecialToken"), "id"));
        const struct ww_json *ids = name ? ww_json_get(ww_json_get(tokens, name), "ids") : NULL;
        int64_t id = -1;
        bool *add = behind ? &t->add_eos : &t->add_bos;
        if (ww_json_count(ids) != 1 || !ww_json_integer(ww_json_first(ids), &id) || id < 0 ||
            id >= t->num_tokens || *add)
            return ww_fail(err, WW_E_UNSUPPORTED, "single: only one token of the vocabulary in "
                           "front of a text and one behind it are known here");
        *add = true;
        *(behind ? &t->special.eos : &t->special.bos) = (uint32_t)id;
    }
    return single != NULL;
}

static bool read_pair(struct ww_tokenizer *t, const struct ww_json *step, struct ww_error *err)
{
    int64_t ids[2] = {-1, -1};
    static const char *const names[] = {"cls", "sep"};
    for (int i = 0; i < 2; i++) {
        const struct ww_json *text = ww_json_first(ww_json_get(step, names[i]));
        if (!text || !ww_json_next(text) || !ww_json_integer(ww_json_next(text), &ids[i]) ||
            ids[i] < 0 || ids[i] >= t->num_tokens)
            return ww_fail(err, WW_E_FILE, "%s: a text and its id are wanted", names[i]);
    }
    t->special.bos = (uint32_t)ids[0];
    t->special.eos = (uint32_t)ids[1];
    return t->add_bos = t->add_eos = true;
}

static bool read_around(struct ww_tokenizer *t, const struct ww_json *document,
                        struct ww_error *err)
{
    struct steps steps;
    if (!read_steps(document, "post_processor", "processors", &steps, err))
        return false;
    t->add_bos = t->add_eos = false;
    for (int i = 0; i < steps.num; i++) {
        const char *type = type_of(steps.at[i]);
        bool ok = !strcmp(type, "ByteLevel"); // which only says where tokens begin
        if (!strcmp(type, "TemplateProcessing"))
            ok = read_template(t, steps.at[i], err);
        else if (!strcmp(type, "RobertaProcessing") || !strcmp(type, "BertProcessing"))
            ok = read_pair(t, steps.at[i], err);
        else if (!ok)
            ww_fail(err, WW_E_UNSUPPORTED, "'%.60s' is not known here; TemplateProcessing, "
                    "RobertaProcessing, BertProcessing and ByteLevel are", type);
        if (!ok)
            return ww_within(err, "post_processor");
    }
    int64_t pad = -1;
    if (ww_json_integer(ww_json_get(ww_json_get(document, "padding"), "pad_id"), &pad) &&
        pad >= 0 && pad < t->num_tokens)
        t->special.pad = (uint32_t)pad;
    return true;
}

static bool check_model(const struct ww_json *model, struct ww_error *err)
{
    double dropout = 0;
    ww_json_number(ww_json_get(model, "dropout"), &dropout);
    if (dropout != 0)
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "model.dropout is not 0: texts would be cut by chance");
    if (is_true(model, "ignore_merges", false))
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "model.ignore_merges is true: only false is known here");
    return true;
}

// The oldest files do not name their model.
static const char *model_type(const struct ww_json *model)
{
    if (ww_json_get(model, "type"))
        return type_of(model);
    return ww_json_get(model, "merges")                   ? "BPE"
           : ww_json_get(model, "max_input_chars_per_word") ? "WordPiece"
                                                            : "";
}

static bool read_document(struct ww_tokenizer *t, const struct ww_json *document,
                          const char *config, struct ww_error *err)
{
    const struct ww_json *model = ww_json_need(document, "model", WW_JSON_OBJECT, err);
    struct steps normal, pre;
    if (!model || !check_model(model, err) ||
        !read_steps(document, "normalizer", "normalizers", &normal, err) ||
        !read_steps(document, "pre_tokenizer", "pretokenizers", &pre, err) ||
        !read_vocab(t, document, model, err))
        return false;
    const char *type = model_type(model);
    const struct ww_json *suffix = ww_json_get(model, "end_of_word_suffix");
    t->newer = true;
    bool ok;
    if (!strcmp(type, "WordPiece"))
        return read_words(t, &normal, &pre, model, err) && read_around(t, document, err) &&
               (!config || ww_vocab_read_config(t, config, err));
    if (strcmp(type, "BPE") != 0)
        return ww_fail(err, WW_E_UNSUPPORTED, "model.type: '%.60s' is not known here; BPE and "
                       "WordPiece are", type);
    if (says(model, "end_of_word_suffix", "</w>"))
        ok = read_clip(t, &normal, &pre, err);
    else if (!is_empty(suffix) || !is_empty(ww_json_get(model, "continuing_subword_prefix")))
        ok = ww_fail(err, WW_E_UNSUPPORTED, "model: only an 'end_of_word_suffix' of </w>, or none, "
                     "and no 'continuing_subword_prefix' are known here for BPE");
    else if (is_true(model, "byte_fallback", false))
        ok = read_pieces(t, &normal, &pre, model, err);
    else
        ok = read_bytes(t, &normal, &pre, model, err);
    return ok && read_around(t, document, err) &&
           (!config || ww_vocab_read_config(t, config, err)) && read_merges(t, model, err);
}

bool ww_tokenizer_read_json(struct ww_tokenizer *t, const char *path, const char *config,
                            struct ww_error *err)
{
    struct ww_json *document =
        ww_json_load(path, MAX_BYTES, ww_json_params(.max_values = MAX_VALUES), err);
    if (!document)
        return false;
    const bool ok = read_document(t, document, config, err);
    ww_json_free(&document);
    return ok || ww_within(err, "%s", path);
}
