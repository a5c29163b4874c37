#include "capture.h"

// More pictures than lie between the network and a result: decodebin's queues hold two seconds.
#define NUM_MARKS 256

#define NTP_TO_UNIX_S G_GUINT64_CONSTANT(2208988800)

// A camera whose clock nobody set (1970, 2000) says nothing about when; its arrival does.
#define MAX_CLOCK_ERROR_S (24 * 3600)

struct mark {
    GstClockTime pts;
    gint64 first_unix_ns, last_unix_ns;
    guint32 rtp_time;
    bool is_rtp;
};

struct capture {
    GMutex mutex; // everything below
    struct mark marks[NUM_MARKS];
    guint next; // the oldest, to be overwritten
    guint64 ntp_time;
    guint32 ntp_rtp_time;
    int clock_rate;     // 0: no report yet
    gint64 file_unix_ns; // 0: no file
};

static gint64 unix_ns(void)
{
    return g_get_real_time() * 1000;
}

struct capture *capture_create(void)
{
    struct capture *c = g_new0(struct capture, 1);
    g_mutex_init(&c->mutex);
    capture_reset(c);
    return c;
}

void capture_destroy(struct capture **capture)
{
    if (*capture)
        g_mutex_clear(&(*capture)->mutex);
    g_free(*capture);
    *capture = NULL;
}

void capture_reset(struct capture *c)
{
    g_mutex_lock(&c->mutex);
    for (int i = 0; i < NUM_MARKS; i++)
        c->marks[i] = (struct mark){.pts = GST_CLOCK_TIME_NONE};
    c->clock_rate = 0;
    c->file_unix_ns = 0;
    g_mutex_unlock(&c->mutex);
}

// Newest first, for that is where it is.
static struct mark *find(struct capture *c, GstClockTime pts)
{
    for (guint i = 1; i <= NUM_MARKS; i++) {
        struct mark *mark = &c->marks[(c->next + NUM_MARKS - i) % NUM_MARKS];
        if (mark->pts == pts && GST_CLOCK_TIME_IS_VALID(pts))
            return mark;
    }
    return NULL;
}

void capture_packet(struct capture *c, GstClockTime pts, bool is_rtp, guint32 rtp_time)
{
    if (!GST_CLOCK_TIME_IS_VALID(pts))
        return;
    g_mutex_lock(&c->mutex);
    struct mark *mark = find(c, pts);
    if (!mark) {
        mark = &c->marks[c->next];
        c->next = (c->next + 1) % NUM_MARKS;
        *mark = (struct mark){.pts = pts, .first_unix_ns = unix_ns()};
    }
    mark->last_unix_ns = unix_ns();
    mark->is_rtp = is_rtp;
    mark->rtp_time = rtp_time;
    g_mutex_unlock(&c->mutex);
}

void capture_report(struct capture *c, guint64 ntp_time, guint32 rtp_time, int clock_rate)
{
    g_mutex_lock(&c->mutex);
    c->ntp_time = ntp_time;
    c->ntp_rtp_time = rtp_time;
    c->clock_rate = ntp_time ? clock_rate : 0;
    g_mutex_unlock(&c->mutex);
}

void capture_file(struct capture *c, gint64 file_unix_ns)
{
    g_mutex_lock(&c->mutex);
    c->file_unix_ns = file_unix_ns;
    g_mutex_unlock(&c->mutex);
}

static gint64 camera_time(const struct capture *c, guint32 rtp_time)
{
    const gint64 seconds = (gint64)((c->ntp_time >> 32) - NTP_TO_UNIX_S);
    const gint64 fraction = (gint64)(((c->ntp_time & 0xffffffff) * 1000000000) >> 32);
    const gint64 ticks = (gint32)(rtp_time - c->ntp_rtp_time); // a picture may precede the report
    return seconds * 1000000000 + fraction + ticks * 1000000000 / c->clock_rate;
}

void capture_find(struct capture *c, GstClockTime pts, gint64 shown_unix_ns, struct captured *out)
{
    g_mutex_lock(&c->mutex);
    const struct mark *mark = find(c, pts);
    *out = (struct captured){
        .unix_ns = mark ? mark->first_unix_ns : shown_unix_ns, .clock = WW_CLOCK_ARRIVAL,
        .decode_ns = mark ? MAX(shown_unix_ns - mark->last_unix_ns, 0) : -1,
    };
    if (c->file_unix_ns) {
        out->clock = WW_CLOCK_FILE;
        out->unix_ns = c->file_unix_ns + (GST_CLOCK_TIME_IS_VALID(pts) ? (gint64)pts : 0);
    } else if (mark && mark->is_rtp && c->clock_rate > 0) {
        const gint64 taken_ns = camera_time(c, mark->rtp_time);
        if (ABS(taken_ns - out->unix_ns) < MAX_CLOCK_ERROR_S * G_GINT64_CONSTANT(1000000000)) {
            out->clock = WW_CLOCK_RTCP;
            out->unix_ns = taken_ns;
        }
    }
    g_mutex_unlock(&c->mutex);
}
