// grounding-dino-phrases.h: from somebody's phrases to the texts that Grounding DINO reads, and from
// what it says of tokens back to phrases.

#pragma once

#include "grounding-dino.h"

#include <watchword/tokenizer.h>

#define WW_GDINO_MAX_PHRASES 1000

// One text, and whose its tokens are.
struct ww_gdino_caption {
    struct ww_gdino_text text;
    int phrase[WW_GDINO_MAX_TOKENS]; // its number, the closing mark's, too; -1: nobody's
    bool closes[WW_GDINO_MAX_TOKENS]; // it is that mark
    int first, end;                   // phrases that are in it: first to end - 1
};

struct ww_gdino_prompt {
    int num_phrases;
    char **phrases; // as they were, without blanks around them and, but for a question, their mark
    int *given;     // which of the phrases as given each came from
    int num_captions; // more than one where the phrases do not fit into one
    struct ww_gdino_caption *captions;
};

// A vocabulary as BERT's, looked through once.
struct ww_gdino_vocabulary {
    const struct ww_tokenizer *tokenizer;
    int32_t cls, sep, unk;
    int32_t ends[WW_GDINO_ENDS];
    int max_tokens; // of a text
};
// WW_E_FILE: there is no [CLS], [SEP], "." or "?" in it, or it has another number of tokens than `words`.
bool ww_gdino_vocabulary(const struct ww_tokenizer *tokenizer, int words, int max_tokens,
                         struct ww_gdino_vocabulary *out, struct ww_error *err);

// `phrases` are one each, or texts of several with "." or "?" behind each of them. WW_E_TEXT says which
// has no words, none that can be read, or too many, and how many there may be. NULL on failure.
struct ww_gdino_prompt *ww_gdino_prompt_create(const struct ww_gdino_vocabulary *vocabulary,
                                               const char *const *phrases, int num_phrases,
                                               struct ww_error *err);
// A text as it is, without a mark behind it if it has none, cut at the model's limit.
struct ww_gdino_prompt *ww_gdino_prompt_as_given(const struct ww_gdino_vocabulary *vocabulary,
                                                 const char *text, struct ww_error *err);
void ww_gdino_prompt_destroy(struct ww_gdino_prompt **prompt);

// How likely each token is, [0, 1], from its logit: `out` has room for the text.
void ww_gdino_likely(const struct ww_gdino_text *text, const float *logits, int step, float *out);

struct ww_gdino_match {
    float score;
    int phrase; // of the prompt; -1: none
};
// As both implementations score: by the likeliest token, whichever it is; the phrase is that token's, or
// the likeliest one's that has a phrase.
struct ww_gdino_match ww_gdino_match(const struct ww_gdino_caption *caption, const float *likely);
// A phrase as a whole: the mean of its tokens, without the closing mark. -1: it is not in this caption.
float ww_gdino_match_whole(const struct ww_gdino_caption *caption, const float *likely, int phrase);

// The words of which each token is likelier than `threshold`, as the implementation that the weights belong
// to writes them. Writes at most `size` bytes with a NUL.
void ww_gdino_label(const struct ww_gdino_vocabulary *vocabulary, const struct ww_gdino_text *text,
                    const float *likely, float threshold, enum ww_gdino_layout layout, char *out,
                    size_t size);
