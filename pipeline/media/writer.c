#include <watchword/decode.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include "base/arena.h"
#include "media/libav.h"

struct ww_writer {
    struct ww_arena *arena;
    const char *path;
    const char *container; // "mp4", "matroska"; NULL: one picture
    AVRational rate;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *shown, *converted;
    struct SwsContext *sws;
    struct ww_frame first; // its format and sizes hold for all
    int64_t num_frames;
    bool broken; // something could not be written
};

static bool fail(struct ww_writer *w, int code, struct ww_error *err)
{
    char reason[256];
    ww_libav_reason(code, reason, sizeof(reason));
    w->broken = true;
    return ww_fail(err, WW_E_FILE, "%s: %s", w->path, reason);
}

static bool ends_in(const char *path, const char *ending)
{
    const size_t n = strlen(path), m = strlen(ending);
    return n > m && strcasecmp(path + n - m, ending) == 0;
}

struct ww_writer *ww_writer_open(const char *path, double fps, struct ww_error *err)
{
    ww_libav_begin();
    ww_libav_forget();
    const char *container = NULL;
    if (ends_in(path, ".mp4"))
        container = "mp4";
    else if (ends_in(path, ".mkv"))
        container = "matroska";
    else if (!ends_in(path, ".png")) {
        ww_fail(err, WW_E_CONFIG, "%s: does not end in .mp4, .mkv or .png", path);
        return NULL;
    }
    // Opened now, so that a place that cannot be written is found before the work is done.
    FILE *file = fopen(path, "wb");
    if (!file || fclose(file) != 0) {
        ww_fail(err, WW_E_FILE, "%s: %m", path);
        return NULL;
    }
    struct ww_arena *arena = ww_arena_create();
    struct ww_writer *w = ww_new(arena, struct ww_writer);
    w->arena = arena;
    w->path = ww_arena_strdup(arena, path);
    w->container = container;
    w->rate = av_d2q(fps > 0 && isfinite(fps) ? fps : 25, 60000); // MPEG-4's clock has 16 bits
    w->packet = av_packet_alloc();
    w->shown = av_frame_alloc();
    w->converted = av_frame_alloc();
    if (!w->packet || !w->shown || !w->converted) {
        ww_fail(err, WW_E_FILE, "%s: no memory", path);
        ww_writer_close(&w, NULL);
    }
    return w;
}

// What the encoder gets: even sizes, for chroma has half of them, and limited range, which every
// player understands. Pictures are RGB, all of it.
static void choose_pixels(struct ww_writer *w, const struct ww_frame *frame)
{
    AVFrame *out = w->converted;
    if (!w->container) {
        out->format = AV_PIX_FMT_RGB24;
        out->width = frame->width;
        out->height = frame->height;
        out->color_range = AVCOL_RANGE_JPEG;
        return;
    }
    out->format = AV_PIX_FMT_YUV420P;
    out->width = frame->width & ~1;
    out->height = frame->height & ~1;
    out->color_range = AVCOL_RANGE_MPEG;
    out->colorspace = frame->matrix == WW_MATRIX_BT709 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
}

static bool open_codec(struct ww_writer *w, struct ww_error *err)
{
    const AVCodec *encoder = avcodec_find_encoder(AV_CODEC_ID_PNG);
    if (w->container) {
        encoder = avcodec_find_encoder_by_name("libx264");
        if (!encoder)
            encoder = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    }
    if (!encoder)
        return ww_fail(err, WW_E_FILE, "%s: this libavcodec has no encoder for it", w->path);
    w->codec = avcodec_alloc_context3(encoder);
    if (!w->codec)
        return ww_fail(err, WW_E_FILE, "%s: no memory", w->path);
    AVCodecContext *c = w->codec;
    c->pix_fmt = (enum AVPixelFormat)w->converted->format;
    c->width = w->converted->width;
    c->height = w->converted->height;
    c->colorspace = w->converted->colorspace;
    c->color_range = w->converted->color_range;
    c->framerate = w->rate;
    c->time_base = av_inv_q(w->rate);
    if (encoder->id == AV_CODEC_ID_MPEG4) {
        c->flags |= AV_CODEC_FLAG_QSCALE;
        c->global_quality = 4 * FF_QP2LAMBDA;
    } else if (w->container) {
        av_opt_set(c->priv_data, "preset", "veryfast", 0);
        av_opt_set(c->priv_data, "crf", "21", 0);
    }
    if (w->format && w->format->oformat->flags & AVFMT_GLOBALHEADER)
        c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    const int code = avcodec_open2(c, encoder, NULL);
    return code >= 0 || fail(w, code, err);
}

