// wwinfer, a buffer at a time (mode=sync): what it takes, what it says, and what it says when
// something is wrong.

#include "rig.h"

static const char *const FORMATS[] = {"I420", "NV12", "RGB", "BGR", "RGBA", "BGRA", "GRAY8"};

// Metadata and message are the result, and the same one.
static void test_result(void)
{
    GstSample *people = rig_people("I420", 256, 192);
    struct rig r = rig_open(SMALL, "I420", 256, 192);
    GstBuffer *in = rig_pixels(people);
    GstMemory *pixels = gst_buffer_peek_memory(in, 0);
    GstCaps *ntp = gst_caps_new_empty_simple("timestamp/x-ntp");
    gst_buffer_add_reference_timestamp_meta(in, ntp, 4242, GST_CLOCK_TIME_NONE);
    gst_caps_unref(ntp);
    gst_buffer_unref(rig_pass(&r, rig_grey("I420", 256, 192)));
    gst_structure_free(rig_result(&r, 5));
    GstBuffer *out = rig_pass(&r, in);
    CHECK(gst_buffer_peek_memory(out, 0) == pixels); // not a copy

    GstStructure *s = rig_result(&r, 5);
    if (!CHECK(s != NULL))
        return;
    CHECK_CMP(rig_u64(s, "index"), ==, 1);
    CHECK_CMP(rig_u64(s, "pts"), ==, 100 * GST_MSECOND);
    CHECK_CMP(rig_u64(s, "running-time"), ==, 100 * GST_MSECOND);
    CHECK_NEAR((double)rig_u64(s, "arrival") / 1e9, (double)g_get_real_time() / 1e6, 60);
    CHECK_CMP(rig_u64(s, "reference-timestamp"), ==, 4242);
    CHECK_STR(gst_structure_get_string(s, "reference-clock"), "timestamp/x-ntp");
    CHECK_CMP(rig_int(s, "width"), ==, 256);
    CHECK_CMP(rig_int(s, "height"), ==, 192);
    CHECK_CMP(rig_uint(s, "revision"), ==, 1);
    CHECK_STR(gst_structure_get_string(s, "task"), "detect");
    CHECK_STR(gst_structure_get_string(s, "model"), "nano");
    CHECK(g_str_has_prefix(gst_structure_get_string(s, "model-digest"), "sha256:"));
    CHECK(!gst_structure_has_field(s, "keypoint-set"));
    CHECK_CMP(rig_u64(s, "infer-ns"), >, 0);
    CHECK_CMP(rig_u64(s, "wait-ns"), <, 60 * GST_SECOND);
    CHECK_CMP(rig_u64(s, "offered"), ==, 2);
    CHECK_CMP(rig_u64(s, "replaced") + rig_u64(s, "skipped-rate") + rig_u64(s, "failed"), ==, 0);

    const GstStructure *mark = rig_mark(out);
    guint n = rig_num_objects(s), i = 0;
    CHECK_CMP(n, >=, 1);
    CHECK_CMP(rig_uint(mark, "objects"), ==, n);
    CHECK_CMP(rig_u64(mark, "index"), ==, 1);
    CHECK_CMP(rig_u64(mark, "pts"), ==, 100 * GST_MSECOND);
    gpointer state = NULL;
    GstMeta *meta;
    double last_score = 1;
    while ((meta = gst_buffer_iterate_meta_filtered(out, &state,
                                                    GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
        GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *)meta;
        const GstStructure *param =
            gst_video_region_of_interest_meta_get_param(region, "watchword");
        if (!CHECK_CMP(i, <, n))
            break;
        const GstStructure *o = rig_object(s, i++);
        CHECK_STR(g_quark_to_string(region->roi_type), "person");
        CHECK_STR(gst_structure_get_string(o, "label"), "person");
        CHECK_CMP(rig_int(o, "phrase"), ==, 0);
        CHECK_CMP(rig_double(o, "score"), <=, last_score); // best first
        last_score = rig_double(o, "score");
        CHECK_CMP(rig_double(param, "score"), ==, last_score);
        CHECK_CMP(rig_int(param, "phrase"), ==, 0);
        CHECK_CMP(rig_uint(param, "revision"), ==, 1);
        CHECK_CMP(rig_u64(param, "index"), ==, 1);
        for (guint k = 0; k < 4; k++)
            CHECK_CMP(rig_number(o, "box", k), ==, rig_number(param, "box", k));
        CHECK_NEAR(region->x, rig_number(o, "box", 0), 0.501);
        CHECK_NEAR(region->y, rig_number(o, "box", 1), 0.501);
        CHECK_NEAR(region->x + region->w, rig_number(o, "box", 2), 1.001);
        CHECK_NEAR(region->y + region->h, rig_number(o, "box", 3), 1.001);
    }
    CHECK_CMP(i, ==, n);
    gst_structure_free(s);
    gst_buffer_unref(out);
    rig_close(&r);
    gst_sample_unref(people);
}

static void test_pose(void)
{
    GstSample *people = rig_people("I420", 256, 192);
    struct rig r = rig_open(SMALL "task=pose", "I420", 256, 192);
    GstBuffer *out = rig_pass(&r, rig_pixels(people));
    GstStructure *s = rig_result(&r, 5);
    if (CHECK(s != NULL)) {
        CHECK_STR(gst_structure_get_string(s, "task"), "pose");
        CHECK_STR(gst_structure_get_string(s, "keypoint-set"), "coco-17");
        CHECK_CMP(rig_num_objects(s), >=, 1);
        for (guint i = 0; i < rig_num_objects(s); i++) {
            const GValue *k = gst_structure_get_value(rig_object(s, i), "keypoints");
            CHECK_CMP(gst_value_array_get_size(k), ==, 17 * 3);
        }
        gst_structure_free(s);
    }
    const GstStructure *mark = rig_mark(out);
    if (CHECK(mark != NULL))
        CHECK_STR(gst_structure_get_string(mark, "keypoint-set"), "coco-17");
    gst_buffer_unref(out);
    rig_close(&r);
    gst_sample_unref(people);
}

// The best object of a picture in this format.
static bool best_of(const char *format, GstStructure **object)
{
    GstSample *people = rig_people(format, 256, 192);
    struct rig r = rig_open(SMALL, format, 256, 192);
    gst_buffer_unref(rig_pass(&r, rig_pixels(people)));
    GstStructure *s = rig_result(&r, 5);
    bool found = CHECK(s != NULL) && CHECK_CMP(rig_num_objects(s), >=, 1);
    if (found)
        *object = gst_structure_copy(rig_object(s, 0));
    if (s)
        gst_structure_free(s);
    rig_close(&r);
    gst_sample_unref(people);
    return found;
}

// The same picture in every format has the same person in the same place.
static void test_formats(void)
{
    GstStructure *want, *got;
    if (!best_of("I420", &want))
        return;
    for (guint f = 1; f < G_N_ELEMENTS(FORMATS); f++) {
        check_about("%s", FORMATS[f]);
        if (!best_of(FORMATS[f], &got))
            continue;
        bool grey = strcmp(FORMATS[f], "GRAY8") == 0;
        if (!grey)
            CHECK_NEAR(rig_double(got, "score"), rig_double(want, "score"), 0.05);
        for (guint k = 0; k < 4 && !grey; k++)
            CHECK_NEAR(rig_number(got, "box", k), rig_number(want, "box", k), 3);
        gst_structure_free(got);
    }
    check_about("%s", "");
    gst_structure_free(want);
}

static void test_sizes(void)
{
    static const int sizes[][2] = {{1, 1}, {3, 5}, {255, 191}, {37, 240}};
    for (guint f = 0; f < G_N_ELEMENTS(FORMATS); f++) {
        struct rig r = rig_open("wwinfer input-width=64 input-height=64", FORMATS[f], 64, 48);
        for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) { // the caps change while playing
            int width = sizes[i][0], height = sizes[i][1];
            check_about("%s %d x %d", FORMATS[f], width, height);
            gst_harness_set_src_caps(r.harness, rig_caps(FORMATS[f], width, height));
            gst_buffer_unref(rig_pass(&r, rig_grey(FORMATS[f], width, height)));
            GstStructure *s = rig_result(&r, 5);
            if (!CHECK(s != NULL))
                continue;
            CHECK_CMP(rig_int(s, "width"), ==, width);
            CHECK_CMP(rig_int(s, "height"), ==, height);
            CHECK_CMP(rig_u64(s, "index"), ==, i);
            gst_structure_free(s);
        }
        rig_close(&r);
    }
    check_about("%s", "");
}

