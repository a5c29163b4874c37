#include "inner.h"

#include <string.h>

// Eight bytes at a time, the last eight once more if they are no whole step: most texts are one
// step or two. Slots are few and lookups end at the first free one; a file that makes all its tokens
// collide slows down none but itself: it has at most WW_MAX_TOKENS.
uint32_t ww_hash_text(const char *text, size_t bytes)
{
    uint64_t h = bytes * 0x9e3779b97f4a7c15, part = 0;
    for (size_t i = 0; i + 8 < bytes; i += 8) {
        memcpy(&part, text + i, 8);
        h = (h ^ part) * 0xd6e8feb86659fd93;
        h ^= h >> 32;
    }
    if (bytes >= 8) {
        memcpy(&part, text + bytes - 8, 8);
    } else if (bytes >= 4) {
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + bytes - 4, 4);
        part = (uint64_t)first << 32 | last;
    } else {
        part = 0;
        for (size_t i = 0; i < bytes; i++)
            part = part << 8 | (unsigned char)text[i];
    }
    h = (h ^ part) * 0xd6e8feb86659fd93;
    return (uint32_t)(h >> 32);
}

static uint32_t hash_pair(uint32_t left, uint32_t right)
{
    const uint64_t h = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15;
    return (uint32_t)(h >> 32);
}

static bool make_room(struct ww_tokenizer *t, struct ww_slots *slots, size_t count,
                      struct ww_error *err)
{
    size_t size = 16;
    while (size < 2 * count + 2)
        size *= 2;
    slots->mask = (uint32_t)size - 1;
    return (slots->slot = ww_new_table(t, uint32_t, size, err));
}

static bool takes_part(const struct ww_tokenizer *t, const struct ww_token *token, bool specials)
{
    if (token->kind == WW_TOKEN_NONE || !token->bytes)
        return false;
    return specials ? token->special
                    : !t->pieces || token->kind == WW_TOKEN_NORMAL || token->kind == WW_TOKEN_USER;
}

bool ww_slots_of_texts(struct ww_tokenizer *t, struct ww_slots *slots, bool specials,
                       struct ww_error *err)
{
    size_t num = 0;
    for (uint32_t id = 0; id < t->num_tokens; id++)
        num += takes_part(t, &t->tokens[id], specials);
    if (!make_room(t, slots, num, err))
        return false;
    for (uint32_t id = 0; id < t->num_tokens; id++) {
        const struct ww_token *token = &t->tokens[id];
        if (!takes_part(t, token, specials) ||
            ww_find_text(t, slots, token->text, token->bytes) != WW_NO_TOKEN)
            continue;
        uint32_t at = ww_hash_text(token->text, token->bytes) & slots->mask;
        while (slots->slot[at])
            at = (at + 1) & slots->mask;
        slots->slot[at] = id + 1;
    }
    return true;
}

uint32_t ww_find_text(const struct ww_tokenizer *t, const struct ww_slots *slots, const char *text,
                      size_t bytes)
{
    for (uint32_t at = ww_hash_text(text, bytes) & slots->mask; slots->slot[at];
         at = (at + 1) & slots->mask) {
        const struct ww_token *token = &t->tokens[slots->slot[at] - 1];
        if (token->bytes == bytes && !memcmp(token->text, text, bytes))
            return slots->slot[at] - 1;
    }
    return WW_NO_TOKEN;
}

bool ww_slots_of_merges(struct ww_tokenizer *t, struct ww_error *err)
{
    if (!make_room(t, &t->by_pair, t->num_merges, err))
        return false;
    for (uint32_t i = 0; i < t->num_merges; i++) {
        const struct ww_merge *m = &t->merges[i];
        if (ww_find_merge(t, m->left, m->right))
            continue; // given twice: the better rank stands
        uint32_t at = hash_pair(m->left, m->right) & t->by_pair.mask;
        while (t->by_pair.slot[at])
            at = (at + 1) & t->by_pair.mask;
        t->by_pair.slot[at] = i + 1;
    }
    return true;
}

// Each way to cut a piece into two pieces is a pair that merges into it. Counts them, and writes
// them where there is room.
static uint32_t pairs_of_piece(const struct ww_tokenizer *t, uint32_t id, struct ww_merge *out)
{
    const struct ww_token *token = &t->tokens[id];
    uint32_t num = 0;
    if (token->bytes > WW_MAX_PAIR_BYTES || !takes_part(t, token, false) ||
        ww_find_text(t, &t->by_text, token->text, token->bytes) != id)
        return 0;
    for (uint32_t n = 1; n < token->bytes; n++) {
        const uint32_t left = ww_find_text(t, &t->by_text, token->text, n);
        if (left == WW_NO_TOKEN)
            continue;
        const uint32_t right =
            ww_find_text(t, &t->by_text, token->text + n, token->bytes - n);
        if (right == WW_NO_TOKEN)
            continue;
        if (out)
            out[num] = (struct ww_merge){.left = left, .right = right, .result = id};
        num++;
    }
    return num;
}

bool ww_merges_of_pieces(struct ww_tokenizer *t, struct ww_error *err)
{
    size_t num = 0;
    for (uint32_t id = 0; id < t->num_tokens; id++)
        num += pairs_of_piece(t, id, NULL);
    t->by_score = true;
    t->merges = ww_new_table(t, struct ww_merge, num, err);
    for (uint32_t id = 0; t->merges && id < t->num_tokens; id++)
        t->num_merges += pairs_of_piece(t, id, t->merges + t->num_merges);
    return t->merges && ww_slots_of_merges(t, err);
}

const struct ww_merge *ww_find_merge(const struct ww_tokenizer *t, uint32_t left, uint32_t right)
{
    for (uint32_t at = hash_pair(left, right) & t->by_pair.mask; t->by_pair.slot[at];
         at = (at + 1) & t->by_pair.mask) {
        const struct ww_merge *m = &t->merges[t->by_pair.slot[at] - 1];
        if (m->left == left && m->right == right)
            return m;
    }
    return NULL;
}