static bool open_film(struct ww_writer *w, struct ww_error *err)
{
    int code = avformat_alloc_output_context2(&w->format, NULL, w->container, w->path);
    if (code < 0)
        return fail(w, code, err);
    w->stream = avformat_new_stream(w->format, NULL);
    if (!w->stream)
        return ww_fail(err, WW_E_FILE, "%s: no memory", w->path);
    if (!open_codec(w, err))
        return false;
    w->stream->time_base = w->codec->time_base;
    w->stream->avg_frame_rate = w->rate;
    const char *file = ww_arena_printf(w->arena, "file:%s", w->path);
    code = avcodec_parameters_from_context(w->stream->codecpar, w->codec);
    if (code >= 0)
        code = avio_open(&w->format->pb, file, AVIO_FLAG_WRITE);
    AVDictionary *options = NULL;
    if (strcmp(w->container, "mp4") == 0)
        av_dict_set(&options, "movflags", "+faststart", 0); // plays before it is all there
    if (code >= 0)
        code = avformat_write_header(w->format, &options);
    av_dict_free(&options);
    return code >= 0 || fail(w, code, err);
}

static bool begin(struct ww_writer *w, const struct ww_frame *frame, struct ww_error *err)
{
    w->first = *frame;
    choose_pixels(w, frame);
    if (w->converted->width == 0 || w->converted->height == 0)
        return ww_fail(err, WW_E_FRAME, "%s: %dx%d px are too few for a film", w->path,
                       frame->width, frame->height);
    return w->container ? open_film(w, err) : open_codec(w, err);
}

// Everything the encoder has ready.
static bool write_packets(struct ww_writer *w, struct ww_error *err)
{
    for (;;) {
        int code = avcodec_receive_packet(w->codec, w->packet);
        if (code == AVERROR(EAGAIN) || code == AVERROR_EOF)
            return true;
        if (code >= 0 && w->container) {
            av_packet_rescale_ts(w->packet, w->codec->time_base, w->stream->time_base);
            w->packet->stream_index = w->stream->index;
            code = av_interleaved_write_frame(w->format, w->packet);
        } else if (code >= 0) {
            FILE *file = fopen(w->path, "wb");
            const size_t size = (size_t)w->packet->size;
            const bool whole = file && fwrite(w->packet->data, 1, size, file) == size;
            const int saved = errno;
            if ((file && fclose(file) != 0) || !whole)
                code = AVERROR(saved ? saved : EIO);
            av_packet_unref(w->packet);
        }
        if (code < 0)
            return fail(w, code, err);
    }
}

// libav's view of the frame, borrowed.
static const AVFrame *view(struct ww_writer *w, const struct ww_frame *frame)
{
    AVFrame *view = w->shown;
    view->format = ww_libav_pixels(frame->format);
    view->width = frame->width;
    view->height = frame->height;
    view->color_range = frame->range == WW_RANGE_FULL ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    view->colorspace = frame->matrix == WW_MATRIX_BT709 ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    for (int p = 0; p < ww_format_planes(frame->format); p++) {
        view->data[p] = (uint8_t *)frame->plane[p];
        view->linesize[p] = frame->stride[p];
    }
    return view;
}

bool ww_writer_add(struct ww_writer *w, const struct ww_frame *frame, struct ww_error *err)
{
    ww_libav_forget();
    if (w->num_frames > 0 && !w->container)
        return true; // one picture is all it takes
    if (!ww_frame_check(frame, err))
        return false;
    if (w->num_frames == 0 && !begin(w, frame, err)) {
        w->broken = true;
        return false;
    }
    if (frame->format != w->first.format || frame->width != w->first.width ||
        frame->height != w->first.height)
        return ww_fail(err, WW_E_FRAME, "%s: a frame of %dx%d px after frames of %dx%d px", w->path,
                       frame->width, frame->height, w->first.width, w->first.height);
    const AVFrame *in = view(w, frame);
    AVFrame *out = w->converted;
    // An odd size is cut, not scaled.
    w->shown->width = out->width;
    w->shown->height = out->height;
    if (!ww_libav_convert(&w->sws, out, in, err)) {
        w->broken = true;
        return ww_within(err, "%s", w->path);
    }
    out->pts = w->num_frames++;
    const int code = avcodec_send_frame(w->codec, out);
    return code >= 0 ? write_packets(w, err) : fail(w, code, err);
}

bool ww_writer_close(struct ww_writer **writer, struct ww_error *err)
{
    struct ww_writer *w = *writer;
    *writer = NULL;
    if (!w)
        return true;
    bool whole = !w->broken;
    if (whole && w->num_frames == 0) {
        whole = ww_fail(err, WW_E_FILE, "%s: there was no frame to write", w->path);
        unlink(w->path);
    } else if (whole) {
        const int code = avcodec_send_frame(w->codec, NULL);
        whole = code >= 0 ? write_packets(w, err) : fail(w, code, err);
    } else {
        ww_fail(err, WW_E_FILE, "%s: is not whole", w->path);
    }
    if (w->format && w->format->pb) {
        const int code = whole ? av_write_trailer(w->format) : 0;
        const int closed = avio_closep(&w->format->pb);
        if (whole && (code < 0 || closed < 0))
            whole = fail(w, code < 0 ? code : closed, err);
    }
    sws_freeContext(w->sws);
    for (int p = 0; p < 3 && w->shown; p++)
        w->shown->data[p] = NULL; // the caller's
    av_frame_free(&w->shown);
    av_frame_free(&w->converted);
    av_packet_free(&w->packet);
    avcodec_free_context(&w->codec);
    avformat_free_context(w->format);
    ww_arena_destroy(&w->arena);
    return whole;
}
