#include "source-inner.h"
#include "trust.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define HELD_UP_US 150000 // longer than caps take to go through when nothing has to be made ready

GstElement *source_add(struct source *s, const char *factory, struct ww_error *err)
{
    GstElement *element = gst_element_factory_make(factory, NULL);
    if (element)
        gst_bin_add(GST_BIN(s->bin), element);
    else
        ww_fail(err, WW_E_UNSUPPORTED, "the GStreamer element \"%s\" is not installed (it is in "
                                       "gstreamer1.0-plugins-base or -good)", factory);
    return element;
}

void source_expose(struct source *s, GstPad *pad)
{
    GstPad *target = gst_ghost_pad_get_target(GST_GHOST_PAD(s->out));
    if (target)
        gst_object_unref(target); // a second picture of the same camera: the first one counts
    else
        gst_ghost_pad_set_target(GST_GHOST_PAD(s->out), pad);
}

static void on_decoded_pad(GstElement *decoder, GstPad *pad, struct source *s)
{
    (void)decoder;
    GstCaps *caps = gst_pad_get_current_caps(pad);
    if (!caps)
        caps = gst_pad_query_caps(pad, NULL);
    if (gst_caps_get_size(caps) > 0 &&
        g_str_has_prefix(gst_structure_get_name(gst_caps_get_structure(caps, 0)), "video/x-raw"))
        source_expose(s, pad);
    gst_caps_unref(caps);
}

// decodebin lets nothing out until it has seen all streams. MJPEG has one, but its demuxer says so only if
// told: otherwise 10 s or 2 MB of pictures are gathered first.
static void on_part(GstBin *decoder, GstElement *element, void *opaque)
{
    (void)decoder, (void)opaque;
    if (g_object_class_find_property(G_OBJECT_GET_CLASS(element), "single-stream"))
        g_object_set(element, "single-stream", TRUE, NULL);
}

GstElement *source_add_decoder(struct source *s, struct ww_error *err)
{
    GstElement *decoder = source_add(s, "decodebin", err);
    if (!decoder)
        return NULL;
    // Sound is not even decoded.
    GstCaps *caps = gst_caps_from_string("video/x-raw(ANY)");
    g_object_set(decoder, "caps", caps, "expose-all-streams", FALSE, NULL);
    gst_caps_unref(caps);
    g_signal_connect(decoder, "pad-added", G_CALLBACK(on_decoded_pad), s);
    g_signal_connect(decoder, "element-added", G_CALLBACK(on_part), NULL);
    return decoder;
}

static bool build_file(struct source *s, struct ww_error *err)
{
    const char *path = s->params.config->url;
    GstElement *file = source_add(s, "filesrc", err), *decoder = source_add_decoder(s, err);
    if (!file || !decoder)
        return false;
    g_object_set(file, "location", path, NULL);
    struct stat st;
    if (stat(path, &st) == 0)
        capture_file(s->params.capture,
                     st.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_mtim.tv_nsec);
    return gst_element_link(file, decoder) || ww_fail(err, WW_E_UNSUPPORTED, "cannot link");
}

static bool build_http(struct source *s, struct ww_error *err)
{
    const struct stream_config *config = s->params.config;
    struct credentials login;
    if (!credentials_read(config, &login, err))
        return false;
    GstElement *http = source_add(s, "souphttpsrc", err), *decoder = source_add_decoder(s, err);
    if (http)
        g_object_set(http, "location", config->url, "is-live", TRUE, "do-timestamp", TRUE,
                     "timeout", (guint)(config->timeout_ms + 999) / 1000, "retries", 0,
                     "user-agent", "watchword", "user-id", login.user, "user-pw", login.password,
                     NULL);
    credentials_clear(&login);
    const bool secret = g_str_has_prefix(config->url, "https:");
    return http && decoder && (!secret || trust_set(&config->tls, http, err)) &&
           gst_element_link(http, decoder);
}

static bool build_v4l2(struct source *s, struct ww_error *err)
{
    GstElement *device = source_add(s, "v4l2src", err), *decoder = source_add_decoder(s, err);
    if (device)
        g_object_set(device, "device", s->params.config->url, NULL);
    return device && decoder && gst_element_link(device, decoder);
}

