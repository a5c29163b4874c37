#include "camera-inner.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"

// The promise is a first result 2 s after a camera is reachable again. The wait is the largest part of
// that: with its jitter at most 1.25 s, which leaves the rest for connecting, a key frame and a look.
#define BACKOFF_FIRST_US 100000
#define BACKOFF_MAX_US   1000000
#define STABLE_US        5000000 // live for so long: the next loss starts with a short wait again

// Where a camera is there, and its answer will be the same soon after: so many waits are as usual, for one that
// is not quite up yet, then each is twice the last. Cameras lock accounts over passwords that are wrong again and
// again.
static const struct {
    int usual;
    gint64 most_us; // 0: all are as usual
} patience[NUM_CAUSES] = {
    [CAUSE_UNAUTHORIZED] = {4, 60000000}, // 2.5 s
    [CAUSE_NOT_FOUND] = {12, 10000000},   // 10 s
    [CAUSE_NO_VIDEO] = {12, 10000000},
    [CAUSE_CODEC] = {12, 10000000},
};

// Packets that make no picture: the next key frame of a thrifty camera may be this far.
#define NO_PICTURE_US 10000000

// A device that is full, or gone, when models are loaded may have room later.
#define REOPEN_US 20000000

// Shaders are compiled and plans recorded for a new size of picture: no camera's fault, as long as there
// is another one within this.
#define PREPARE_US 300000000

// A slow camera's pictures are missed only when several in a row are.
#define STALLED_INTERVALS 4
#define LOST_INTERVALS    8
#define STALLED_MIN_US    1500000
#define LOST_MAX_US       60000000

const char *camera_state_name(enum camera_state state)
{
    static const char *const names[NUM_CAMERA_STATES] = {
        [CAMERA_STARTING] = "starting", [CAMERA_LIVE] = "live",
        [CAMERA_STALLED] = "stalled",   [CAMERA_RECONNECTING] = "reconnecting",
        [CAMERA_ENDED] = "ended",       [CAMERA_DISABLED] = "disabled",
    };
    return names[state];
}

static void enter(struct camera *c, enum camera_state state, const struct cause *cause)
{
    static const struct cause none;
    cause = cause ? cause : &none;
    if (c->state == state && c->cause.code == cause->code &&
        (state == CAMERA_STALLED || strcmp(c->cause.text, cause->text) == 0)) {
        c->cause = *cause; // for how long is in every status, and need not be told at once
        return;
    }
    if (c->state != state)
        c->since_unix_us = g_get_real_time();
    c->state = state;
    c->cause = *cause;
    const enum ww_log_level level = state == CAMERA_DISABLED && cause->code == CAUSE_WATCH
                                        ? WW_LOG_ERROR
                                    : state == CAMERA_RECONNECTING ? WW_LOG_WARN
                                                                   : WW_LOG_INFO;
    log_say(level, c->config->name, NULL, "%s%s%s", camera_state_name(state),
            *cause->text ? ": " : "", cause->text);
    c->params.on_change(c->params.opaque, c);
}

// -- connecting and losing ------------------------------------------------------------------------

static void on_frame(void *opaque)
{
    struct camera *c = opaque;
    const gint64 now = g_get_monotonic_time();
    g_mutex_lock(&c->mutex);
    if (c->frame_us) {
        const gint64 interval = now - c->frame_us;
        c->interval_us = MAX(interval, c->interval_us - c->interval_us / 16);
    }
    c->frame_us = c->last_frame_us = now;
    c->frames++;
    g_mutex_unlock(&c->mutex);
}

static void on_late(void *opaque)
{
    struct camera *c = opaque;
    g_mutex_lock(&c->mutex);
    c->late++;
    g_mutex_unlock(&c->mutex);
}

// The bus keeps the order: what the connection said before it ended is read first.
static void on_end(void *opaque)
{
    struct camera *c = opaque;
    gst_element_post_message(c->pipeline, gst_message_new_application(
                                              GST_OBJECT(c->pipeline),
                                              gst_structure_new_empty("source-end")));
}

static void on_source_gone(void *opaque)
{
    struct camera *c = opaque;
    g_atomic_int_dec_and_test(&c->busy);
}

