// wwinfer: three calls into the library (open, watch, look or offer) and what GStreamer wants
// around them.
//
// Three threads meet here. The streaming thread brings buffers and owns the count of frames. The
// engine's thread brings results in latest mode (on_result). The application sets and reads
// properties. `watch_lock` keeps the watch alive while the application uses it, `lock` guards what
// results touch; on_result takes only the second, for stop() waits for it with the first.

#include <string.h>
#include <watchword/watch.h>

#include "frame.h"
#include "message.h"
#include "meta.h"
#include "pace.h"
#include "phrases.h"
#include "settings.h"
#include "trouble.h"
#include "wwinfer.h"

GST_DEBUG_CATEGORY_STATIC(wwinfer_debug);
#define GST_CAT_DEFAULT wwinfer_debug

#define QOS_EVERY_US 1000000

struct _WwInfer {
    GstBaseTransform parent;

    struct ww_settings settings; // under the object lock
    GMutex watch_lock;           // `watch` comes and goes only with this and `lock`
    GMutex lock;

    // From start() to stop(), constant in between.
    struct ww_engine *engine; // read by the application with `lock`
    struct ww_watch *watch;
    struct ww_model_info model;
    enum ww_task task;
    enum ww_mode mode;

    // The streaming thread's.
    GstVideoInfo info;
    guint64 next_index;
    struct ww_pace pace;
    guint64 dropped_told; // in the last QoS message
    gint64 qos_told_us;   // and when that was

    // Under `lock`.
    struct ww_moments *moments;
    guint64 first_index;  // results of earlier frames are thrown away: a flush came between
    GstBuffer *pending;   // no pixels, only the metadata for the next buffer
    guint64 skipped_rate; // frames
    guint64 unmapped;     // frames that failed before the library saw them
    struct ww_latency latency;

    gint64 warned_us; // when trouble was last told, see ww_trouble_warn
};

G_DEFINE_TYPE(WwInfer, ww_infer, GST_TYPE_BASE_TRANSFORM)

// Tells of a frame that came to nothing.
static void complain(WwInfer *self, const struct ww_error *err)
{
    ww_trouble_warn(GST_ELEMENT(self), &self->warned_us, err);
}

// With the watch alive: its streaming or callback thread, or watch_lock held.
static struct ww_tally tally(WwInfer *self)
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

static void post_result(WwInfer *self, const struct ww_result *result,
                        const struct ww_moment *moment)
{
    struct ww_tally t = tally(self);
    GstStructure *s = ww_message_new(result, moment, self->task, &self->model, &t);
    gst_element_post_message(GST_ELEMENT(self), gst_message_new_element(GST_OBJECT(self), s));
}

// Results and metadata.

// A result in latest mode: its metadata waits for the next buffer, its message goes at once.
static void on_result(void *opaque, const struct ww_result *result, const struct ww_error *err)
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
    struct ww_tally t = tally(self);
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

static gboolean set_caps(GstBaseTransform *base, GstCaps *caps, GstCaps *out)
{
    (void)out;
    return gst_video_info_from_caps(&WW_INFER(base)->info, caps);
}

// Nothing of what was seen up to here reaches what comes now.
static void forget(WwInfer *self, guint64 first_index)
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
        forget(self, 0);
        self->next_index = 0;
        break;
    case GST_EVENT_FLUSH_STOP:
        forget(self, self->next_index);
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

// Start, stop and other words.

// Copies the settings, so that nothing of the application waits while a model is loaded.
static struct ww_settings settings_now(WwInfer *self)
{
    GST_OBJECT_LOCK(self);
    struct ww_settings now = self->settings;
    now.model = g_strdup(now.model);
    now.phrases = g_strdup(now.phrases);
    now.instruction = g_strdup(now.instruction);
    now.device = g_strdup(now.device);
    GST_OBJECT_UNLOCK(self);
    return now;
}

static struct ww_watch *create_watch(WwInfer *self, const struct ww_settings *now,
                                     struct ww_error *err)
{
    if (*now->instruction) { // no family that follows one is there yet
        ww_fail(err, WW_E_UNSUPPORTED, "model '%s' takes no instruction; use phrases", now->model);
        return NULL;
    }
    char **phrases = ww_phrases_parse(now->phrases, err);
    if (!phrases)
        return NULL;
    struct ww_watch *watch = ww_watch_create(
        self->engine,
        ww_watch_params(.model = now->model, .task = (enum ww_task)now->task,
                        .phrases = (const char *const *)phrases,
                        .num_phrases = (int)g_strv_length(phrases), .threshold = now->threshold,
                        .input_size = now->input_size, .input_width = now->input_width,
                        .input_height = now->input_height, .on_result = on_result, .opaque = self),
        err);
    g_strfreev(phrases);
    return watch;
}

// With watch_lock: gives the watch other words, or leaves it as it is.
static bool apply_phrases(WwInfer *self, const char *text, struct ww_error *err)
{
    char **phrases = ww_phrases_parse(text, err);
    if (!phrases)
        return false;
    guint32 revision = ww_watch_set_phrases(self->watch, (const char *const *)phrases,
                                            (int)g_strv_length(phrases), err);
    g_strfreev(phrases);
    return revision != 0;
}

// What was set while the watch was being made, for which set_property had no watch yet.
static void catch_up(WwInfer *self, const struct ww_settings *then)
{
    struct ww_settings now = settings_now(self);
    struct ww_error err;
    if (now.threshold != then->threshold)
        ww_watch_set_threshold(self->watch, now.threshold);
    if (strcmp(now.phrases, then->phrases) != 0 && !apply_phrases(self, now.phrases, &err)) {
        ww_trouble_post(GST_ELEMENT(self), GST_MESSAGE_WARNING, &err);
        GST_OBJECT_LOCK(self);
        g_free(self->settings.phrases);
        self->settings.phrases = g_strdup(then->phrases);
        GST_OBJECT_UNLOCK(self);
    }
    ww_settings_finish(&now);
}

