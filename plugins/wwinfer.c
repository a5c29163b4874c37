// wwinfer: three calls into the library (open, watch, look or offer) and what GStreamer wants
// around them.
//
// Three threads meet here. The streaming thread brings buffers and owns the count of frames. The
// engine's thread brings results in latest mode (ww_infer_on_result). The application sets and reads
// properties. `watch_lock` keeps the watch alive while the application uses it, `lock` guards what
// results touch; ww_infer_on_result takes only the second, for stop() waits for it with the first.

#include <string.h>
#include <watchword/watch.h>

#include "frame.h"
#include "message.h"
#include "meta.h"
#include "trouble.h"
#include "wwinfer-inner.h"

GST_DEBUG_CATEGORY_STATIC(wwinfer_debug);
#define GST_CAT_DEFAULT wwinfer_debug

#define QOS_EVERY_US     1000000
#define FAILURE_EVERY_US 1000000

G_DEFINE_TYPE(WwInfer, ww_infer, GST_TYPE_BASE_TRANSFORM)

struct ww_tally ww_infer_tally(WwInfer *self)
{
    struct ww_watch_stats stats;
    ww_watch_stats(self->watch, &stats);
    g_mutex_lock(&self->lock);
    struct ww_tally t = {
        .offered = stats.offered + self->unmapped,
        .processed = stats.processed,
        .replaced = stats.replaced,
        .skipped_rate = self->skipped_rate,
        .failed = stats.failed + self->unmapped,
    };
    g_mutex_unlock(&self->lock);
    return t;
}

// Tells of a frame that came to nothing. The engine closing is no trouble.
static void complain(WwInfer *self, const struct ww_error *err)
{
    if (err->code == WW_E_STOPPED)
        return;
    ww_trouble_warn(GST_ELEMENT(self), &self->warned_us, err);
    if (!ww_trouble_due(GST_ELEMENT(self), &self->failed_us, FAILURE_EVERY_US))
        return;
    struct ww_tally t = ww_infer_tally(self);
    GstStructure *s = ww_message_new_failure(err, &t);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), s));
}

static void post_result(WwInfer *self, const struct ww_result *result,
                        const struct ww_moment *moment)
{
    struct ww_tally t = ww_infer_tally(self);
    GstStructure *s = ww_message_new(result, moment, self->task, &self->model, &t);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), s));
}

// Results and metadata.

// Its metadata waits for the next buffer, its message goes at once.
void ww_infer_on_result(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    WwInfer *self = opaque;
    if (!result) {
        complain(self, err);
        return;
    }
    GstBuffer *metadata = gst_buffer_new();
    ww_meta_add(metadata, result);
    struct ww_moment moment;

    g_mutex_lock(&self->lock);
    bool current = result->index >= self->first_index;
    if (current) {
        ww_moments_find(self->moments, result->index, &moment);
        GstBuffer *older = self->pending;
        self->pending = metadata;
        metadata = older;
    }
    g_mutex_unlock(&self->lock);
    if (metadata)
        gst_buffer_unref(metadata);
    if (current)
        post_result(self, result, &moment);
}

static void attach_pending(WwInfer *self, GstBuffer *buffer)
{
    g_mutex_lock(&self->lock);
    GstBuffer *metadata = self->pending;
    self->pending = NULL;
    g_mutex_unlock(&self->lock);
    if (metadata) {
        ww_meta_copy(buffer, metadata);
        gst_buffer_unref(metadata);
    }
}

static bool map(WwInfer *self, GstBuffer *buffer, GstVideoFrame *video)
{
    if (gst_video_frame_map(video, &self->info, buffer, GST_MAP_READ))
        return true;
    struct ww_error err;
    ww_fail(&err, WW_E_FRAME,
            "a buffer of %" G_GSIZE_FORMAT " bytes does not hold a %d x %d picture",
            gst_buffer_get_size(buffer), GST_VIDEO_INFO_WIDTH(&self->info),
            GST_VIDEO_INFO_HEIGHT(&self->info));
    g_mutex_lock(&self->lock);
    self->unmapped++;
    g_mutex_unlock(&self->lock);
    complain(self, &err);
    return false;
}

