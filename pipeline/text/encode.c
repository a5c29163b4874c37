#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "inner.h"

// How many symbols a word begins as.
static size_t split_word(const struct ww_tokenizer *t, struct ww_symbol *s, const char *word,
                         size_t bytes)
{
    size_t num = 0;
    for (size_t i = 0, n; i < bytes; i += n, num++) {
        const unsigned char byte = (unsigned char)word[i];
        n = t->pieces && byte >= 0x80 ? ww_utf8_char(word + i, bytes - i) : 1;
        n += !n; // never in a text that was repaired
        const uint32_t *ids = t->pieces || (t->clip && i + 1 == bytes) ? t->end_ids : t->byte_ids;
        const uint32_t id = n == 1 ? ids[byte] : ww_find_text(t, &t->by_text, word + i, n);
        s[num] = (struct ww_symbol){.text = word + i, .bytes = (uint32_t)n, .id = id};
    }
    return num;
}

// A word's character that is no token: its bytes are, or nothing of it is.
static void emit_unknown(struct ww_output *o, const char *word, struct ww_source source,
                         size_t begin, size_t end)
{
    const struct ww_tokenizer *t = o->t;
    if (!t->pieces)
        ww_word_emit(o, t->unknown, source, begin, end);
    for (size_t i = begin; i < end && t->pieces; i++) {
        const uint32_t id = t->byte_ids[(unsigned char)word[i]];
        ww_word_emit(o, id != WW_NO_TOKEN ? id : t->unknown, source, begin, end);
    }
}

void ww_encode_word(struct ww_output *o, const char *word, size_t bytes, struct ww_source source)
{
    if (ww_word_known(o, word, bytes, source))
        return;
    const struct ww_tokenizer *t = o->t;
    struct ww_symbol *s = ww_merger_symbols(o->merger, bytes);
    const size_t num = split_word(t, s, word, bytes);
    ww_merger_run(o->merger, t, num);
    for (size_t i = 0; i < num; i++) {
        if (!s[i].bytes)
            continue;
        const size_t begin = (size_t)(s[i].text - word), end = begin + s[i].bytes;
        if (s[i].id != WW_NO_TOKEN)
            ww_word_emit(o, s[i].id, source, begin, end);
        else
            emit_unknown(o, word, source, begin, end);
    }
    ww_word_done(o, word, bytes);
}

static const char mark[] = "\xe2\x96\x81"; // U+2581

static bool is_mark(const char *text)
{
    return text[0] == mark[0] && text[1] == mark[1] && text[2] == mark[2];
}

// The text with marks for its blanks, and one in front if it is wanted. Returns bytes.
static size_t mark_blanks(const struct ww_output *o, size_t at, size_t end, bool prefix, char *out,
                          struct ww_span *spans)
{
    size_t size = 0;
    if (prefix) {
        memcpy(out, mark, 3);
        for (; size < 3; size++)
            if (spans)
                spans[size] = (struct ww_span){at, at};
    }
    for (size_t i = at, n; i < end; i += n) {
        const bool blank = o->text[i] == ' ';
        n = spans ? ww_utf8_char(o->text + i, end - i) : 1;
        const size_t length = blank ? 3 : n;
        for (size_t k = 0; k < length; k++)
            out[size + k] = blank ? mark[k] : o->text[i + k];
        for (size_t k = 0; spans && k < length; k++)
            spans[size + k] = (struct ww_span){i, i + n};
        size += length;
    }
    return size;
}

// SentencePiece: blanks are marks, one stands in front, and characters merge.
static void encode_pieces(struct ww_output *o, size_t at, size_t end, bool prefix)
{
    const char *text = o->text + at;
    const size_t room = 3 * (end - at) + 3;
    char *plain = malloc(room + 2); // so that a mark can be looked for up to the end
    struct ww_span *spans = o->spans ? calloc(room, sizeof *spans) : NULL;
    if (!plain || (o->spans && !spans))
        abort();
    if (o->t->spare_prefix && (*text == ' ' || (end - at >= 3 && is_mark(text))))
        prefix = false;
    const size_t size = mark_blanks(o, at, end, prefix, plain, spans);
    memcpy(plain + size, "\0\0", 2);
    for (size_t i = 0, word = 0; i < size; word = i) {
        while (i < size && is_mark(plain + i))
            i += 3;
        while (i < size && !(o->t->apart && is_mark(plain + i)))
            i++;
        ww_encode_word(o, plain + word, i - word,
                       (struct ww_source){spans ? spans + word : NULL, 0});
    }
    free(plain);
    free(spans);
}

static void encode_bytes(struct ww_output *o, size_t at, size_t end)
{
    for (size_t n; at < end; at += n) {
        n = ww_next_piece(o->text + at, end - at, o->t->split_digits);
        ww_encode_word(o, o->text + at, n, (struct ww_source){NULL, at});
    }
}

uint32_t ww_special_at(const struct ww_tokenizer *t, const char *text, size_t bytes)
{
    if (!t->special_starts[(unsigned char)*text])
        return WW_NO_TOKEN;
    for (uint32_t i = 0; i < t->num_lengths; i++) {
        if (t->special_lengths[i] > bytes)
            continue;
        const uint32_t id = ww_find_text(t, &t->specials, text, t->special_lengths[i]);
        if (id != WW_NO_TOKEN)
            return id;
    }
    return WW_NO_TOKEN;
}

// The newer rule takes U+2581 in a text for the blank that it stands for, from the beginning.
static bool is_blank(const struct ww_tokenizer *t, const char *text, size_t n)
{
    const uint32_t c = ww_get_char(text, n);
    if ((c >= 0x1c && c <= 0x1f) || (c == 0x2581 && t->pieces && !t->legacy))
        return !t->newer; // as Python strips, and Rust does not
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x2028 ||
           c == 0x2029 || utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ZS;
}

