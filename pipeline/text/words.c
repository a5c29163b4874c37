// WordPiece (Wu et al., 2016, arXiv:1609.08144, section 4.1) as BERT uses it: words and single
// marks, without accents and in lower case if the checkpoint wants that, each cut greedily into the
// longest pieces there are.

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "inner.h"

enum { MAX_BYTES = 16 << 20, MAX_WORD = 100, MAX_DECOMPOSED = 32 };

// --- the files ---

static bool read_lines(struct ww_tokenizer *t, const char *data, size_t bytes, struct ww_error *err)
{
    static const char *const controls[] = {"[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    const char *const end = data + bytes;
    for (const char *c = data; c < end; c++)
        t->num_tokens += *c == '\n' || c + 1 == end;
    if (t->num_tokens > WW_MAX_TOKENS)
        return ww_fail(err, WW_E_FILE, "%u lines: at most %d", t->num_tokens, WW_MAX_TOKENS);
    t->tokens = ww_new_table(t, struct ww_token, t->num_tokens, err);
    if (!t->tokens)
        return false;
    for (uint32_t id = 0; id < t->num_tokens; id++) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        const char *next = stop ? stop + 1 : end;
        size_t n = (size_t)((stop ? stop : end) - data);
        n -= n && data[n - 1] == '\r';
        enum ww_token_kind kind = WW_TOKEN_NORMAL;
        for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
            if (n == strlen(controls[i]) && !memcmp(data, controls[i], n))
                kind = WW_TOKEN_CONTROL;
        if (n == 5 && !memcmp(data, "[UNK]", n))
            kind = WW_TOKEN_UNKNOWN;
        if (!ww_token_set(t, id, data, n, kind, 0, err))
            return false;
        data = next;
    }
    return true;
}

static bool read_config(struct ww_tokenizer *t, const char *path, struct ww_error *err)
{
    bool ideographs = true;
    struct ww_json *config = ww_json_load(path, 16 << 20, NULL, err);
    if (!config)
        return false;
    ww_json_bool(ww_json_get(config, "do_lower_case"), &t->lower);
    t->strip_accents = t->lower;
    ww_json_bool(ww_json_get(config, "strip_accents"), &t->strip_accents);
    ww_json_bool(ww_json_get(config, "tokenize_chinese_chars"), &ideographs);
    ww_json_free(&config);
    return ideographs || ww_fail(err, WW_E_UNSUPPORTED, "%s: 'tokenize_chinese_chars' is false: only "
                                 "true is known here", path);
}

static uint32_t line_of(const struct ww_tokenizer *t, const char *text)
{
    for (uint32_t id = 0; id < t->num_tokens; id++)
        if (t->tokens[id].special && !strcmp(t->tokens[id].text, text))
            return id;
    return WW_NO_TOKEN;
}

bool ww_tokenizer_read_words(struct ww_tokenizer *t, const char *path, const char *config,
                             struct ww_error *err)
{
    size_t bytes;
    char *data = ww_read_whole(path, MAX_BYTES, &bytes, err);
    if (!data)
        return false;
    const bool ok = read_lines(t, data, bytes, err);
    free(data);
    t->words = t->lower = t->strip_accents = t->add_bos = t->add_eos = true;
    if (!ok)
        return ww_within(err, "%s", path);
    t->special = (struct ww_special_ids){.bos = line_of(t, "[CLS]"), .eos = line_of(t, "[SEP]"),
                                         .unk = line_of(t, "[UNK]"), .pad = line_of(t, "[PAD]")};
    if (t->special.bos == WW_NO_TOKEN || t->special.eos == WW_NO_TOKEN ||
        t->special.unk == WW_NO_TOKEN)
        return ww_fail(err, WW_E_FILE, "%s: [UNK], [CLS] and [SEP] must be among its lines", path);
    return !config || read_config(t, config, err);
}

// --- texts ---

struct word {
    struct ww_output *o;
    char text[2 + 4 * MAX_WORD]; // "##" stands in front
    size_t ends[MAX_WORD + 1];   // of each character
    struct ww_span from[MAX_WORD];
    struct ww_span all;
    uint32_t num; // characters; more than MAX_WORD: too long
};

// Id of the longest piece from character `from` on; `to`: where it ends.
static uint32_t longest_piece(struct word *w, uint32_t from, uint32_t *to)
{
    const struct ww_tokenizer *t = w->o->t;
    const size_t begin = w->ends[from];
    char hidden[2];
    memcpy(hidden, w->text + begin - 2, 2);
    if (from)
        memcpy(w->text + begin - 2, "##", 2);
    const char *text = w->text + begin - (from ? 2 : 0);
    uint32_t id = WW_NO_TOKEN;
    for (*to = w->num; *to > from; --*to) {
        const size_t bytes = (size_t)(w->text + w->ends[*to] - text);
        if (bytes <= t->longest && (id = ww_find_text(t, &t->by_text, text, bytes)) != WW_NO_TOKEN)
            break;
    }
    memcpy(w->text + begin - 2, hidden, 2);
    return id;
}

// The pieces of a word; `ends`: the characters up to the end of each. 0: it is not known.
static uint32_t cut(struct word *w, uint32_t ids[MAX_WORD], uint32_t ends[MAX_WORD])
{
    uint32_t num = 0;
    for (uint32_t at = 0; at < w->num; num++) {
        ids[num] = w->num > MAX_WORD ? WW_NO_TOKEN : longest_piece(w, at, &ends[num]);
        if (ids[num] == WW_NO_TOKEN)
            return 0;
        at = ends[num];
    }
    return num;
}

