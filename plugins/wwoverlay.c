// wwoverlay: boxes, labels and skeletons into the picture, in place.
//
// It reads metadata and nothing else. Between results, which is most of the time behind a wwinfer
// in latest mode, it goes on drawing the last one for a while, or the picture would flicker.

#include <float.h>
#include <watchword/draw.h>

#include "frame.h"
#include "meta.h"
#include "wwoverlay.h"

#define PLAYING            (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)
#define KEYPOINT_THRESHOLD 0.2f
#define HOLD_MS            500

GST_DEBUG_CATEGORY_STATIC(wwoverlay_debug);
#define GST_CAT_DEFAULT wwoverlay_debug

enum property {
    PROP_LABELS = 1,
    PROP_SCORES,
    PROP_LINE_WIDTH,
    PROP_KEYPOINT_THRESHOLD,
    PROP_HOLD,
};

struct _WwOverlay {
    GstBaseTransform parent;

    // Settings, under the object lock.
    struct ww_draw_params params;
    guint hold_ms;

    // The streaming thread's.
    GstVideoInfo info;
    struct ww_seen seen;
    bool has_seen;        // `seen` has something to draw
    GstClockTime seen_at; // PTS of the buffer it was on
};

G_DEFINE_TYPE(WwOverlay, ww_overlay, GST_TYPE_BASE_TRANSFORM)

static gboolean set_caps(GstBaseTransform *base, GstCaps *caps, GstCaps *out)
{
    WwOverlay *self = WW_OVERLAY(base);
    (void)out;
    self->has_seen = false; // its coordinates were for other pictures
    return gst_video_info_from_caps(&self->info, caps);
}

static gboolean stop(GstBaseTransform *base)
{
    WW_OVERLAY(base)->has_seen = false;
    return TRUE;
}

static gboolean sink_event(GstBaseTransform *base, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP ||
        GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START)
        WW_OVERLAY(base)->has_seen = false;
    return GST_BASE_TRANSFORM_CLASS(ww_overlay_parent_class)->sink_event(base, event);
}

// Shares the pixels when the buffer is not ours to write; mapping them copies what others also use.
static GstFlowReturn prepare_output_buffer(GstBaseTransform *base, GstBuffer *in, GstBuffer **out)
{
    (void)base;
    *out = gst_buffer_is_writable(in) ? in : gst_buffer_copy(in);
    return GST_FLOW_OK;
}

// Whether the last result may still be drawn on a buffer that has none.
static bool holds(const WwOverlay *self, GstClockTime pts, guint hold_ms)
{
    if (!self->has_seen || !GST_CLOCK_TIME_IS_VALID(pts) || !GST_CLOCK_TIME_IS_VALID(self->seen_at))
        return false;
    GstClockTimeDiff age = GST_CLOCK_DIFF(self->seen_at, pts);
    return age >= 0 && age <= (GstClockTimeDiff)(hold_ms * GST_MSECOND);
}

