#include <watchword/decode.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <watchword/log.h>
#include <watchword/quote.h>

#include "base/arena.h"
#include "base/clock.h"
#include "media/libav.h"

// A server that says nothing for so long has gone; a camera sends several frames a second.
#define SILENCE_NS INT64_C(10000000000)

struct ww_reader {
    struct ww_arena *arena;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *decoded, *converted;
    struct SwsContext *sws;
    struct ww_reader_info info;
    char name[256]; // the URL, fit to be shown

    int read_error; // why no packets are left; 0: that was all
    uint64_t num_frames;
    int64_t last_pts_ns;

    const volatile sig_atomic_t *stop;
    int64_t heard_ns; // when the server last said something; 0: no server
    bool silent;
};

// libav asks this several times a second while it waits for a server.
static int should_give_up(void *opaque)
{
    struct ww_reader *r = opaque;
    if (r->stop && *r->stop)
        return 1;
    if (r->heard_ns && ww_now_ns() - r->heard_ns > SILENCE_NS)
        r->silent = true;
    return r->silent;
}

// Says why libav failed. What a user asked for is no fault of the file.
static bool fail(const struct ww_reader *r, int code, const char *what, struct ww_error *err)
{
    if (r->stop && *r->stop)
        return ww_fail(err, WW_E_STOPPED, "%s: stopped", r->name);
    const enum ww_code kind = r->heard_ns ? WW_E_NETWORK : WW_E_FILE;
    if (r->silent)
        return ww_fail(err, kind, "%s: nothing came for %d s", r->name,
                       (int)(SILENCE_NS / 1000000000));
    char reason[256];
    ww_libav_reason(code, reason, sizeof(reason));
    return ww_fail(err, kind, "%s: %s%s", r->name, what, reason);
}

// A name on disk is that file whatever it looks like ("a:b.mp4" has no protocol, "50%d.png" is no
// pattern); everything else is libav's to understand.
static bool open_format(struct ww_reader *r, const char *url, struct ww_error *err)
{
    struct stat st;
    const bool on_disk = stat(url, &st) == 0;
    if (on_disk && S_ISDIR(st.st_mode))
        return ww_fail(err, WW_E_FILE, "%s: is a directory", r->name);
    const bool served = !on_disk && strstr(url, "://") && strncmp(url, "file:", 5) != 0;
    r->info.live = served;
    r->heard_ns = served ? ww_now_ns() : 0;

    r->format = avformat_alloc_context();
    if (!r->format)
        return ww_fail(err, WW_E_FILE, "%s: no memory", r->name);
    r->format->interrupt_callback = (AVIOInterruptCB){.callback = should_give_up, .opaque = r};
    AVDictionary *options = NULL;
    av_dict_set(&options, "rtsp_transport", "tcp", 0); // UDP loses packets, and so frames
    if (on_disk)
        av_dict_set(&options, "pattern_type", "none", 0);
    const char *path = on_disk ? ww_arena_printf(r->arena, "file:%s", url) : url;
    int code = avformat_open_input(&r->format, path, NULL, &options); // frees format if it fails
    av_dict_free(&options);
    if (code < 0)
        return fail(r, code, "", err);
    code = avformat_find_stream_info(r->format, NULL);
    return code >= 0 || fail(r, code, "", err);
}

