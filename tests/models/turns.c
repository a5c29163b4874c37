// A long look does not hold up the short ones of others, and they do not hold it up for ever.

#include "check.h"

#include <stdatomic.h>
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

static struct ww_watch *open_watch(struct ww_engine *engine, int size, ww_result_fn on_result)
{
    struct ww_error err = {0};
    struct ww_watch *watch = ww_watch_create(
        engine,
        ww_watch_params(.phrases = (const char *[]){"person"}, .num_phrases = 1, .input_size = size,
                        .on_result = on_result),
        &err);
    if (!CHECK(watch))
        printf("%s\n", err.text);
    for (int i = 0; watch && i < 2; i++) // the second tells how long a look takes
        CHECK(ww_watch_look(watch, &frame, &err));
    return watch;
}

// Offers both; returns how many of the quick one's results came before the long one's.
static int both(struct ww_watch *slow)
{
    num = 0;
    CHECK(ww_watch_offer(slow, &frame, NULL));
    CHECK(ww_watch_offer(quick, &frame, NULL));
    ww_watch_drain(slow);
    ww_watch_drain(quick);
    order[num] = 0;
    CHECK(!strchr(order, '?'));
    const char *end = strchr(order, 'L');
    return CHECK(end) ? (int)(end - order) : -1;
}

int main(void)
{
    static uint8_t pixels[W * H];
    struct ww_error err = {0};
    frame.plane[0] = pixels;
    struct ww_engine *engine = ww_engine_open(ww_engine_params(0), &err);
    if (!CHECK(engine)) {
        printf("%s\n", err.text);
        return check_done();
    }
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
    ww_engine_close(&engine);
    return check_done();
}