// "ball?size=640x480&fps=10&frames=100", each part optional.
static bool build_test(struct source *s, struct ww_error *err)
{
    const char *url = s->params.config->url;
    GstElement *test = source_add(s, "videotestsrc", err), *caps = source_add(s, "capsfilter", err);
    if (!test || !caps)
        return false;
    int width = 640, height = 480, frames = -1;
    double fps = 10;
    char **parts = g_strsplit(url, "?", 2), **options = g_strsplit(parts[0] && parts[1] ? parts[1] : "",
                                                                   "&", 10);
    bool sound = true;
    for (char **o = options; *o && sound; o++)
        sound = sscanf(*o, "size=%dx%d", &width, &height) == 2 ||
                sscanf(*o, "frames=%d", &frames) == 1 ||
                (g_str_has_prefix(*o, "fps=") && (fps = g_ascii_strtod(*o + 4, NULL)) > 0);
    sound = sound && width > 0 && width <= 8192 && height > 0 && height <= 8192 && fps <= 1000;
    GEnumClass *patterns = g_type_class_ref(
        g_object_class_find_property(G_OBJECT_GET_CLASS(test), "pattern")->value_type);
    const char *name = parts[0] && *parts[0] ? parts[0] : "smpte";
    const GEnumValue *pattern = g_enum_get_value_by_nick(patterns, name);
    g_type_class_unref(patterns);
    if (pattern && sound) {
        int n, d;
        gst_util_double_to_fraction(fps, &n, &d);
        GstCaps *wanted = gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "I420", "width",
                                              G_TYPE_INT, width, "height", G_TYPE_INT, height,
                                              "framerate", GST_TYPE_FRACTION, n, d, NULL);
        g_object_set(caps, "caps", wanted, NULL);
        gst_caps_unref(wanted);
        g_object_set(test, "is-live", TRUE, "num-buffers", frames, "pattern", pattern->value, NULL);
    } else {
        ww_fail(err, WW_E_CONFIG, "test:%s: allowed is test:PATTERN?size=WxH&fps=N&frames=N with a "
                                  "pattern of videotestsrc, as smpte or ball", url);
    }
    g_strfreev(options);
    g_strfreev(parts);
    if (!pattern || !sound)
        return false;
    GstPad *pad = gst_element_get_static_pad(caps, "src");
    source_expose(s, pad);
    gst_object_unref(pad);
    return gst_element_link(test, caps);
}

static bool is_live(const struct source *s)
{
    return s->params.config->kind != SOURCE_FILE && s->params.config->kind != SOURCE_TEST;
}

// A live source may end or start over; for the watches behind it, the stream goes on.
static GstPadProbeReturn on_event(struct source *s, GstEvent *event)
{
    if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
        g_mutex_lock(&s->mutex);
        s->stats.caps_us = g_get_monotonic_time();
        g_mutex_unlock(&s->mutex);
    }
    GstEvent *begun;
    switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_STREAM_START:
        begun = gst_pad_get_sticky_event(s->params.sink, GST_EVENT_STREAM_START, 0);
        if (!begun)
            return GST_PAD_PROBE_OK;
        gst_event_unref(begun);
        return GST_PAD_PROBE_DROP;
    case GST_EVENT_EOS:
        if (!is_live(s))
            return GST_PAD_PROBE_OK;
        if (!g_atomic_int_get(&s->dead))
            s->params.on_end(s->params.opaque);
        return GST_PAD_PROBE_DROP;
    case GST_EVENT_FLUSH_START:
    case GST_EVENT_FLUSH_STOP:
        return is_live(s) ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
    default:
        return GST_PAD_PROBE_OK;
    }
}

// Watches are made ready while the caps go through them. What was sent meanwhile comes in a burst, and
// is not what the camera sees now: a live stream begins with the first picture that comes at its pace.
static bool is_late(struct source *s, GstBuffer *picture)
{
    const struct stream_config *config = s->params.config;
    const gint64 now = g_get_monotonic_time();
    const GstClockTime pts = GST_BUFFER_PTS(picture);
    g_mutex_lock(&s->mutex);
    const gint64 held_us = s->stats.caps_us ? now - s->stats.caps_us : 0;
    if (s->stats.caps_us)
        s->stats.ready_us = now;
    s->stats.caps_us = 0;
    g_mutex_unlock(&s->mutex);
    if (config->every_frame || config->kind == SOURCE_FILE || config->kind == SOURCE_TEST)
        return false;
    if (held_us > HELD_UP_US) {
        s->hasty = true;
    } else if (s->hasty) {
        const bool known = GST_CLOCK_TIME_IS_VALID(pts) && GST_CLOCK_TIME_IS_VALID(s->last_pts);
        s->hasty = known && pts > s->last_pts &&
                   (GstClockTime)(now - s->last_us) * 1000 < (pts - s->last_pts) / 2;
    }
    s->last_us = now;
    s->last_pts = pts;
    return s->hasty;
}

