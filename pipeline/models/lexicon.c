#include "lexicon.h"

#include "base/room.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/tokenizer.h>

enum { MAX_TOKENS = 256 };

struct ww_lexicon {
    struct ww_sentences *sentences;
    struct ww_tokenizer *tokenizer;
    int num_names;
    float *vectors; // [num_names][width]
};

// Writes at most MAX_TOKENS and returns how many, or -1: WW_E_TEXT, the model learned English alone.
static int cut(const struct ww_lexicon *l, const char *phrase, int32_t *ids, struct ww_error *err)
{
    for (const char *c = phrase; *c; c++)
        if ((unsigned char)*c >= 0x7f || ((unsigned char)*c < 0x20 && !isspace((unsigned char)*c))) {
            ww_fail(err, WW_E_TEXT, "'%.100s': only English letters are understood by meaning",
                    phrase);
            return -1;
        }
    const size_t num = ww_tokenizer_encode(l->tokenizer, phrase, strlen(phrase),
                                           WW_ENCODE_ADD_SPECIAL, (uint32_t *)ids, MAX_TOKENS);
    if (num > MAX_TOKENS) // the last token ends every text
        ids[MAX_TOKENS - 1] = (int32_t)ww_tokenizer_special(l->tokenizer).eos;
    return num < MAX_TOKENS ? (int)num : MAX_TOKENS;
}

static bool embed_names(struct ww_lexicon *l, const char *const *names, struct ww_error *err)
{
    const size_t num = (size_t)l->num_names;
    int32_t(*ids)[MAX_TOKENS] = ww_room_for(num, sizeof *ids, err);
    struct ww_token_ids *texts = ids ? ww_room_for(num, sizeof *texts, err) : NULL;
    const size_t width = (size_t)ww_sentences_width(l->sentences);
    l->vectors = texts ? ww_room_for(num * width, sizeof *l->vectors, err) : NULL;
    bool ok = l->vectors != NULL;
    for (size_t i = 0; ok && i < num; i++) {
        texts[i] = (struct ww_token_ids){ids[i], cut(l, names[i], ids[i], err)};
        ok = texts[i].num_ids >= 0;
    }
    ok = ok && ww_sentences_embed(l->sentences, texts, l->num_names, l->vectors, err);
    free(ids);
    free(texts);
    return ok;
}

struct ww_lexicon *ww_lexicon_load(struct ww_device *device, const char *dir,
                                   const char *const *names, int num_names, struct ww_error *err)
{
    struct ww_lexicon *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->num_names = num_names;
    l->tokenizer = ww_tokenizer_open(dir, err);
    l->sentences = l->tokenizer ? ww_sentences_load(device, dir, err) : NULL;
    if (!l->sentences || !embed_names(l, names, err))
        ww_lexicon_destroy(&l);
    return l;
}

void ww_lexicon_destroy(struct ww_lexicon **pointer)
{
    struct ww_lexicon *l = *pointer;
    if (!l)
        return;
    ww_sentences_destroy(&l->sentences);
    ww_tokenizer_close(&l->tokenizer);
    free(l->vectors);
    free(l);
    *pointer = NULL;
}

bool ww_lexicon_likeness(struct ww_lexicon *l, const char *phrase, float *likeness,
                         struct ww_error *err)
{
    int32_t ids[MAX_TOKENS];
    float vector[WW_SENTENCE_MAX_WIDTH];
    const int num = cut(l, phrase, ids, err);
    if (num < 0 || !ww_sentences_embed(l->sentences, &(struct ww_token_ids){ids, num}, 1, vector, err))
        return false;
    const int width = ww_sentences_width(l->sentences);
    for (int i = 0; i < l->num_names; i++) {
        double sum = 0;
        for (int c = 0; c < width; c++)
            sum += (double)l->vectors[i * width + c] * vector[c];
        likeness[i] = (float)fmin(fmax(sum, -1), 1); // of rounded vectors
    }
    return true;
}
