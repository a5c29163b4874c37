// The engine on a device that is lost, hangs or is full: a sentence says so, nothing leaks, and the
// next frames are looked at as if nothing had happened.

#include "faulty.h"

#include <time.h>
#include <watchword/language.h>

static void calm(void)
{
    strike(FAULT_MEMORY, 0, false);
}

static struct ww_watch *create(struct ww_engine *engine, struct ww_error *err)
{
    return ww_watch_create(engine,
                           ww_watch_params(.model = "nano", .task = WW_TASK_POSE, .input_size = 64,
                                           .phrases = (const char *[]){"person"}, .num_phrases = 1,
                                           .threshold = 0.01f),
                           err);
}

// What a first frame needs, from the watch on. False: something failed, and `err` says what.
static bool first_frame(struct ww_engine *engine, struct ww_error *err)
{
    *err = (struct ww_error){0};
    struct ww_watch *watch = create(engine, err);
    const bool ok = watch && look(watch, err);
    ww_watch_destroy(&watch);
    return ok;
}

static void check_full(bool ok, const struct ww_error *err)
{
    if (!faults->struck) {
        CHECK(ok);
        return;
    }
    CHECK(!ok);
    CHECK_CMP(err->code, ==, WW_E_MEMORY);
    CHECK_HAS(err->text, "out of memory");
}

// The Nth call that takes memory fails, for every N that there is: while the device is opened ...
static void check_opening(void)
{
    int n = 0;
    do {
        struct ww_error err = {0};
        check_about("opening, call %d", ++n);
        strike(FAULT_MEMORY, n, false);
        struct ww_engine *engine = ww_engine_open(NULL, &err);
        check_full(engine != NULL, &err);
        ww_engine_close(&engine);
        CHECK_CMP(faults->objects, ==, 0);
    } while (faults->struck);
    calm();
    printf("opening: %d calls\n", n - 1);
}

// ... from the model's weights to the end of the first frame; `lasting`: and all later ones, as when
// the device stays full ...
static void check_first_frame(struct ww_engine *engine, bool lasting)
{
    int n = 0;
    calm();
    const int before = faults->objects;
    do {
        struct ww_error err;
        check_about("first frame, call %d%s", ++n, lasting ? " and later" : "");
        strike(FAULT_MEMORY, n, lasting);
        check_full(first_frame(engine, &err), &err);
        CHECK_CMP(faults->objects, ==, before);
    } while (faults->struck);
    calm();
    printf("first frame%s: %d calls\n", lasting ? ", lasting" : "", n - 1);
}

// ... and while pipelines are made. Those made stay, so every time the second or third call fails. A watch
// that sees nothing keeps the model.
static void check_pipelines(struct ww_engine *engine)
{
    int n = 0;
    struct ww_error err;
    struct ww_watch *keeper = create(engine, &err);
    CHECK(keeper != NULL);
    do {
        check_about("pipelines, attempt %d", ++n);
        strike(FAULT_COMPILE, 3 + n % 2, false);
        check_full(first_frame(engine, &err), &err);
    } while (faults->struck);
    calm();
    ww_watch_destroy(&keeper);
    printf("pipelines: %d attempts\n", n - 1);
}