static bool open_codec(struct ww_reader *r, struct ww_error *err)
{
    const AVCodec *decoder = NULL;
    const int index = av_find_best_stream(r->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (index < 0)
        return ww_fail(err, WW_E_FILE, "%s: holds no video", r->name);
    for (unsigned i = 0; i < r->format->nb_streams; i++)
        if ((int)i != index)
            r->format->streams[i]->discard = AVDISCARD_ALL;
    r->stream = r->format->streams[index];
    const AVCodecParameters *par = r->stream->codecpar;
    decoder = avcodec_find_decoder(par->codec_id);
    if (!decoder)
        return ww_fail(err, WW_E_FILE, "%s: this libavcodec has no decoder for %s", r->name,
                       avcodec_get_name(par->codec_id));
    r->codec = avcodec_alloc_context3(decoder);
    if (!r->codec)
        return ww_fail(err, WW_E_FILE, "%s: no memory", r->name);
    int code = avcodec_parameters_to_context(r->codec, par);
    r->codec->pkt_timebase = r->stream->time_base;
    r->codec->thread_count = 0; // as many as there are cores
    if (code >= 0)
        code = avcodec_open2(r->codec, decoder, NULL);
    return code >= 0 || fail(r, code, "its decoder: ", err);
}

static void learn(struct ww_reader *r)
{
    struct ww_reader_info *info = &r->info;
    const char *container = r->format->iformat->name;
    const char *pipe = strstr(container, "_pipe");
    info->width = r->codec->width;
    info->height = r->codec->height;
    snprintf(info->codec, sizeof(info->codec), "%s", avcodec_get_name(r->codec->codec_id));
    if (strcmp(container, "image2") == 0 || (pipe && !pipe[5])) {
        info->num_frames = 1; // libav would have it a film of 25 frames a second
        return;
    }
    const AVRational rate = av_guess_frame_rate(r->format, r->stream, NULL);
    if (rate.num > 0 && rate.den > 0)
        info->fps = av_q2d(rate);
    if (r->stream->duration > 0)
        info->duration_ns =
            av_rescale_q(r->stream->duration, r->stream->time_base, (AVRational){1, 1000000000});
    else if (r->format->duration > 0)
        info->duration_ns = av_rescale(r->format->duration, 1000000000, AV_TIME_BASE);
    if (r->stream->nb_frames > 0)
        info->num_frames = r->stream->nb_frames;
    else
        info->num_frames = (int64_t)(info->fps * (double)info->duration_ns / 1e9 + 0.5);
}

struct ww_reader *ww_reader_open_until(const char *url, const volatile sig_atomic_t *stop,
                                       struct ww_error *err)
{
    ww_libav_begin();
    ww_libav_forget();
    struct ww_arena *arena = ww_arena_create();
    struct ww_reader *r = ww_new(arena, struct ww_reader);
    r->arena = arena;
    r->stop = stop;
    r->last_pts_ns = -1;
    ww_quote_redacted(url, r->name, sizeof(r->name));
    if (!open_format(r, url, err) || !open_codec(r, err))
        goto fail;
    r->packet = av_packet_alloc();
    r->decoded = av_frame_alloc();
    r->converted = av_frame_alloc();
    if (!r->packet || !r->decoded || !r->converted) {
        ww_fail(err, WW_E_FILE, "%s: no memory", r->name);
        goto fail;
    }
    learn(r);
    return r;
fail:
    ww_reader_close(&r);
    return NULL;
}

struct ww_reader *ww_reader_open(const char *url, struct ww_error *err)
{
    return ww_reader_open_until(url, NULL, err);
}

void ww_reader_close(struct ww_reader **reader)
{
    struct ww_reader *r = *reader;
    *reader = NULL;
    if (!r)
        return;
    sws_freeContext(r->sws);
    av_frame_free(&r->converted);
    av_frame_free(&r->decoded);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->codec);
    avformat_close_input(&r->format);
    ww_arena_destroy(&r->arena);
}

void ww_reader_info(struct ww_reader *reader, struct ww_reader_info *out)
{
    *out = reader->info;
}

// Feeds the decoder one packet, or tells it that there are no more.
static int feed(struct ww_reader *r)
{
    int code;
    do {
        av_packet_unref(r->packet);
        code = av_read_frame(r->format, r->packet);
        if (r->heard_ns && code >= 0)
            r->heard_ns = ww_now_ns();
    } while (code == AVERROR(EAGAIN) || (code >= 0 && r->packet->stream_index != r->stream->index));
    if (code < 0) {
        r->read_error = code == AVERROR_EOF ? 0 : code;
        return avcodec_send_packet(r->codec, NULL);
    }
    return avcodec_send_packet(r->codec, r->packet);
}

// Fills `decoded`. AVERROR_EOF at the end; other codes are final.
static int decode(struct ww_reader *r)
{
    for (;;) {
        int code = avcodec_receive_frame(r->codec, r->decoded);
        if (code >= 0 || code == AVERROR_EOF || code == AVERROR(ENOMEM))
            return code;
        if (code == AVERROR(EAGAIN))
            code = feed(r);
        if (code == AVERROR(ENOMEM))
            return code;
        if (code < 0 && code != AVERROR_EOF) {
            if (r->info.broken++ == 0)
                ww_log(WW_LOG_INFO, "%s: frames that cannot be decoded are skipped", r->name);
        }
    }
}

// Which of our two matrices the frame's numbers are in; false: neither.
static bool matrix_of(const AVFrame *frame, enum ww_matrix *out)
{
    switch (frame->colorspace) {
    case AVCOL_SPC_BT709:
        *out = WW_MATRIX_BT709;
        return true;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
        *out = WW_MATRIX_BT601;
        return true;
    case AVCOL_SPC_UNSPECIFIED:
    case AVCOL_SPC_RESERVED:
        // JFIF is BT.601 at any size; otherwise what does not fit a PAL picture is taken for HD.
        *out = frame->height <= 576 || frame->color_range == AVCOL_RANGE_JPEG ? WW_MATRIX_BT601
                                                                              : WW_MATRIX_BT709;
        return true;
    default:
        return false;
    }
}

