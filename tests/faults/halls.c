// Streams that share a hall on a device that is full for a while: they are looked at all the same, and together
// again as soon as there is memory for it. Nothing is tried again with every frame.

#include "faulty.h"

#include <time.h>

enum { MAX = 100 };
static char model[4096];
static struct ww_engine *engine;

static struct ww_watch *create(void)
{
    struct ww_error err = {0};
    struct ww_watch *watch = ww_watch_create(
        engine,
        ww_watch_params(.model = model, .task = WW_TASK_GROUND, .phrases = (const char *[]){"a cat"},
                        .num_phrases = 1, .threshold = 0.01f, .batch = 4, .input_width = 160,
                        .input_height = 120),
        &err);
    if (!CHECK(watch != NULL))
        printf("%s\n", err.text);
    return watch;
}

static struct ww_object first[MAX];
static int num_first;

// What it finds is, bit by bit, what the first of all looks found.
static void check_look(struct ww_watch *watch)
{
    struct ww_error err;
    const struct ww_result *r = look(watch, &err);
    if (!CHECK(r != NULL)) {
        printf("%s\n", err.text);
        return;
    }
    if (!num_first) {
        num_first = r->num_objects;
        memcpy(first, r->objects, sizeof *first * (size_t)num_first);
        CHECK_CMP(num_first, >, 0);
    }
    CHECK_CMP(r->num_objects, ==, num_first);
    for (int i = 0; i < num_first && i < r->num_objects; i++) {
        const struct ww_object *a = &first[i], *b = &r->objects[i];
        CHECK(a->score == b->score && a->x0 == b->x0 && a->y0 == b->y0 && a->x1 == b->x1 && a->y1 == b->y1);
    }
}

static uint64_t recorded(void)
{
    struct ww_engine_stats stats;
    ww_engine_stats(engine, &stats);
    return stats.plans_recorded;
}

// Some frames of each, for which `plans` are recorded in all.
static void check_looks(struct ww_watch *const *watches, int num, uint64_t plans)
{
    const uint64_t before = recorded();
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < num; i++)
            check_look(watches[i]);
    CHECK_CMP(recorded() - before, ==, plans);
}

static void check_growing(struct ww_watch *watches[4], struct ww_watch **other)
{
    struct ww_error err;
    check_about("the first");
    check_looks(watches, 1, 1);

    check_about("no memory for the second");
    strike(FAULT_MEMORY, 1, false);
    check_look(watches[1]);
    CHECK_CMP(faults->struck, ==, 1);
    strike(FAULT_MEMORY, 0, false);
    check_looks(watches, 2, 0);

    check_about("another model went");
    ww_watch_destroy(other);
    check_looks(watches, 2, 1);

    check_about("no memory for the third, nor for his seat");
    strike(FAULT_MEMORY, 1, true);
    CHECK(!look(watches[2], &err) && err.code == WW_E_MEMORY);
    CHECK_CMP(faults->struck, >, 1); // the hall, and the seat
    for (int i = 0; i < 3; i++) {
        strike(FAULT_MEMORY, 1, true);
        CHECK(!look(watches[2], &err) && err.code == WW_E_MEMORY);
        CHECK_CMP(faults->struck, ==, 0); // nothing was tried
    }
    strike(FAULT_MEMORY, 0, false);
    CHECK(!look(watches[2], &err) && err.code == WW_E_MEMORY);
    check_looks(watches, 2, 0);
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    check_looks(watches, 3, 0);

    check_about("the fourth");
    check_looks(watches, 4, 1);

    check_about("no memory for a fifth, until the fourth leaves");
    struct ww_watch *fourth = watches[3];
    watches[3] = create();
    strike(FAULT_MEMORY, 1, true);
    CHECK(!look(watches[3], &err) && err.code == WW_E_MEMORY);
    strike(FAULT_MEMORY, 0, false);
    CHECK(!look(watches[3], &err) && err.code == WW_E_MEMORY);
    ww_watch_destroy(&fourth);
    check_looks(watches, 4, 0);

    check_about("leaving");
    ww_watch_destroy(&watches[3]);
    check_looks(watches, 3, 0);
}

int main(void)
{
    struct ww_error err = {0};
    snprintf(model, sizeof model, "%s/tests/models/grounding-dino/model", getenv("WATCHWORD_SOURCE"));
    engine = open_faulty_engine();
    if (!engine)
        return check_done();
    struct ww_watch *other = ww_watch_create(
        engine,
        ww_watch_params(.model = "nano", .task = WW_TASK_POSE, .input_size = 64,
                        .phrases = (const char *[]){"person"}, .num_phrases = 1),
        &err);
    struct ww_watch *watches[4];
    for (int i = 0; i < 4; i++)
        watches[i] = create();
    if (CHECK(other && look(other, &err) && watches[3]))
        check_growing(watches, &other);
    for (int i = 0; i < 4; i++)
        ww_watch_destroy(&watches[i]);
    ww_watch_destroy(&other);
    ww_engine_close(&engine);
    check_about("closed");
    CHECK_CMP(faults->objects, ==, 0);
    return check_done();
}