// The format changes, too; and what is not in the caps is refused.
static void test_caps(void)
{
    struct rig r = rig_open("wwinfer input-width=64 input-height=64", "NV12", 64, 48);
    for (guint f = 0; f < G_N_ELEMENTS(FORMATS); f++) {
        gst_harness_set_src_caps(r.harness, rig_caps(FORMATS[f], 64, 48));
        gst_buffer_unref(rig_pass(&r, rig_grey(FORMATS[f], 64, 48)));
        GstStructure *s = rig_result(&r, 5);
        if (CHECK(s != NULL))
            gst_structure_free(s);
    }
    GstCaps *caps = gst_pad_query_caps(r.harness->srcpad, NULL);
    gst_caps_unref(caps);
    caps = gst_pad_peer_query_caps(r.harness->srcpad, NULL);
    static const char *const others[] = {"YUY2", "I422", "P010_10LE", "ARGB"};
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        GstCaps *other = rig_caps(others[i], 64, 48);
        CHECK(!gst_caps_can_intersect(caps, other));
        gst_caps_unref(other);
    }
    gst_caps_unref(caps);
    rig_close(&r);
}

// Planes are where the buffer's metadata says.
static void test_strides(void)
{
    GstSample *people = rig_people("NV12", 256, 192);
    struct rig r = rig_open(SMALL, "NV12", 256, 192);
    gst_buffer_unref(rig_pass(&r, rig_pixels(people)));

    enum { STRIDE = 256 + 40, FIRST = 128, SECOND = FIRST + 200 * STRIDE };
    gsize offset[GST_VIDEO_MAX_PLANES] = {FIRST, SECOND};
    gint stride[GST_VIDEO_MAX_PLANES] = {STRIDE, STRIDE};
    GstBuffer *padded = gst_buffer_new_allocate(NULL, SECOND + 96 * STRIDE, NULL);
    GstBuffer *packed = rig_pixels(people);
    GstMapInfo to, from;
    gst_buffer_map(padded, &to, GST_MAP_WRITE);
    gst_buffer_map(packed, &from, GST_MAP_READ);
    memset(to.data, 0xff, to.size);
    for (int y = 0; y < 192; y++)
        memcpy(to.data + FIRST + y * STRIDE, from.data + y * 256, 256);
    for (int y = 0; y < 96; y++)
        memcpy(to.data + SECOND + y * STRIDE, from.data + (192 + y) * 256, 256);
    gst_buffer_unmap(padded, &to);
    gst_buffer_unmap(packed, &from);
    gst_buffer_unref(packed);
    gst_buffer_add_video_meta_full(padded, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_NV12, 256,
                                   192, 2, offset, stride);
    gst_buffer_unref(rig_pass(&r, padded));

    GstStructure *a = rig_result(&r, 5), *b = rig_result(&r, 5);
    if (CHECK(a && b)) {
        char *x = gst_value_serialize(gst_structure_get_value(a, "objects"));
        char *y = gst_value_serialize(gst_structure_get_value(b, "objects"));
        CHECK_STR(x, y);
        g_free(x);
        g_free(y);
        gst_structure_free(a);
        gst_structure_free(b);
    }
    rig_close(&r);
    gst_sample_unref(people);
}

