// libav.h: what reader and writer share of libav: its log, its pixels.

#pragma once

#include <libavutil/frame.h>
#include <libswscale/swscale.h>
#include <watchword/frame.h>

// Sends libav's log to ours, once per process.
void ww_libav_begin(void);

// The reason for `code` in words. libav reports many failures as EIO or "invalid data" and says the
// cause only in its log: then this is the last complaint that this thread logged since
// ww_libav_forget().
void ww_libav_reason(int code, char *text, size_t size);
void ww_libav_forget(void);

enum AVPixelFormat ww_libav_pixels(enum ww_format format);
// False where no ww_format is the same layout.
bool ww_libav_format(enum AVPixelFormat pixels, enum ww_format *out);

// Fills `dst`, whose format, size, colorspace and color_range say what is wanted, from `src`; both
// sides of a conversion between Y'CbCr and R'G'B' are told their matrix and range. `dst` gets a
// buffer unless it has one. `sws` keeps its tables from call to call; the caller frees it.
bool ww_libav_convert(struct SwsContext **sws, AVFrame *dst, const AVFrame *src,
                      struct ww_error *err);