static size_t blanks_in_front(const struct ww_tokenizer *t, const char *text, size_t bytes)
{
    size_t i = 0;
    while (i < bytes) {
        const size_t n = ww_utf8_char(text + i, bytes - i);
        if (!is_blank(t, text + i, n))
            break;
        i += n;
    }
    return i;
}

static size_t blanks_behind(const struct ww_tokenizer *t, const char *text, size_t bytes)
{
    size_t end = bytes;
    while (end > 0) {
        size_t n = 1;
        while (n < end && ((unsigned char)text[end - n] & 0xc0) == 0x80)
            n++;
        if (!is_blank(t, text + end - n, n))
            break;
        end -= n;
    }
    return bytes - end;
}

static void encode_part(struct ww_output *o, size_t at, size_t end, bool first)
{
    const struct ww_tokenizer *t = o->t;
    if (t->words)
        ww_encode_words(o, at, end);
    else if (t->clip)
        ww_encode_clip(o, at, end);
    else if (!t->pieces)
        encode_bytes(o, at, end);
    else if (at < end)
        encode_pieces(o, at, end, t->prefix && (first || t->legacy));
}

// The first of the places from `i` on where a special token may begin, and how many bytes it may
// have there; `span`: the first guarded part that is not yet passed.
static size_t unguarded(const struct ww_guard *guard, size_t *span, size_t i, size_t bytes,
                        size_t *room)
{
    while (*span < guard->num && guard->spans[*span].begin <= i) {
        if (guard->spans[*span].end > i)
            i = guard->spans[*span].end;
        (*span)++;
    }
    *room = (*span < guard->num ? guard->spans[*span].begin : bytes) - i;
    return i;
}

static void encode(struct ww_output *o, bool parse, const struct ww_guard *guard)
{
    const struct ww_tokenizer *t = o->t;
    const char *text = o->text;
    const size_t bytes = o->bytes;
    size_t begin = 0, span = 0, room;
    bool first = true;
    for (size_t i = 0; parse && i < bytes;) {
        i = unguarded(guard, &span, i, bytes, &room);
        size_t none = 0; // bytes with which no special token begins
        while (none < room && !t->special_starts[(unsigned char)text[i + none]])
            none++;
        i += none;
        const uint32_t id = none < room ? ww_special_at(t, text + i, room - none) : WW_NO_TOKEN;
        if (id == WW_NO_TOKEN) {
            i += none < room || !room;
            continue;
        }
        const struct ww_token *token = &t->tokens[id];
        size_t end = i;
        if (token->lstrip)
            end -= blanks_behind(t, text + begin, end - begin);
        encode_part(o, begin, end, first);
        ww_emit(o, id, (struct ww_span){i, i + token->bytes});
        first = false;
        i += token->bytes;
        if (token->rstrip)
            i += blanks_in_front(t, text + i, bytes - i);
        begin = i;
    }
    encode_part(o, begin, bytes, first);
}

// A place in a text, and the same place in what ww_repair made of it.
struct place {
    size_t at, repaired;
};

static size_t find_place(struct place *p, const char *text, size_t bytes, size_t repaired)
{
    while (p->repaired < repaired) {
        const size_t n = ww_utf8_char(text + p->at, bytes - p->at);
        p->at += n ? n : ww_bad_part(text + p->at, bytes - p->at);
        p->repaired += n ? n : 3;
    }
    return p->at;
}

size_t ww_encode_guarded(const struct ww_tokenizer *t, const char *text, size_t bytes,
                         unsigned flags, const struct ww_guard *guard, uint32_t *out,
                         struct ww_span *spans, size_t max)
{
    static const struct ww_guard none;
    struct ww_output o = {.t = t, .text = text, .bytes = bytes, .merger = ww_merger_create(),
                          .ids = out, .spans = spans, .max = max};
    char *sound = NULL;
    if (!ww_utf8_valid(text, bytes)) {
        sound = malloc(3 * bytes);
        if (!sound)
            abort();
        o.text = sound;
        o.bytes = ww_repair(text, bytes, sound);
    }
    o.anew = flags & WW_ENCODE_ANEW;
    ww_seen_begin(&o);
    const bool add = flags & WW_ENCODE_ADD_SPECIAL;
    o.parse = flags & WW_ENCODE_PARSE_SPECIAL && !(guard && guard->num);
    if (add && t->add_bos)
        ww_emit(&o, t->special.bos, (struct ww_span){0, 0});
    encode(&o, flags & WW_ENCODE_PARSE_SPECIAL, guard ? guard : &none);
    if (add && t->add_eos)
        ww_emit(&o, t->special.eos, (struct ww_span){o.bytes, o.bytes});
    struct place begin = {0}, end = {0};
    for (size_t i = 0; sound && spans && i < o.num && i < max; i++)
        spans[i] = (struct ww_span){find_place(&begin, text, bytes, spans[i].begin),
                                    find_place(&end, text, bytes, spans[i].end)};
    free(sound);
    ww_seen_end(&o);
    ww_merger_destroy(&o.merger);
    return o.num;
}

size_t ww_tokenizer_encode_spans(const struct ww_tokenizer *t, const char *text, size_t bytes,
                                 unsigned flags, uint32_t *out, struct ww_span *spans, size_t max)
{
    return ww_encode_guarded(t, text, bytes, flags, NULL, out, spans, max);
}

size_t ww_tokenizer_encode(const struct ww_tokenizer *t, const char *text, size_t bytes,
                           unsigned flags, uint32_t *out, size_t max)
{
    return ww_encode_guarded(t, text, bytes, flags, NULL, out, NULL, max);
}
