#include "stops.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "inner.h"

#define MOST_BYTES (3 * WW_MAX_TOKEN_BYTES + 16) // that a token brings

bool ww_stops_init(struct ww_stops *s, const struct ww_tokenizer *tokenizer, bool goes_on,
                   const char *const *texts, int num_texts, struct ww_error *err)
{
    *s = (struct ww_stops){.decoder = {.tokenizer = tokenizer, .goes_on = goes_on}, .texts = texts,
                           .num_texts = num_texts, .met = -1};
    if (num_texts < 0 || num_texts > WW_MAX_STOPS)
        return ww_fail(err, WW_E_TEXT, "%d texts to stop at: at most %d are possible", num_texts,
                       WW_MAX_STOPS);
    for (int i = 0; i < num_texts; i++) {
        const size_t bytes = strlen(texts[i]);
        if (bytes < 1 || bytes > WW_STOP_BYTES)
            return ww_fail(err, WW_E_TEXT, "a text to stop at, '%.40s', has %zu bytes: 1 to %d are "
                           "possible", texts[i], bytes, WW_STOP_BYTES);
        if (!ww_utf8_valid(texts[i], bytes))
            return ww_fail(err, WW_E_TEXT, "text %d to stop at is not UTF-8, which is all that a model "
                           "says", i + 1);
    }
    return true;
}

// How much of the end of `held` is the end of a whole text; 0: of none. The longest began first.
static size_t longest_whole(struct ww_stops *s)
{
    size_t longest = 0;
    for (int i = 0; i < s->num_texts; i++) {
        const size_t bytes = strlen(s->texts[i]);
        if (bytes > longest && bytes <= s->num_held &&
            !memcmp(s->held + s->num_held - bytes, s->texts[i], bytes)) {
            longest = bytes;
            s->met = i;
        }
    }
    return longest;
}

// Whether what is held from `from` on begins one of the texts.
static bool begins(const struct ww_stops *s, size_t from)
{
    for (int i = 0; i < s->num_texts; i++)
        if (!strncmp(s->held + from, s->texts[i], s->num_held - from))
            return true;
    return false;
}

// Lets go of what stands in front of the last `keep` bytes held.
static size_t let_go(struct ww_stops *s, size_t keep, char *out, size_t at, size_t max)
{
    const size_t going = s->num_held - keep;
    for (size_t i = 0; i < going && at + i < max; i++)
        out[at + i] = s->held[i];
    memmove(s->held, s->held + going, keep);
    s->num_held = keep;
    return going;
}

// One byte more. All of a text that ends it is held when its last byte comes: its beginning always
// was one that a text begins with.
static size_t put_byte(struct ww_stops *s, char byte, char *out, size_t at, size_t max)
{
    assert(s->num_held < WW_STOP_BYTES); // what is held is no whole text
    s->held[s->num_held++] = byte;
    const size_t whole = longest_whole(s);
    size_t from = 0;
    while (!whole && from < s->num_held && !begins(s, from))
        from++;
    const size_t gone = let_go(s, whole ? whole : s->num_held - from, out, at, max);
    if (whole)
        s->num_held = 0;
    return gone;
}

size_t ww_stops_put(struct ww_stops *s, uint32_t id, char *out, size_t max)
{
    char text[MOST_BYTES];
    size_t num = 0;
    const size_t bytes = s->met < 0 ? ww_decoder_put(&s->decoder, id, text, sizeof text) : 0;
    for (size_t i = 0; i < bytes && s->met < 0; i++)
        num += put_byte(s, text[i], out, num, max);
    return num;
}

size_t ww_stops_end(struct ww_stops *s, char *out, size_t max)
{
    char text[4];
    size_t num = 0;
    const size_t bytes = s->met < 0 ? ww_decoder_end(&s->decoder, text, sizeof text) : 0;
    for (size_t i = 0; i < bytes && s->met < 0; i++)
        num += put_byte(s, text[i], out, num, max);
    if (s->met < 0)
        num += let_go(s, 0, out, num, max);
    return num;
}
