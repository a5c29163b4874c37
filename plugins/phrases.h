// phrases.h: the text of the `phrases` property as a list of words.

#pragma once

#include <glib.h>
#include <watchword/error.h>

struct ww_phrases {
    char **phrases;    // NULL at the end
    float *thresholds; // of each; 0: none of its own
    int num;
};

// Reads "person; car:0.4" or, when the text starts with '[', a JSON array of strings and of objects
// {"phrase": "car", "threshold": 0.4}. White space around a phrase is dropped, and so are empty
// phrases between semicolons. NULL or empty text: none. False and WW_E_TEXT if the JSON is no such
// array, a threshold is not from 0 to 1, or the text is not UTF-8. Finish what was read.
bool ww_phrases_parse(const char *text, struct ww_phrases *out, struct ww_error *err);
void ww_phrases_finish(struct ww_phrases *phrases);
