#include "inner.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

// Vocabularies come from anywhere, and one made so that all of its texts fall into one slot would be
// read for hours. So hashes are keyed, anew in each process, by a family of which no two texts can be
// chosen that fall together more often than others: a sum of products with random numbers, modulo
// 2^64, of which the upper half counts ("Multilinear": Lemire and Kaser, 2014: Strongly universal
// string hashing is fast, arXiv:1202.4961, section 3). That holds for pairs, which is why those that
// do fall together lie in a list of their own and do not run into their neighbours.
enum { KEY_WORDS = 2 + WW_MAX_TOKEN_BYTES / 4 }; // one, the length, and four bytes each

static uint64_t key[KEY_WORDS];
static bool has_key;

static void make_key(void)
{
    size_t at = 0;
    while (at < sizeof key) {
        const ssize_t got = getrandom((char *)key + at, sizeof key - at, 0);
        if (got < 0 && errno != EINTR)
            return;
        at += got > 0 ? (size_t)got : 0;
    }
    has_key = true;
}

// The last bytes once more if they are no whole word: texts of one length have one way to be read.
uint32_t ww_hash_text(const char *text, size_t bytes)
{
    const uint64_t *k = key + 2;
    uint64_t h = key[0] + key[1] * bytes;
    uint32_t word[2] = {0};
    for (size_t i = 0; i + 8 < bytes; i += 8, k += 2) {
        memcpy(word, text + i, 8);
        h += k[0] * word[0] + k[1] * word[1];
    }
    if (bytes >= 8) {
        memcpy(word, text + bytes - 8, 8);
    } else if (bytes >= 4) {
        memcpy(&word[0], text, 4);
        memcpy(&word[1], text + bytes - 4, 4);
    } else {
        word[0] = 0;
        for (size_t i = 0; i < bytes; i++)
            word[0] = word[0] << 8 | (unsigned char)text[i];
    }
    h += k[0] * word[0] + k[1] * word[1];
    return (uint32_t)(h >> 32);
}

static uint32_t hash_pair(uint32_t left, uint32_t right)
{
    return (uint32_t)((key[0] + key[1] * left + key[2] * right) >> 32);
}

// Slots for `count`, none of which has any yet.
static bool make_room(struct ww_tokenizer *t, struct ww_slots *slots, size_t count,
                      struct ww_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    if (!has_key)
        return ww_fail(err, WW_E_UNSUPPORTED, "this host gives no random numbers (getrandom)");
    size_t size = 16;
    while (size < 2 * count + 2)
        size *= 2;
    slots->mask = (uint32_t)size - 1;
    slots->begin = ww_new_table(t, uint32_t, size + 2, err);
    return slots->begin;
}

// A counting sort: count into begin[slot + 2], sum up, and then each finds its place in
// begin[slot + 1]++, after which begin[slot] is where a slot begins.
static void sum_up(struct ww_slots *slots)
{
    for (size_t i = 2; i < (size_t)slots->mask + 3; i++)
        slots->begin[i] += slots->begin[i - 1];
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
    slots->at = ww_new_table(t, struct ww_slotted, num, err);
    if (!slots->at || !make_room(t, slots, num, err))
        return false;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t id = 0; id < t->num_tokens; id++) {
            const struct ww_token *token = &t->tokens[id];
            if (!takes_part(t, token, specials))
                continue;
            const uint32_t hash = ww_hash_text(token->text, token->bytes);
            if (!pass)
                slots->begin[(hash & slots->mask) + 2]++;
            else
                slots->at[slots->begin[(hash & slots->mask) + 1]++] = (struct ww_slotted){hash, id};
        }
        if (!pass)
            sum_up(slots);
    }
    return true;
}

uint32_t ww_find_text(const struct ww_tokenizer *t, const struct ww_slots *slots, const char *text,
                      size_t bytes)
{
    if (bytes > WW_MAX_TOKEN_BYTES)
        return WW_NO_TOKEN;
    const uint32_t hash = ww_hash_text(text, bytes), *begin = &slots->begin[hash & slots->mask];
    for (uint32_t i = begin[0]; i < begin[1]; i++) {
        const struct ww_token *token = &t->tokens[slots->at[i].id];
        if (slots->at[i].hash == hash && token->bytes == bytes && !memcmp(token->text, text, bytes))
            return slots->at[i].id; // of several the first
    }
    return WW_NO_TOKEN;
}

bool ww_slots_of_merges(struct ww_tokenizer *t, struct ww_error *err)
{
    struct ww_slots *slots = &t->by_pair;
    const size_t bytes = t->num_merges * sizeof *t->merges;
    struct ww_merge *given = make_room(t, slots, t->num_merges, err) ? malloc(bytes + 1) : NULL;
    if (!given)
        return slots->begin ? ww_fail(err, WW_E_MEMORY, "no memory left on this host for %zu bytes",
                                      bytes) : false;
    memcpy(given, t->merges, bytes);
    for (uint32_t i = 0; i < t->num_merges; i++)
        slots->begin[(hash_pair(given[i].left, given[i].right) & slots->mask) + 2]++;
    sum_up(slots);
    for (uint32_t i = 0; i < t->num_merges; i++) {
        const uint32_t slot = hash_pair(given[i].left, given[i].right) & slots->mask;
        t->merges[slots->begin[slot + 1]++] = given[i];
    }
    free(given);
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
    const uint32_t *begin = &t->by_pair.begin[hash_pair(left, right) & t->by_pair.mask];
    for (uint32_t i = begin[0]; i < begin[1]; i++)
        if (t->merges[i].left == left && t->merges[i].right == right)
            return &t->merges[i]; // given twice: the better rank stands
    return NULL;
}
