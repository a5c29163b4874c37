// Words of a live watch: what nano makes of them, and how long another phrase takes. Skipped where
// all-MiniLM-L6-v2 is not installed: scripts/fetch-models does that.

#include "check.h"

#include <time.h>
#include <watchword/decode.h>
#include <watchword/models.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static const struct {
    const char *phrase, *meant, *by;
    bool sure;
    double likeness; // of the golden set; 1 for a name
} cases[] = {
    {"lorry", "truck", "meaning", false, 0.54398},
    {"pedestrian", "person", "meaning", false, 0.64813},
    {"automobile", "car", "meaning", true, 0.86453},
    {"red car", "car", "word", true, 0.72869},
    {"a person in a yellow vest", "person", "word", false, 0.38969},
    {" Person ", "person", "name", true, 1},
};

static void check_words(struct ww_watch *watch, const struct ww_frame *frame)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ww_error err = {0};
        check_about("'%s'", cases[i].phrase);
        const double begin = now_ms();
        const uint32_t revision = ww_watch_set_phrases(watch, &cases[i].phrase, NULL, 1, &err);
        const double took = now_ms() - begin;
        const struct ww_result *seen = ww_watch_look(watch, frame, &err);
        if (!CHECK(revision > 0 && seen && seen->revision == revision)) {
            printf("%s\n", err.text);
            continue;
        }
        if (!CHECK(seen->num_understood == 1))
            continue;
        const struct ww_understanding *u = seen->understood;
        printf("  %-26s %-8s by %-8s %.4f%s   %.1f ms\n", u->phrase, u->meant, u->by,
               (double)u->likeness, u->sure ? ", sure" : "", took);
        CHECK_STR(u->phrase, cases[i].phrase);
        CHECK_STR(u->meant, cases[i].meant);
        CHECK_STR(u->by, cases[i].by);
        CHECK(u->sure == cases[i].sure);
        CHECK_NEAR((double)u->likeness, cases[i].likeness, 2e-5);
    }
}

int main(void)
{
    struct ww_error err = {0};
    struct ww_frame frame;
    char path[4096], dir[4096];
    if (!ww_model_find("all-MiniLM-L6-v2", dir, sizeof dir, &err))
        check_skip("%s", err.text);
    snprintf(path, sizeof path, "%s/tests/models/nano/vtest200.centernet.png",
             getenv("WATCHWORD_SOURCE"));
    struct ww_reader *reader = ww_reader_open(path, &err);
    struct ww_engine *engine = ww_engine_open(ww_engine_params(.device = ""), &err);
    const char *first = "person", *crane = "construction crane";
    struct ww_watch *watch =
        engine ? ww_watch_create(engine,
                                 ww_watch_params(.model = "nano", .phrases = &first,
                                                 .num_phrases = 1, .input_size = 128),
                                 &err)
               : NULL;
    if (CHECK(reader && watch && ww_reader_next(reader, &frame, &err) == 1)) {
        check_words(watch, &frame);
        check_about("'%s'", crane);
        const uint32_t before = ww_watch_revision(watch);
        CHECK(ww_watch_set_phrases(watch, &crane, NULL, 1, &err) == 0 && err.code == WW_E_TEXT);
        CHECK_STR(err.text, "'construction crane' is nothing nano can see; nearest: kite 0.32; a "
                            "grounding model can");
        CHECK_CMP(ww_watch_revision(watch), ==, before); // the old words stay
    } else {
        printf("%s\n", err.text);
    }
    ww_watch_destroy(&watch);
    ww_engine_close(&engine);
    ww_reader_close(&reader);
    return check_done();
}
