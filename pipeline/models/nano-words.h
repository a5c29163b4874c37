// nano-words.h: what nano makes of somebody's words.

#pragma once

#include "centernet.h"
#include "family.h"
#include "lexicon.h"

// The sentence model that lets it understand more than the names of its classes, where installed.
#define WW_NANO_LEXICON "all-MiniLM-L6-v2"

struct ww_nano_words;

// Reads the names of the classes from nano's config.json. `device` NULL: nothing is ever loaded, and a
// phrase that only the sentence model could judge is taken, if that is installed.
struct ww_nano_words *ww_nano_words_create(struct ww_device *device, const struct ww_json *config,
                                           struct ww_error *err);
void ww_nano_words_destroy(struct ww_nano_words **nano);

// Fills `words`; WW_E_UNSUPPORTED (the task), WW_E_TEXT. The first phrase that is no name loads the
// sentence model and the vectors of all classes; from then on a phrase costs one forward pass.
bool ww_nano_understand(struct ww_nano_words *nano, enum ww_task task, const char *const *phrases,
                        int num_phrases, struct ww_words *words, struct ww_error *err);
