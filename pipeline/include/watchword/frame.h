// frame.h: one picture, in memory that somebody else owns.

#pragma once

#include <stdint.h>
#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ww_format {
    WW_FORMAT_NV12, // Y, then UV interleaved at half size
    WW_FORMAT_I420, // Y, U, V; chroma at half size, rounded up
    WW_FORMAT_RGB,  // 3 bytes a pixel
    WW_FORMAT_BGR,
    WW_FORMAT_RGBA, // 4 bytes a pixel; A is not read
    WW_FORMAT_BGRA,
    WW_FORMAT_GRAY8,
    WW_NUM_FORMATS
};

enum ww_matrix { WW_MATRIX_BT601, WW_MATRIX_BT709 }; // Y'CbCr to R'G'B'; YUV formats only
enum ww_range { WW_RANGE_LIMITED, WW_RANGE_FULL };   // 16..235 (chroma 16..240) or 0..255

#define WW_FRAME_MAX_SIDE 16384 // px

struct ww_frame {
    enum ww_format format;
    int width, height; // px, 1 to WW_FRAME_MAX_SIDE; odd sizes are fine
    const uint8_t *plane[3];
    int stride[3]; // bytes from one row to the next, each at least a row
    enum ww_matrix matrix;
    enum ww_range range;
    int64_t pts_ns; // presentation time; -1: unknown
    uint64_t index; // frames of its stream before it
    // Called once, on any thread, when a frame that was handed over (see ww_watch_offer) is no
    // longer read. NULL: nothing to release.
    void (*release)(void *opaque);
    void *opaque;
};

// Planes of a format, 1 to 3.
WW_API int ww_format_planes(enum ww_format format);

// Bytes a row of `plane` must hold, and its rows, for a picture of width x height.
WW_API int ww_format_row_bytes(enum ww_format format, int plane, int width);
WW_API int ww_format_rows(enum ww_format format, int plane, int height);

// Whether sizes, planes and strides are sound; WW_E_FRAME says which is not.
WW_API bool ww_frame_check(const struct ww_frame *frame, struct ww_error *err);

#ifdef __cplusplus
}
#endif
