#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "inner.h"

struct written {
    char *out;
    size_t num, max;
};

static void write_all(struct written *w, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++, w->num++)
        if (w->num < w->max)
            w->out[w->num] = text[i];
}

// Whether what is held could become a character with more bytes.
static bool may_go_on(const unsigned char *held, unsigned num)
{
    for (unsigned missing = 1; num && num + missing <= 4; missing++)
        for (unsigned char tail = 0x80; tail <= 0xb0; tail += 0x10) { // E0 A0, ED 9F, F0 90, F4 8F
            char whole[8] = {0};
            memcpy(whole, held, num);
            memset(whole + num, tail, missing);
            if (ww_utf8_char(whole, num + missing) == num + missing)
                return true;
        }
    return false;
}

static void put_byte(struct ww_decoder *d, struct written *w, unsigned char byte)
{
    d->held[d->num_held++] = byte;
    if (ww_utf8_char((const char *)d->held, d->num_held)) {
        write_all(w, (const char *)d->held, d->num_held);
        d->num_held = 0;
    } else if (!may_go_on(d->held, d->num_held)) {
        const bool alone = d->num_held == 1;
        write_all(w, "\xef\xbf\xbd", 3);
        d->num_held = 0;
        if (!alone)
            put_byte(d, w, byte); // it ended the one before and may begin another
    }
}

static void put_text(struct ww_decoder *d, struct written *w, const struct ww_token *token)
{
    const struct ww_tokenizer *t = d->tokenizer;
    const bool blank_goes = t->pieces && t->prefix && !d->goes_on;
    const bool ends_word = t->clip && token->bytes >= 4 &&
                           !memcmp(token->text + token->bytes - 4, "</w>", 4);
    const size_t bytes = token->bytes - (ends_word ? 4 : 0);
    for (size_t i = 0; i < bytes;) {
        const size_t n = ww_utf8_char(token->text + i, bytes - i);
        const uint32_t c = n ? ww_get_char(token->text + i, n) : 0xfffd;
        const int byte = t->pieces ? -1 : ww_char_to_byte(c);
        if (byte >= 0)
            put_byte(d, w, (unsigned char)byte);
        else if (t->pieces && c == 0x2581) {
            if (i > 0 || !blank_goes)
                put_byte(d, w, ' ');
        } else
            for (size_t k = 0; k < (n ? n : 1); k++)
                put_byte(d, w, (unsigned char)token->text[i + k]);
        i += n ? n : 1;
    }
    d->word_ended = ends_word;
}

// Pieces that go on glue to what stands before, and so do the marks that end a sentence.
static void put_word(struct ww_decoder *d, struct written *w, const struct ww_token *token)
{
    const bool goes_on = d->goes_on && token->bytes >= 2 && !memcmp(token->text, "##", 2);
    const size_t from = goes_on ? 2 : 0;
    if (d->goes_on && !goes_on && !(*token->text && strchr(".?!,", *token->text)))
        write_all(w, " ", 1);
    for (size_t i = from; i < token->bytes; i++)
        put_byte(d, w, (unsigned char)token->text[i]);
    d->goes_on = true;
}

size_t ww_decoder_put(struct ww_decoder *d, uint32_t id, char *out, size_t max)
{
    const struct ww_tokenizer *t = d->tokenizer;
    struct written w = {out, 0, max};
    if (id >= t->num_tokens || t->tokens[id].kind == WW_TOKEN_NONE)
        return 0;
    const struct ww_token *token = &t->tokens[id];
    if (d->word_ended && (!token->special || d->show_special)) {
        put_byte(d, &w, ' ');
        d->word_ended = false;
    }
    if (t->words) {
        if (!token->special || d->show_special)
            put_word(d, &w, token);
        return w.num;
    }
    if (token->special && token->kind == WW_TOKEN_USER) { // text like any other, but found first
        for (size_t i = 0; i < token->bytes; i++)
            put_byte(d, &w, (unsigned char)token->text[i]);
        d->goes_on = true;
        return w.num;
    }
    if (token->special) {
        if (d->show_special)
            for (size_t i = 0; i < token->bytes; i++)
                put_byte(d, &w, (unsigned char)token->text[i]);
        return w.num; // a token of control is no text: the first blank may still come
    }
    if (t->pieces && token->kind == WW_TOKEN_BYTE)
        put_byte(d, &w, (unsigned char)strtoul(token->text + 3, NULL, 16));
    else
        put_text(d, &w, token);
    d->goes_on = true;
    return w.num;
}

size_t ww_decoder_end(struct ww_decoder *d, char *out, size_t max)
{
    struct written w = {out, 0, max};
    if (d->num_held)
        write_all(&w, "\xef\xbf\xbd", 3);
    d->num_held = 0;
    return w.num;
}

size_t ww_tokenizer_decode(const struct ww_tokenizer *t, const uint32_t *ids, size_t num_ids,
                           bool show_special, char *out, size_t max)
{
    struct ww_decoder d = {.tokenizer = t, .show_special = show_special};
    size_t num = 0;
    for (size_t i = 0; i <= num_ids; i++) {
        const size_t room = num + 1 < max ? max - 1 - num : 0;
        char *to = room ? out + num : NULL;
        num += i < num_ids ? ww_decoder_put(&d, ids[i], to, room) : ww_decoder_end(&d, to, room);
    }
    if (max)
        out[num < max ? num : max - 1] = '\0';
    return num;
}
