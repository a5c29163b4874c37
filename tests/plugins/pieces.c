// The parts of wwinfer that need no device: words, pace, latency, moments.

#include <check.h>
#include <string.h>

#include "moment.h"
#include "pace.h"
#include "phrases.h"
#include "sanitize.h"

static void test_phrases(void)
{
    static const struct {
        const char *text, *joined; // phrases with '|' between them, and thresholds behind '@'
    } good[] = {
        {NULL, ""},
        {"", ""},
        {" ; ;; ", ""},
        {"person", "person"},
        {" person ;car; a person in a yellow vest;", "person|car|a person in a yellow vest"},
        {"[]", ""},
        {" [ ] ", ""},
        {"[\"person\",\"car\"]", "person|car"},
        {"\n[ \" a; b \" , \"c\" ]\n", "a; b|c"},
        {"person:0.4; a dog : .25;car", "person@0.4|a dog@0.25|car"},
        {"a scale of 1:20; b:1.0", "a scale of 1:20|b@1"},
        {"[\"a:0.4\", {\"phrase\": \" b \", \"threshold\":0.3},{\"phrase\":\"c\"}]", "a:0.4|b@0.3|c"},
        {"[{\"threshold\":0,\"phrase\":\"a\"},{\"threshold\" : 5e-1 , \"phrase\" : \"b\" }]", "a|b@0.5"},
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\tx\"]", "\"\\/\b\f\n\r\tx"},
        {"[\"\\u00dcber \\ud83d\\uDC15\"]", "\xc3\x9c"
                                            "ber \xf0\x9f\x90\x95"},
        {"\xc3\x9c"
         "ber; a [b]",
         "\xc3\x9c"
         "ber|a [b]"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        check_about("%s", good[i].text ? good[i].text : "NULL");
        struct ww_error err = {0};
        struct ww_phrases phrases;
        if (!CHECK(ww_phrases_parse(good[i].text, &phrases, &err)))
            continue;
        GString *joined = g_string_new(NULL);
        for (int k = 0; k < phrases.num; k++) {
            g_string_append_printf(joined, "%s%s", k ? "|" : "", phrases.phrases[k]);
            if (phrases.thresholds[k] > 0)
                g_string_append_printf(joined, "@%g", (double)phrases.thresholds[k]);
        }
        CHECK_STR(joined->str, good[i].joined);
        CHECK(phrases.phrases[phrases.num] == NULL);
        g_string_free(joined, TRUE);
        ww_phrases_finish(&phrases);
    }

    static const char *const bad[] = {
        "[",
        "[person]",
        "[\"person\"",
        "[\"person\",]",
        "[\"person\" \"car\"]",
        "[1]",
        "[\"person\"] x",
        "[\"a\nb\"]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"\\ud800\"]",
        "[\"\\udc00\"]",
        "[\"\\ud800\\u0041\"]",
        "[\"\\u0000\"]",
        "[\"open",
        "[\"\\",
        "[\"\\u",
        "[null]",
        "[[\"a\"]]",
        "person:1.5",
        "; :0.5",
        "[{}]",
        "[{",
        "[{\"phrase\"",
        "[{\"phrase\":",
        "[{\"phrase\":1}]",
        "[{\"phrase\":\"a\"",
        "[{\"phrase\":\"a\",}]",
        "[{\"phrase\":\"a\",\"phrase\":\"b\"}]",
        "[{\"threshold\":0.5}]",
        "[{\"phrase\":\"a\",\"threshold\":1.5}]",
        "[{\"phrase\":\"a\",\"threshold\":-0.5}]",
        "[{\"phrase\":\"a\",\"threshold\":nan}]",
        "[{\"phrase\":\"a\",\"threshold\":\"0.5\"}]",
        "[{\"phrase\":\"a\",\"score\":0.5}]",
        "\xff\xfe",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_about("%s", bad[i]);
        struct ww_error err = {0};
        struct ww_phrases phrases;
        CHECK(!ww_phrases_parse(bad[i], &phrases, &err));
        CHECK(phrases.phrases == NULL);
        CHECK_CMP(err.code, ==, WW_E_TEXT);
        CHECK(strstr(err.text, "phrases: ") == err.text);
    }
    check_about("%s", "");
}

// Frames at `fps` for ten seconds, each up to `jitter_ns` early or late; how many are looked at.
static int num_due(double fps, double rate, int64_t jitter_ns)
{
    struct ww_pace pace = {0};
    int n = 0;
    for (int i = 0; i < (int)(10 * fps); i++) {
        int64_t jitter = (i * 7919 % 201 - 100) * jitter_ns / 100;
        n += ww_pace_due(&pace, rate, (int64_t)(i * 1e9 / fps) + jitter);
    }
    return n;
}

