// Words that a text had before. A language has few words that come often: in English most of a text
// is copied from here, and little of it is merged anew. A word has one place; the newest stands
// there.
// It lives as long as one call, so that a tokenizer is never written to.

#include <stdlib.h>
#include <string.h>

#include "inner.h"

enum { IDS = 7, BYTES = 27, LEAST = 512, MOST_PLACES = 1 << 13 };

// 64 bytes, a line of the cache: longer words, and those of more tokens, are never seen.
struct ww_seen {
    uint32_t ids[IDS];
    uint8_t ends[IDS]; // bytes of the word up to the end of each token
    uint8_t num, bytes; // bytes 0: nothing stands here
    char text[BYTES];
};

_Static_assert(sizeof(struct ww_seen) == 64, "a line of the cache");

void ww_seen_begin(struct ww_output *o)
{
    if (o->bytes < LEAST || o->anew)
        return;
    size_t places = 1;
    while (places < MOST_PLACES && places * 16 < o->bytes)
        places *= 2;
    o->seen = calloc(places, sizeof *o->seen); // without memory it goes on, more slowly
    o->seen_mask = places - 1;
}

void ww_seen_end(struct ww_output *o)
{
    free(o->seen);
}

bool ww_word_known(struct ww_output *o, const char *word, size_t bytes, struct ww_source source)
{
    o->learning = NULL;
    if (!o->seen || bytes > BYTES || !bytes)
        return false;
    struct ww_seen *s = &o->seen[ww_hash_text(word, bytes) & o->seen_mask];
    if (s->bytes == bytes && !memcmp(s->text, word, bytes)) {
        for (size_t i = 0; i < s->num; i++)
            ww_word_emit(o, s->ids[i], source, i ? s->ends[i - 1] : 0, s->ends[i]);
        return true;
    }
    s->num = s->bytes = 0;
    o->learning = s;
    return false;
}

static bool is_inside(const struct ww_output *o, size_t at)
{
    return at < o->bytes && ((unsigned char)o->text[at] & 0xc0) == 0x80;
}

void ww_word_emit(struct ww_output *o, uint32_t id, struct ww_source source, size_t begin,
                  size_t end)
{
    struct ww_span from = {0};
    if (o->spans && source.spans) {
        from = (struct ww_span){source.spans[begin].begin, source.spans[end - 1].end};
    } else if (o->spans) {
        from = (struct ww_span){source.at + begin, source.at + end};
        while (is_inside(o, from.begin))
            from.begin--;
        while (is_inside(o, from.end))
            from.end++;
    }
    ww_emit(o, id, from);
    struct ww_seen *s = o->learning;
    if (!s || id == WW_NO_TOKEN || s->num == IDS || begin != (s->num ? s->ends[s->num - 1] : 0)) {
        o->learning = NULL; // it has too many, or they do not lie end to end
        return;
    }
    s->ids[s->num] = id;
    s->ends[s->num++] = (uint8_t)end;
}

void ww_word_done(struct ww_output *o, const char *word, size_t bytes)
{
    if (!o->learning)
        return;
    memcpy(o->learning->text, word, bytes);
    o->learning->bytes = (uint8_t)bytes;
    o->learning = NULL;
}