static void disconnect(struct camera *c)
{
    reach_cancel(&c->reach);
    if (!c->source)
        return;
    struct source_stats stats;
    source_stats(c->source, &stats);
    c->received += stats.received;
    c->lost += stats.lost;
    g_atomic_int_inc(&c->busy);
    source_destroy(&c->source, on_source_gone, c);
}

static void disable(struct camera *c, const struct cause *cause)
{
    disconnect(c);
    c->retry_us = 0;
    enter(c, CAMERA_DISABLED, cause);
}

static bool is_network(const struct camera *c)
{
    return c->config->kind == SOURCE_RTSP || c->config->kind == SOURCE_HTTP;
}

// For how long to leave it alone after one more try, which ended so.
static gint64 next_wait(struct camera *c, enum cause_code code)
{
    const gint64 usual = MIN((gint64)BACKOFF_FIRST_US << MIN(c->attempts, 10), BACKOFF_MAX_US);
    c->attempts++;
    if (!is_network(c) || !patience[code].most_us)
        return usual;
    c->in_vain = code == c->vain ? c->in_vain + 1 : 1;
    c->vain = code;
    const int doublings = MIN(c->in_vain - patience[code].usual, 10);
    return doublings <= 0 ? usual : MIN((gint64)BACKOFF_MAX_US << doublings, patience[code].most_us);
}

static void retry_later(struct camera *c, enum cause_code code)
{
    const gint64 wait = next_wait(c, code);
    c->retry_us = g_get_monotonic_time() + (gint64)((double)wait * g_random_double_range(0.75, 1.25));
}

static void lose(struct camera *c, const struct cause *cause)
{
    const bool was_live = c->live_us != 0;
    if (was_live && g_get_monotonic_time() - c->live_us > STABLE_US)
        c->attempts = c->in_vain = 0;
    c->live_us = 0;
    c->reconnects += was_live;
    disconnect(c);
    retry_later(c, cause->code);
    enter(c, CAMERA_RECONNECTING, cause);
}

static void on_reached(void *opaque, const struct cause *cause);

static void knock(struct camera *c)
{
    c->reach = reach_start(c->config->host, c->config->port, c->config->timeout_ms, on_reached, c);
}

static void connect_source(struct camera *c)
{
    struct ww_error err = {0};
    c->attempt_us = g_get_monotonic_time();
    c->retry_us = 0;
    c->warning = (struct cause){0};
    c->password_ns = credentials_changed_ns(c->config);
    capture_reset(c->capture);
    g_mutex_lock(&c->mutex);
    c->frame_us = 0;
    c->left = c->frames; // what is still under way belongs to the connection before
    g_mutex_unlock(&c->mutex);
    c->source = source_create(&(struct source_params){
        .config = c->config, .pipeline = c->pipeline, .sink = c->sink, .capture = c->capture,
        .udp = c->udp, .on_frame = on_frame, .on_late = on_late, .on_end = on_end, .opaque = c,
    }, &err);
    if (c->source) {
        if (c->watches_open)
            source_open_gate(c->source);
        source_start(c->source);
        return;
    }
    struct cause cause;
    cause_set(&cause, err.code == WW_E_FILE ? CAUSE_CREDENTIALS
                      : err.code == WW_E_NETWORK ? CAUSE_TLS : CAUSE_OTHER, "%s", err.text);
    if (err.code == WW_E_FILE) // the file may come
        lose(c, &cause);
    else
        disable(c, &cause);
}

static void on_reached(void *opaque, const struct cause *cause)
{
    struct camera *c = opaque;
    c->reach = NULL;
    if (cause->code == CAUSE_NONE && c->knock) {
        c->knock = false;
        connect_source(c);
    } else if (cause->code == CAUSE_NONE) { // just when we asked for the cause, it is there
        struct cause busy;
        cause_set(&busy, CAUSE_UNREACHABLE, "%s accepts connections, but does not go on with them",
                  c->config->host);
        lose(c, &busy);
    } else {
        c->knock = true;
        lose(c, cause);
    }
}

static void try_again(struct camera *c)
{
    c->retry_us = 0;
    if (c->knock)
        knock(c);
    else
        connect_source(c);
}

