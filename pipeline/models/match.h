// match.h: which class of a closed set does somebody mean?
//
// A phrase that is a class's name is that class. One that has such a name in it ("red car") is that
// class, too, of the longest name, whatever else it says. Any other goes to the class of the nearest
// meaning, if any is near. How near says little about whether the set has the thing at all: of 83
// labelled phrases (tests/models/minilm) all were right from 0.70 on, and of those below 0.37 none was
// in the set; between, "rucksack" is no giraffe, yet "a person in a yellow vest" at 0.39 is a person.
// So between, a match stands, but not for sure, and whoever asked is told.

#pragma once

#include <watchword/error.h>

#define WW_MATCH_SURE 0.70f // this near: taken without a word
#define WW_MATCH_LEAST 0.37f // less near: refused

enum ww_match_kind {
    WW_MATCH_NAME,    // the phrase is the name
    WW_MATCH_WORD,    // the name is in the phrase
    WW_MATCH_MEANING, // the nearest meaning
};

struct ww_match {
    int target; // index of the class
    enum ww_match_kind kind;
    float likeness; // cosine of the phrase and the class, [-1, 1]; 1 for a name
    bool sure;
};

// The class whose name the phrase is, letter for letter but for case and blanks around it; -1: none.
int ww_match_name(const char *phrase, const char *const *names, int num_names);
// The class whose name is in the phrase, as whole words; the longest name, then the first in the
// phrase; -1: none.
int ww_match_word(const char *phrase, const char *const *names, int num_names);

// `likeness` has the cosine of the phrase to each class. `model` is who would look, for the sentence
// of WW_E_TEXT: no name is in the phrase and nothing is near.
bool ww_match_meaning(const char *model, const char *phrase, const char *const *names,
                      int num_names, const float *likeness, struct ww_match *out,
                      struct ww_error *err);

// "name", "word", "meaning".
const char *ww_match_kind_name(enum ww_match_kind kind);
