#include "nano-words.h"
#include "match.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/log.h>
#include <watchword/models.h>

enum { PERSON = 0, MAX_PHRASES = 1000 };

struct ww_nano_words {
    struct ww_device *device;
    char *classes[WW_CENTERNET_CLASSES];
    struct ww_lexicon *lexicon; // loaded when a phrase first needs it
};

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

static bool read_classes(struct ww_nano_words *m, const struct ww_json *config, struct ww_error *err)
{
    const struct ww_json *list = ww_json_need(config, "classes", WW_JSON_ARRAY, err);
    if (!list)
        return false;
    int num = 0;
    for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x), num++) {
        if (num == WW_CENTERNET_CLASSES || !ww_json_string(x))
            break;
        m->classes[num] = copy_text(ww_json_string(x));
    }
    if (num != WW_CENTERNET_CLASSES || ww_json_count(list) != WW_CENTERNET_CLASSES)
        return ww_fail(err, WW_E_FILE, "'classes' must be %d names", WW_CENTERNET_CLASSES);
    return true;
}

struct ww_nano_words *ww_nano_words_create(struct ww_device *device, const struct ww_json *config,
                                           struct ww_error *err)
{
    struct ww_nano_words *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->device = device;
    if (!read_classes(m, config, err))
        ww_nano_words_destroy(&m);
    return m;
}

void ww_nano_words_destroy(struct ww_nano_words **pointer)
{
    struct ww_nano_words *m = *pointer;
    if (!m)
        return;
    ww_lexicon_destroy(&m->lexicon);
    for (int i = 0; i < WW_CENTERNET_CLASSES; i++)
        free(m->classes[i]);
    free(m);
    *pointer = NULL;
}

static const char *const *names(const struct ww_nano_words *m)
{
    return (const char *const *)m->classes;
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

static bool unknown_word(const struct ww_nano_words *m, const char *word, struct ww_error *err)
{
    int near[3] = {-1, -1, -1};
    for (int c = 0; c < WW_CENTERNET_CLASSES; c++) {
        int candidate = c;
        for (int k = 0; k < 3; k++)
            if (near[k] < 0 || distance(word, m->classes[candidate]) < distance(word, m->classes[near[k]])) {
                const int swap = near[k];
                near[k] = candidate;
                candidate = swap;
                if (candidate < 0)
                    break;
            }
    }
    return ww_fail(err, WW_E_TEXT,
                   "'%.100s' is none of the %d classes that nano knows; near: %s, %s, %s (all of "
                   "them: watchword models list nano). With " WW_NANO_LEXICON " installed it "
                   "understands other words, too: scripts/fetch-models minilm",
                   word, WW_CENTERNET_CLASSES, m->classes[near[0]], m->classes[near[1]],
                   m->classes[near[2]]);
}

// By meaning, if the model for that is installed.
static bool find_meaning(struct ww_nano_words *m, const char *phrase, struct ww_match *match,
                         struct ww_error *err)
{
    char dir[512];
    float likeness[WW_CENTERNET_CLASSES];
    if (!m->lexicon && !ww_model_find(WW_NANO_LEXICON, dir, sizeof dir, NULL))
        return unknown_word(m, phrase, err);
    if (!m->device) { // only that model could tell
        *match = (struct ww_match){.target = PERSON};
        return true;
    }
    if (!m->lexicon)
        m->lexicon = ww_lexicon_load(m->device, dir, names(m), WW_CENTERNET_CLASSES, err);
    if (!m->lexicon)
        return ww_within(err, "'%.60s' is no class of nano, and what would understand it", phrase);
    return ww_lexicon_likeness(m->lexicon, phrase, likeness, err) &&
           ww_match_meaning("nano", phrase, names(m), WW_CENTERNET_CLASSES, likeness, match, err);
}

static bool find(struct ww_nano_words *m, const char *phrase, struct ww_match *match,
                 struct ww_error *err)
{
    *match = (struct ww_match){.target = ww_match_name(phrase, names(m), WW_CENTERNET_CLASSES),
                               .likeness = 1,
                               .sure = true};
    if (match->target < 0 && !find_meaning(m, phrase, match, err))
        return false;
    if (m->device && !match->sure)
        ww_log(WW_LOG_WARN, "'%s' is taken for '%s', and not for sure: likeness %.2f, sure is %.2f",
               phrase, m->classes[match->target], (double)match->likeness, (double)WW_MATCH_SURE);
    return true;
}

static void add(struct ww_words *words, const char *phrase, const char *class,
                const struct ww_match *match)
{
    const int i = words->num_phrases++;
    words->phrases[i] = copy_text(phrase);
    words->targets[i] = match->target;
    if (words->understood)
        words->understood[i] = (struct ww_understanding){.phrase = words->phrases[i],
                                                         .meant = copy_text(class),
                                                         .by = ww_match_kind_name(match->kind),
                                                         .likeness = match->likeness,
                                                         .sure = match->sure};
}

bool ww_nano_understand(struct ww_nano_words *m, enum ww_task task, const char *const *phrases,
                        int num_phrases, struct ww_words *words, struct ww_error *err)
{
    if (task != WW_TASK_DETECT && task != WW_TASK_POSE)
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "nano can do the tasks detect and pose, not '%s'", ww_task_name(task));
    if (num_phrases > MAX_PHRASES)
        return ww_fail(err, WW_E_TEXT, "%d phrases; at most %d", num_phrases, MAX_PHRASES);
    const bool all = num_phrases == 0 && task == WW_TASK_DETECT;
    const int num = all ? WW_CENTERNET_CLASSES : num_phrases ? num_phrases : 1;
    words->phrases = calloc((size_t)num, sizeof *words->phrases);
    words->targets = calloc((size_t)num, sizeof *words->targets);
    words->understood = num_phrases ? calloc((size_t)num, sizeof *words->understood) : NULL;
    if (!words->phrases || !words->targets || (num_phrases && !words->understood))
        abort();
    for (int i = 0; i < num; i++) {
        struct ww_match match;
        const char *phrase = num_phrases ? phrases[i] : m->classes[i];
        if (!find(m, phrase, &match, err))
            return false;
        if (task == WW_TASK_POSE && match.target != PERSON)
            return ww_fail(err, WW_E_TEXT, "nano knows the poses of persons alone, not of '%s'",
                           phrase);
        add(words, phrase, m->classes[match.target], &match);
    }
    return true;
}
