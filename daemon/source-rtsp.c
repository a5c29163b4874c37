// source-rtsp.c: a camera behind RTSP, its packets and its clock.

#include <gst/rtp/rtp.h>
#include <gst/rtsp/rtsp.h>
#include <string.h>

#include "source-inner.h"
#include "trust.h"

static bool is_video(const GstCaps *caps)
{
    const char *media = gst_caps_get_size(caps)
                            ? gst_structure_get_string(gst_caps_get_structure(caps, 0), "media")
                            : NULL;
    return media && strcmp(media, "video") == 0;
}

// Only the first video of a camera is asked for; no sound, no ONVIF events.
static gboolean on_select(GstElement *rtsp, guint stream, GstCaps *caps, struct source *s)
{
    (void)rtsp, (void)stream;
    if (!is_video(caps))
        return FALSE;
    const char *encoding = gst_structure_get_string(gst_caps_get_structure(caps, 0),
                                                    "encoding-name");
    g_mutex_lock(&s->mutex);
    const bool first = !s->has_video;
    s->has_video = true;
    if (first)
        g_strlcpy(s->stats.encoding, encoding ? encoding : "", sizeof(s->stats.encoding));
    g_mutex_unlock(&s->mutex);
    return first;
}

static void count_packet(struct source *s, GstBuffer *buffer)
{
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
    const bool is_rtp = gst_rtp_buffer_map(buffer, GST_MAP_READ, &rtp);
    const guint32 time = is_rtp ? gst_rtp_buffer_get_timestamp(&rtp) : 0;
    if (is_rtp)
        gst_rtp_buffer_unmap(&rtp);
    capture_packet(s->params.capture, GST_BUFFER_PTS(buffer), is_rtp, time);
    g_mutex_lock(&s->mutex);
    s->stats.packets++;
    s->stats.packet_us = g_get_monotonic_time();
    g_mutex_unlock(&s->mutex);
}

static GstPadProbeReturn on_packets(GstPad *pad, GstPadProbeInfo *info, void *opaque)
{
    (void)pad;
    if (info->type & GST_PAD_PROBE_TYPE_BUFFER_LIST) {
        GstBufferList *list = GST_PAD_PROBE_INFO_BUFFER_LIST(info);
        for (guint i = 0; i < gst_buffer_list_length(list); i++)
            count_packet(opaque, gst_buffer_list_get(list, i));
    } else {
        count_packet(opaque, GST_PAD_PROBE_INFO_BUFFER(info));
    }
    return GST_PAD_PROBE_OK;
}

static void on_rtp_pad(GstElement *rtsp, GstPad *pad, struct source *s)
{
    (void)rtsp;
    char encoding[sizeof(s->stats.encoding)];
    g_mutex_lock(&s->mutex);
    const bool another = s->has_pad;
    s->has_pad = true;
    g_strlcpy(encoding, s->stats.encoding, sizeof(encoding));
    g_mutex_unlock(&s->mutex);
    if (another)
        return;
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST, on_packets, s,
                      NULL);
    source_decode_rtp(s, pad, encoding);
}

static void on_no_more_pads(GstElement *rtsp, struct source *s)
{
    g_mutex_lock(&s->mutex);
    const bool has_video = s->has_video;
    g_mutex_unlock(&s->mutex);
    if (!has_video)
        GST_ELEMENT_ERROR(rtsp, STREAM, WRONG_TYPE, ("The camera offers no video."), (NULL));
}