// -- what the pipeline says -----------------------------------------------------------------------

static void on_source_error(struct camera *c, GstMessage *message)
{
    struct cause cause;
    cause_from_message(&cause, message, c->config->shown);
    if (cause.code == CAUSE_TRANSPORT && c->config->transport == TRANSPORT_AUTO)
        c->udp = !c->udp;
    if (c->config->kind == SOURCE_FILE || c->config->kind == SOURCE_TEST) {
        disconnect(c);
        enter(c, CAMERA_ENDED, &cause);
    } else if (cause.code == CAUSE_UNREACHABLE && is_network(c)) {
        disconnect(c);
        c->knock = false;
        knock(c); // finds out why
    } else {
        lose(c, &cause);
    }
}

static void on_watch_error(struct camera *c, GstMessage *message)
{
    GError *error = NULL;
    struct cause cause;
    gst_message_parse_error(message, &error, NULL);
    char *name = gst_object_get_name(GST_MESSAGE_SRC(message));
    const bool may_pass = g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT) ||
                          g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ);
    cause_set(&cause, CAUSE_WATCH, "watch '%s': %s%s", name, error->message,
              may_pass ? "; it is tried again in 20 s" : "");
    c->reopen_us = may_pass ? g_get_monotonic_time() + REOPEN_US : 0;
    g_free(name);
    g_error_free(error);
    disable(c, &cause);
    camera_close_watches(c);
}

static void reopen(struct camera *c)
{
    c->reopen_us = 0;
    c->watches_open = false;
    enter(c, CAMERA_STARTING, NULL);
    camera_open_watches(c);
    connect_source(c);
}

static void on_error(struct camera *c, GstMessage *message)
{
    GstObject *from = GST_MESSAGE_SRC(message);
    if (c->source && source_owns(c->source, from))
        on_source_error(c, message);
    else if (gst_object_has_as_ancestor(from, GST_OBJECT(c->watches_bin)) &&
             c->state != CAMERA_DISABLED)
        on_watch_error(c, message);
    // All else comes from a connection that is over already.
}

static void on_warning(struct camera *c, GstMessage *message)
{
    GstObject *from = GST_MESSAGE_SRC(message);
    if (c->source && source_owns(c->source, from)) {
        cause_from_message(&c->warning, message, c->config->shown);
        log_say(WW_LOG_DEBUG, c->config->name, NULL, "%s", c->warning.text);
    } else if (gst_object_has_as_ancestor(from, GST_OBJECT(c->watches_bin))) {
        GError *warning = NULL;
        gst_message_parse_warning(message, &warning, NULL);
        char *name = gst_object_get_name(from);
        log_say(WW_LOG_WARN, c->config->name, name, "%s", warning->message);
        g_free(name);
        g_error_free(warning);
    }
}

static void on_source_end(struct camera *c)
{
    struct cause cause;
    if (!c->source)
        return;
    if (c->warning.code == CAUSE_CLOSED)
        cause_set(&cause, CAUSE_CLOSED, "the camera closed the connection");
    else
        cause_set(&cause, CAUSE_ENDED, "the camera ended the stream");
    lose(c, &cause);
}

static gboolean on_message(GstBus *bus, GstMessage *message, void *opaque)
{
    (void)bus;
    struct camera *c = opaque;
    if (c->stopping)
        return G_SOURCE_CONTINUE;
    switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR:
        on_error(c, message);
        break;
    case GST_MESSAGE_WARNING:
        on_warning(c, message);
        break;
    case GST_MESSAGE_EOS: // only files and test pictures get this far
        disconnect(c);
        enter(c, CAMERA_ENDED, NULL);
        break;
    case GST_MESSAGE_APPLICATION:
        if (gst_message_has_name(message, "source-end")) {
            on_source_end(c);
        } else if (gst_message_has_name(message, "watches-open")) {
            c->watches_open = true;
            c->attempt_us = g_get_monotonic_time(); // nothing could come before
            if (c->source)
                source_open_gate(c->source);
        }
        break;
    default:
        break;
    }
    return G_SOURCE_CONTINUE;
}

