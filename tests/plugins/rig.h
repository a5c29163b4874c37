// rig.h: a wwinfer with a stream going in, its buffers and its messages coming out.

#pragma once

#include <check.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include "sanitize.h"

// Small enough for the reference device.
#define SMALL "wwinfer model=nano phrases=person input-size=256 "

struct rig {
    GstHarness *harness;
    GstElement *whole;   // what is between the harness's pads
    GstElement *element; // the wwinfer of it
    GstBus *bus;
    int num_pushed;
};

// Caps of a stream at ten frames a second.
static inline GstCaps *rig_caps(const char *format, int width, int height)
{
    return gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, format, "width", G_TYPE_INT,
                               width, "height", G_TYPE_INT, height, "framerate", GST_TYPE_FRACTION,
                               10, 1, NULL);
}

static inline struct rig rig_open(const char *launch, const char *format, int width, int height)
{
    struct rig r = {.whole = gst_parse_bin_from_description(launch, TRUE, NULL),
                    .bus = gst_bus_new()};
    GstIterator *infers = gst_bin_iterate_all_by_element_factory_name(GST_BIN(r.whole), "wwinfer");
    GValue infer = G_VALUE_INIT;
    if (gst_iterator_next(infers, &infer) == GST_ITERATOR_OK)
        r.element = g_value_dup_object(&infer);
    g_value_unset(&infer);
    gst_iterator_free(infers);
    if (!r.element) {
        fprintf(stderr, "no wwinfer in '%s': is the plugin in GST_PLUGIN_PATH?\n", launch);
        exit(1);
    }
    gst_element_set_bus(r.whole, r.bus);
    r.harness = gst_harness_new_with_element(r.whole, "sink", "src");
    gst_harness_set_src_caps(r.harness, rig_caps(format, width, height));
    return r;
}

static inline void rig_close(struct rig *r)
{
    gst_harness_teardown(r->harness);
    gst_bus_set_flushing(r->bus, TRUE);
    gst_object_unref(r->bus);
    gst_object_unref(r->element);
    gst_object_unref(r->whole);
}

// A wwinfer without a stream, so that this process's engine, and what it has compiled, outlives each rig.
static inline GstElement *rig_keep_engine(void)
{
    GstElement *keeper = gst_element_factory_make("wwinfer", NULL);
    CHECK_CMP(gst_element_set_state(keeper, GST_STATE_PAUSED), !=, GST_STATE_CHANGE_FAILURE);
    return gst_object_ref_sink(keeper);
}

static inline void rig_let_go(GstElement *keeper)
{
    gst_element_set_state(keeper, GST_STATE_NULL);
    gst_object_unref(keeper);
}

// Gives a buffer the stream's next time and pushes it. Takes the buffer.
static inline void rig_push(struct rig *r, GstBuffer *buffer)
{
    buffer = gst_buffer_make_writable(buffer);
    GST_BUFFER_PTS(buffer) = (GstClockTime)r->num_pushed++ * 100 * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 100 * GST_MSECOND;
    CHECK_CMP(gst_harness_push(r->harness, buffer), ==, GST_FLOW_OK);
}

static inline GstBuffer *rig_pass(struct rig *r, GstBuffer *buffer)
{
    rig_push(r, buffer);
    GstBuffer *out = gst_harness_pull(r->harness);
    CHECK(out != NULL);
    return out;
}

// The next message of these types within a while; NULL if none comes.
static inline GstMessage *rig_message(struct rig *r, GstMessageType types, int seconds)
{
    return gst_bus_timed_pop_filtered(r->bus, (GstClockTime)seconds * GST_SECOND, types);
}

// A copy of the structure that the next element message has, of this name, to be freed; NULL if none comes
// within `seconds`.
static inline GstStructure *rig_structure(struct rig *r, const char *name, int seconds)
{
    GstMessage *message = rig_message(r, GST_MESSAGE_ELEMENT, seconds);
    if (!message)
        return NULL;
    CHECK_STR(gst_structure_get_name(gst_message_get_structure(message)), name);
    GstStructure *s = gst_structure_copy(gst_message_get_structure(message));
    gst_message_unref(message);
    return s;
}

static inline GstStructure *rig_result(struct rig *r, int seconds)
{
    return rig_structure(r, "watchword", seconds);
}

