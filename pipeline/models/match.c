#include "match.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

int ww_match_name(const char *phrase, const char *const *names, int num_names)
{
    while (isspace((unsigned char)*phrase))
        phrase++;
    size_t length = strlen(phrase);
    while (length && isspace((unsigned char)phrase[length - 1]))
        length--;
    for (int c = 0; c < num_names; c++)
        if (strlen(names[c]) == length && !strncasecmp(names[c], phrase, length))
            return c;
    return -1;
}

// Whether `name` begins at `at` and both are whole words.
static bool stands_at(const char *phrase, const char *at, const char *name, size_t length)
{
    return !strncasecmp(at, name, length) && (at == phrase || !is_word(at[-1])) &&
           !is_word(at[length]);
}

int ww_match_word(const char *phrase, const char *const *names, int num_names)
{
    int best = -1;
    size_t longest = 0;
    for (const char *at = phrase; *at; at++)
        for (int c = 0; c < num_names; c++) {
            const size_t length = strlen(names[c]);
            if (length > longest && stands_at(phrase, at, names[c], length)) {
                best = c;
                longest = length;
            }
        }
    return best;
}

bool ww_match_meaning(const char *model, const char *phrase, const char *const *names,
                      int num_names, const float *likeness, struct ww_match *out,
                      struct ww_error *err)
{
    int nearest = 0;
    for (int c = 1; c < num_names; c++)
        if (likeness[c] > likeness[nearest])
            nearest = c;
    const int name = ww_match_name(phrase, names, num_names);
    const int word = ww_match_word(phrase, names, num_names);
    if (name >= 0)
        *out = (struct ww_match){name, WW_MATCH_NAME, 1, true};
    else if (word >= 0)
        *out = (struct ww_match){word, WW_MATCH_WORD, likeness[word],
                                 likeness[word] >= WW_MATCH_SURE};
    else if (likeness[nearest] >= WW_MATCH_LEAST)
        *out = (struct ww_match){nearest, WW_MATCH_MEANING, likeness[nearest],
                                 likeness[nearest] >= WW_MATCH_SURE};
    else
        return ww_fail(err, WW_E_TEXT,
                       "'%.100s' is nothing %s can see; nearest: %s %.2f; a grounding model can",
                       phrase, model, names[nearest], (double)likeness[nearest]);
    return true;
}

const char *ww_match_kind_name(enum ww_match_kind kind)
{
    static const char *const names[] = {"name", "word", "meaning"};
    return names[kind];
}
