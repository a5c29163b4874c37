// Words that change while a watch looks: the next result is of the new ones, what it finds is what a
// watch that was made with them finds, and unless there is no room for them nothing is recorded anew.

#include "check.h"

#include <watchword/decode.h>
#include <watchword/watch.h>

static char model[4096], picture[4096];

struct found {
    int num, captions;
    uint32_t revision;
    struct ww_object objects[100];
    char labels[100][64];
};

static bool look(struct ww_watch *watch, const struct ww_frame *frame, struct found *out)
{
    struct ww_error err = {0};
    const struct ww_result *r = ww_watch_look(watch, frame, &err);
    if (!CHECK(r && r->num_objects <= 100)) {
        printf("%s\n", err.text);
        return false;
    }
    out->num = r->num_objects;
    out->captions = r->num_captions;
    out->revision = r->revision;
    for (int i = 0; i < r->num_objects; i++) {
        out->objects[i] = r->objects[i];
        snprintf(out->labels[i], sizeof out->labels[i], "%s", r->objects[i].label);
    }
    return true;
}

static void compare(const struct found *a, const struct found *b)
{
    CHECK_CMP(a->num, ==, b->num);
    CHECK_CMP(a->num, >, 0);
    for (int i = 0; i < a->num && i < b->num; i++) {
        CHECK_STR(a->labels[i], b->labels[i]);
        CHECK(a->objects[i].score == b->objects[i].score && a->objects[i].x0 == b->objects[i].x0 &&
              a->objects[i].y1 == b->objects[i].y1);
    }
}

static struct ww_watch *create(struct ww_engine *engine, const char *const *phrases, int num)
{
    struct ww_error err = {0};
    struct ww_watch *watch = ww_watch_create(engine,
                                             ww_watch_params(.model = model, .task = WW_TASK_GROUND,
                                                             .phrases = phrases, .num_phrases = num,
                                                             .threshold = 0.3f),
                                             &err);
    if (!CHECK(watch != NULL))
        printf("%s\n", err.text);
    return watch;
}

static uint64_t recorded(struct ww_engine *engine)
{
    struct ww_engine_stats stats;
    ww_engine_stats(engine, &stats);
    return stats.plans_recorded;
}

// Changes the words of `watch` and looks; `plans` is how many recordings that takes.
static void change(struct ww_engine *engine, struct ww_watch *watch, const struct ww_frame *frame,
                   const char *const *phrases, int num, uint32_t revision, uint64_t plans)
{
    struct ww_error err = {0};
    static struct found now, fresh;
    const uint64_t before = recorded(engine);
    check_about("revision %u, '%s'", revision, phrases[0]);
    CHECK_CMP(ww_watch_set_phrases(watch, phrases, NULL, num, &err), ==, revision);
    if (!look(watch, frame, &now))
        return;
    CHECK_CMP(now.revision, ==, revision);
    CHECK_CMP(recorded(engine) - before, ==, plans);
    CHECK(num < 50 ? now.captions == 0 : now.captions > 1);
    struct ww_watch *other = create(engine, phrases, num);
    if (other && look(other, frame, &fresh))
        compare(&now, &fresh);
    ww_watch_destroy(&other);
}

// Each phrase has its own threshold where it was given one, and what remains is what was there before; they
// change without a new revision, for the words are the same. A text of two phrases gives its to both.
static void change_thresholds(struct ww_engine *engine, struct ww_watch *watch, const struct ww_frame *frame,
                              const char *const *phrases)
{
    static struct found all, some;
    struct ww_error err = {0};
    const uint64_t before = recorded(engine);
    check_about("thresholds");
    ww_watch_set_threshold(watch, 0.05f);
    if (!look(watch, frame, &all))
        return;
    float middle = 0; // of the second phrase: some of its objects are below
    for (int i = 0; i < all.num; i++)
        middle = all.objects[i].phrase == 1 && all.objects[i].score < 0.999f * all.objects[0].score
                     ? all.objects[i].score
                     : middle;
    middle *= 1.2f;
    CHECK_CMP(ww_watch_set_phrases(watch, phrases, (float[]){0, middle}, 2, &err), ==, all.revision);
    if (!look(watch, frame, &some))
        return;
    int want = 0, dropped = 0;
    for (int i = 0; i < all.num; i++) {
        const bool stays = all.objects[i].phrase == 0 || all.objects[i].score > middle;
        dropped += !stays;
        if (stays && want < some.num)
            CHECK(some.objects[want].score == all.objects[i].score &&
                  some.objects[want].phrase == all.objects[i].phrase);
        want += stays;
    }
    CHECK_CMP(dropped, >, 0);
    CHECK(some.num == want || all.num == 100); // what did not fit may come
    CHECK_CMP(some.revision, ==, all.revision);
    CHECK_CMP(recorded(engine), ==, before);

    const char *const text[] = {"a cat. a remote control."};
    CHECK_CMP(ww_watch_set_phrases(watch, text, (float[]){middle}, 1, &err), ==, all.revision);
    if (look(watch, frame, &some))
        for (int i = 0; i < some.num; i++)
            CHECK_CMP(some.objects[i].score, >, middle);
    CHECK(!ww_watch_set_phrases(watch, phrases, (float[]){0, 1.5f}, 2, &err) && err.code == WW_E_CONFIG);
    CHECK_HAS(err.text, "threshold 1.5 of 'a remote control'");
}

int main(void)
{
    struct ww_error err = {0};
    struct ww_frame frame;
    static const char *const first[] = {"a cat", "a remote control"};
    static const char *const second[] = {"silver spoon", "astronaut"};
    static char texts[90][16];
    const char *many[90];
    for (int i = 0; i < 90; i++) {
        snprintf(texts[i], sizeof texts[i], "cat %c%c", 'a' + i / 26, 'a' + i % 26);
        many[i] = texts[i];
    }
    snprintf(model, sizeof model, "%s/tests/models/grounding-dino/model", getenv("WATCHWORD_SOURCE"));
    snprintf(picture, sizeof picture, "%s/tests/models/grounding-dino/a-single/image0.ppm",
             getenv("WATCHWORD_SOURCE"));
    struct ww_engine *engine = ww_engine_open(ww_engine_params(0), &err);
    struct ww_reader *reader = engine ? ww_reader_open(picture, &err) : NULL;
    if (!CHECK(reader && ww_reader_next(reader, &frame, &err) == 1)) {
        printf("%s\n", err.text);
        return check_done();
    }
    struct ww_watch *watch = create(engine, first, 2);
    static struct found found;
    if (watch && look(watch, &frame, &found)) {
        CHECK_CMP(found.revision, ==, 1);
        CHECK_CMP(found.num, >, 0);
        change(engine, watch, &frame, second, 2, 2, 0);
        change(engine, watch, &frame, many, 90, 3, 1);
        change(engine, watch, &frame, first, 2, 4, 1);
        const char *const none[] = {"..."};
        check_about("no words");
        CHECK_CMP(ww_watch_set_phrases(watch, none, NULL, 1, &err), ==, 0);
        CHECK(strstr(err.text, "no words"));
        CHECK(look(watch, &frame, &found) && found.revision == 4); // the old ones stay
        change_thresholds(engine, watch, &frame, first);
    }
    ww_watch_destroy(&watch);
    ww_reader_close(&reader);
    ww_engine_close(&engine);
    return check_done();
}