static void add_latency(WwInfer *self, gint64 ns)
{
    g_mutex_lock(&self->lock);
    bool changed = ww_latency_add(&self->latency, ns);
    g_mutex_unlock(&self->lock);
    if (changed)
        gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

static void look(WwInfer *self, GstBuffer *buffer, const struct ww_moment *moment)
{
    GstVideoFrame video;
    if (!map(self, buffer, &video))
        return;
    struct ww_frame frame = ww_frame_of(&video);
    frame.index = moment->index;
    struct ww_error err;
    gint64 begin_us = g_get_monotonic_time();
    const struct ww_result *result = ww_watch_look(self->watch, &frame, &err);
    gst_video_frame_unmap(&video); // and with it the reference that kept the buffer read-only
    if (!result) {
        complain(self, &err);
        return;
    }
    add_latency(self, (g_get_monotonic_time() - begin_us) * 1000);
    ww_meta_add(buffer, result);
    post_result(self, result, moment);
}

static void release(void *opaque)
{
    GstVideoFrame *video = opaque;
    gst_video_frame_unmap(video);
    g_free(video);
}

static void offer(WwInfer *self, GstBuffer *buffer, const struct ww_moment *moment)
{
    GstVideoFrame *video = g_new(GstVideoFrame, 1);
    if (!map(self, buffer, video)) {
        g_free(video);
        return;
    }
    g_mutex_lock(&self->lock);
    ww_moments_add(self->moments, moment);
    g_mutex_unlock(&self->lock);

    struct ww_frame frame = ww_frame_of(video);
    frame.index = moment->index;
    frame.release = release;
    frame.opaque = video;
    struct ww_error err;
    if (!ww_watch_offer(self->watch, &frame, &err))
        complain(self, &err);
}

// Says how many frames came to nothing, when there are more of them and not too often. The buffer
// is the one that the element is at; NULL at the end of the stream.
static void tell_qos(WwInfer *self, GstBuffer *buffer)
{
    struct ww_tally t = ww_infer_tally(self);
    guint64 dropped = t.replaced + t.failed;
    gint64 now = g_get_monotonic_time();
    if (dropped == self->dropped_told || (buffer && now - self->qos_told_us < QOS_EVERY_US))
        return;
    self->dropped_told = dropped;
    self->qos_told_us = now;

    const GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
    GstClockTime pts = buffer ? GST_BUFFER_PTS(buffer) : GST_CLOCK_TIME_NONE;
    GstClockTime duration = buffer ? GST_BUFFER_DURATION(buffer) : GST_CLOCK_TIME_NONE;
    GstClockTime running = GST_CLOCK_TIME_NONE, stream = GST_CLOCK_TIME_NONE;
    if (segment->format == GST_FORMAT_TIME) {
        running = gst_segment_to_running_time(segment, GST_FORMAT_TIME, pts);
        stream = gst_segment_to_stream_time(segment, GST_FORMAT_TIME, pts);
    }
    GstMessage *message = gst_message_new_qos(GST_OBJECT(self), self->mode == WW_MODE_LATEST,
                                              running, stream, pts, duration);
    gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, t.processed, dropped);
    gst_element_post_message(GST_ELEMENT(self), message);
}

// The stream.

// Whether the rate wants this frame. Streams without times are thinned by the system's clock.
static bool is_due(WwInfer *self, const struct ww_moment *moment)
{
    GST_OBJECT_LOCK(self);
    double rate = self->settings.rate;
    GST_OBJECT_UNLOCK(self);
    gint64 now = GST_CLOCK_TIME_IS_VALID(moment->running_time) ? (gint64)moment->running_time
                                                               : g_get_monotonic_time() * 1000;
    if (ww_pace_due(&self->pace, rate, now))
        return true;
    g_mutex_lock(&self->lock);
    self->skipped_rate++;
    g_mutex_unlock(&self->lock);
    return false;
}

static GstFlowReturn transform_ip(GstBaseTransform *base, GstBuffer *buffer)
{
    WwInfer *self = WW_INFER(base);
    struct ww_moment moment = ww_moment_of(buffer, &base->segment, self->next_index++);
    if (self->mode == WW_MODE_LATEST)
        attach_pending(self, buffer); // before the offer: a buffer that is offered is read only
    if (is_due(self, &moment)) {
        if (self->mode == WW_MODE_LATEST)
            offer(self, buffer, &moment);
        else
            look(self, buffer, &moment);
        tell_qos(self, buffer);
    }
    return GST_FLOW_OK;
}

// Metadata can be added to a buffer of ours only; the pixels are shared, not copied.
static GstFlowReturn prepare_output_buffer(GstBaseTransform *base, GstBuffer *in, GstBuffer **out)
{
    (void)base;
    *out = gst_buffer_is_writable(in) ? in : gst_buffer_copy(in);
    return GST_FLOW_OK;
}

// A live stream begins when the engine is ready for it, or the frames of the first second would be
// looked at late or not at all. What goes wrong here goes wrong with the first frame, and is told then.
static void prepare(WwInfer *self)
{
    GstVideoFrame video;
    if (gst_video_info_is_equal(&self->info, &self->prepared))
        return;
    GstBuffer *black = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(&self->info), NULL);
    gst_buffer_memset(black, 0, 0, GST_VIDEO_INFO_SIZE(&self->info));
    if (gst_video_frame_map(&video, &self->info, black, GST_MAP_READ)) {
        const struct ww_frame frame = ww_frame_of(&video);
        if (ww_watch_prepare(self->watch, &frame, NULL))
            self->prepared = self->info;
        gst_video_frame_unmap(&video);
    }
    gst_buffer_unref(black);
}