// The jitter buffer got a sender report: what the camera's clock said at an RTP timestamp.
static void on_sync(GstElement *jitter, GstStructure *sync, struct source *s)
{
    (void)jitter;
    GstBuffer *report = NULL;
    guint clock_rate = 0;
    GstRTCPBuffer rtcp = GST_RTCP_BUFFER_INIT;
    GstRTCPPacket packet;
    if (!gst_structure_get(sync, "sr-buffer", GST_TYPE_BUFFER, &report, "clock-rate", G_TYPE_UINT,
                           &clock_rate, NULL))
        return;
    if (report && gst_rtcp_buffer_map(report, GST_MAP_READ, &rtcp)) {
        if (gst_rtcp_buffer_get_first_packet(&rtcp, &packet) &&
            gst_rtcp_packet_get_type(&packet) == GST_RTCP_TYPE_SR) {
            guint64 ntp_time;
            guint32 rtp_time;
            gst_rtcp_packet_sr_get_sender_info(&packet, NULL, &ntp_time, &rtp_time, NULL, NULL);
            capture_report(s->params.capture, ntp_time, rtp_time, (int)clock_rate);
        }
        gst_rtcp_buffer_unmap(&rtcp);
    }
    gst_clear_buffer(&report);
}

static void on_jitter(GstElement *manager, GstElement *jitter, guint session, guint ssrc,
                      struct source *s)
{
    (void)manager, (void)session, (void)ssrc;
    g_signal_connect(jitter, "handle-sync", G_CALLBACK(on_sync), s);
    g_mutex_lock(&s->mutex);
    gst_object_replace((GstObject **)&s->jitter, GST_OBJECT(jitter));
    g_mutex_unlock(&s->mutex);
}

// rtspsrc repeats a request up to eight times with a password that the camera refuses, and what it repeats has
// the authorization of the time before. Of a digest one more may help: its nonce may have been too old.
static gboolean on_send(GstElement *rtsp, GstRTSPMessage *request, struct source *s)
{
    (void)rtsp;
    char *sent = NULL;
    gst_rtsp_message_get_header(request, GST_RTSP_HDR_AUTHORIZATION, &sent, 0);
    g_mutex_lock(&s->mutex);
    s->refused = sent ? s->refused + 1 : 0;
    const bool may = s->refused <= (sent && g_ascii_strncasecmp(sent, "Digest", 6) == 0);
    g_mutex_unlock(&s->mutex);
    return may;
}

static void on_manager(GstElement *rtsp, GstElement *manager, struct source *s)
{
    (void)rtsp;
    g_signal_connect(manager, "new-jitterbuffer", G_CALLBACK(on_jitter), s);
}

bool source_build_rtsp(struct source *s, struct ww_error *err)
{
    const struct stream_config *config = s->params.config;
    struct credentials login;
    if (!credentials_read(config, &login, err))
        return false;
    const bool secret = g_str_has_prefix(config->url, "rtsps:"); // UDP would be in the clear
    GstElement *rtsp = source_add(s, "rtspsrc", err);
    if (rtsp) {
        const bool udp = !secret && (config->transport == TRANSPORT_UDP ||
                                     (config->transport == TRANSPORT_AUTO && s->params.udp));
        const guint64 timeout_us = (guint64)config->timeout_ms * 1000;
        g_object_set(rtsp, "location", config->url, "protocols",
                     udp ? GST_RTSP_LOWER_TRANS_UDP : GST_RTSP_LOWER_TRANS_TCP, "latency",
                     (guint)config->latency_ms, "drop-on-latency", FALSE, "do-retransmission", FALSE,
                     "tcp-timeout", timeout_us, "timeout", timeout_us, "user-agent", "watchword",
                     "user-id", login.user, "user-pw", login.password, NULL);
        g_signal_connect(rtsp, "select-stream", G_CALLBACK(on_select), s);
        g_signal_connect(rtsp, "before-send", G_CALLBACK(on_send), s);
        g_signal_connect(rtsp, "new-manager", G_CALLBACK(on_manager), s);
        g_signal_connect(rtsp, "no-more-pads", G_CALLBACK(on_no_more_pads), s);
        g_signal_connect(rtsp, "pad-added", G_CALLBACK(on_rtp_pad), s);
    }
    credentials_clear(&login);
    return rtsp && (!secret || trust_set(&config->tls, rtsp, err));
}
