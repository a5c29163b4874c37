// CLIP's BPE (Radford et al., 2021, arXiv:2103.00020) from vocab.json and merges.txt: words in
// lower case, their bytes merged as GPT-2's are, with "</w>" behind the last.
//
// Two programs read these texts, and they differ where a text is not plain English. vocab.json goes
// with the older one, which first drops control characters and what has no meaning yet and sets
// ideographs apart; tokenizer.json with the newer one (`newer`), which takes every character as it
// is. Neither repairs texts as the original did with another package.

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "inner.h"

enum {
    MAX_BYTES = 64 << 20,
    MAX_VALUES = 4 << 20, // of JSON
    MAX_MERGES = 48894,   // no more are read, though the file may have them
    MAX_CLUSTER = 32,     // a letter and its accents: what lies beyond is composed on its own
    CHUNK = 16 << 10,     // bytes made plain before their words are cut, and no word goes across
};

static const char start_text[] = "<|startoftext|>", end_text[] = "<|endoftext|>";

// --- the files ---

static bool read_merges(struct ww_tokenizer *t, const char *path, struct ww_error *err)
{
    size_t bytes, lines = 0; // that may hold a merge
    char *data = ww_read_whole(path, MAX_BYTES, &bytes, err);
    if (!data)
        return false;
    const char *const end = data + bytes;
    for (const char *c = data; c < end && lines < MAX_MERGES; c++)
        lines += *c == '\n';
    t->merges = ww_new_table(t, struct ww_merge, lines, err);
    const char *at = memchr(data, '\n', bytes); // the first line is a heading
    bool ok = t->merges;
    for (size_t line = 2; ok && at && ++at < end && t->num_merges < MAX_MERGES; line++) {
        const char *next = memchr(at, '\n', (size_t)(end - at)), *stop = next ? next : end;
        stop -= stop > at && stop[-1] == '\r';
        if (stop > at && !ww_merge_add_line(t, at, (size_t)(stop - at), err))
            ok = ww_within(err, "line %zu", line);
        at = next;
    }
    free(data);
    ok = ok && ww_slots_of_merges(t, err);
    return ok || ww_within(err, "%s", path);
}

static bool read_vocab(struct ww_tokenizer *t, const char *path, struct ww_error *err)
{
    struct ww_json *vocab =
        ww_json_load(path, MAX_BYTES, ww_json_params(.max_values = MAX_VALUES), err);
    const bool ok = vocab && ww_vocab_read(t, vocab, 0, err);
    if (vocab && !ok)
        ww_within(err, "%s", path);
    ww_json_free(&vocab);
    return ok;
}

bool ww_clip_begin(struct ww_tokenizer *t, struct ww_error *err)
{
    t->clip = t->add_bos = t->add_eos = true;
    t->special.bos = ww_vocab_find(t, start_text);
    t->special.eos = ww_vocab_find(t, end_text);
    t->special.unk = t->special.pad = t->special.eos;
    if (t->special.bos == WW_NO_TOKEN || t->special.eos == WW_NO_TOKEN)
        return ww_fail(err, WW_E_UNSUPPORTED, "no vocabulary of CLIP: '%s' or '%s' is missing; "
                       "other kinds need tokenizer.json, which says how texts are split",
                       start_text, end_text);
    t->tokens[t->special.bos].kind = t->tokens[t->special.eos].kind = WW_TOKEN_CONTROL;
    t->tokens[t->special.bos].special = t->tokens[t->special.eos].special = true;
    return true;
}

bool ww_tokenizer_read_clip(struct ww_tokenizer *t, const char *vocab, const char *config,
                            struct ww_error *err)
{
    const char *merges = ww_beside(t, vocab, "merges.txt");
    if (!read_vocab(t, vocab, err))
        return false;
    ww_vocab_trim(t);
    if (!ww_clip_begin(t, err))
        return ww_within(err, "%s", vocab);
    return ww_slots_of_texts(t, &t->by_text, false, err) && read_merges(t, merges, err) &&
           (!config || ww_vocab_read_config(t, config, err));
}

// --- texts ---

struct plain {
    const struct ww_output *o;
    char *text;
    struct ww_span *spans; // of each byte, if wanted
    size_t bytes, room;
    bool sigma; // a capital one waits for what stands around it
    utf8proc_int32_t cluster[MAX_CLUSTER];
    struct ww_span from[MAX_CLUSTER]; // of each of its characters
    int num;
};

static void make_room(struct plain *p)
{
    p->room = 2 * p->room + CHUNK;
    p->text = realloc(p->text, p->room);
    if (p->o->spans)
        p->spans = reallocarray(p->spans, p->room, sizeof *p->spans);
    if (!p->text || (p->o->spans && !p->spans))
        abort();
}

