// What is told of what was found: thresholds of phrases, boxes that are one, room; and thresholds as people
// write them behind a phrase.

#include "check.h"
#include "models/family.h"

static void test_thresholds(void)
{
    float own[] = {0, 0.4f, 0.9f};
    struct ww_words words = {.num_phrases = 3};
    CHECK_NEAR((double)ww_words_threshold(&words, 1, 0.3f), 0.3, 1e-7);
    CHECK_NEAR((double)ww_words_least(&words, 0.3f), 0.3, 1e-7);
    words.thresholds = own;
    CHECK_NEAR((double)ww_words_threshold(&words, 0, 0.6f), 0.6, 1e-7);
    CHECK_NEAR((double)ww_words_threshold(&words, 1, 0.6f), 0.4, 1e-7);
    CHECK_NEAR((double)ww_words_least(&words, 0.6f), 0.4, 1e-7);
    CHECK_NEAR((double)ww_words_least(&words, 0.2f), 0.2, 1e-7);
    own[0] = 0.5f; // now all have their own
    CHECK_NEAR((double)ww_words_least(&words, 0.2f), 0.4, 1e-7);
}

static void test_iou(void)
{
    const float a[4] = {0, 0, 10, 10}, b[4] = {5, 0, 15, 10}, c[4] = {10, 0, 20, 10}, none[4] = {3, 3, 3, 3};
    CHECK_NEAR((double)ww_box_iou(a, a), 1, 0);
    CHECK_NEAR((double)ww_box_iou(a, b), 1 / 3., 1e-7);
    CHECK_NEAR((double)ww_box_iou(a, c), 0, 0);
    CHECK_NEAR((double)ww_box_iou(a, none), 0, 0);
}

// Adds boxes of phrases 0 and 1 in turn, best first; returns which were kept as bits.
static unsigned add(float nms, const float boxes[][4], const int *phrases, int num)
{
    static struct ww_findings f;
    unsigned kept = 0;
    f.num_objects = 0;
    for (int i = 0; i < num; i++)
        if (ww_findings_add(&f, &(struct ww_object){.phrase = phrases[i], .score = 1 - 0.01f * (float)i},
                            boxes[i], 100, 100, nms))
            kept |= 1u << i;
    return kept;
}

static void test_nms(void)
{
    static const float boxes[][4] = {{10, 10, 30, 30}, {11, 10, 31, 30}, {20, 10, 40, 30}, {10, 10, 30, 30},
                                     {-40, -40, -1, -1}, {12, 10, 32, 30}};
    static const int phrases[] = {0, 0, 0, 1, 0, 1};
    CHECK_CMP(add(0, boxes, phrases, 6), ==, 0x2fu);    // only the one outside goes
    CHECK_CMP(add(1, boxes, phrases, 6), ==, 0x2fu);
    CHECK_CMP(add(0.5f, boxes, phrases, 6), ==, 0x0du); // of each phrase the best of what is one
    CHECK_CMP(add(0.3f, boxes, phrases, 6), ==, 0x09u); // 0.33 of the third is more
    CHECK_CMP(add(0.95f, boxes, phrases, 6), ==, 0x2fu);
    // What left the picture is compared by all of it, not by what is left.
    static const float edge[][4] = {{-30, 0, 10, 10}, {-10, 0, 10, 10}};
    CHECK_CMP(add(0.6f, edge, phrases, 2), ==, 3u);
}

static void test_room(void)
{
    static struct ww_findings f;
    f.num_objects = 0;
    for (int i = 0; i < WW_MAX_OBJECTS + 5; i++) {
        const float x = (float)(i % 10) * 9, y = (float)(i / 10) * 9;
        const float box[4] = {x, y, x + 5, y + 200};
        CHECK(ww_findings_add(&f, &(struct ww_object){.score = 1}, box, 99, 120, 0) ==
              (i < WW_MAX_OBJECTS));
    }
    CHECK_CMP(f.num_objects, ==, WW_MAX_OBJECTS);
    CHECK_NEAR((double)f.objects[7].x1, 68, 0);
    CHECK_NEAR((double)f.objects[7].y1, 120, 0);
    CHECK_NEAR((double)f.boxes[7][3], 200, 0);
}

static void test_written(void)
{
    static const struct {
        const char *text, *phrase; // NULL: refused
        double threshold;
    } cases[] = {
        {"a person", "a person", 0},          {"a person:0.4", "a person", 0.4},
        {"a person : .25", "a person", 0.25}, {"a:b:1.0", "a:b", 1},
        {"scale 1:20", "scale 1:20", 0},      {"10:30", "10:30", 0},
        {"a:", "a:", 0},                      {"a:.", "a:.", 0},
        {"a:0.4.5", "a:0.4.5", 0},            {"a:-0.4", "a:-0.4", 0},
        {"a:0.4x", "a:0.4x", 0},              {"a:0.", "a", 0},
        {"a:1.5", NULL, 0},                   {":0.5", NULL, 0},
        {" :0.5", NULL, 0},                   {"", "", 0},
        {"a:99999999999999999999999999999999999999999999999999.0", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        float threshold = -1;
        struct ww_error err = {0};
        check_about("%s", cases[i].text);
        snprintf(text, sizeof text, "%s", cases[i].text);
        const bool read = ww_phrase_threshold(text, &threshold, &err);
        CHECK(read == (cases[i].phrase != NULL));
        if (cases[i].phrase)
            CHECK_STR(text, cases[i].phrase);
        else
            CHECK_CMP(err.code, ==, WW_E_TEXT);
        if (cases[i].phrase)
            CHECK_NEAR((double)threshold, cases[i].threshold, 1e-7);
    }
}

int main(void)
{
    test_thresholds();
    test_iou();
    test_nms();
    test_room();
    test_written();
    return check_done();
}