static GstFlowReturn transform_ip(GstBaseTransform *base, GstBuffer *buffer)
{
    WwOverlay *self = WW_OVERLAY(base);
    GST_OBJECT_LOCK(self);
    struct ww_draw_params params = self->params;
    guint hold_ms = self->hold_ms;
    GST_OBJECT_UNLOCK(self);

    if (ww_seen_read(&self->seen, buffer, GST_VIDEO_INFO_WIDTH(&self->info),
                     GST_VIDEO_INFO_HEIGHT(&self->info))) {
        self->has_seen = true;
        self->seen_at = GST_BUFFER_PTS(buffer);
    } else if (!holds(self, GST_BUFFER_PTS(buffer), hold_ms)) {
        self->has_seen = false;
    }
    if (!self->has_seen || self->seen.result.num_objects == 0)
        return GST_FLOW_OK;

    GstVideoFrame video;
    if (!gst_video_frame_map(&video, &self->info, buffer,
                             GST_MAP_READWRITE | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
        GST_WARNING_OBJECT(self, "a picture cannot be mapped for writing; nothing is drawn on it");
        return GST_FLOW_OK;
    }
    struct ww_frame frame = ww_frame_of(&video);
    ww_draw(&frame, &self->seen.result, &params);
    gst_video_frame_unmap(&video);
    return GST_FLOW_OK;
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    WwOverlay *self = WW_OVERLAY(object);
    GST_OBJECT_LOCK(self);
    switch ((enum property)id) {
    case PROP_LABELS:
        self->params.no_labels = !g_value_get_boolean(value);
        break;
    case PROP_SCORES:
        self->params.no_scores = !g_value_get_boolean(value);
        break;
    case PROP_LINE_WIDTH:
        self->params.line_width = g_value_get_int(value);
        break;
    case PROP_KEYPOINT_THRESHOLD:
        // Above zero, which would be the drawing's own default.
        self->params.keypoint_threshold = MAX(g_value_get_float(value), FLT_MIN);
        break;
    case PROP_HOLD:
        self->hold_ms = g_value_get_uint(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    WwOverlay *self = WW_OVERLAY(object);
    GST_OBJECT_LOCK(self);
    switch ((enum property)id) {
    case PROP_LABELS:
        g_value_set_boolean(value, !self->params.no_labels);
        break;
    case PROP_SCORES:
        g_value_set_boolean(value, !self->params.no_scores);
        break;
    case PROP_LINE_WIDTH:
        g_value_set_int(value, self->params.line_width);
        break;
    case PROP_KEYPOINT_THRESHOLD:
        g_value_set_float(value, self->params.keypoint_threshold);
        break;
    case PROP_HOLD:
        g_value_set_uint(value, self->hold_ms);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
    GST_OBJECT_UNLOCK(self);
}

static void finalize(GObject *object)
{
    ww_seen_finish(&WW_OVERLAY(object)->seen);
    G_OBJECT_CLASS(ww_overlay_parent_class)->finalize(object);
}

static void ww_overlay_init(WwOverlay *self)
{
    self->params.keypoint_threshold = KEYPOINT_THRESHOLD;
    self->hold_ms = HOLD_MS;
    ww_seen_init(&self->seen);
    gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
}

static void install_properties(GObjectClass *class)
{
    g_object_class_install_property(class, PROP_LABELS,
                                    g_param_spec_boolean("labels", "Labels",
                                                         "Write each object's label by its box",
                                                         TRUE, PLAYING));
    g_object_class_install_property(class, PROP_SCORES,
                                    g_param_spec_boolean("scores", "Scores",
                                                         "Write each object's score, 0 to 1, "
                                                         "after its label, where it has one",
                                                         TRUE, PLAYING));
    g_object_class_install_property(
        class, PROP_LINE_WIDTH,
        g_param_spec_int("line-width", "Line width",
                         "Width in pixels of the lines of boxes. 0: follows the picture's height "
                         "(2 at 576 rows, 4 at 1080)",
                         0, 100, 0, PLAYING));
    g_object_class_install_property(
        class, PROP_KEYPOINT_THRESHOLD,
        g_param_spec_float("keypoint-threshold", "Keypoint threshold",
                           "Draw keypoints with this score or more, and limbs between two of them",
                           0, 1, KEYPOINT_THRESHOLD, PLAYING));
    g_object_class_install_property(
        class, PROP_HOLD,
        g_param_spec_uint("hold", "Hold",
                          "How long a result is drawn on, in milliseconds of stream time, on "
                          "buffers that carry none. 0: only on its own buffer",
                          0, 3600000, HOLD_MS, PLAYING));
}

static void ww_overlay_class_init(WwOverlayClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(wwoverlay_debug, "wwoverlay", 0, "draws what metadata says");

    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    install_properties(object_class);

    base_class->set_caps = set_caps;
    base_class->stop = stop;
    base_class->sink_event = sink_event;
    base_class->prepare_output_buffer = prepare_output_buffer;
    base_class->transform_ip = transform_ip;

    static GstStaticPadTemplate sink = GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                                                               GST_STATIC_CAPS(WW_VIDEO_CAPS));
    static GstStaticPadTemplate src =
        GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(WW_VIDEO_CAPS));
    gst_element_class_add_static_pad_template(element_class, &sink);
    gst_element_class_add_static_pad_template(element_class, &src);
    gst_element_class_set_static_metadata(
        element_class, "Watchword overlay", "Filter/Editor/Video",
        "Draws what the metadata of a buffer says was seen, in place: each" NL
        "GstVideoRegionOfInterestMeta, from wwinfer or any other element, as a box with its "
        "label" NL
        "and score, and the keypoints that wwinfer's task=pose adds as a skeleton, left limbs" NL
        "orange and right limbs blue. A label has the same colour in every frame. It reads only" NL
        "metadata, so an element between wwinfer and this one may add and remove regions.",
        "The watchword authors");
    gst_element_class_add_metadata(
        element_class, "example",
        "gst-launch-1.0 filesrc location=street.mp4 ! decodebin ! videoconvert !" NL
        "wwinfer phrases=\"person;car\" ! wwoverlay ! videoconvert ! autovideosink");
}