// -- time -----------------------------------------------------------------------------------------

// No picture for too long: what may be the reason?
static void explain(const struct camera *c, const struct source_stats *stats, bool had_picture,
                    gint64 silent_us, gint64 packet_age_us, struct cause *cause)
{
    const double seconds = (double)silent_us / 1e6;
    if (stats->lost > stats->received && stats->lost > 10)
        cause_set(cause, CAUSE_LOSS,
                  "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " RTP packets were lost", stats->lost,
                  stats->lost + stats->received);
    else if (packet_age_us < silent_us / 2 && had_picture)
        cause_set(cause, CAUSE_PAYLOAD, "packets still arrive, but for %.1f s no picture could be "
                                        "decoded from them", seconds);
    else if (packet_age_us < silent_us / 2)
        cause_set(cause, CAUSE_CODEC, "packets arrive, announced as %s, but no picture comes of them "
                                      "in %.1f s: the camera may send another codec than it says",
                  *stats->encoding ? stats->encoding : "nothing known", seconds);
    else if (c->config->kind == SOURCE_FILE)
        cause_set(cause, CAUSE_PAYLOAD, "no picture came of it in %.1f s", seconds);
    else if (had_picture || stats->packets || *stats->encoding)
        cause_set(cause, CAUSE_STALLED, "connected, but nothing was sent for %.1f s", seconds);
    else
        cause_set(cause, CAUSE_TIMEOUT, "%s did not answer for %.1f s",
                  c->config->host ? c->config->host : c->config->shown, seconds);
}

// Whether watches are still made ready for the size that came at `caps_us`: the engine tells each kernel
// that it compiles.
static bool is_preparing(struct camera *c, gint64 caps_us, gint64 now)
{
    char *text = NULL;
    if (!caps_us)
        return false;
    g_object_get(c->watches[0].infer, "activity", &text, NULL);
    if (g_strcmp0(text, c->activity) != 0) {
        g_strlcpy(c->activity, text ? text : "", sizeof(c->activity));
        c->activity_us = now;
    }
    g_free(text);
    return now - MAX(caps_us, c->activity_us) < PREPARE_US;
}

static void watch_over(struct camera *c, gint64 now)
{
    struct source_stats stats;
    source_stats(c->source, &stats);
    g_mutex_lock(&c->mutex);
    const gint64 frame_us = c->frame_us, interval = c->interval_us;
    const bool held_up = c->frames > c->left; // a picture is being looked at: no camera's fault
    const gint64 left_us = c->left_us;
    g_mutex_unlock(&c->mutex);

    if (frame_us && c->state != CAMERA_LIVE && now - frame_us < STALLED_MIN_US) {
        c->live_us = c->live_us ? c->live_us : now;
        c->knock = false;
        enter(c, CAMERA_LIVE, NULL);
    }
    if (c->config->kind == SOURCE_TEST || held_up)
        return;
    // A file is as fast as it is looked at. But decodebin of GStreamer 1.22 now and then loses the error
    // of a demuxer that fails at once, and then nothing ever comes: the next try says why.
    if (c->config->kind == SOURCE_FILE && (frame_us || !c->watches_open))
        return;
    if (is_preparing(c, stats.caps_us, now))
        return;
    const gint64 timeout = (gint64)c->config->timeout_ms * 1000;
    const gint64 silent = now - MAX(MAX(frame_us, left_us), MAX(c->attempt_us, stats.ready_us));
    const gint64 packet_age = stats.packet_us ? now - stats.packet_us : G_MAXINT64;
    const gint64 limit = frame_us                ? MAX(timeout, MIN(LOST_INTERVALS * interval, LOST_MAX_US))
                         : packet_age < timeout ? MAX(timeout, NO_PICTURE_US)
                                                : timeout;
    const gint64 stalled = MAX(MIN(STALLED_MIN_US, timeout / 2), STALLED_INTERVALS * interval);
    if (!c->watches_open && !frame_us && stats.at_gate)
        return; // pictures wait at the gate
    struct cause cause;
    explain(c, &stats, frame_us != 0, silent, packet_age, &cause);
    if (silent > limit)
        lose(c, &cause);
    else if (frame_us && silent > stalled && c->state == CAMERA_LIVE)
        enter(c, CAMERA_STALLED, &cause);
}