static gboolean set_caps(GstBaseTransform *base, GstCaps *caps, GstCaps *out)
{
    (void)out;
    WwInfer *self = WW_INFER(base);
    if (!gst_video_info_from_caps(&self->info, caps))
        return FALSE;
    if (self->mode == WW_MODE_LATEST)
        prepare(self);
    return TRUE;
}

void ww_infer_forget(WwInfer *self, guint64 first_index)
{
    g_mutex_lock(&self->lock);
    GstBuffer *metadata = self->pending;
    self->pending = NULL;
    self->first_index = first_index;
    g_mutex_unlock(&self->lock);
    if (metadata)
        gst_buffer_unref(metadata);
    self->pace = (struct ww_pace){0};
}

static gboolean sink_event(GstBaseTransform *base, GstEvent *event)
{
    WwInfer *self = WW_INFER(base);
    switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START: // drained first, or two frames could have one index
        ww_watch_drain(self->watch);
        ww_infer_forget(self, 0);
        self->next_index = 0;
        break;
    case GST_EVENT_FLUSH_STOP:
        ww_infer_forget(self, self->next_index);
        break;
    case GST_EVENT_EOS:
        ww_watch_drain(self->watch);
        tell_qos(self, NULL);
        break;
    default:
        break;
    }
    return GST_BASE_TRANSFORM_CLASS(ww_infer_parent_class)->sink_event(base, event);
}

// In sync mode a buffer leaves later than it came, by one inference.
static gboolean query(GstBaseTransform *base, GstPadDirection direction, GstQuery *query)
{
    WwInfer *self = WW_INFER(base);
    if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY || direction != GST_PAD_SRC)
        return GST_BASE_TRANSFORM_CLASS(ww_infer_parent_class)->query(base, direction, query);
    if (!gst_pad_peer_query(base->sinkpad, query))
        return FALSE;
    gboolean live;
    GstClockTime least, most;
    gst_query_parse_latency(query, &live, &least, &most);
    g_mutex_lock(&self->lock);
    GstClockTime own = (GstClockTime)self->latency.reported_ns;
    g_mutex_unlock(&self->lock);
    if (GST_CLOCK_TIME_IS_VALID(most))
        most += own;
    gst_query_set_latency(query, live, least + own, most);
    return TRUE;
}

// Any strides will do; and upstream had better have two buffers more than it needs itself, the one
// that is looked at and the one that waits.
static gboolean propose_allocation(GstBaseTransform *base, GstQuery *decide, GstQuery *query)
{
    if (!GST_BASE_TRANSFORM_CLASS(ww_infer_parent_class)->propose_allocation(base, decide, query))
        return FALSE;
    if (!gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL))
        gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
    GstCaps *caps;
    GstVideoInfo info;
    gst_query_parse_allocation(query, &caps, NULL);
    if (caps && gst_video_info_from_caps(&info, caps) &&
        gst_query_get_n_allocation_pools(query) == 0)
        gst_query_add_allocation_pool(query, NULL, (guint)GST_VIDEO_INFO_SIZE(&info), 2, 0);
    return TRUE;
}

static void finalize(GObject *object)
{
    WwInfer *self = WW_INFER(object);
    ww_settings_finish(&self->settings);
    g_mutex_clear(&self->lock);
    g_mutex_clear(&self->watch_lock);
    G_OBJECT_CLASS(ww_infer_parent_class)->finalize(object);
}

static void ww_infer_init(WwInfer *self)
{
    ww_settings_init(&self->settings);
    g_mutex_init(&self->lock);
    g_mutex_init(&self->watch_lock);
    gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
}

static void ww_infer_class_init(WwInferClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(wwinfer_debug, "wwinfer", 0, "looks at pictures");

    object_class->set_property = ww_infer_set_property;
    object_class->get_property = ww_infer_get_property;
    object_class->finalize = finalize;
    ww_settings_describe(GST_ELEMENT_CLASS(class));
    ww_settings_install(object_class);

    base_class->start = ww_infer_start;
    base_class->stop = ww_infer_stop;
    base_class->set_caps = set_caps;
    base_class->sink_event = sink_event;
    base_class->query = query;
    base_class->propose_allocation = propose_allocation;
    base_class->prepare_output_buffer = prepare_output_buffer;
    base_class->transform_ip = transform_ip;
}