static GstPadProbeReturn on_out(GstPad *pad, GstPadProbeInfo *info, void *opaque)
{
    (void)pad;
    struct source *s = opaque;
    if (info->type & (GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH))
        return on_event(s, GST_PAD_PROBE_INFO_EVENT(info));
    if (g_atomic_int_get(&s->dead))
        return GST_PAD_PROBE_DROP;
    if (is_late(s, GST_PAD_PROBE_INFO_BUFFER(info))) {
        s->params.on_late(s->params.opaque);
        return GST_PAD_PROBE_DROP;
    }
    s->params.on_frame(s->params.opaque);
    return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn on_gate(GstPad *pad, GstPadProbeInfo *info, void *opaque)
{
    (void)pad, (void)info;
    struct source *s = opaque;
    g_mutex_lock(&s->mutex);
    s->stats.at_gate = true;
    g_mutex_unlock(&s->mutex);
    return GST_PAD_PROBE_OK; // stay blocked
}

// The owner has a reference, and so has a start that did not run yet.
static void source_unref(struct source *s)
{
    if (!g_atomic_int_dec_and_test(&s->refs))
        return;
    void (*done)(void *) = s->done;
    void *opaque = s->done_opaque;
    gst_object_replace((GstObject **)&s->jitter, NULL);
    gst_object_unref(s->bin);
    g_mutex_clear(&s->starting);
    g_mutex_clear(&s->mutex);
    g_free(s);
    if (done)
        done(opaque);
}

static bool build(struct source *s, struct ww_error *err)
{
    switch (s->params.config->kind) {
    case SOURCE_RTSP:
        return source_build_rtsp(s, err);
    case SOURCE_HTTP:
        return build_http(s, err);
    case SOURCE_FILE:
        return build_file(s, err);
    case SOURCE_V4L2:
        return build_v4l2(s, err);
    case SOURCE_TEST:
        return build_test(s, err);
    }
    return false;
}

struct source *source_create(const struct source_params *params, struct ww_error *err)
{
    struct source *s = g_new0(struct source, 1);
    s->params = *params;
    s->refs = 1;
    g_mutex_init(&s->starting);
    g_mutex_init(&s->mutex);
    s->bin = g_object_new(GST_TYPE_BIN, "async-handling", TRUE, NULL);
    gst_object_ref_sink(s->bin);
    s->out = gst_ghost_pad_new_no_target("src", GST_PAD_SRC);
    gst_element_add_pad(s->bin, s->out);
    gst_element_set_locked_state(s->bin, TRUE); // it lives by its own times
    if (!build(s, err)) {
        source_unref(s);
        return NULL;
    }
    gst_bin_add(GST_BIN(params->pipeline), s->bin);
    // The gate first: probes are called in order, and a picture counts when it goes through.
    s->gate = gst_pad_add_probe(s->out, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, on_gate, s, NULL);
    gst_pad_add_probe(s->out,
                      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM |
                          GST_PAD_PROBE_TYPE_EVENT_FLUSH,
                      on_out, s, NULL);
    gst_pad_link(s->out, params->sink);
    return s;
}

static void start(GstElement *bin, void *opaque)
{
    struct source *s = opaque;
    g_mutex_lock(&s->starting);
    if (!s->gone)
        gst_element_set_state(bin, GST_STATE_PLAYING);
    g_mutex_unlock(&s->starting);
    source_unref(s);
}

void source_start(struct source *s)
{
    g_atomic_int_inc(&s->refs);
    gst_element_call_async(s->bin, start, s, NULL);
}

void source_open_gate(struct source *s)
{
    if (s->gate)
        gst_pad_remove_probe(s->out, s->gate);
    s->gate = 0;
}

// A decodebin whose data turns out to be noise while it is taken down may refuse, and its bin with it;
// the next try finds it lower than before. What is thrown away while it runs takes the process along.
static void take_down(GstElement *bin)
{
    while (gst_element_set_state(bin, GST_STATE_NULL) == GST_STATE_CHANGE_FAILURE)
        g_usleep(1000);
}

static void stop(GstElement *bin, void *opaque)
{
    struct source *s = opaque;
    // The bin's threads may be held up in a watch; nobody else waits for them.
    g_mutex_lock(&s->starting);
    s->gone = true;
    take_down(bin);
    g_mutex_unlock(&s->starting);
    gst_bin_remove(GST_BIN(s->params.pipeline), bin);
    source_unref(s);
}

void source_destroy(struct source **source, void (*done)(void *opaque), void *opaque)
{
    struct source *s = *source;
    if (!s)
        return;
    g_atomic_int_set(&s->dead, 1);
    gst_pad_unlink(s->out, s->params.sink);
    s->done = done;
    s->done_opaque = opaque;
    gst_element_call_async(s->bin, stop, s, NULL);
    *source = NULL;
}

bool source_owns(const struct source *s, GstObject *object)
{
    return object == GST_OBJECT(s->bin) || gst_object_has_as_ancestor(object, GST_OBJECT(s->bin));
}

void source_stats(struct source *s, struct source_stats *out)
{
    g_mutex_lock(&s->mutex);
    *out = s->stats;
    GstElement *jitter = s->jitter ? gst_object_ref(s->jitter) : NULL;
    g_mutex_unlock(&s->mutex);
    if (!jitter)
        return;
    GstStructure *stats = NULL;
    g_object_get(jitter, "stats", &stats, NULL);
    if (stats) {
        gst_structure_get_uint64(stats, "num-pushed", &out->received);
        gst_structure_get_uint64(stats, "num-lost", &out->lost);
        gst_structure_free(stats);
    }
    gst_object_unref(jitter);
}
