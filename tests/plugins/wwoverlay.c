// wwoverlay draws what metadata says, and only where it may write.

#include <check.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include "sanitize.h"

enum { WIDTH = 160, HEIGHT = 120 };

static GstHarness *create(const char *launch, const char *format, int width, int height)
{
    GstHarness *h = gst_harness_new_parse(launch);
    char *caps = g_strdup_printf("video/x-raw,format=%s,width=%d,height=%d,framerate=10/1", format,
                                 width, height);
    gst_harness_set_src_caps_str(h, caps);
    g_free(caps);
    return h;
}

// A black picture (in RGB), the i-th of a stream at ten frames a second.
static GstBuffer *picture(size_t bytes, int i)
{
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, bytes, NULL);
    gst_buffer_memset(buffer, 0, 0, bytes);
    GST_BUFFER_PTS(buffer) = (GstClockTime)i * 100 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 100 * GST_MSECOND;
    return buffer;
}

static GstVideoRegionOfInterestMeta *add_region(GstBuffer *buffer, guint x, guint y, guint w,
                                                guint h)
{
    return gst_buffer_add_video_region_of_interest_meta(buffer, "person", x, y, w, h);
}

static int brightness(GstBuffer *buffer, int x, int y)
{
    uint8_t rgb[3] = {0};
    gst_buffer_extract(buffer, (gsize)(y * WIDTH * 3 + 3 * x), rgb, 3);
    return rgb[0] + rgb[1] + rgb[2];
}

static bool is_black(GstBuffer *buffer)
{
    GstMapInfo map;
    gst_buffer_map(buffer, &map, GST_MAP_READ);
    bool black = true;
    for (gsize i = 0; i < map.size && black; i++)
        black = map.data[i] == 0;
    gst_buffer_unmap(buffer, &map);
    return black;
}

static GstBuffer *pass(GstHarness *h, GstBuffer *buffer)
{
    CHECK_CMP(gst_harness_push(h, buffer), ==, GST_FLOW_OK);
    GstBuffer *out = gst_harness_pull(h);
    CHECK(out != NULL);
    return out;
}

static void test_region(void)
{
    GstHarness *h =
        create("wwoverlay line-width=4 labels=false scores=false", "RGB", WIDTH, HEIGHT);
    GstBuffer *in = picture(WIDTH * HEIGHT * 3, 0);
    add_region(in, 20, 30, 40, 60);
    GstBuffer *out = pass(h, in);
    static const int on[][2] = {{20, 30}, {59, 30}, {20, 89}, {59, 89},
                                {40, 33}, {23, 60}, {56, 60}};
    static const int off[][2] = {{19, 60}, {40, 29}, {60, 60}, {40, 90},
                                 {24, 60}, {55, 60}, {40, 34}};
    for (int i = 0; i < 7; i++) {
        check_about("point %d", i);
        CHECK_CMP(brightness(out, on[i][0], on[i][1]), >, 200);
        CHECK_CMP(brightness(out, off[i][0], off[i][1]), ==, 0);
    }
    check_about("%s", "");
    gst_buffer_unref(out);

    out = pass(h, picture(WIDTH * HEIGHT * 3, 20)); // two seconds later nothing is held
    CHECK(is_black(out));
    gst_buffer_unref(out);
    gst_harness_teardown(h);
}

// A picture that others see too is copied, not written over; one that is ours is drawn on as it is.
static void test_shared(void)
{
    GstHarness *h = create("wwoverlay", "RGB", WIDTH, HEIGHT);
    GstBuffer *in = picture(WIDTH * HEIGHT * 3, 0);
    add_region(in, 20, 30, 40, 60);
    gst_buffer_ref(in);
    GstBuffer *out = pass(h, in);
    CHECK(is_black(in));
    CHECK(!is_black(out));
    gst_buffer_unref(in);
    gst_buffer_unref(out);

    in = picture(WIDTH * HEIGHT * 3, 1);
    add_region(in, 20, 30, 40, 60);
    GstMemory *memory = gst_buffer_peek_memory(in, 0);
    out = pass(h, in);
    CHECK(gst_buffer_peek_memory(out, 0) == memory);
    CHECK(!is_black(out));
    gst_buffer_unref(out);
    gst_harness_teardown(h);
}