// A field that must be there and be of this type.
static inline guint64 rig_u64(const GstStructure *s, const char *field)
{
    guint64 value = 0;
    check_result(gst_structure_get_uint64(s, field, &value), __FILE__, __LINE__, "no uint64 '%s'",
                 field);
    return value;
}

static inline guint rig_uint(const GstStructure *s, const char *field)
{
    guint value = 0;
    check_result(gst_structure_get_uint(s, field, &value), __FILE__, __LINE__, "no uint '%s'",
                 field);
    return value;
}

static inline int rig_int(const GstStructure *s, const char *field)
{
    int value = 0;
    check_result(gst_structure_get_int(s, field, &value), __FILE__, __LINE__, "no int '%s'", field);
    return value;
}

static inline double rig_double(const GstStructure *s, const char *field)
{
    double value = 0;
    check_result(gst_structure_get_double(s, field, &value), __FILE__, __LINE__, "no double '%s'",
                 field);
    return value;
}

static inline guint rig_num_objects(const GstStructure *s)
{
    return gst_value_array_get_size(gst_structure_get_value(s, "objects"));
}

static inline const GstStructure *rig_object(const GstStructure *s, guint i)
{
    const GValue *objects = gst_structure_get_value(s, "objects");
    return gst_value_get_structure(gst_value_array_get_value(objects, i));
}

static inline double rig_number(const GstStructure *s, const char *field, guint i)
{
    return g_value_get_double(gst_value_array_get_value(gst_structure_get_value(s, field), i));
}

// What the buffer's WatchwordResult says; NULL: nobody looked.
static inline const GstStructure *rig_mark(GstBuffer *buffer)
{
    GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, "WatchwordResult");
    return meta ? gst_custom_meta_get_structure(meta) : NULL;
}

static inline guint64 rig_stat(struct rig *r, const char *field)
{
    GstStructure *stats;
    g_object_get(r->element, "stats", &stats, NULL);
    guint64 value = rig_u64(stats, field);
    gst_structure_free(stats);
    return value;
}

// The test picture, 256 x 192: three persons on a road. A sample in `format`, stretched.
static inline GstSample *rig_people(const char *format, int width, int height)
{
    char *launch = g_strdup_printf("filesrc location=%s/tests/plugins/people.jpg ! jpegdec ! "
                                   "fakesink name=end enable-last-sample=true",
                                   g_getenv("WATCHWORD_SOURCE"));
    GstElement *pipeline = g_getenv("WATCHWORD_SOURCE") ? gst_parse_launch(launch, NULL) : NULL;
    if (!g_getenv("WATCHWORD_SOURCE"))
        check_skip("WATCHWORD_SOURCE does not name the source tree");
    if (!pipeline)
        check_skip("no jpegdec: install gstreamer1.0-plugins-good");
    GstBus *bus = gst_element_get_bus(pipeline);
    GstElement *end = gst_bin_get_by_name(GST_BIN(pipeline), "end");
    GstSample *picture = NULL, *converted;
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, 20 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    g_object_get(end, "last-sample", &picture, NULL);
    CHECK(picture != NULL);
    GstCaps *caps = rig_caps(format, width, height);
    gst_caps_set_simple(caps, "framerate", GST_TYPE_FRACTION, 0, 1, NULL);
    GError *error = NULL;
    converted = gst_video_convert_sample(picture, caps, 20 * GST_SECOND, &error);
    check_result(converted != NULL, __FILE__, __LINE__, "%s", error ? error->message : "");
    g_clear_error(&error);
    gst_caps_unref(caps);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_sample_unref(picture);
    gst_message_unref(message);
    gst_object_unref(end);
    gst_object_unref(bus);
    gst_object_unref(pipeline);
    g_free(launch);
    return converted;
}

// Its pixels as a buffer of our own, without metadata.
static inline GstBuffer *rig_pixels(GstSample *sample)
{
    GstBuffer *from = gst_sample_get_buffer(sample);
    return gst_buffer_copy_region(from, GST_BUFFER_COPY_MEMORY | GST_BUFFER_COPY_DEEP, 0,
                                  gst_buffer_get_size(from));
}

// A grey picture.
static inline GstBuffer *rig_grey(const char *format, int width, int height)
{
    GstVideoInfo info;
    gst_video_info_set_format(&info, gst_video_format_from_string(format), (guint)width,
                              (guint)height);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, info.size, NULL);
    gst_buffer_memset(buffer, 0, 128, info.size);
    return buffer;
}
