#include "media/libav.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <watchword/log.h>
#include <watchword/quote.h>

static _Thread_local char complaint[256];

static void on_log(void *object, int level, const char *fmt, va_list args)
{
    if (level > AV_LOG_WARNING)
        return;
    char raw[512], line[512];
    int print_prefix = 1;
    av_log_format_line2(object, level, fmt, args, raw, sizeof(raw), &print_prefix);
    ww_quote_redacted(raw, line, sizeof(line));
    line[strcspn(line, "\r\n")] = '\0';
    if (!*line)
        return;
    ww_log(WW_LOG_DEBUG, "libav: %s", line);
    if (level <= AV_LOG_ERROR) {
        // "[tcp @ 0x55d0c0] Failed to ...": the address says nothing to anybody.
        const char *text = line[0] == '[' && strstr(line, "] ") ? strstr(line, "] ") + 2 : line;
        snprintf(complaint, sizeof(complaint), "%.*s", (int)sizeof(complaint) - 1, text);
    }
}

static void begin(void)
{
    av_log_set_callback(on_log);
}

void ww_libav_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
}

void ww_libav_forget(void)
{
    complaint[0] = '\0';
}

void ww_libav_reason(int code, char *text, size_t size)
{
    const bool vague = code == AVERROR(EIO) || code == AVERROR_INVALIDDATA ||
                       code == AVERROR_UNKNOWN || code == AVERROR_EXTERNAL;
    if (vague && complaint[0])
        snprintf(text, size, "%s", complaint);
    else if (code == AVERROR_INVALIDDATA)
        snprintf(text, size, "this is no picture or film that libav knows");
    else if (av_strerror(code, text, size) < 0)
        snprintf(text, size, "libav error %d", code);
}

static const enum AVPixelFormat pixels_of[WW_NUM_FORMATS] = {
    [WW_FORMAT_NV12] = AV_PIX_FMT_NV12,   [WW_FORMAT_I420] = AV_PIX_FMT_YUV420P,
    [WW_FORMAT_RGB] = AV_PIX_FMT_RGB24,   [WW_FORMAT_BGR] = AV_PIX_FMT_BGR24,
    [WW_FORMAT_RGBA] = AV_PIX_FMT_RGBA,   [WW_FORMAT_BGRA] = AV_PIX_FMT_BGRA,
    [WW_FORMAT_GRAY8] = AV_PIX_FMT_GRAY8,
};

enum AVPixelFormat ww_libav_pixels(enum ww_format format)
{
    return pixels_of[format];
}

bool ww_libav_format(enum AVPixelFormat pixels, enum ww_format *out)
{
    // The same bytes under other names: full range, and a fourth byte that is no alpha.
    switch (pixels) {
    case AV_PIX_FMT_YUVJ420P:
        pixels = AV_PIX_FMT_YUV420P;
        break;
    case AV_PIX_FMT_RGB0:
        pixels = AV_PIX_FMT_RGBA;
        break;
    case AV_PIX_FMT_BGR0:
        pixels = AV_PIX_FMT_BGRA;
        break;
    default:
        break;
    }
    for (int format = 0; format < WW_NUM_FORMATS; format++) {
        if (pixels_of[format] == pixels) {
            *out = (enum ww_format)format;
            return true;
        }
    }
    return false;
}

// The YUVJ names carry their range in the name; libswscale wants it beside it.
static enum AVPixelFormat without_j(enum AVPixelFormat pixels)
{
    switch (pixels) {
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ411P:
        return AV_PIX_FMT_YUV411P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ440P:
        return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    default:
        return pixels;
    }
}

static bool is_full(const AVFrame *frame)
{
    return frame->color_range == AVCOL_RANGE_JPEG ||
           (enum AVPixelFormat)frame->format != without_j((enum AVPixelFormat)frame->format);
}

// AVCOL_SPC_* and SWS_CS_* are the same numbers where both exist.
static const int *coefficients(const AVFrame *frame)
{
    return sws_getCoefficients(frame->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT
                                                                          : (int)frame->colorspace);
}

bool ww_libav_convert(struct SwsContext **sws, AVFrame *dst, const AVFrame *src,
                      struct ww_error *err)
{
    const int flags = SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
    const enum AVPixelFormat from = without_j((enum AVPixelFormat)src->format);
    *sws = sws_getCachedContext(*sws, src->width, src->height, from, dst->width, dst->height,
                                (enum AVPixelFormat)dst->format, flags, NULL, NULL, NULL);
    if (!*sws) {
        const char *name = av_get_pix_fmt_name((enum AVPixelFormat)src->format);
        return ww_fail(err, WW_E_FRAME, "no conversion from pixels of format %s",
                       name ? name : "unknown");
    }
    sws_setColorspaceDetails(*sws, coefficients(src), is_full(src), coefficients(dst), is_full(dst),
                             0, 1 << 16, 1 << 16);
    int code = dst->buf[0] ? av_frame_make_writable(dst) : av_frame_get_buffer(dst, 0);
    if (code >= 0)
        code = sws_scale(*sws, (const uint8_t *const *)src->data, src->linesize, 0, src->height,
                         dst->data, dst->linesize);
    if (code < 0) {
        char reason[200];
        ww_libav_reason(code, reason, sizeof(reason));
        return ww_fail(err, WW_E_FRAME, "conversion of a %dx%d frame: %s", src->width, src->height,
                       reason);
    }
    return true;
}
