// class-words.h: what a model with a closed set of classes makes of somebody's words.

#pragma once

#include "family.h"
#include "lexicon.h"

// The sentence model that lets it understand more than the names of its classes, where installed.
#define WW_CLASS_LEXICON "all-MiniLM-L6-v2"

struct ww_class_words;

// The names of the classes, which are copied; one that is NULL stands for nothing. `model` is whose
// they are, for sentences; NULL: not known. `device` NULL: nothing is ever loaded, and a phrase that
// only the sentence model could judge is taken, if that is installed.
struct ww_class_words *ww_class_words_create(struct ww_device *device, const char *model,
                                             const char *const *names, int num_names);
void ww_class_words_destroy(struct ww_class_words **words);

// Fills `words`; no phrases are all classes. WW_E_TEXT. The first phrase that is no name loads the
// sentence model and the vectors of all classes; from then on a phrase costs one forward pass.
bool ww_class_words_understand(struct ww_class_words *classes, const char *const *phrases,
                               int num_phrases, struct ww_words *words, struct ww_error *err);