static void test_pace(void)
{
    CHECK_CMP(num_due(10, 0, 0), ==, 100);
    CHECK_CMP(num_due(10, 5, 0), ==, 50);
    CHECK_CMP(num_due(10, 10, 0), ==, 100);
    CHECK_CMP(num_due(10, 10, 20000000), ==, 100); // jitter loses none
    CHECK_CMP(num_due(10, 30, 0), ==, 100);        // more is not there
    CHECK_CMP(num_due(10, 1000, 30000000), ==, 100);
    CHECK_NEAR(num_due(30, 25, 0), 250, 1);
    CHECK_NEAR(num_due(30, 10, 5000000), 100, 1);
    CHECK_NEAR(num_due(29.97, 7, 0), 70, 1);
    CHECK_CMP(num_due(25, 0.2, 0), ==, 3); // at 0, 4.96 and 9.96 s

    struct ww_pace pace = {0};
    CHECK(ww_pace_due(&pace, 1e-12, 0)); // the first one, and then hardly ever
    CHECK(!ww_pace_due(&pace, 1e-12, INT64_MAX / 16));

    pace = (struct ww_pace){0};
    CHECK(ww_pace_due(&pace, 0.1, 0));
    CHECK(!ww_pace_due(&pace, 0.1, 1000000000));
    CHECK(ww_pace_due(&pace, 10, 1100000000));  // a new rate is in force at once
    CHECK(ww_pace_due(&pace, 10, 60000000000)); // a gap is not made up for
    CHECK(!ww_pace_due(&pace, 10, 60040000000));
    CHECK(ww_pace_due(&pace, 10, 0)); // time went back
    CHECK(!ww_pace_due(&pace, 10, 40000000));
}

static void test_latency(void)
{
    struct ww_latency l = {0};
    CHECK(!ww_latency_add(&l, 9000000000)); // the first one builds the plan
    CHECK_CMP(l.reported_ns, ==, 0);
    CHECK(ww_latency_add(&l, 41000000));
    CHECK_CMP(l.reported_ns, ==, 50000000);
    for (int i = 0; i < 100; i++)
        CHECK(!ww_latency_add(&l, 30000000 + i % 5 * 4000000));
    CHECK(ww_latency_add(&l, 120000001));
    CHECK_CMP(l.reported_ns, ==, 130000000);
    int changes = 0;
    for (int i = 0; i < 100; i++)
        changes += ww_latency_add(&l, 45000000);
    CHECK_CMP(changes, ==, 1);
    CHECK_CMP(l.reported_ns, ==, 50000000);
}

static void test_moments(void)
{
    static struct ww_moments moments;
    struct ww_moment found;
    CHECK(!ww_moments_find(&moments, 0, &found));
    CHECK_CMP(found.running_time, ==, GST_CLOCK_TIME_NONE);
    for (guint64 i = 0; i < 3000; i++)
        ww_moments_add(&moments, &(struct ww_moment){.index = i, .arrival = 7 * i});
    CHECK(ww_moments_find(&moments, 2999, &found));
    CHECK_CMP(found.arrival, ==, 7 * 2999);
    CHECK(ww_moments_find(&moments, 3000 - WW_MOMENTS, &found));
    CHECK(!ww_moments_find(&moments, 2999 - WW_MOMENTS, &found));
    CHECK_CMP(found.index, ==, 2999 - WW_MOMENTS);
    CHECK_CMP(found.arrival, ==, 0);
}

static void test_reference(void)
{
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = segment.time = GST_SECOND;
    GstBuffer *buffer = gst_buffer_new();
    GST_BUFFER_PTS(buffer) = 3 * GST_SECOND;
    struct ww_moment moment = ww_moment_of(buffer, &segment, 5);
    CHECK_CMP(moment.index, ==, 5);
    CHECK_CMP(moment.running_time, ==, 2 * GST_SECOND);
    CHECK_CMP(moment.arrival, >, 1700000000000000000u);
    CHECK(moment.reference_clock == NULL);

    static const char *const clocks[] = {"timestamp/x-drone", "timestamp/x-unix",
                                         "timestamp/x-ntp"};
    for (guint i = 0; i < 3; i++) { // each is better than the one before
        GstCaps *caps = gst_caps_new_empty_simple(clocks[i]);
        gst_buffer_add_reference_timestamp_meta(buffer, caps, 100 + i, GST_CLOCK_TIME_NONE);
        gst_caps_unref(caps);
        moment = ww_moment_of(buffer, &segment, 5);
        CHECK_STR(moment.reference_clock, clocks[i]);
        CHECK_CMP(moment.reference, ==, 100 + i);
    }
    GST_BUFFER_PTS(buffer) = GST_CLOCK_TIME_NONE;
    CHECK_CMP(ww_moment_of(buffer, &segment, 0).running_time, ==, GST_CLOCK_TIME_NONE);
    gst_buffer_unref(buffer);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    test_phrases();
    test_pace();
    test_latency();
    test_moments();
    test_reference();
    return check_done();
}