static guint revision_of(struct rig *r)
{
    guint revision;
    g_object_get(r->element, "revision", &revision, NULL);
    return revision;
}

static void check_phrases(struct rig *r, const char *want)
{
    char *phrases;
    g_object_get(r->element, "phrases", &phrases, NULL);
    CHECK_STR(phrases, want);
    g_free(phrases);
}

// The revision that the next result was made with.
static guint next_revision(struct rig *r)
{
    gst_buffer_unref(rig_pass(r, rig_grey("I420", 64, 48)));
    GstStructure *s = rig_result(r, 5);
    guint revision = s ? rig_uint(s, "revision") : 0;
    if (s)
        gst_structure_free(s);
    return revision;
}

static void test_words(void)
{
    struct rig r =
        rig_open("wwinfer phrases=person input-width=64 input-height=64", "I420", 64, 48);
    CHECK_CMP(next_revision(&r), ==, 1);
    g_object_set(r.element, "phrases", "car; person", NULL);
    CHECK_CMP(next_revision(&r), ==, 2);
    g_object_set(r.element, "phrases", "car; person", NULL); // the same words
    CHECK_CMP(next_revision(&r), ==, 2);
    g_object_set(r.element, "phrases", "[\"car\"]", NULL);
    CHECK_CMP(next_revision(&r), ==, 3);

    static const char *const bad[] = {"persn", "[\"car\""};
    for (int i = 0; i < 2; i++) {
        check_about("%s", bad[i]);
        g_object_set(r.element, "phrases", bad[i], NULL);
        GstMessage *warning = rig_message(&r, GST_MESSAGE_WARNING, 5);
        if (!CHECK(warning != NULL))
            continue;
        GError *error;
        gst_message_parse_warning(warning, &error, NULL);
        CHECK_CMP(strlen(error->message), >, 10);
        if (i == 0)
            CHECK(strstr(error->message, "persn") && strstr(error->message, "person"));
        g_error_free(error);
        gst_message_unref(warning);
        check_phrases(&r, "[\"car\"]");
        CHECK_CMP(revision_of(&r), ==, 3);
        CHECK_CMP(next_revision(&r), ==, 3);
    }
    check_about("%s", "");
    g_object_set(r.element, "phrases", "", NULL); // everything
    CHECK_CMP(next_revision(&r), ==, 4);
    rig_close(&r);
}

