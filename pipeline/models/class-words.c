#include "class-words.h"
#include "match.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/log.h>
#include <watchword/models.h>

enum { MAX_PHRASES = 1000 };

struct ww_class_words {
    struct ww_device *device;
    char *model, *listed; // in sentences, in a command
    char **names; // of those that have one
    int *classes; // that they are the names of
    int num;
    float *likeness;            // of a phrase to each
    struct ww_lexicon *lexicon; // loaded when a phrase first needs it
};

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

struct ww_class_words *ww_class_words_create(struct ww_device *device, const char *model,
                                             const char *const *names, int num_names)
{
    struct ww_class_words *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->device = device;
    m->model = copy_text(model ? model : "this model");
    m->listed = copy_text(model ? model : "MODEL");
    m->names = calloc((size_t)num_names + 1, sizeof *m->names);
    m->classes = calloc((size_t)num_names + 1, sizeof *m->classes);
    m->likeness = calloc((size_t)num_names + 1, sizeof *m->likeness);
    if (!m->names || !m->classes || !m->likeness)
        abort();
    for (int i = 0; i < num_names; i++)
        if (names[i]) {
            m->classes[m->num] = i;
            m->names[m->num++] = copy_text(names[i]);
        }
    return m;
}

void ww_class_words_destroy(struct ww_class_words **pointer)
{
    struct ww_class_words *m = *pointer;
    if (!m)
        return;
    ww_lexicon_destroy(&m->lexicon);
    for (int i = 0; i < m->num; i++)
        free(m->names[i]);
    free(m->names);
    free(m->classes);
    free(m->likeness);
    free(m->model);
    free(m->listed);
    free(m);
    *pointer = NULL;
}

static const char *const *names(const struct ww_class_words *m)
{
    return (const char *const *)m->names;
}

// Edits (insert, delete, replace a letter) between two words, in either case.
static int distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    int row[MAX + 1];
    const int na = (int)strnlen(a, MAX), nb = (int)strnlen(b, MAX);
    for (int j = 0; j <= nb; j++)
        row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            const int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            const int replace = diagonal + !same;
            diagonal = row[j];
            const int insert = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
            row[j] = replace < insert ? replace : insert;
        }
    }
    return row[nb];
}

static bool unknown_word(const struct ww_class_words *m, const char *word, struct ww_error *err)
{
    int near[3] = {-1, -1, -1};
    for (int c = 0; c < m->num; c++) {
        int candidate = c;
        for (int k = 0; k < 3 && candidate >= 0; k++)
            if (near[k] < 0 || distance(word, m->names[candidate]) < distance(word, m->names[near[k]])) {
                const int swap = near[k];
                near[k] = candidate;
                candidate = swap;
            }
    }
    char list[256] = "";
    for (int k = 0; k < 3 && near[k] >= 0; k++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%.60s", k ? ", " : "",
                 m->names[near[k]]);
    return ww_fail(err, WW_E_TEXT,
                   "'%.100s' is none of the %d classes that %s knows; near: %s (all of "
                   "them: watchword models list %s). With " WW_CLASS_LEXICON " installed it "
                   "understands other words, too: watchword models fetch " WW_CLASS_LEXICON,
                   word, m->num, m->model, list, m->listed);
}

// By meaning, if the model for that is installed.
static bool find_meaning(struct ww_class_words *m, const char *phrase, struct ww_match *match,
                         struct ww_error *err)
{
    char dir[512];
    if (!m->lexicon && !ww_model_find(WW_CLASS_LEXICON, dir, sizeof dir, NULL))
        return unknown_word(m, phrase, err);
    if (!m->device) { // only that model could tell
        *match = (struct ww_match){.target = 0};
        return true;
    }
    if (!m->lexicon)
        m->lexicon = ww_lexicon_load(m->device, dir, names(m), m->num, err);
    if (!m->lexicon)
        return ww_within(err, "'%.60s' is no class of %s, and what would understand it", phrase,
                         m->model);
    return ww_lexicon_likeness(m->lexicon, phrase, m->likeness, err) &&
           ww_match_meaning(m->model, phrase, names(m), m->num, m->likeness, match, err);
}

static bool find(struct ww_class_words *m, const char *phrase, struct ww_match *match,
                 struct ww_error *err)
{
    *match = (struct ww_match){.target = ww_match_name(phrase, names(m), m->num),
                               .likeness = 1,
                               .sure = true};
    if (match->target < 0 && !find_meaning(m, phrase, match, err))
        return false;
    if (m->device && !match->sure)
        ww_log(WW_LOG_WARN, "'%s' is taken for '%s', and not for sure: likeness %.2f, sure is %.2f",
               phrase, m->names[match->target], (double)match->likeness, (double)WW_MATCH_SURE);
    return true;
}

static void add(const struct ww_class_words *m, struct ww_words *words, const char *phrase,
                const struct ww_match *match)
{
    const int i = words->num_phrases++;
    words->phrases[i] = copy_text(phrase);
    words->targets[i] = m->classes[match->target];
    if (words->understood)
        words->understood[i] =
            (struct ww_understanding){.phrase = words->phrases[i],
                                      .meant = copy_text(m->names[match->target]),
                                      .by = ww_match_kind_name(match->kind),
                                      .likeness = match->likeness,
                                      .sure = match->sure};
}

bool ww_class_words_understand(struct ww_class_words *m, const char *const *phrases,
                               int num_phrases, struct ww_words *words, struct ww_error *err)
{
    if (num_phrases > MAX_PHRASES)
        return ww_fail(err, WW_E_TEXT, "%d phrases; at most %d", num_phrases, MAX_PHRASES);
    const int num = num_phrases ? num_phrases : m->num;
    words->phrases = calloc((size_t)num + 1, sizeof *words->phrases);
    words->targets = calloc((size_t)num + 1, sizeof *words->targets);
    words->understood = num_phrases ? calloc((size_t)num, sizeof *words->understood) : NULL;
    if (!words->phrases || !words->targets || (num_phrases && !words->understood))
        abort();
    for (int i = 0; i < num; i++) {
        struct ww_match match = {.target = i, .likeness = 1, .sure = true};
        if (num_phrases && !find(m, phrases[i], &match, err))
            return false;
        add(m, words, num_phrases ? phrases[i] : m->names[i], &match);
    }
    return true;
}
