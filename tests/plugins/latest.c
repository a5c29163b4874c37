// wwinfer that never waits (mode=latest): results ride on later buffers, and nothing is lost, held
// up or kept.

#include <unistd.h>

#include "rig.h"

#define TINY "wwinfer mode=latest input-width=64 input-height=64 "

// Lets the engine finish what it has.
static void settle_quickly(struct rig *r)
{
    for (int i = 0; i < 60000; i++) {
        guint64 offered = rig_stat(r, "offered");
        if (rig_stat(r, "processed") + rig_stat(r, "replaced") + rig_stat(r, "failed") == offered)
            break;
        g_usleep(500);
    }
}

// The same, and its messages are posted.
static void settle(struct rig *r)
{
    settle_quickly(r);
    g_usleep(20000);
}

// The last result's message, after all others; NULL if there is none.
static GstStructure *last_result(struct rig *r, int *num)
{
    GstStructure *last = NULL, *next;
    for (*num = 0; (next = rig_result(r, 0)); ++*num) {
        if (last) {
            CHECK_CMP(rig_u64(last, "index"), <, rig_u64(next, "index"));
            gst_structure_free(last);
        }
        last = next;
    }
    return last;
}

// A result comes with the buffer after it, and names the frame it is of.
static void test_ride(void)
{
    GstSample *people = rig_people("I420", 256, 192);
    struct rig r = rig_open(SMALL "mode=latest", "I420", 256, 192);
    GstBuffer *out = rig_pass(&r, rig_pixels(people));
    CHECK(rig_mark(out) == NULL);
    gst_buffer_unref(out);
    settle(&r);
    GstStructure *s = rig_result(&r, 5);
    out = rig_pass(&r, rig_grey("I420", 256, 192));
    const GstStructure *mark = rig_mark(out);
    if (CHECK(mark != NULL) && CHECK(s != NULL)) {
        CHECK_CMP(rig_u64(mark, "index"), ==, 0);
        CHECK_CMP(rig_u64(mark, "pts"), ==, 0);
        CHECK_CMP(rig_u64(s, "index"), ==, 0);
        CHECK_CMP(rig_u64(s, "running-time"), ==, 0);
        CHECK_CMP(rig_num_objects(s), >=, 1);
        guint n = gst_buffer_get_n_meta(out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
        CHECK_CMP(n, ==, rig_num_objects(s));
        GstVideoRegionOfInterestMeta *region = gst_buffer_get_video_region_of_interest_meta(out);
        const GstStructure *param =
            gst_video_region_of_interest_meta_get_param(region, "watchword");
        if (CHECK(param != NULL)) // the copy has the parameters, too
            CHECK_NEAR(rig_number(param, "box", 2), rig_number(rig_object(s, 0), "box", 2), 400);
    }
    if (s)
        gst_structure_free(s);
    gst_buffer_unref(out);
    settle(&r);
    out = rig_pass(&r, rig_grey("I420", 256, 192));
    mark = rig_mark(out);
    if (CHECK(mark != NULL))
        CHECK_CMP(rig_u64(mark, "index"), ==, 1);
    gst_buffer_unref(out);
    rig_close(&r);
    gst_sample_unref(people);
}

// A stream as fast as it can be: no buffer waits, those that are not looked at are counted, and the
// very last one has its message before the end of the stream.
static void test_flood(void)
{
    enum { FRAMES = 400 };
    GstSample *people = rig_people("I420", 256, 192);
    struct rig r = rig_open(SMALL "mode=latest", "I420", 256, 192);
    GstBuffer *pixels = rig_pixels(people);
    gst_buffer_unref(rig_pass(&r, gst_buffer_copy(pixels)));
    settle(&r); // the first frame prepares the device
    gint64 begin_us = g_get_monotonic_time(), longest_us = 0;
    for (int i = 1; i < FRAMES; i++) {
        gint64 push_us = g_get_monotonic_time();
        rig_push(&r, gst_buffer_copy(pixels)); // one memory for all of them
        longest_us = MAX(longest_us, g_get_monotonic_time() - push_us);
    }
    gint64 took_us = g_get_monotonic_time() - begin_us;
    CHECK(gst_harness_push_event(r.harness, gst_event_new_eos()));
    CHECK_CMP(gst_harness_buffers_in_queue(r.harness), ==, FRAMES - 1);

    int num_results;
    GstStructure *last = last_result(&r, &num_results); // no waiting: they are there already
    if (CHECK(last != NULL)) {
        CHECK_CMP(rig_u64(last, "index"), ==, FRAMES - 1);
        gint64 blocking_us = (gint64)rig_u64(last, "infer-ns") / 1000 * FRAMES;
        printf(
            "%d frames in %.1f ms, the longest push %.1f ms; to look at all would take %.1f ms\n",
            FRAMES, (double)took_us / 1e3, (double)longest_us / 1e3, (double)blocking_us / 1e3);
        CHECK_CMP(took_us, <, blocking_us / 2);
        gst_structure_free(last);
    }
    CHECK_CMP(rig_stat(&r, "offered"), ==, FRAMES);
    CHECK_CMP(rig_stat(&r, "processed"), ==, num_results);
    CHECK_CMP(rig_stat(&r, "replaced"), ==, FRAMES - num_results);
    GstEvent *event;
    while ((event = gst_harness_pull_event(r.harness)) && GST_EVENT_TYPE(event) != GST_EVENT_EOS)
        gst_event_unref(event);
    if (CHECK(event != NULL))
        gst_event_unref(event);
    gst_buffer_unref(pixels);
    rig_close(&r);
    gst_sample_unref(people);
}

// Frames that came to nothing are told in a QoS message.
static void test_qos(void)
{
    struct rig r = rig_open(SMALL "mode=latest", "I420", 256, 192);
    for (int i = 0; i < 50; i++)
        gst_buffer_unref(rig_pass(&r, rig_grey("I420", 256, 192)));
    CHECK(gst_harness_push_event(r.harness, gst_event_new_eos()));
    GstMessage *message, *last = NULL;
    int num_messages = 0;
    while ((message = gst_bus_pop_filtered(r.bus, GST_MESSAGE_QOS))) {
        if (last)
            gst_message_unref(last);
        last = message;
        num_messages++;
    }
    if (CHECK(last != NULL)) {
        GstFormat format;
        guint64 processed, dropped;
        gst_message_parse_qos_stats(last, &format, &processed, &dropped);
        CHECK_CMP(format, ==, GST_FORMAT_BUFFERS);
        CHECK_CMP(processed, ==, rig_stat(&r, "processed"));
        CHECK_CMP(dropped, ==, rig_stat(&r, "replaced"));
        CHECK_CMP(dropped, >, 0);
        CHECK_CMP(num_messages, <, 10);
        gst_message_unref(last);
    }
    rig_close(&r);
}

// What was with the engine when a flush came is neither posted nor attached.
static void test_flush(void)
{
    struct rig r = rig_open(TINY, "I420", 64, 48);
    for (int i = 0; i < 30; i++) {
        rig_push(&r, rig_grey("I420", 64, 48));
        gst_buffer_unref(gst_harness_pull(r.harness));
        CHECK(gst_harness_push_event(r.harness, gst_event_new_flush_start()));
        CHECK(gst_harness_push_event(r.harness, gst_event_new_flush_stop(TRUE)));
        GstSegment segment;
        gst_segment_init(&segment, GST_FORMAT_TIME);
        CHECK(gst_harness_push_event(r.harness, gst_event_new_segment(&segment)));
        if (i % 3 == 0)
            settle(&r);
        GstBuffer *out = rig_pass(&r, rig_grey("I420", 64, 48));
        CHECK(rig_mark(out) == NULL);
        gst_buffer_unref(out);
    }
    settle(&r);
    GstBuffer *out = rig_pass(&r, rig_grey("I420", 64, 48));
    if (CHECK(rig_mark(out) != NULL))
        CHECK_CMP(rig_u64(rig_mark(out), "index"), ==, 59);
    gst_buffer_unref(out);
    rig_close(&r);
}

static void test_new_stream(void)
{
    struct rig r = rig_open(TINY, "I420", 64, 48);
    for (int i = 0; i < 5; i++)
        gst_buffer_unref(rig_pass(&r, rig_grey("I420", 64, 48)));
    CHECK(gst_harness_push_event(r.harness, gst_event_new_stream_start("second")));
    gst_harness_set_src_caps(r.harness, rig_caps("RGB", 33, 17));
    int n;
    GstStructure *s = last_result(&r, &n);
    if (CHECK(s != NULL)) {
        CHECK_CMP(rig_u64(s, "index"), ==, 4); // told before the new stream begins
        gst_structure_free(s);
    }
    GstBuffer *out = rig_pass(&r, rig_grey("RGB", 33, 17));
    CHECK(rig_mark(out) == NULL);
    gst_buffer_unref(out);
    settle(&r);
    s = rig_result(&r, 5);
    if (CHECK(s != NULL)) {
        CHECK_CMP(rig_u64(s, "index"), ==, 0);
        CHECK_CMP(rig_int(s, "width"), ==, 33);
        gst_structure_free(s);
    }
    rig_close(&r);
}

// An element that writes does not write into what the engine reads.
static void test_overlay_behind(void)
{
    GstSample *people = rig_people("I420", 256, 192);
    struct rig r = rig_open(SMALL "mode=latest ! wwoverlay", "I420", 256, 192);
    GstBuffer *first = NULL;
    for (int i = 0; i < 20; i++) {
        GstBuffer *in = rig_pixels(people);
        if (i == 0)
            first = gst_buffer_ref(in);
        gst_buffer_unref(rig_pass(&r, in));
        g_usleep(20000);
    }
    GstMapInfo a, b;
    gst_buffer_map(first, &a, GST_MAP_READ);
    gst_buffer_map(gst_sample_get_buffer(people), &b, GST_MAP_READ);
    CHECK(memcmp(a.data, b.data, a.size) == 0);
    gst_buffer_unmap(first, &a);
    gst_buffer_unmap(gst_sample_get_buffer(people), &b);
    gst_buffer_unref(first);
    rig_close(&r);
    gst_sample_unref(people);
}

static void test_latency(void)
{
    struct rig r = rig_open(TINY, "I420", 64, 48);
    gst_harness_set_upstream_latency(r.harness, 20 * GST_MSECOND);
    for (int i = 0; i < 5; i++) {
        gst_buffer_unref(rig_pass(&r, rig_grey("I420", 64, 48)));
        settle(&r);
    }
    CHECK_CMP(gst_harness_query_latency(r.harness), ==, 20 * GST_MSECOND);
    rig_close(&r);
}

static void count_down(gpointer alive, GstMiniObject *where)
{
    (void)where;
    g_atomic_int_add((gint *)alive, -1);
}

// Stopped in the middle, again and again: every buffer is given back.
static void test_stop(int times)
{
    gint alive = 0;
    for (int i = 0; i < times; i++) {
        struct rig r = rig_open(TINY, "I420", 64, 48);
        for (int k = 0; k < 4; k++) {
            GstBuffer *buffer = rig_grey("I420", 64, 48);
            g_atomic_int_inc(&alive);
            gst_mini_object_weak_ref(GST_MINI_OBJECT(buffer), count_down, &alive);
            rig_push(&r, buffer);
        }
        rig_close(&r);
    }
    CHECK_CMP(g_atomic_int_get(&alive), ==, 0);
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

// Ten thousand buffers. After the first two thousand the process grows no more: what leaks grows in
// both halves of the rest; a step in one of them is the allocator's, which takes memory by megabytes.
// The address sanitizer keeps freed memory for a while, but sees what nobody frees with fewer.
#if defined(__SANITIZE_ADDRESS__)
enum { FRAMES = 500 };
#else
enum { FRAMES = 10000 };
#endif

static void test_growth(void)
{
    enum { WARM = FRAMES / 5, HALF = (FRAMES - WARM) / 2 };
    gint alive = 0;
    long kib[3] = {0};
    struct rig r = rig_open(TINY "! wwoverlay", "NV12", 64, 48);
    for (int i = 0; i < FRAMES; i++) {
        GstBuffer *buffer = rig_grey("NV12", 64, 48);
        g_atomic_int_inc(&alive);
        gst_mini_object_weak_ref(GST_MINI_OBJECT(buffer), count_down, &alive);
        gst_buffer_unref(rig_pass(&r, buffer));
        GstEvent *event;
        while ((event = gst_harness_try_pull_event(r.harness)))
            gst_event_unref(event);
        GstMessage *message;
        while ((message = gst_bus_pop(r.bus)))
            gst_message_unref(message);
        if (i % 10 == 0) // one in ten is looked at, the others hurry past
            settle_quickly(&r);
        if (i >= WARM - 1 && (i + 1 - WARM) % HALF == 0)
            kib[(i + 1 - WARM) / HALF] = resident_kib();
    }
    const long first = kib[1] - kib[0], second = kib[2] - kib[1];
    printf("twice %d frames: resident memory grew by %ld and %ld KiB\n", HALF, first, second);
    CHECK(gst_harness_push_event(r.harness, gst_event_new_eos()));
#if !defined(__SANITIZE_ADDRESS__)
    CHECK_CMP(MIN(first, second), <, 512);
#endif
    rig_close(&r);
    CHECK_CMP(g_atomic_int_get(&alive), ==, 0);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    GstElement *keeper = rig_keep_engine();
    test_ride();
    test_flood();
    test_qos();
    test_flush();
    test_new_stream();
    test_overlay_behind();
    test_latency();
    test_stop(10); // while frames are looked at
    rig_let_go(keeper);
    test_stop(4); // while the device is made ready for them
    test_growth();
    return check_done();
}
