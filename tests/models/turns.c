// A long look does not hold up the short ones of others, and they do not hold it up for ever. And what waits
// comes in order as long as the device keeps up, else the newest comes first. Nor does who is made ready hold up
// who was.

#include "check.h"

#include <stdatomic.h>
#include <time.h>
#include <watchword/watch.h>

enum { W = 320, H = 240, MANY = 1000 };

static struct ww_frame frame = {.format = WW_FORMAT_GRAY8, .width = W, .height = H, .stride = {W}};
static struct ww_watch *quick;
static char order[MANY + 2]; // the engine's thread writes; read after a drain
static atomic_int num, again; // how often the quick one shall be offered from its own results

static void on_long(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    (void)opaque, (void)err;
    order[num++] = result ? 'L' : '?';
    again = 0;
}

static void on_quick(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    (void)opaque, (void)err;
    order[num++] = result ? 'q' : '?';
    if (again > 0) {
        again--;
        ww_watch_offer(quick, &frame, NULL);
    }
}

static struct ww_watch *create(struct ww_engine *engine, enum ww_task task, int size, ww_result_fn on_result)
{
    struct ww_error err = {0};
    struct ww_watch *watch = ww_watch_create(
        engine,
        ww_watch_params(.task = task, .phrases = (const char *[]){"person"}, .num_phrases = 1,
                        .input_size = size, .on_result = on_result),
        &err);
    if (!CHECK(watch))
        printf("%s\n", err.text);
    return watch;
}

static struct ww_watch *open_watch(struct ww_engine *engine, int size, ww_result_fn on_result)
{
    struct ww_error err = {0};
    struct ww_watch *watch = create(engine, WW_TASK_DETECT, size, on_result);
    for (int i = 0; watch && i < 2; i++) // the second tells how long a look takes
        CHECK(ww_watch_look(watch, &frame, &err));
    return watch;
}

// How many of the quick one's results came before the long one's, when both are there.
static int count_quick(struct ww_watch *slow)
{
    ww_watch_drain(slow);
    ww_watch_drain(quick);
    order[num] = 0;
    CHECK(!strchr(order, '?'));
    const char *end = strchr(order, 'L');
    return CHECK(end) ? (int)(end - order) : -1;
}

static int both(struct ww_watch *slow)
{
    num = 0;
    CHECK(ww_watch_offer(slow, &frame, NULL));
    CHECK(ww_watch_offer(quick, &frame, NULL));
    return count_quick(slow);
}

// Frames of numbers 0, 1, ... of which the first is held until all were offered.
static atomic_bool hold, held;
static char seen[16]; // their numbers; the engine's thread writes, read after a drain

static void rest_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void on_held(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    (void)opaque, (void)err;
    const size_t length = strlen(seen);
    seen[length] = result ? (char)('0' + result->index) : '?';
    seen[length + 1] = 0;
    held = true;
    while (hold)
        rest_ms(1);
}

// Offers `count` frames after the first, the last of them `pause_ms` after the one before. False: this machine was
// too slow to tell.
static bool offer_while_held(struct ww_watch *watch, int count, int pause_ms)
{
    struct ww_frame one = frame;
    seen[0] = 0;
    held = false;
    hold = true;
    one.index = 0;
    CHECK(ww_watch_offer(watch, &one, NULL));
    while (!held)
        rest_ms(1);
    const double begin = now_ms();
    for (one.index = 1; one.index <= (uint64_t)count; one.index++) {
        if (one.index == (uint64_t)count)
            rest_ms(pause_ms);
        CHECK(ww_watch_offer(watch, &one, NULL));
    }
    const bool quick_enough = now_ms() - begin < pause_ms + 100;
    hold = false;
    ww_watch_drain(watch);
    return quick_enough;
}

static void check_order(struct ww_engine *engine)
{
    static const struct {
        int count, pause_ms, replaced;
        const char *seen;
    } cases[] = {
        {4, 0, 0, "01234"}, // four may wait
        {5, 0, 4, "05"},    // not five: it is behind
        {6, 0, 5, "06"},    // and stays behind
        {3, 0, 0, "0123"},  // until none waits
        {2, 200, 1, "02"},  // none waits longer than 150 ms when the next comes
        {1, 200, 0, "01"},
    };
    struct ww_watch *watch = open_watch(engine, 96, on_held);
    for (size_t i = 0; watch && i < sizeof cases / sizeof *cases; i++) {
        struct ww_watch_stats before, after;
        bool sure = false;
        for (int attempt = 0; attempt < 20 && !sure; attempt++) {
            ww_watch_stats(watch, &before);
            sure = offer_while_held(watch, cases[i].count, cases[i].pause_ms);
            ww_watch_stats(watch, &after);
        }
        check_about("%d frames, the last after %d ms", cases[i].count, cases[i].pause_ms);
        CHECK(sure);
        CHECK_STR(seen, cases[i].seen);
        CHECK_CMP(after.replaced - before.replaced, ==, (uint64_t)cases[i].replaced);
    }
    ww_watch_destroy(&watch);
}

static struct ww_engine *open_engine(void)
{
    struct ww_error err = {0};
    struct ww_engine *engine = ww_engine_open(ww_engine_params(0), &err);
    if (!CHECK(engine))
        printf("%s\n", err.text);
    return engine;
}

static bool compiles(struct ww_engine *engine)
{
    char text[200];
    ww_engine_activity(engine, text, sizeof text);
    return !strncmp(text, "compiling", 9);
}

// While kernels are compiled for one watch, others are served.
static void check_compiling(void)
{
    struct ww_device_info device;
    check_about("compiling");
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 1); // or there is nothing to compile here
    struct ww_engine *engine = open_engine();
    if (!engine)
        return;
    ww_engine_device(engine, &device);
    quick = open_watch(engine, 96, on_quick);
    struct ww_watch *cold = create(engine, WW_TASK_POSE, 96, on_long);
    if (quick && cold && strcmp(device.kind, "reference")) { // which compiles nothing
        num = again = 0;
        CHECK(ww_watch_offer(cold, &frame, NULL));
        while (!num && !compiles(engine))
            rest_ms(1);
        again = MANY - 2;
        CHECK(ww_watch_offer(quick, &frame, NULL));
        const int before = count_quick(cold);
        printf("  %d quick looks while kernels were compiled\n", before);
        CHECK_CMP(before, >=, 2);
    }
    ww_watch_destroy(&cold);
    ww_watch_destroy(&quick);
    ww_engine_close(&engine);
}

int main(void)
{
    static uint8_t pixels[W * H];
    frame.plane[0] = pixels;
    struct ww_engine *engine = open_engine();
    if (!engine)
        return check_done();
    struct ww_watch *slow = open_watch(engine, 1536, on_long);
    quick = open_watch(engine, 96, on_quick);
    if (slow && quick) {
        CHECK_CMP(both(slow), >=, 1);
        again = MANY - 2;
        const int before = both(slow);
        printf("  %d quick looks during a long one\n", before);
        CHECK_CMP(before, >=, 2);
        CHECK_CMP(before, <, MANY - 2);
    }
    ww_watch_destroy(&slow);
    ww_watch_destroy(&quick);
    check_order(engine);
    ww_engine_close(&engine);
    check_compiling();
    return check_done();
}
