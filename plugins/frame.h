// frame.h: GStreamer's pictures as the library's.

#pragma once

#include <gst/video/video.h>
#include <watchword/frame.h>

// What both elements take: system memory, every ww_format.
#define WW_VIDEO_CAPS                                                                              \
    "video/x-raw, format = (string) { NV12, I420, RGB, BGR, RGBA, BGRA, GRAY8 }, "                 \
    "width = (int) [ 1, 16384 ], height = (int) [ 1, 16384 ], "                                    \
    "framerate = (fraction) [ 0/1, 2147483647/1 ]"

// Describes a mapped frame, which must stay mapped while the description is used.
struct ww_frame ww_frame_of(const GstVideoFrame *video);

// A new line in an element's description, as gst-inspect-1.0 indents it.
#define NL "\n                           "