// What was refused may have been replaced.
static bool has_new_password(const struct camera *c)
{
    return c->cause.code == CAUSE_UNAUTHORIZED && credentials_changed_ns(c->config) != c->password_ns;
}

void camera_tick(struct camera *c, gint64 now)
{
    if (c->stopping)
        return;
    if (c->source)
        watch_over(c, now);
    else if (c->retry_us && (now >= c->retry_us || has_new_password(c)))
        try_again(c);
    else if (c->reopen_us && now >= c->reopen_us && !g_atomic_int_get(&c->busy))
        reopen(c);
}

void camera_hurry(struct camera *c)
{
    if (c->retry_us)
        c->retry_us = g_get_monotonic_time();
}

// -- life -----------------------------------------------------------------------------------------

static void begin(struct camera *c)
{
    GstClock *clock = gst_system_clock_obtain();
    gst_pipeline_use_clock(GST_PIPELINE(c->pipeline), clock);
    gst_object_unref(clock);
    gst_element_set_state(c->pipeline, GST_STATE_PLAYING); // its halves go by themselves
    GstBus *bus = gst_element_get_bus(c->pipeline);
    c->bus_watch = gst_bus_add_watch(bus, on_message, c);
    gst_object_unref(bus);
    camera_open_watches(c);
    connect_source(c);
}

struct camera *camera_create(struct config *whole, const struct stream_config *config,
                             const struct camera_params *params, struct ww_error *err)
{
    struct camera *c = g_new0(struct camera, 1);
    g_mutex_init(&c->mutex);
    g_mutex_init(&c->wording_mutex);
    c->config = c->words = config;
    c->config_whole = config_ref(whole);
    c->words_whole = config_ref(whole);
    c->params = *params;
    c->since_unix_us = g_get_real_time();
    c->capture = capture_create();
    c->pipeline = gst_pipeline_new(config->name);
    if (!config->enabled) {
        c->state = CAMERA_DISABLED;
        cause_set(&c->cause, CAUSE_DISABLED, "disabled by the configuration");
        return c;
    }
    if (!camera_build_watches(c, err)) {
        camera_destroy(&c);
        return NULL;
    }
    begin(c);
    return c;
}

void camera_update(struct camera *c, struct config *whole, const struct stream_config *config)
{
    struct config *old = c->words_whole;
    c->words = config;
    c->words_whole = config_ref(whole);
    config_unref(&old);
    if (c->watches_bin)
        camera_reconfigure_watches(c);
}

bool camera_is_broken(const struct camera *c)
{
    return c->state == CAMERA_DISABLED && c->cause.code == CAUSE_WATCH;
}

void camera_stop(struct camera *c)
{
    if (c->stopping)
        return;
    disconnect(c);
    c->stopping = true;
    if (c->watches_bin)
        camera_close_watches(c);
    struct cause cause;
    cause_set(&cause, CAUSE_STOPPING, "watchwordd is stopping");
    c->state = CAMERA_ENDED;
    c->cause = cause;
    c->since_unix_us = g_get_real_time();
}

bool camera_is_stopped(const struct camera *c)
{
    return c->stopping && g_atomic_int_get(&c->busy) == 0;
}

void camera_destroy(struct camera **camera)
{
    struct camera *c = *camera;
    if (!c)
        return;
    if (c->bus_watch)
        g_source_remove(c->bus_watch);
    gst_element_set_state(c->pipeline, GST_STATE_NULL);
    GstBus *bus = gst_element_get_bus(c->pipeline);
    gst_bus_set_sync_handler(bus, NULL, NULL, NULL);
    gst_object_unref(bus);
    gst_object_unref(c->pipeline);
    capture_destroy(&c->capture);
    config_unref(&c->config_whole);
    config_unref(&c->words_whole);
    g_mutex_clear(&c->mutex);
    g_mutex_clear(&c->wording_mutex);
    g_free(c);
    *camera = NULL;
}

const struct stream_config *camera_config(const struct camera *c)
{
    return c->words;
}
