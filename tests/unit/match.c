// Which class a phrase means: 83 labelled phrases with the real model's likenesses.

#include "base/json.h"
#include "check.h"
#include "models/match.h"

enum { CLASSES = 80 };

static const char *names[CLASSES];

static bool is_wanted(const struct ww_json *wanted, const char *name)
{
    for (const struct ww_json *x = ww_json_first(wanted); x; x = ww_json_next(x))
        if (!strcmp(ww_json_string(x), name))
            return true;
    return false;
}

static void check_literal(void)
{
    static const struct {
        const char *phrase, *name, *word;
    } cases[] = {
        {"person", "person", "person"},
        {"  Hot Dog\t", "hot dog", "hot dog"},
        {"a red CAR, parked", NULL, "car"},
        {"hot dogs", NULL, NULL},
        {"a dog beside a teddy bear", NULL, "teddy bear"},
        {"wheelchair", NULL, NULL},
        {"armchair/chair", NULL, "chair"},
        {"carro\xc3\xa7" "a", NULL, NULL},
        {"\xc3\xa9" "car", NULL, NULL},
        {"", NULL, NULL},
        {"...", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int name = ww_match_name(cases[i].phrase, names, CLASSES);
        const int word = ww_match_word(cases[i].phrase, names, CLASSES);
        check_about("'%s'", cases[i].phrase);
        CHECK_STR(name < 0 ? "none" : names[name], cases[i].name ? cases[i].name : "none");
        CHECK_STR(word < 0 ? "none" : names[word], cases[i].word ? cases[i].word : "none");
    }
}

int main(void)
{
    char path[4096];
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/tests/models/minilm/phrases.json", getenv("WATCHWORD_SOURCE"));
    struct ww_json *file = ww_json_load(path, 1 << 20, NULL, &err);
    int num = 0, labelled = 0, right = 0, sure = 0, refused = 0;
    for (const struct ww_json *x = ww_json_first(ww_json_get(file, "classes"));
         x && num < CLASSES; x = ww_json_next(x))
        names[num++] = ww_json_string(x);
    if (!CHECK(num == CLASSES))
        return check_done();
    check_literal();
    for (const struct ww_json *p = ww_json_first(ww_json_get(file, "phrases")); p;
         p = ww_json_next(p)) {
        const char *phrase = ww_json_string(ww_json_get(p, "phrase"));
        const struct ww_json *wanted = ww_json_get(p, "wanted");
        float likeness[CLASSES] = {0};
        int c = 0;
        for (const struct ww_json *x = ww_json_first(ww_json_get(p, "cosine")); x && c < CLASSES;
             x = ww_json_next(x), c++) {
            double value = 0;
            CHECK(ww_json_number(x, &value));
            likeness[c] = (float)value;
        }
        struct ww_match match = {0};
        struct ww_error why = {0};
        const bool taken = ww_match_meaning("nano", phrase, names, CLASSES, likeness, &match, &why);
        const bool good = taken && is_wanted(wanted, names[match.target]);
        check_about("'%s'", phrase);
        labelled += ww_json_count(wanted) > 0;
        right += good;
        refused += !taken;
        sure += taken && match.sure;
        if (taken && match.sure)
            CHECK(good); // what is taken for sure is right
        if (!taken) {    // what is refused the set does not have, and the sentence says so
            CHECK(ww_json_count(wanted) == 0);
            CHECK(why.code == WW_E_TEXT);
            CHECK(strstr(why.text, phrase) && strstr(why.text, "nearest: "));
        }
    }
    check_about("all phrases");
    printf("%d of %d right, %d for sure, %d refused\n", right, labelled, sure, refused);
    CHECK_CMP(labelled, ==, 53);
    CHECK_CMP(right, ==, 50);
    CHECK_CMP(refused, >=, 5);
    ww_json_free(&file);
    return check_done();
}
