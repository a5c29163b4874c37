#include "frame.h"

static enum ww_format format_of(GstVideoFormat format)
{
    switch (format) {
    case GST_VIDEO_FORMAT_NV12:
        return WW_FORMAT_NV12;
    case GST_VIDEO_FORMAT_I420:
        return WW_FORMAT_I420;
    case GST_VIDEO_FORMAT_RGB:
        return WW_FORMAT_RGB;
    case GST_VIDEO_FORMAT_BGR:
        return WW_FORMAT_BGR;
    case GST_VIDEO_FORMAT_RGBA:
        return WW_FORMAT_RGBA;
    case GST_VIDEO_FORMAT_BGRA:
        return WW_FORMAT_BGRA;
    case GST_VIDEO_FORMAT_GRAY8:
        return WW_FORMAT_GRAY8;
    default:
        g_return_val_if_reached(WW_FORMAT_GRAY8); // the pad templates allow no other
    }
}

// The library knows two matrices. BT.2020 and SMPTE 240M are closer to BT.709; where the caps say
// nothing, GStreamer has already guessed from the size.
static enum ww_matrix matrix_of(GstVideoColorMatrix matrix)
{
    switch (matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT709:
    case GST_VIDEO_COLOR_MATRIX_BT2020:
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:
        return WW_MATRIX_BT709;
    default:
        return WW_MATRIX_BT601;
    }
}

struct ww_frame ww_frame_of(const GstVideoFrame *video)
{
    const GstVideoInfo *info = &video->info;
    bool full = info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
    struct ww_frame frame = {
        .format = format_of(GST_VIDEO_INFO_FORMAT(info)),
        .width = GST_VIDEO_INFO_WIDTH(info),
        .height = GST_VIDEO_INFO_HEIGHT(info),
        .matrix = matrix_of(info->colorimetry.matrix),
        .range = full ? WW_RANGE_FULL : WW_RANGE_LIMITED,
        .pts_ns = -1,
    };
    if (GST_BUFFER_PTS_IS_VALID(video->buffer))
        frame.pts_ns = (int64_t)GST_BUFFER_PTS(video->buffer);
    for (guint i = 0; i < GST_VIDEO_INFO_N_PLANES(info); i++) {
        frame.plane[i] = GST_VIDEO_FRAME_PLANE_DATA(video, i);
        frame.stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE(video, i);
    }
    return frame;
}