// What the next result says: its revision, in how many texts it was asked (0: one), and one of its labels.
static void check_ground(struct rig *r, guint revision, int captions, const char *one, const char *other)
{
    gst_buffer_unref(rig_pass(r, rig_grey("RGB", 96, 64)));
    GstStructure *s = rig_result(r, 60);
    if (!CHECK(s != NULL))
        return;
    int told = 0;
    gst_structure_get_int(s, "captions", &told);
    CHECK_CMP(told, ==, captions);
    CHECK_CMP(rig_uint(s, "revision"), ==, revision);
    CHECK_STR(gst_structure_get_string(s, "task"), "ground");
    CHECK_CMP(rig_num_objects(s), >=, 1);
    for (guint i = 0; i < rig_num_objects(s); i++) {
        const GstStructure *o = rig_object(s, i);
        const char *label = gst_structure_get_string(o, "label");
        CHECK(!one || !strcmp(label, one) || !strcmp(label, other));
        CHECK(gst_structure_get_string(o, "words") != NULL);
    }
    gst_structure_free(s);
}

// Any words, and others while it plays.
static void test_ground(void)
{
    char *launch = g_strdup_printf("wwinfer task=ground model=%s/tests/models/grounding-dino/model threshold=0.02 "
                                   "phrases=\"a cat. silver spoon\" input-size=128", g_getenv("WATCHWORD_SOURCE"));
    struct rig r = rig_open(launch, "RGB", 96, 64);
    g_free(launch);
    check_ground(&r, 1, 0, "a cat", "silver spoon");
    g_object_set(r.element, "phrases", "[\"a flag\", {\"phrase\": \"astronaut\", \"threshold\": 0.01}]", NULL);
    check_ground(&r, 2, 0, "a flag", "astronaut");
    g_object_set(r.element, "phrases", "a flag; astronaut:0.02", NULL); // the same words
    check_ground(&r, 2, 0, "a flag", "astronaut");
    g_object_set(r.element, "phrases", "...", NULL);
    GstMessage *warning = rig_message(&r, GST_MESSAGE_WARNING, 5);
    CHECK(warning != NULL);
    gst_clear_message(&warning);
    check_ground(&r, 2, 0, "a flag", "astronaut");
    GString *many = g_string_new("a cat");
    for (int i = 0; i < 90; i++)
        g_string_append_printf(many, "; cat %c%c", 'a' + i / 26, 'a' + i % 26);
    g_object_set(r.element, "phrases", many->str, NULL);
    g_string_free(many, TRUE);
    check_ground(&r, 3, 2, NULL, NULL);
    rig_close(&r);
}

