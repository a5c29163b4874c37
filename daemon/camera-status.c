// camera-status.c: how a camera is, in numbers.

#include "camera-inner.h"

#include <string.h>

// Until the first result. The element is asked without our lock: it takes its own.
static void activity(struct camera *c, struct camera_status *out)
{
    char *text = NULL;
    g_mutex_lock(&c->mutex);
    const bool seen = c->result_us != 0; // written by the engine's thread
    g_mutex_unlock(&c->mutex);
    if (!c->watches_bin || seen || c->state == CAMERA_DISABLED)
        return;
    g_object_get(c->watches[0].infer, "activity", &text, NULL);
    // "stopped" is an element whose device is not open yet.
    g_strlcpy(out->activity, text && strcmp(text, "stopped") != 0 ? text : "opening the device",
              sizeof(out->activity));
    g_free(text);
}

void camera_status(struct camera *c, struct camera_status *out)
{
    const gint64 now = g_get_monotonic_time();
    *out = (struct camera_status){
        .state = c->state, .since_unix_us = c->since_unix_us, .cause = c->cause,
        .reconnects = c->reconnects, .packets_received = c->received, .packets_lost = c->lost,
    };
    if (c->source) {
        struct source_stats stats;
        source_stats(c->source, &stats);
        out->packets_received += stats.received;
        out->packets_lost += stats.lost;
    }
    activity(c, out);
    g_mutex_lock(&c->mutex);
    out->frames = c->frames;
    out->fps = rate_update(&c->frame_rate, c->frames, now);
    out->frame_age_us = c->last_frame_us ? now - c->last_frame_us : -1;
    out->latency_p50_ms = latency_quantile(&c->latency, 0.5);
    out->latency_p99_ms = latency_quantile(&c->latency, 0.99);
    for (int i = 0; i < c->config->num_watches; i++) {
        struct watch *w = &c->watches[i];
        out->watches[i] = (struct watch_status){
            .revision = w->revision, .looked_at = w->looked_at,
            .looked_at_fps = rate_update(&w->rate, w->looked_at, now),
            .skipped_newer = w->tally.replaced, .skipped_rate = w->tally.skipped_rate,
            .failed = w->tally.failed, .failure = w->failure,
        };
    }
    g_mutex_unlock(&c->mutex);
}