// Whoever watches over it sees that it waits for work, whatever came of the work before.
static void check_calm(struct ww_engine *engine)
{
    struct ww_engine_stats stats;
    for (int i = 0; ww_engine_stats(engine, &stats), stats.silent_ns && i < 100; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    CHECK_CMP(stats.silent_ns, ==, 0);
}

static uint64_t losses(struct ww_engine *engine)
{
    struct ww_engine_stats stats;
    ww_engine_stats(engine, &stats);
    return stats.device_losses;
}

// One look fails and says why; the next opens the device anew and sees what was seen before.
static void check_loss(struct ww_engine *engine, struct ww_watch *watch, enum fault kind, int at,
                       const char *words)
{
    struct ww_error err;
    check_about("%s", words);
    calm();
    const struct ww_result *result = look(watch, &err);
    if (!CHECK(result != NULL))
        return;
    const int num = result->num_objects;
    const struct ww_object first = num ? result->objects[0] : (struct ww_object){0};
    const uint64_t lost = losses(engine);

    strike(kind, at, false);
    result = look(watch, &err);
    for (int i = 1; result && i < at; i++)
        result = look(watch, &err);
    CHECK(!result);
    CHECK_CMP(err.code, ==, WW_E_DEVICE);
    CHECK_HAS(err.text, words);
    calm();
    // Not before a second has passed since it was last opened anew.
    for (int i = 0; !(result = look(watch, &err)) && i < 40; i++) {
        CHECK_CMP(err.code, ==, WW_E_DEVICE);
        CHECK_HAS(err.text, "could not be reopened yet");
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    CHECK_CMP(losses(engine), ==, lost + 1);
    if (!CHECK(result != NULL))
        return;
    CHECK_CMP(result->num_objects, ==, num);
    if (num && result->num_objects) {
        CHECK_NEAR(result->objects[0].x0, first.x0, 1e-4);
        CHECK_NEAR(result->objects[0].score, first.score, 1e-6);
    }
}

// While a lost device cannot be opened, others may ask for new words and new watches.
static void check_absence(struct ww_engine *engine, struct ww_watch *watch)
{
    struct ww_error err;
    check_about("absence");
    strike(FAULT_SUBMIT, 1, false);
    CHECK(!look(watch, &err));
    strike(FAULT_MEMORY, 1, true);
    CHECK(!look(watch, &err));
    CHECK_NEAR(ww_watch_threshold(watch), 0.01, 1e-6);
    CHECK(!ww_watch_set_phrases(watch, (const char *[]){"car"}, NULL, 1, &err));
    struct ww_watch *another = create(engine, &err);
    CHECK(!another);
    CHECK(err.code == WW_E_DEVICE || err.code == WW_E_MEMORY);
    ww_watch_destroy(&another);
    calm();
    for (int i = 0; !(another = create(engine, &err)) && i < 40; i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    CHECK(another && look(another, &err));
    CHECK(look(watch, &err) != NULL);
    ww_watch_destroy(&another);
}

// A frame in the middle of the stream fails for memory alone; the device is kept.
static void check_frame(struct ww_engine *engine, struct ww_watch *watch)
{
    struct ww_error err;
    check_about("a frame's submit");
    const uint64_t lost = losses(engine);
    CHECK(look(watch, &err) != NULL);
    strike(FAULT_MEMORY, 1, false);
    check_full(look(watch, &err) != NULL, &err);
    CHECK_CMP(faults->struck, ==, 1);
    check_calm(engine);
    CHECK(look(watch, &err) != NULL);
    check_calm(engine);
    CHECK_CMP(losses(engine), ==, lost);
}

struct told {
    uint32_t tokens[16];
    int num, strike_at; // which token a fault follows; 0: none
    enum fault kind;
};

static bool hear(void *opaque, uint32_t token, const char *text, size_t bytes)
{
    struct told *t = opaque;
    (void)text;
    (void)bytes;
    if (t->num < 16)
        t->tokens[t->num++] = token;
    if (t->num == t->strike_at)
        strike(t->kind, 1, false);
    return true;
}

static bool tell(struct ww_language *l, struct told *t, struct ww_error *err)
{
    static const uint32_t prompt[] = {1, 305, 265, 201, 43};
    struct ww_generated done;
    *err = (struct ww_error){0};
    return ww_language_generate(
        l, ww_generate_params(.prompt = prompt, .num_prompt = 5, .max_tokens = 12, .each = hear, .opaque = t),
        &done, err);
}

// A language model loses its device while it reads and while it speaks; it says so, and then goes on with
// the same words as before. A watch on the same device does, too.
static void check_language(struct ww_engine *engine, struct ww_watch *watch)
{
    char path[4096];
    struct ww_error err = {0};
    struct told before = {0};
    snprintf(path, sizeof path, "%s/tests/models/llama/gqa/model", getenv("WATCHWORD_SOURCE"));
    struct ww_language *l = ww_language_open(engine, ww_language_params(.model = path), &err);
    if (!CHECK(l && tell(l, &before, &err) && before.num == 12)) {
        printf("%s\n", err.text);
        return;
    }
    static const struct {
        enum fault kind;
        int strike_at;
    } cases[] = {{FAULT_SUBMIT, 0}, {FAULT_WAIT, 0}, {FAULT_SUBMIT, 4}, {FAULT_WAIT, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct told t = {.kind = cases[i].kind, .strike_at = cases[i].strike_at};
        check_about("language, case %zu", i);
        const uint64_t lost = losses(engine);
        if (!t.strike_at)
            strike(t.kind, 1, false);
        CHECK(!tell(l, &t, &err) && err.code == WW_E_DEVICE && t.num == t.strike_at);
        CHECK_HAS(err.text, "VK_ERROR_DEVICE_LOST");
        calm();
        bool ok = false;
        struct told again = {0};
        for (int k = 0; !(ok = tell(l, &again, &err)) && k < 40; k++) {
            CHECK_HAS(err.text, "could not be reopened yet");
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        }
        CHECK(ok && again.num == 12 && !memcmp(again.tokens, before.tokens, sizeof before.tokens));
        CHECK_CMP(losses(engine), ==, lost + 1);
        CHECK(look(watch, &err) != NULL);
    }
    // Lost by somebody else between two texts.
    strike(FAULT_SUBMIT, 1, false);
    CHECK(!look(watch, &err));
    calm();
    struct told last = {0};
    for (int k = 0; !tell(l, &last, &err) && k < 40; k++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    CHECK(last.num == 12 && !memcmp(last.tokens, before.tokens, sizeof before.tokens));
    // And closed while there is none.
    strike(FAULT_SUBMIT, 1, false);
    CHECK(!look(watch, &err));
    calm();
    ww_language_close(&l);
    for (int k = 0; !look(watch, &err) && k < 40; k++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

int main(void)
{
    struct ww_error err = {0};
    struct ww_engine *engine = open_faulty_engine();
    if (!engine)
        return check_done();
    check_pipelines(engine);
    check_first_frame(engine, false);
    check_first_frame(engine, true);
    struct ww_watch *watch = create(engine, &err);
    if (CHECK(watch != NULL)) {
        check_frame(engine, watch);
        check_loss(engine, watch, FAULT_SUBMIT, 1, "vkQueueSubmit: VK_ERROR_DEVICE_LOST");
        check_loss(engine, watch, FAULT_WAIT, 1, "VK_ERROR_DEVICE_LOST");
        check_loss(engine, watch, FAULT_SUBMIT, 5, "vkQueueSubmit: VK_ERROR_DEVICE_LOST");
        check_absence(engine, watch);
        check_language(engine, watch);
    }
    ww_watch_destroy(&watch);
    ww_engine_close(&engine);
    check_about("closed");
    CHECK_CMP(faults->objects, ==, 0);
    check_opening();

    // What a hanging device holds cannot be freed, so this comes last.
    engine = ww_engine_open(NULL, &err);
    watch = engine ? create(engine, &err) : NULL;
    if (CHECK(watch != NULL)) {
        check_loss(engine, watch, FAULT_HANG, 1, "the device did not finish within");
        check_loss(engine, watch, FAULT_STARVE, 1, "vkWaitSemaphores: VK_ERROR_OUT_OF_HOST_MEMORY");
    }
    ww_watch_destroy(&watch);
    ww_engine_close(&engine);
    return check_done();
}
