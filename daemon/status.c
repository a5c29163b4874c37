#include "status.h"

#include <unistd.h>
#include <watchword/json_text.h>
#include <watchword/message.h>

#include "daemon-config.h"

// Writes a message twice, first to learn its length.
typedef void (*write_fn)(struct ww_json_text *text, const void *what);

static void send(const struct speaker *speaker, const char *topic, write_fn write, const void *what)
{
    struct ww_json_text count = {0};
    write(&count, what);
    char *out = g_malloc(count.length + 1);
    struct ww_json_text text = {.out = out, .size = count.length + 1};
    write(&text, what);
    publisher_send(speaker->publisher, topic, out);
}

static void put_head(struct ww_json_text *t, const char *stream, const struct speaker *speaker,
                     guint64 seq, gint64 now_us)
{
    ww_json_object(t, NULL);
    ww_json_put_string(t, "schema", WW_MESSAGE_SCHEMA);
    ww_json_put_string(t, "kind", "status");
    if (stream)
        ww_json_put_string(t, "stream", stream);
    ww_json_put_string(t, "epoch", speaker->epoch);
    ww_json_put_uint(t, "seq", seq);
    ww_json_put_time(t, "at", now_us * 1000);
}

// -- a camera -------------------------------------------------------------------------------------

struct camera_message {
    const struct speaker *speaker;
    const struct stream_config *config;
    const struct camera_status *status;
    guint64 seq;
    gint64 now_us;
};

static void put_watch(struct ww_json_text *t, const struct watch_config *config,
                      const struct watch_status *status)
{
    ww_json_object(t, NULL);
    ww_json_put_string(t, "name", config->name);
    ww_json_put_string(t, "task", ww_task_name(config->task));
    ww_json_put_string(t, "model", config->model);
    ww_json_put_uint(t, "revision", status->revision);
    ww_json_put_uint(t, "looked_at", status->looked_at);
    ww_json_put_real(t, "fps", status->looked_at_fps, 2);
    ww_json_object(t, "skipped");
    ww_json_put_uint(t, "newer", status->skipped_newer);
    ww_json_put_uint(t, "rate", status->skipped_rate);
    ww_json_put_uint(t, "failed", status->failed);
    ww_json_end(t);
    if (status->failure.code != CAUSE_NONE)
        ww_json_put_string(t, "error", status->failure.text);
    ww_json_end(t);
}

static void put_cause(struct ww_json_text *t, const struct cause *cause)
{
    if (cause->code == CAUSE_NONE)
        return;
    ww_json_object(t, "cause");
    ww_json_put_string(t, "code", cause_name(cause->code));
    ww_json_put_string(t, "text", cause->text);
    ww_json_end(t);
}

static void write_camera(struct ww_json_text *t, const void *what)
{
    const struct camera_message *m = what;
    const struct camera_status *s = m->status;
    put_head(t, m->config->name, m->speaker, m->seq, m->now_us);
    ww_json_put_string(t, "state", camera_state_name(s->state));
    ww_json_put_time(t, "since", s->since_unix_us * 1000);
    put_cause(t, &s->cause);
    if (*s->activity)
        ww_json_put_string(t, "activity", s->activity);
    ww_json_put_string(t, "url", m->config->shown);
    ww_json_put_uint(t, "frames", s->frames);
    ww_json_put_real(t, "fps", s->fps, 2);
    if (s->frame_age_us >= 0)
        ww_json_put_real(t, "last_frame_age_ms", (double)s->frame_age_us / 1000, 0);
    ww_json_put_uint(t, "reconnects", s->reconnects);
    if (m->config->kind == SOURCE_RTSP) {
        ww_json_object(t, "packets");
        ww_json_put_uint(t, "received", s->packets_received);
        ww_json_put_uint(t, "lost", s->packets_lost);
        ww_json_end(t);
    }
    if (s->latency_p50_ms >= 0) {
        ww_json_object(t, "latency_ms");
        ww_json_put_real(t, "p50", s->latency_p50_ms, 1);
        ww_json_put_real(t, "p99", s->latency_p99_ms, 1);
        ww_json_end(t);
    }
    ww_json_array(t, "watches");
    for (int i = 0; i < m->config->num_watches; i++)
        put_watch(t, &m->config->watches[i], &s->watches[i]);
    ww_json_end(t);
    ww_json_end(t);
}

void status_publish_camera(const struct speaker *speaker, const struct stream_config *config,
                           const struct camera_status *status, guint64 seq)
{
    char *topic = g_strdup_printf("status/%s/", config->name);
    send(speaker, topic, write_camera,
         &(struct camera_message){speaker, config, status, seq, g_get_real_time()});
    g_free(topic);
}

// -- the daemon -----------------------------------------------------------------------------------

struct daemon_message {
    const struct speaker *speaker;
    const struct daemon_status *status;
    guint64 seq;
    gint64 now_us;
};

static void write_daemon(struct ww_json_text *t, const void *what)
{
    const struct daemon_message *m = what;
    const struct daemon_status *s = m->status;
    put_head(t, NULL, m->speaker, m->seq, m->now_us);
    ww_json_put_string(t, "state", s->state);
    ww_json_put_time(t, "since", s->started_unix_us * 1000);
    ww_json_put_string(t, "version", VERSION);
    ww_json_put_int(t, "pid", getpid());
    ww_json_put_string(t, "device", s->device);
    ww_json_put_string(t, "activity", s->activity);
    ww_json_object(t, "streams");
    for (int i = 0; i < NUM_CAMERA_STATES; i++)
        ww_json_put_int(t, camera_state_name((enum camera_state)i), s->num_streams[i]);
    ww_json_end(t);
    ww_json_object(t, "engine");
    ww_json_put_uint(t, "inferences", s->inferences);
    ww_json_put_uint(t, "device_losses", s->device_losses);
    ww_json_put_uint(t, "device_bytes", s->device_bytes);
    ww_json_end(t);
    ww_json_object(t, "messages");
    ww_json_put_uint(t, "sent", s->messages.sent);
    ww_json_put_uint(t, "dropped", s->messages.dropped);
    ww_json_end(t);
    ww_json_put_uint(t, "resident_bytes", s->resident_bytes);
    ww_json_end(t);
}

void status_publish_daemon(const struct speaker *speaker, const struct daemon_status *status,
                           guint64 seq)
{
    send(speaker, "status/", write_daemon,
         &(struct daemon_message){speaker, status, seq, g_get_real_time()});
}