static void end_word(struct word *w)
{
    uint32_t ids[MAX_WORD], ends[MAX_WORD];
    const uint32_t num = cut(w, ids, ends);
    if (w->num && !num)
        ww_emit(w->o, w->o->t->special.unk, w->all);
    for (uint32_t i = 0; i < num; i++)
        ww_emit(w->o, ids[i], (struct ww_span){w->from[i ? ends[i - 1] : 0].begin,
                                               w->from[ends[i] - 1].end});
    w->num = 0;
}

static void add_char(struct word *w, uint32_t c, struct ww_span from)
{
    w->all = (struct ww_span){w->num ? w->all.begin : from.begin, from.end};
    if (w->num >= MAX_WORD) {
        w->num = MAX_WORD + 1;
        return;
    }
    w->from[w->num] = from;
    const size_t at = w->ends[w->num++];
    w->ends[w->num] = at + ww_put_char(c, w->text + at);
}

static bool is_mark(uint32_t c, utf8proc_category_t category)
{
    return (c < 128 && c > ' ' && c != 127 && category != UTF8PROC_CATEGORY_LU &&
            category != UTF8PROC_CATEGORY_LL && category != UTF8PROC_CATEGORY_ND) ||
           (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO);
}

// The blocks of BERT's own list, with the gap that its fast implementation has.
bool ww_is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

// A character without its accents, if they go, and in lower case.
static void put_plain(struct word *w, uint32_t c, struct ww_span from)
{
    const struct ww_tokenizer *t = w->o->t;
    utf8proc_int32_t parts[MAX_DECOMPOSED] = {(utf8proc_int32_t)c};
    int last_class = 0;
    const utf8proc_ssize_t num = t->strip_accents && c >= 128
        ? utf8proc_decompose_char((utf8proc_int32_t)c, parts, MAX_DECOMPOSED, UTF8PROC_DECOMPOSE,
                                  &last_class)
        : 1;
    for (utf8proc_ssize_t i = 0; i < num && i < MAX_DECOMPOSED; i++) {
        const utf8proc_category_t category = utf8proc_category(parts[i]);
        if (t->strip_accents && category == UTF8PROC_CATEGORY_MN)
            continue;
        const bool alone = is_mark((uint32_t)parts[i], category);
        if (alone)
            end_word(w);
        add_char(w, (uint32_t)(t->lower ? utf8proc_tolower(parts[i]) : parts[i]), from);
        if (alone)
            end_word(w);
    }
}

enum { NEITHER, BLANK, LETTER, MARK };

// What a character of ASCII is; controls are neither.
static int classify(char c)
{
    if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))
        return LETTER;
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
        return BLANK;
    return c > ' ' && c < 127 ? MARK : NEITHER;
}

// A whole word of ASCII's letters and digits.
static void encode_plain_word(struct word *w, size_t at, size_t end)
{
    struct ww_output *o = w->o;
    const struct ww_source source = {NULL, at};
    uint32_t ids[MAX_WORD], ends[MAX_WORD];
    if (ww_word_known(o, o->text + at, end - at, source))
        return;
    for (size_t i = at; i < end; i++) {
        const char c = o->text[i], low = c >= 'A' && c <= 'Z' ? c | 32 : c;
        add_char(w, (uint32_t)(o->t->lower ? low : c), (struct ww_span){0});
    }
    const uint32_t num = cut(w, ids, ends);
    if (!num)
        ww_word_emit(o, o->t->special.unk, source, 0, end - at);
    for (uint32_t i = 0; i < num; i++)
        ww_word_emit(o, ids[i], source, i ? ends[i - 1] : 0, ends[i]);
    ww_word_done(o, o->text + at, end - at);
    w->num = 0;
}

// What can be told without a look at Unicode: words and marks of ASCII, if nothing that stands
// behind them could belong to them. Returns how far that goes.
static size_t encode_plain(struct word *w, size_t at, size_t end)
{
    struct ww_output *o = w->o;
    for (size_t next; at < end; at = next) {
        const int class = classify(o->text[at]);
        next = at + 1;
        while (class == LETTER && next < end && classify(o->text[next]) == LETTER)
            next++;
        if (class == NEITHER || (next < end && classify(o->text[next]) == NEITHER))
            break;
        const uint32_t mark = class == MARK ? o->t->byte_ids[(unsigned char)o->text[at]] : 0;
        if (class == LETTER)
            encode_plain_word(w, at, next);
        else if (class == MARK)
            ww_emit(o, mark != WW_NO_TOKEN ? mark : o->t->special.unk, (struct ww_span){at, next});
    }
    return at;
}

void ww_encode_words(struct ww_output *o, size_t at, size_t end)
{
    struct word w = {.o = o, .ends = {2}};
    while (at < end) {
        if (!w.num && (at = encode_plain(&w, at, end)) == end)
            break;
        const size_t n = ww_utf8_char(o->text + at, end - at);
        const uint32_t c = ww_get_char(o->text + at, n);
        const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
        const struct ww_span from = {at, at + n};
        at += n;
        if (c == '\t' || c == '\n' || c == '\r' || category == UTF8PROC_CATEGORY_ZS ||
            category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP) {
            end_word(&w);
            continue;
        }
        if (c == 0xfffd || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
            category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS)
            continue; // leaves no trace
        const bool alone = ww_is_ideograph(c);
        if (alone)
            end_word(&w);
        put_plain(&w, c, from);
        if (alone)
            end_word(&w);
    }
    end_word(&w);
}