// A picture stored bottom up has negative strides, which ww_frame does not know.
static bool rows_go_down(const AVFrame *frame, enum ww_format format)
{
    for (int p = 0; p < ww_format_planes(format); p++)
        if (frame->linesize[p] < ww_format_row_bytes(format, p, frame->width))
            return false;
    return true;
}

// Brings what ww_frame lacks into `converted`: Y'CbCr of other layouts stays Y'CbCr of the same
// matrix and range, as I420; the rest becomes RGB.
static bool convert(struct ww_reader *r, bool known_matrix, struct ww_error *err)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get((enum AVPixelFormat)r->decoded->format);
    const uint64_t not_yuv = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER;
    const bool yuv = desc && desc->nb_components >= 3 && !(desc->flags & not_yuv);
    AVFrame *out = r->converted;
    const int format = yuv && known_matrix ? AV_PIX_FMT_YUV420P : AV_PIX_FMT_RGB24;
    if (out->format != format || out->width != r->decoded->width ||
        out->height != r->decoded->height)
        av_frame_unref(out);
    out->format = format;
    out->width = r->decoded->width;
    out->height = r->decoded->height;
    out->colorspace = r->decoded->colorspace;
    out->color_range = format == AV_PIX_FMT_YUV420P ? r->decoded->color_range : AVCOL_RANGE_JPEG;
    return ww_libav_convert(&r->sws, out, r->decoded, err) || ww_within(err, "%s", r->name);
}

// Points `out` at the decoded pixels, or at a conversion of them.
static bool show(struct ww_reader *r, struct ww_frame *out, struct ww_error *err)
{
    AVFrame *frame = r->decoded;
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
    const bool rgb = desc && (desc->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
    // The YUVJ names and pictures in grey are full range whether the stream says so or not.
    if ((desc && strncmp(desc->name, "yuvj", 4) == 0) ||
        (frame->format == AV_PIX_FMT_GRAY8 && frame->color_range == AVCOL_RANGE_UNSPECIFIED))
        frame->color_range = AVCOL_RANGE_JPEG;

    const bool known_matrix = rgb || matrix_of(frame, &out->matrix);
    if (!ww_libav_format((enum AVPixelFormat)frame->format, &out->format) || !known_matrix ||
        !rows_go_down(frame, out->format)) {
        if (!convert(r, known_matrix, err))
            return false;
        frame = r->converted;
        ww_libav_format((enum AVPixelFormat)frame->format, &out->format);
    }
    out->range = frame->color_range == AVCOL_RANGE_JPEG ? WW_RANGE_FULL : WW_RANGE_LIMITED;
    for (int p = 0; p < ww_format_planes(out->format); p++) {
        out->plane[p] = frame->data[p];
        out->stride[p] = frame->linesize[p];
    }
    return true;
}

static int64_t presentation_ns(struct ww_reader *r)
{
    int64_t pts = r->decoded->best_effort_timestamp;
    if (pts != AV_NOPTS_VALUE) {
        if (r->stream->start_time != AV_NOPTS_VALUE)
            pts -= r->stream->start_time;
        const int64_t ns = av_rescale_q(pts, r->stream->time_base, (AVRational){1, 1000000000});
        return ns > 0 ? ns : 0;
    }
    if (r->info.fps <= 0) // a bare H.264 file has no times, but a rate
        return r->num_frames == 0 ? 0 : -1;
    return r->last_pts_ns < 0 ? 0 : r->last_pts_ns + (int64_t)(1e9 / r->info.fps);
}

int ww_reader_next(struct ww_reader *r, struct ww_frame *out, struct ww_error *err)
{
    ww_libav_forget();
    if (r->stop && *r->stop) {
        fail(r, 0, "", err);
        return -1;
    }
    const int code = decode(r);
    if (code == AVERROR_EOF && r->read_error == 0)
        return 0;
    if (code < 0) {
        fail(r, code == AVERROR_EOF ? r->read_error : code, "", err);
        return -1;
    }
    const AVFrame *frame = r->decoded;
    if (frame->width > WW_FRAME_MAX_SIDE || frame->height > WW_FRAME_MAX_SIDE) {
        ww_fail(err, WW_E_FILE, "%s: a frame of %dx%d px, at most %d a side are taken", r->name,
                frame->width, frame->height, WW_FRAME_MAX_SIDE);
        return -1;
    }
    *out = (struct ww_frame){
        .width = frame->width,
        .height = frame->height,
        .pts_ns = presentation_ns(r),
        .index = r->num_frames,
    };
    if (!show(r, out, err))
        return -1;
    r->num_frames++;
    r->last_pts_ns = out->pts_ns;
    return 1;
}