// A result is held for a while, until another comes, the stream jumps, or the pictures change.
static void test_hold(void)
{
    const size_t bytes = WIDTH * HEIGHT * 3;
    GstHarness *h = create("wwoverlay hold=300", "RGB", WIDTH, HEIGHT);
    for (int i = 0; i < 8; i++) {
        GstBuffer *in = picture(bytes, i);
        if (i == 0)
            add_region(in, 20, 30, 40, 60);
        GstBuffer *out = pass(h, in);
        check_about("frame %d", i);
        CHECK_CMP(is_black(out), ==, i > 3);
        gst_buffer_unref(out);
    }
    check_about("%s", "");
    GstBuffer *in = picture(bytes, 10), *out;
    add_region(in, 20, 30, 40, 60);
    gst_buffer_unref(pass(h, in));
    in = picture(bytes, 11);
    gst_buffer_add_custom_meta(in, "WatchwordResult"); // somebody looked and saw nothing
    out = pass(h, in);
    CHECK(is_black(out));
    gst_buffer_unref(out);

    in = picture(bytes, 12);
    add_region(in, 20, 30, 40, 60);
    gst_buffer_unref(pass(h, in));
    CHECK(gst_harness_push_event(h, gst_event_new_flush_start()));
    CHECK(gst_harness_push_event(h, gst_event_new_flush_stop(TRUE)));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    CHECK(gst_harness_push_event(h, gst_event_new_segment(&segment)));
    out = pass(h, picture(bytes, 12));
    CHECK(is_black(out));
    gst_buffer_unref(out);

    in = picture(bytes, 13);
    add_region(in, 20, 30, 40, 60);
    gst_buffer_unref(pass(h, in));
    gst_harness_set_src_caps_str(h, "video/x-raw,format=RGB,width=32,height=16,framerate=10/1");
    out = pass(h, picture(32 * 16 * 3, 13));
    CHECK(is_black(out));
    gst_buffer_unref(out);
    gst_harness_teardown(h);
}

static void append(GValue *list, double number)
{
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_DOUBLE);
    g_value_set_double(&value, number);
    gst_value_array_append_and_take_value(list, &value);
}

static void set_numbers(GstStructure *s, const char *field, const double *numbers, int n)
{
    GValue list = G_VALUE_INIT;
    gst_value_array_init(&list, (guint)n);
    for (int i = 0; i < n; i++)
        append(&list, numbers[i]);
    gst_structure_take_value(s, field, &list);
}

// Keypoints go where their region goes. The region was 40 x 60 at (20, 30) when wwinfer added it.
static void test_keypoints(void)
{
    double points[17 * 3] = {0};
    points[0] = 40; // the nose, in the middle of the region; the others were not seen
    points[1] = 60;
    points[2] = 0.9;
    const double box[] = {20.2, 29.9, 60.1, 89.8};
    static const struct {
        guint x, y, w, h;
        int nose_x, nose_y;
    } cases[] = {{20, 30, 40, 60, 40, 60}, {10, 15, 20, 30, 20, 30}, {70, 40, 40, 60, 90, 70}};
    for (int i = 0; i < 3; i++) {
        check_about("case %d", i);
        GstHarness *h =
            create("wwoverlay line-width=2 labels=false scores=false", "RGB", WIDTH, HEIGHT);
        GstBuffer *in = picture(WIDTH * HEIGHT * 3, 0);
        GstVideoRegionOfInterestMeta *meta =
            add_region(in, cases[i].x, cases[i].y, cases[i].w, cases[i].h);
        GstStructure *param = gst_structure_new("watchword", "score", G_TYPE_DOUBLE, 0.8,
                                                "keypoint-set", G_TYPE_STRING, "coco-17", NULL);
        set_numbers(param, "box", box, 4);
        set_numbers(param, "keypoints", points, 51);
        gst_video_region_of_interest_meta_add_param(meta, param);
        GstBuffer *out = pass(h, in);
        CHECK_CMP(brightness(out, cases[i].nose_x, cases[i].nose_y), >, 500);
        CHECK_CMP(brightness(out, cases[i].nose_x + 6, cases[i].nose_y), ==, 0);
        CHECK_CMP(brightness(out, (int)cases[i].x, (int)cases[i].y), >, 200);
        gst_buffer_unref(out);
        gst_harness_teardown(h);
    }
    check_about("%s", "");
}