static void set_engine(WwInfer *self, struct ww_engine *engine)
{
    g_mutex_lock(&self->lock);
    self->engine = engine;
    g_mutex_unlock(&self->lock);
}

static void close_engine(WwInfer *self)
{
    struct ww_engine *engine = self->engine;
    set_engine(self, NULL);
    ww_engine_close(&engine);
}

static gboolean start(GstBaseTransform *base)
{
    WwInfer *self = WW_INFER(base);
    struct ww_settings now = settings_now(self);
    struct ww_error err;
    struct ww_watch *watch = NULL;
    self->task = (enum ww_task)now.task;
    self->mode = now.mode;
    self->next_index = self->first_index = 0;
    self->dropped_told = self->skipped_rate = self->unmapped = 0;
    self->qos_told_us = self->warned_us = 0;
    self->latency = (struct ww_latency){0};
    self->pace = (struct ww_pace){0};

    set_engine(self, ww_engine_open(ww_engine_params(.device = now.device), &err));
    if (self->engine)
        watch = create_watch(self, &now, &err);
    if (!watch) {
        ww_trouble_post(GST_ELEMENT(self), GST_MESSAGE_ERROR, &err);
        close_engine(self);
        ww_settings_finish(&now);
        return FALSE;
    }
    self->moments = g_new0(struct ww_moments, 1);
    ww_watch_model(watch, &self->model);

    g_mutex_lock(&self->watch_lock);
    self->watch = watch;
    catch_up(self, &now);
    g_mutex_unlock(&self->watch_lock);
    ww_settings_finish(&now);
    return TRUE;
}

static gboolean stop(GstBaseTransform *base)
{
    WwInfer *self = WW_INFER(base);
    g_mutex_lock(&self->watch_lock);
    struct ww_watch *watch = self->watch; // a last on_result still reads self->watch
    ww_watch_destroy(&watch);
    self->watch = NULL;
    g_mutex_unlock(&self->watch_lock);
    close_engine(self);
    forget(self, 0);
    g_clear_pointer(&self->moments, g_free);
    return TRUE;
}

static void set_phrases(WwInfer *self, const GValue *value)
{
    const char *text = g_value_get_string(value);
    struct ww_error err;
    g_mutex_lock(&self->watch_lock);
    bool accepted = !self->watch || apply_phrases(self, text, &err);
    if (accepted) {
        GST_OBJECT_LOCK(self);
        ww_settings_set(&self->settings, WW_PROP_PHRASES, value);
        GST_OBJECT_UNLOCK(self);
    }
    g_mutex_unlock(&self->watch_lock);
    if (!accepted)
        ww_trouble_post(GST_ELEMENT(self), GST_MESSAGE_WARNING, &err);
}

static void set_threshold(WwInfer *self, const GValue *value)
{
    g_mutex_lock(&self->watch_lock);
    GST_OBJECT_LOCK(self);
    ww_settings_set(&self->settings, WW_PROP_THRESHOLD, value);
    GST_OBJECT_UNLOCK(self);
    if (self->watch)
        ww_watch_set_threshold(self->watch, g_value_get_float(value));
    g_mutex_unlock(&self->watch_lock);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    WwInfer *self = WW_INFER(object);
    if (id == WW_PROP_PHRASES) {
        set_phrases(self, value);
    } else if (id == WW_PROP_THRESHOLD) {
        set_threshold(self, value);
    } else if (id < WW_PROP_REVISION) {
        GST_OBJECT_LOCK(self);
        ww_settings_set(&self->settings, (enum ww_property)id, value);
        GST_OBJECT_UNLOCK(self);
    } else {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void get_stats(WwInfer *self, GValue *value)
{
    struct ww_tally t = {0};
    g_mutex_lock(&self->watch_lock);
    if (self->watch)
        t = tally(self);
    g_mutex_unlock(&self->watch_lock);
    GstStructure *stats = gst_structure_new_empty("watchword-stats");
    ww_tally_set(stats, &t);
    g_value_take_boxed(value, stats);
}

static void get_activity(WwInfer *self, GValue *value)
{
    char text[200] = "stopped";
    g_mutex_lock(&self->lock);
    if (self->engine)
        ww_engine_activity(self->engine, text, sizeof(text));
    g_mutex_unlock(&self->lock);
    g_value_set_string(value, text);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    WwInfer *self = WW_INFER(object);
    switch ((enum ww_property)id) {
    case WW_PROP_REVISION:
        g_mutex_lock(&self->watch_lock);
        g_value_set_uint(value, self->watch ? ww_watch_revision(self->watch) : 0);
        g_mutex_unlock(&self->watch_lock);
        break;
    case WW_PROP_STATS:
        get_stats(self, value);
        break;
    case WW_PROP_ACTIVITY:
        get_activity(self, value);
        break;
    default:
        if (id > WW_PROP_ACTIVITY) {
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
            break;
        }
        GST_OBJECT_LOCK(self);
        ww_settings_get(&self->settings, (enum ww_property)id, value);
        GST_OBJECT_UNLOCK(self);
    }
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

    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->finalize = finalize;
    ww_settings_describe(GST_ELEMENT_CLASS(class));
    ww_settings_install(object_class);

    base_class->start = start;
    base_class->stop = stop;
    base_class->set_caps = set_caps;
    base_class->sink_event = sink_event;
    base_class->query = query;
    base_class->propose_allocation = propose_allocation;
    base_class->prepare_output_buffer = prepare_output_buffer;
    base_class->transform_ip = transform_ip;
}