static void put_char(struct plain *p, utf8proc_int32_t c, struct ww_span from)
{
    if (p->bytes + 8 > p->room)
        make_room(p);
    const size_t n = ww_put_char((uint32_t)c, p->text + p->bytes);
    for (size_t i = 0; p->spans && i < n; i++)
        p->spans[p->bytes + i] = from;
    p->bytes += n;
}

static void put_lower(struct plain *p, utf8proc_int32_t c, struct ww_span from)
{
    if (c == 0x130) { // the one letter that becomes two
        put_char(p, 'i', from);
        put_char(p, 0x307, from);
    } else if (c == 0x3a3 && !p->o->t->newer) {
        p->sigma = true;
        put_char(p, c, from);
    } else {
        put_char(p, utf8proc_tolower(c), from);
    }
}

static utf8proc_propval_t class_of(utf8proc_int32_t c)
{
    return utf8proc_get_property(c)->combining_class;
}

// The letter and accents that were held back: composed (NFC) and in lower case.
static void end_cluster(struct plain *p)
{
    utf8proc_int32_t parts[4 * MAX_CLUSTER]; // no character decomposes into more than 4
    utf8proc_ssize_t num = 0;
    if (p->num == 1 && p->cluster[0] < 0x300) {
        put_lower(p, p->cluster[0], p->from[0]);
        p->num = 0;
    }
    for (int i = 0; i < p->num; i++) {
        int last_class = 0;
        num += utf8proc_decompose_char(p->cluster[i], parts + num, 4 * MAX_CLUSTER - num,
                                       UTF8PROC_DECOMPOSE, &last_class);
    }
    for (utf8proc_ssize_t i = 1; i < num; i++) { // in the order of their classes, 0 staying
        const utf8proc_int32_t c = parts[i];
        const utf8proc_propval_t class = class_of(c);
        utf8proc_ssize_t at = i;
        for (; class && at > 0 && class_of(parts[at - 1]) > class; at--)
            parts[at] = parts[at - 1];
        parts[at] = c;
    }
    if (num)
        num = utf8proc_normalize_utf32(parts, num, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    const bool same = num == p->num && !memcmp(parts, p->cluster, (size_t)num * sizeof *parts);
    for (utf8proc_ssize_t i = 0; i < num; i++) // where they melted, all come from all
        put_lower(p, parts[i],
                  same ? p->from[i] : (struct ww_span){p->from[0].begin, p->from[p->num - 1].end});
    p->num = 0;
}

// What may melt into the character before it: marks, and the second and third part of a syllable in
// Hangul.
static bool attaches(utf8proc_int32_t c, utf8proc_category_t category)
{
    return (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME) ||
           (c >= 0x1161 && c <= 0x1175) || (c >= 0x11a8 && c <= 0x11c2);
}

static void add_char(struct plain *p, utf8proc_int32_t c, struct ww_span from)
{
    if (p->num && (p->num == MAX_CLUSTER || c < 0x300 || !attaches(c, utf8proc_category(c))))
        end_cluster(p);
    p->from[p->num] = from;
    p->cluster[p->num++] = c;
}

static bool is_dropped(uint32_t c, utf8proc_category_t category)
{
    return c == 0xfffd || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CO ||
           category == UTF8PROC_CATEGORY_CS;
}

static void clean_char(struct plain *p, uint32_t c, struct ww_span from)
{
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    const bool ideograph = ww_is_ideograph(c) || (c >= 0x2b820 && c <= 0x2b91f); // no gap here
    if (c == '\t' || c == '\n' || c == '\r' || category == UTF8PROC_CATEGORY_ZS) {
        add_char(p, ' ', from);
    } else if (!is_dropped(c, category)) {
        if (ideograph)
            add_char(p, ' ', from);
        add_char(p, (utf8proc_int32_t)c, from);
        if (ideograph)
            add_char(p, ' ', from);
    }
}

// Text that a sigma's form depends on: letters with case, and what is looked past for them.
enum around { CASED, IGNORED, NEITHER };

static enum around around(uint32_t c)
{
    static const uint32_t marks[] = {'\'',   '.',    ':',    0xb7,   0x387,  0x55f,
                                     0x5f4,  0x2018, 0x2019, 0x2024, 0x2027, 0xfe13,
                                     0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (c == marks[i])
            return IGNORED;
    if (c == 0xaa || c == 0xba || (c >= 0x2160 && c <= 0x217f) || (c >= 0x24b6 && c <= 0x24e9))
        return CASED; // though no letters, or without case, by their category
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    if (category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME ||
        category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_LM ||
        category == UTF8PROC_CATEGORY_SK)
        return IGNORED;
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LT ? CASED : NEITHER;
}

// Whether a letter with case stands before `at`, or from it on.
static bool cased_before(const struct plain *p, size_t at)
{
    enum around what = IGNORED;
    while (at > 0 && what == IGNORED) {
        size_t n = 1;
        while (((unsigned char)p->text[at - n] & 0xc0) == 0x80)
            n++;
        at -= n;
        what = around(ww_get_char(p->text + at, n));
    }
    return what == CASED;
}

static bool cased_from(const struct plain *p, size_t at)
{
    enum around what = IGNORED;
    for (size_t n; at < p->bytes && what == IGNORED; at += n) {
        n = ww_utf8_char(p->text + at, p->bytes - at);
        what = around(ww_get_char(p->text + at, n));
    }
    return what == CASED;
}

// A capital sigma at the end of a word has another small form than elsewhere.
static void lower_sigmas(struct plain *p)
{
    for (size_t i = 0; i + 1 < p->bytes; i++) {
        if (memcmp(p->text + i, "\xce\xa3", 2) != 0)
            continue;
        const bool last = cased_before(p, i) && !cased_from(p, i + 2);
        memcpy(p->text + i, last ? "\xcf\x82" : "\xcf\x83", 2);
    }
    p->sigma = false;
}

// Where the first special token that is looked for in normalised text begins, from `i` on; if there
// is none, where the text ends.
static size_t next_special(const struct plain *p, size_t i, uint32_t *id)
{
    for (; i < p->bytes; i++) {
        *id = ww_special_at(p->o->t, p->text + i, p->bytes - i);
        if (*id != WW_NO_TOKEN && p->o->t->tokens[*id].normalized)
            break;
    }
    return i;
}

// A special token in capitals is one when it is in lower case. The older program then wants it to
// be a word of its own.
static uint32_t special_word(const struct plain *p, size_t at)
{
    const struct ww_tokenizer *t = p->o->t;
    const uint32_t id = ww_special_at(t, p->text + at, p->bytes - at);
    return id == t->special.bos || id == t->special.eos ? id : WW_NO_TOKEN;
}

static void encode_chunk(struct ww_output *o, struct plain *p)
{
    const struct ww_tokenizer *t = o->t;
    end_cluster(p);
    if (p->sigma)
        lower_sigmas(p);
    uint32_t id = WW_NO_TOKEN;
    size_t special = o->parse && t->newer ? next_special(p, 0, &id) : p->bytes;
    for (size_t i = 0; i < p->bytes;) {
        if (o->parse && !t->newer && (id = special_word(p, i)) != WW_NO_TOKEN)
            special = i;
        if (i == special) {
            const size_t n = t->tokens[id].bytes;
            ww_emit(o, id, p->spans ? (struct ww_span){p->spans[i].begin, p->spans[i + n - 1].end}
                                    : (struct ww_span){0});
            i += n;
            special = t->newer ? next_special(p, i, &id) : p->bytes;
            continue;
        }
        bool blank;
        const size_t n = ww_next_clip_word(p->text + i, special - i, t->newer, &blank);
        if (!blank)
            ww_encode_word(o, p->text + i, n,
                           (struct ww_source){p->spans ? p->spans + i : NULL, 0});
        i += n;
    }
    p->bytes = 0;
}

// Whether a character of ASCII leaves a trace.
static bool is_plain(const struct ww_tokenizer *t, unsigned char c)
{
    return c < 0x80 && (t->newer || (c >= ' ' && c != 127) || c == '\t' || c == '\n' || c == '\r');
}

// ASCII, up to where a mark could melt into it, or to a blank where a chunk is full.
static size_t put_plain(struct plain *p, size_t at, size_t end)
{
    const unsigned char *text = (const unsigned char *)p->o->text;
    const struct ww_tokenizer *t = p->o->t;
    for (; is_plain(t, text[at]) && (at + 1 == end || is_plain(t, text[at + 1])); at++) {
        unsigned char c = text[at];
        if ((c == ' ' || c == '\n') && p->bytes >= CHUNK)
            break;
        if (c >= 'A' && c <= 'Z')
            c |= 32;
        else if (!t->newer && c < ' ')
            c = ' ';
        if (p->bytes == p->room)
            make_room(p);
        if (p->spans)
            p->spans[p->bytes] = (struct ww_span){at, at + 1};
        p->text[p->bytes++] = (char)c;
        if (at + 1 == end)
            return end;
    }
    return at;
}

void ww_encode_clip(struct ww_output *o, size_t at, size_t end)
{
    struct plain p = {.o = o};
    while (at < end) {
        if (is_plain(o->t, (unsigned char)o->text[at])) {
            end_cluster(&p);
            if ((at = put_plain(&p, at, end)) == end)
                break;
        }
        const size_t n = ww_utf8_char(o->text + at, end - at);
        const uint32_t c = ww_get_char(o->text + at, n);
        const struct ww_span from = {at, at + n};
        at += n;
        if (o->t->newer)
            add_char(&p, (utf8proc_int32_t)c, from);
        else
            clean_char(&p, c, from);
        if ((c == ' ' || c == '\n') && p.bytes >= CHUNK)
            encode_chunk(o, &p);
    }
    encode_chunk(o, &p);
    free(p.text);
    free(p.spans);
}