static void test_threshold(void)
{
    GstSample *people = rig_people("I420", 256, 192);
    struct rig r = rig_open(SMALL, "I420", 256, 192);
    guint n[3];
    static const float thresholds[] = {0, 1, 0};
    for (int i = 0; i < 3; i++) {
        g_object_set(r.element, "threshold", (double)thresholds[i], NULL);
        GstBuffer *out = rig_pass(&r, rig_pixels(people));
        GstStructure *s = rig_result(&r, 5);
        n[i] = s ? rig_num_objects(s) : 0;
        CHECK(rig_mark(out) != NULL); // also where nothing was seen
        if (s)
            gst_structure_free(s);
        gst_buffer_unref(out);
    }
    CHECK_CMP(n[0], >=, 1);
    CHECK_CMP(n[1], ==, 0);
    CHECK_CMP(n[2], ==, n[0]);
    rig_close(&r);
    gst_sample_unref(people);
}

static void test_rate(void)
{
    struct rig r = rig_open("wwinfer rate=5 input-width=64 input-height=64", "I420", 64, 48);
    for (int i = 0; i < 20; i++) {
        if (i == 10)
            g_object_set(r.element, "rate", 0.0, NULL);
        GstBuffer *out = rig_pass(&r, rig_grey("I420", 64, 48));
        check_about("frame %d", i);
        CHECK_CMP(rig_mark(out) != NULL, ==, i % 2 == 0 || i >= 10);
        gst_buffer_unref(out);
    }
    check_about("%s", "");
    CHECK_CMP(rig_stat(&r, "offered"), ==, 15);
    CHECK_CMP(rig_stat(&r, "processed"), ==, 15);
    CHECK_CMP(rig_stat(&r, "skipped-rate"), ==, 5);
    rig_close(&r);
}

// Flushes and seeks do not touch the count of frames; a new stream begins again.
static void test_index(void)
{
    struct rig r = rig_open("wwinfer input-width=64 input-height=64", "I420", 64, 48);
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    static const guint64 want[] = {0, 1, 2, 0};
    for (int i = 0; i < 4; i++) {
        if (i == 1) { // a flushing seek to 50 s, as a demuxer does it
            CHECK(gst_harness_push_event(r.harness, gst_event_new_flush_start()));
            CHECK(gst_harness_push_event(r.harness, gst_event_new_flush_stop(TRUE)));
            segment.start = segment.time = 50 * GST_SECOND;
            CHECK(gst_harness_push_event(r.harness, gst_event_new_segment(&segment)));
            r.num_pushed = 500;
        } else if (i == 2) {
            segment.start = segment.time = 0;
            segment.base = GST_SECOND;
            CHECK(gst_harness_push_event(r.harness, gst_event_new_segment(&segment)));
            r.num_pushed = 0;
        } else if (i == 3) {
            CHECK(gst_harness_push_event(r.harness, gst_event_new_stream_start("second")));
            gst_harness_set_src_caps(r.harness, rig_caps("I420", 64, 48));
        }
        static const guint64 running_ms[] = {0, 0, 1000, 100};
        gst_buffer_unref(rig_pass(&r, rig_grey("I420", 64, 48)));
        GstStructure *s = rig_result(&r, 5);
        check_about("step %d", i);
        if (!CHECK(s != NULL))
            continue;
        CHECK_CMP(rig_u64(s, "index"), ==, want[i]);
        if (i < 3)
            CHECK_CMP(rig_u64(s, "running-time"), ==, running_ms[i] * GST_MSECOND);
        gst_structure_free(s);
    }
    check_about("%s", "");
    rig_close(&r);
}