// Parameters of the wrong types are no reason to fall over.
static void test_strange_params(void)
{
    GstHarness *h = create("wwoverlay", "RGB", WIDTH, HEIGHT);
    GstBuffer *in = picture(WIDTH * HEIGHT * 3, 0);
    GstVideoRegionOfInterestMeta *meta = add_region(in, 4000000000u, 4000000000u, 4000000000u, 1);
    gst_video_region_of_interest_meta_add_param(
        meta, gst_structure_new("watchword", "score", G_TYPE_STRING, "high", "box", G_TYPE_INT, 3,
                                "keypoints", G_TYPE_STRING, "none", "keypoint-set", G_TYPE_STRING,
                                "coco-17", "phrase", G_TYPE_STRING, "one", NULL));
    meta = add_region(in, 10, 60, 0, 0);
    GstStructure *param =
        gst_structure_new("watchword", "keypoint-set", G_TYPE_STRING, "coco-17", NULL);
    const double few[] = {1, 2, 0.5, 4, NAN};
    set_numbers(param, "box", few, 2);
    set_numbers(param, "keypoints", few, 5);
    gst_video_region_of_interest_meta_add_param(meta, param);
    meta = add_region(in, 50, 60, 20, 20);
    gst_video_region_of_interest_meta_add_param(
        meta, gst_structure_new("detection", "confidence", G_TYPE_DOUBLE, 0.5, NULL));
    GstBuffer *out = pass(h, in);
    CHECK_CMP(brightness(out, 50, 60), >, 200);
    gst_buffer_unref(out);
    gst_harness_teardown(h);
}

// Every format, odd sizes, and planes where the metadata says they are.
static void test_formats(void)
{
    static const char *const formats[] = {"NV12", "I420", "RGB", "BGR", "RGBA", "BGRA", "GRAY8"};
    static const int sizes[][2] = {{1, 1}, {3, 5}, {WIDTH - 1, HEIGHT - 1}, {WIDTH, HEIGHT}};
    for (guint f = 0; f < G_N_ELEMENTS(formats); f++) {
        for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
            check_about("%s %d x %d", formats[f], sizes[s][0], sizes[s][1]);
            GstHarness *h = create("wwoverlay", formats[f], sizes[s][0], sizes[s][1]);
            GstVideoInfo info;
            gst_video_info_set_format(&info, gst_video_format_from_string(formats[f]),
                                      (guint)sizes[s][0], (guint)sizes[s][1]);
            GstBuffer *in = picture(info.size, 0);
            add_region(in, 0, 0, (guint)sizes[s][0], (guint)sizes[s][1]);
            GstBuffer *out = pass(h, in);
            CHECK(!is_black(out));
            gst_buffer_unref(out);
            gst_harness_teardown(h);
        }
    }
    check_about("%s", "");
}

static void test_strides(void)
{
    enum { OFFSET = 100, STRIDE = WIDTH * 3 + 52 };
    gsize offset[GST_VIDEO_MAX_PLANES] = {OFFSET};
    gint stride[GST_VIDEO_MAX_PLANES] = {STRIDE};
    GstHarness *h = create("wwoverlay", "RGB", WIDTH, HEIGHT);
    GstBuffer *in = picture(OFFSET + STRIDE * HEIGHT, 0);
    gst_buffer_add_video_meta_full(in, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, WIDTH,
                                   HEIGHT, 1, offset, stride);
    add_region(in, 20, 30, 40, 60);
    GstBuffer *plain = picture(WIDTH * HEIGHT * 3, 1);
    add_region(plain, 20, 30, 40, 60);
    GstBuffer *padded_out = pass(h, in), *plain_out = pass(h, plain);
    GstMapInfo a, b;
    gst_buffer_map(padded_out, &a, GST_MAP_READ);
    gst_buffer_map(plain_out, &b, GST_MAP_READ);
    int wrong_rows = 0, dirty = 0;
    for (int y = 0; y < HEIGHT; y++) {
        wrong_rows += memcmp(a.data + OFFSET + y * STRIDE, b.data + y * WIDTH * 3, WIDTH * 3) != 0;
        for (int x = WIDTH * 3; x < STRIDE; x++)
            dirty += a.data[OFFSET + y * STRIDE + x] != 0;
    }
    CHECK_CMP(wrong_rows, ==, 0);
    CHECK_CMP(dirty, ==, 0);
    gst_buffer_unmap(padded_out, &a);
    gst_buffer_unmap(plain_out, &b);
    gst_buffer_unref(padded_out);
    gst_buffer_unref(plain_out);
    gst_harness_teardown(h);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    test_region();
    test_shared();
    test_hold();
    test_keypoints();
    test_strange_params();
    test_formats();
    test_strides();
    return check_done();
}
