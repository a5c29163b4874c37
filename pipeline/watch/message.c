#include <watchword/message.h>

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <watchword/json_text.h>

static const char *const clock_names[WW_NUM_CLOCKS] = {
    [WW_CLOCK_ARRIVAL] = "arrival",
    [WW_CLOCK_RTCP] = "rtcp",
    [WW_CLOCK_NTP] = "ntp",
    [WW_CLOCK_FILE] = "file",
};

static const char *const kinds[WW_NUM_TASKS] = {
    [WW_TASK_DETECT] = "detection",     [WW_TASK_GROUND] = "grounding", [WW_TASK_POSE] = "pose",
    [WW_TASK_SEGMENT] = "segmentation", [WW_TASK_CAPTION] = "caption",  [WW_TASK_ASK] = "answer",
    [WW_TASK_INSTRUCT] = "answer",
};

// Finer than any model is: a hundredth of a pixel, a ten-thousandth of certainty, a microsecond.
enum { PIXEL_DECIMALS = 2, SCORE_DECIMALS = 4, MS_DECIMALS = 3 };

const char *ww_clock_name(enum ww_clock clock)
{
    return (unsigned)clock < WW_NUM_CLOCKS ? clock_names[clock] : NULL;
}

const char *ww_task_kind(enum ww_task task)
{
    return (unsigned)task < WW_NUM_TASKS ? kinds[task] : NULL;
}

static void put_frame(struct ww_json_text *t, const struct ww_message *m)
{
    const struct ww_result *r = m->result;
    ww_json_object(t, "frame");
    ww_json_put_uint(t, "index", r->index);
    if (r->pts_ns >= 0)
        ww_json_put_int(t, "pts_ns", r->pts_ns);
    else
        ww_json_put_null(t, "pts_ns");
    ww_json_put_time(t, "captured_at", m->captured_ns);
    ww_json_put_string(t, "clock", ww_clock_name(m->clock));
    ww_json_put_int(t, "width", r->width);
    ww_json_put_int(t, "height", r->height);
    ww_json_end(t);
}

static void put_latency(struct ww_json_text *t, const struct ww_message *m)
{
    int64_t total_ns = m->result->wait_ns + m->result->infer_ns;
    ww_json_object(t, "latency_ms");
    if (m->decode_ns >= 0) {
        ww_json_put_real(t, "decode", (double)m->decode_ns / 1e6, MS_DECIMALS);
        total_ns += m->decode_ns;
    }
    ww_json_put_real(t, "wait", (double)m->result->wait_ns / 1e6, MS_DECIMALS);
    ww_json_put_real(t, "infer", (double)m->result->infer_ns / 1e6, MS_DECIMALS);
    ww_json_put_real(t, "total", (double)total_ns / 1e6, MS_DECIMALS);
    ww_json_end(t);
}

static void put_object(struct ww_json_text *t, const struct ww_object *o)
{
    ww_json_object(t, NULL);
    ww_json_put_string(t, "label", o->label);
    ww_json_put_int(t, "phrase", o->phrase);
    if (o->words)
        ww_json_put_string(t, "words", o->words);
    ww_json_put_real(t, "score", (double)o->score, SCORE_DECIMALS);
    ww_json_array(t, "box");
    ww_json_put_real(t, NULL, (double)o->x0, PIXEL_DECIMALS);
    ww_json_put_real(t, NULL, (double)o->y0, PIXEL_DECIMALS);
    ww_json_put_real(t, NULL, (double)o->x1, PIXEL_DECIMALS);
    ww_json_put_real(t, NULL, (double)o->y1, PIXEL_DECIMALS);
    ww_json_end(t);
    if (o->num_keypoints > 0) {
        ww_json_array(t, "keypoints");
        for (const struct ww_keypoint *k = o->keypoints; k < o->keypoints + o->num_keypoints; k++) {
            ww_json_array(t, NULL);
            ww_json_put_real(t, NULL, (double)k->x, PIXEL_DECIMALS);
            ww_json_put_real(t, NULL, (double)k->y, PIXEL_DECIMALS);
            ww_json_put_real(t, NULL, (double)k->score, SCORE_DECIMALS);
            ww_json_end(t);
        }
        ww_json_end(t);
    }
    ww_json_end(t);
}

static void put_understood(struct ww_json_text *t, const struct ww_result *r)
{
    ww_json_array(t, "phrases");
    for (int i = 0; i < r->num_understood; i++) {
        const struct ww_understanding *u = &r->understood[i];
        ww_json_object(t, NULL);
        ww_json_put_string(t, "phrase", u->phrase);
        ww_json_put_string(t, "class", u->meant);
        ww_json_put_string(t, "by", u->by);
        ww_json_put_real(t, "likeness", (double)u->likeness, SCORE_DECIMALS);
        ww_json_put_bool(t, "sure", u->sure);
        ww_json_end(t);
    }
    ww_json_end(t);
}

size_t ww_message_write(const struct ww_message *m, char *out, size_t size)
{
    const struct ww_result *r = m->result;
    struct ww_json_text text = {.out = out, .size = size}, *t = &text;
    ww_json_object(t, NULL);
    ww_json_put_string(t, "schema", WW_MESSAGE_SCHEMA);
    ww_json_put_string(t, "kind", ww_task_kind(m->task));
    ww_json_put_string(t, "stream", m->stream);
    ww_json_put_string(t, "watch", m->watch);
    ww_json_put_uint(t, "revision", r->revision);
    ww_json_put_string(t, "epoch", m->epoch);
    ww_json_put_uint(t, "seq", m->seq);
    put_frame(t, m);
    ww_json_object(t, "model");
    ww_json_put_string(t, "name", m->model->name);
    ww_json_put_string(t, "digest", m->model->digest);
    ww_json_end(t);
    put_latency(t, m);
    if (r->num_understood > 0)
        put_understood(t, r);
    if (r->num_captions > 1)
        ww_json_put_int(t, "captions", r->num_captions);
    if (r->keypoint_set)
        ww_json_put_string(t, "keypoint_set", r->keypoint_set);
    ww_json_array(t, "objects");
    for (int i = 0; i < r->num_objects; i++)
        put_object(t, &r->objects[i]);
    ww_json_end(t);
    ww_json_end(t);
    return t->length;
}

// 130 bits in Crockford's base 32, the first two zero: ten digits of time, sixteen of chance.
void ww_message_epoch(char epoch[27])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (int i = 9; i >= 0; i--, ms >>= 5)
        epoch[i] = digits[ms & 31];

    uint8_t chance[16];
    if (getrandom(chance, sizeof(chance), 0) != (ssize_t)sizeof(chance)) {
        // Only before Linux 3.17. Two runs within one millisecond differ by their address space.
        const uint64_t mixed =
            ((uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)&now) * 0x9e3779b97f4a7c15u;
        memcpy(chance, &mixed, 8);
        memcpy(chance + 8, &mixed, 8);
    }
    for (int i = 0; i < 16; i++)
        epoch[10 + i] = digits[chance[i] & 31];
    epoch[26] = '\0';
}