// Buffers without a time, and ones that hold no picture.
static void test_odd_buffers(void)
{
    struct rig r = rig_open("wwinfer input-width=64 input-height=64", "I420", 64, 48);
    CHECK_CMP(gst_harness_push(r.harness, rig_grey("I420", 64, 48)), ==, GST_FLOW_OK);
    GstStructure *s = rig_result(&r, 5);
    if (CHECK(s != NULL)) {
        CHECK_CMP(rig_u64(s, "pts"), ==, GST_CLOCK_TIME_NONE);
        CHECK_CMP(rig_u64(s, "running-time"), ==, GST_CLOCK_TIME_NONE);
        gst_structure_free(s);
    }
    rig_push(&r, gst_buffer_new_allocate(NULL, 100, NULL));
    GstMessage *warning = rig_message(&r, GST_MESSAGE_WARNING, 5);
    if (CHECK(warning != NULL))
        gst_message_unref(warning);
    s = rig_structure(&r, "watchword-failure", 5);
    if (CHECK(s != NULL)) {
        CHECK_HAS(gst_structure_get_string(s, "error"), "a buffer of 100 bytes does not hold");
        CHECK_CMP(rig_u64(s, "failed"), ==, 1);
        gst_structure_free(s);
    }
    CHECK_CMP(rig_stat(&r, "failed"), ==, 1);
    gst_buffer_unref(rig_pass(&r, rig_grey("I420", 64, 48))); // pulls the first of the three
    s = rig_result(&r, 5);
    CHECK(s != NULL);
    if (s)
        gst_structure_free(s);
    rig_close(&r);
}

// Settings that cannot work: the start fails with a sentence.
static void test_refusals(void)
{
    static const struct {
        const char *launch, *says;
    } cases[] = {
        {"wwinfer model=nosuch", "nosuch"},          {"wwinfer phrases=zebrra", "zebra"},
        {"wwinfer phrases=[1]", "phrases"},          {"wwinfer device=nosuch", "nosuch"},
        {"wwinfer instruction=look", "instruction"}, {"wwinfer task=caption", "caption"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        check_about("%s", cases[i].launch);
        GstElement *element = gst_parse_launch(cases[i].launch, NULL);
        GstBus *bus = gst_bus_new();
        gst_element_set_bus(element, bus);
        CHECK_CMP(gst_element_set_state(element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
        GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
        if (CHECK(message != NULL)) {
            GError *error;
            gst_message_parse_error(message, &error, NULL);
            check_result(strstr(error->message, cases[i].says) != NULL, __FILE__, __LINE__,
                         "'%s' does not name '%s'", error->message, cases[i].says);
            g_error_free(error);
            gst_message_unref(message);
        }
        gst_element_set_state(element, GST_STATE_NULL);
        gst_bus_set_flushing(bus, TRUE);
        gst_object_unref(bus);
        gst_object_unref(element);
    }
    check_about("%s", "");
}

// The time an inference takes is part of a live pipeline's latency, and said when it is known.
static void test_latency(void)
{
    struct rig r = rig_open("wwinfer input-width=64 input-height=64", "I420", 64, 48);
    gst_harness_set_upstream_latency(r.harness, 20 * GST_MSECOND);
    CHECK_CMP(gst_harness_query_latency(r.harness), ==, 20 * GST_MSECOND);
    for (int i = 0; i < 3; i++)
        gst_buffer_unref(rig_pass(&r, rig_grey("I420", 64, 48)));
    GstMessage *message = rig_message(&r, GST_MESSAGE_LATENCY, 5);
    if (CHECK(message != NULL))
        gst_message_unref(message);
    CHECK_CMP(gst_harness_query_latency(r.harness), >=, 30 * GST_MSECOND);
    rig_close(&r);
}

static void test_activity(void)
{
    GstElement *element = gst_element_factory_make("wwinfer", NULL);
    char *text;
    g_object_get(element, "activity", &text, NULL);
    CHECK_STR(text, "stopped");
    g_free(text);
    for (int i = 0; i < 3; i++) { // again and again
        CHECK_CMP(gst_element_set_state(element, GST_STATE_PAUSED), !=, GST_STATE_CHANGE_FAILURE);
        g_object_get(element, "activity", &text, NULL);
        CHECK_CMP(strlen(text), >, 3);
        CHECK(strcmp(text, "stopped") != 0);
        g_free(text);
        gst_element_set_state(element, GST_STATE_READY);
    }
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    GstElement *keeper = rig_keep_engine();
    test_result();
    test_pose();
    test_formats();
    test_sizes();
    test_caps();
    test_strides();
    test_words();
    test_ground();
    test_threshold();
    test_rate();
    test_index();
    test_odd_buffers();
    rig_let_go(keeper); // from here on each opens the device
    test_refusals();
    test_latency();
    test_activity();
    return check_done();
}
