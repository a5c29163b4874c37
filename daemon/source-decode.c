// source-decode.c: pictures from the payload of RTP packets.
//
// Depayloader, parser and decoder are chosen by what the camera announced. decodebin would find them
// by looking at the data, but it waits for ever when the data is not what was announced, and that of
// GStreamer 1.22 aborts the process now and then when it is thrown away while it is still looking.

#include <string.h>

#include "source-inner.h"

static const struct payload {
    const char *encoding, *depay, *parse; // parse: NULL where there is none
    const char *caps;                     // what the decoder has to take
} payloads[] = {
    {"H264", "rtph264depay", "h264parse", "video/x-h264"},
    {"H265", "rtph265depay", "h265parse", "video/x-h265"},
    {"JPEG", "rtpjpegdepay", NULL, "image/jpeg"},
    {"MP4V-ES", "rtpmp4vdepay", "mpeg4videoparse", "video/mpeg,mpegversion=4"},
    {"VP8", "rtpvp8depay", NULL, "video/x-vp8"},
    {"VP9", "rtpvp9depay", NULL, "video/x-vp9"},
};

static const struct payload *find_payload(const char *encoding)
{
    for (size_t i = 0; i < G_N_ELEMENTS(payloads); i++)
        if (strcmp(payloads[i].encoding, encoding) == 0)
            return &payloads[i];
    return NULL;
}

// The best ranked decoder that works here: one for hardware that is absent does not get to READY.
static GstElement *make_decoder(const char *text)
{
    GstCaps *caps = gst_caps_from_string(text);
    GList *all = gst_element_factory_list_get_elements(
        GST_ELEMENT_FACTORY_TYPE_DECODER | GST_ELEMENT_FACTORY_TYPE_MEDIA_IMAGE |
            GST_ELEMENT_FACTORY_TYPE_MEDIA_VIDEO, GST_RANK_MARGINAL);
    GList *able = gst_element_factory_list_filter(all, caps, GST_PAD_SINK, FALSE);
    able = g_list_sort(able, gst_plugin_feature_rank_compare_func);
    GstElement *decoder = NULL;
    for (GList *f = able; f && !decoder; f = f->next) {
        decoder = gst_element_factory_create(f->data, NULL);
        if (decoder && gst_element_set_state(decoder, GST_STATE_READY) == GST_STATE_CHANGE_FAILURE) {
            gst_element_set_state(decoder, GST_STATE_NULL);
            gst_clear_object(&decoder);
        }
    }
    gst_plugin_feature_list_free(able);
    gst_plugin_feature_list_free(all);
    gst_caps_unref(caps);
    return decoder;
}

// Appends an element behind `last`, on a streaming thread of a bin that plays already.
static GstElement *append(struct source *s, GstElement *last, GstElement *element)
{
    if (!element)
        return NULL;
    gst_bin_add(GST_BIN(s->bin), element);
    if (last && !gst_element_link(last, element))
        return NULL;
    return element;
}

static GstElement *build(struct source *s, const struct payload *p, GstElement **first)
{
    GstElement *last = *first = append(s, NULL, gst_element_factory_make(p->depay, NULL));
    if (last && p->parse)
        last = append(s, last, gst_element_factory_make(p->parse, NULL));
    return last ? append(s, last, make_decoder(p->caps)) : NULL;
}

void source_decode_rtp(struct source *s, GstPad *pad, const char *encoding)
{
    const struct payload *payload = find_payload(encoding);
    GstElement *first = NULL, *decoder = payload ? build(s, payload, &first) : NULL;
    if (!decoder) {
        GST_ELEMENT_ERROR(s->bin, STREAM, CODEC_NOT_FOUND,
                          ("There is no decoder for %s.", *encoding ? encoding : "it"),
                          ("%s, for which %s is installed here", *encoding ? encoding : "unknown",
                           payload ? "no decoder" : "nothing"));
        return;
    }
    GstPad *pictures = gst_element_get_static_pad(decoder, "src");
    source_expose(s, pictures);
    gst_object_unref(pictures);
    // From the end to the start, so that each is ready when the one before it sends.
    for (GstElement *e = decoder; e;) {
        gst_element_sync_state_with_parent(e);
        GstPad *sink = gst_element_get_static_pad(e, "sink"), *peer = gst_pad_get_peer(sink);
        e = peer ? GST_ELEMENT(GST_OBJECT_PARENT(peer)) : NULL;
        gst_object_unref(sink);
        gst_clear_object(&peer);
    }
    GstPad *sink = gst_element_get_static_pad(first, "sink");
    gst_pad_link(pad, sink);
    gst_object_unref(sink);
}
