// lexicon.h: how near in meaning a phrase is to each of a set of names.

#pragma once

#include "sentence.h"

struct ww_lexicon;

// Loads the sentence model in `dir` and makes the vectors of `names`, once.
struct ww_lexicon *ww_lexicon_load(struct ww_device *device, const char *dir,
                                   const char *const *names, int num_names, struct ww_error *err);
void ww_lexicon_destroy(struct ww_lexicon **lexicon);

// Writes the cosine of the phrase and each name to `likeness`; one forward pass. WW_E_TEXT: it cannot
// be read.
bool ww_lexicon_likeness(struct ww_lexicon *lexicon, const char *phrase, float *likeness,
                         struct ww_error *err);
