#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "inner.h"

void ww_emit(struct ww_output *o, uint32_t id)
{
    if (id == WW_NO_TOKEN)
        return;
    if (o->num < o->max)
        o->ids[o->num] = id;
    o->num++;
}

static void emit_bytes(struct ww_output *o, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const uint32_t id = o->t->byte_ids[(unsigned char)text[i]];
        ww_emit(o, id != WW_NO_TOKEN ? id : o->t->unknown);
    }
}

// SentencePiece: blanks are U+2581, one stands in front, and characters merge.
static void encode_pieces(struct ww_output *o, const char *text, size_t bytes, bool prefix)
{
    char *plain = malloc(3 * bytes + 4);
    if (!plain)
        abort();
    size_t size = 0, num = 0;
    if (o->t->spare_prefix && (*text == ' ' || (bytes >= 3 && !memcmp(text, "\xe2\x96\x81", 3))))
        prefix = false;
    if (prefix) {
        memcpy(plain, "\xe2\x96\x81", 3);
        size = 3;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != ' ') {
            plain[size++] = text[i];
            continue;
        }
        memcpy(plain + size, "\xe2\x96\x81", 3);
        size += 3;
    }
    struct ww_symbol *s = ww_merger_symbols(o->merger, size);
    for (size_t i = 0; i < size; num++) {
        const size_t n = ww_utf8_char(plain + i, size - i);
        s[num] = (struct ww_symbol){.text = plain + i, .bytes = (uint32_t)n,
                                    .id = ww_find_text(o->t, &o->t->by_text, plain + i, n)};
        i += n;
    }
    ww_merger_run(o->merger, o->t, num);
    for (size_t i = 0; i < num; i++)
        if (s[i].bytes && s[i].id != WW_NO_TOKEN)
            ww_emit(o, s[i].id);
        else
            emit_bytes(o, s[i].text, s[i].bytes);
    free(plain);
}

void ww_encode_word(struct ww_output *o, const char *word, size_t bytes)
{
    const struct ww_tokenizer *t = o->t;
    struct ww_symbol *s = ww_merger_symbols(o->merger, bytes);
    for (size_t i = 0; i < bytes; i++) {
        const bool ends = t->clip && i + 1 == bytes;
        s[i] = (struct ww_symbol){.text = word + i, .bytes = 1,
                                  .id = (ends ? t->end_ids : t->byte_ids)[(unsigned char)word[i]]};
    }
    ww_merger_run(o->merger, t, bytes);
    for (size_t i = 0; i < bytes; i++)
        if (s[i].bytes)
            ww_emit(o, s[i].id != WW_NO_TOKEN ? s[i].id : t->unknown);
}

static void encode_bytes(struct ww_output *o, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        const size_t n = ww_next_piece(text + i, bytes - i, o->t->split_digits);
        ww_encode_word(o, text + i, n);
        i += n;
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

static void encode_part(struct ww_output *o, const char *text, size_t bytes, bool first)
{
    const struct ww_tokenizer *t = o->t;
    if (t->words)
        ww_encode_words(o, text, bytes);
    else if (t->clip)
        ww_encode_clip(o, text, bytes);
    else if (!t->pieces)
        encode_bytes(o, text, bytes);
    else if (bytes)
        encode_pieces(o, text, bytes, t->prefix && (first || t->legacy));
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

static void encode(struct ww_output *o, const char *text, size_t bytes, bool parse,
                   const struct ww_guard *guard)
{
    const struct ww_tokenizer *t = o->t;
    size_t begin = 0, span = 0, room;
    bool first = true;
    for (size_t i = 0; parse && i < bytes;) {
        i = unguarded(guard, &span, i, bytes, &room);
        const uint32_t id = room ? ww_special_at(t, text + i, room) : WW_NO_TOKEN;
        if (id == WW_NO_TOKEN) {
            i++;
            continue;
        }
        const struct ww_token *token = &t->tokens[id];
        size_t end = i;
        if (token->lstrip)
            end -= blanks_behind(t, text + begin, end - begin);
        encode_part(o, text + begin, end - begin, first);
        ww_emit(o, id);
        first = false;
        i += token->bytes;
        if (token->rstrip)
            i += blanks_in_front(t, text + i, bytes - i);
        begin = i;
    }
    encode_part(o, text + begin, bytes - begin, first);
}

size_t ww_encode_guarded(const struct ww_tokenizer *t, const char *text, size_t bytes,
                         unsigned flags, const struct ww_guard *guard, uint32_t *out, size_t max)
{
    static const struct ww_guard none;
    struct ww_output o = {.t = t, .merger = ww_merger_create(), .ids = out, .max = max};
    char *sound = NULL;
    if (!ww_utf8_valid(text, bytes)) {
        sound = malloc(3 * bytes);
        if (!sound)
            abort();
        bytes = ww_repair(text, bytes, sound);
    }
    const bool add = flags & WW_ENCODE_ADD_SPECIAL;
    o.parse = flags & WW_ENCODE_PARSE_SPECIAL && !(guard && guard->num);
    if (add && t->add_bos)
        ww_emit(&o, t->special.bos);
    encode(&o, sound ? sound : text, bytes, flags & WW_ENCODE_PARSE_SPECIAL,
           guard ? guard : &none);
    if (add && t->add_eos)
        ww_emit(&o, t->special.eos);
    free(sound);
    ww_merger_destroy(&o.merger);
    return o.num;
}

size_t ww_tokenizer_encode(const struct ww_tokenizer *t, const char *text, size_t bytes,
                           unsigned flags, uint32_t *out, size_t max)
{
    return ww_encode_guarded(t, text, bytes, flags, NULL, out, max);
}
