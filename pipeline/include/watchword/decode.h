// decode.h: pictures and films from files and URLs, through libavformat and libavcodec.
//
// Thread-safety: a reader belongs to one thread at a time.

#pragma once

#include <watchword/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_reader;

// Opens a picture, film or stream (any URL libavformat takes). WW_E_FILE: cannot be opened, holds no
// video, or its codec is missing; credentials in the URL are not repeated in the text.
WW_API struct ww_reader *ww_reader_open(const char *url, struct ww_error *err);
WW_API void ww_reader_close(struct ww_reader **reader);

// The next frame in order; the pixels belong to the reader and are good until the next call. Formats
// that ww_frame lacks are converted. 1: a frame, 0: the end, -1: WW_E_FILE (a frame that cannot be
// decoded is skipped and counted, not an error).
WW_API int ww_reader_next(struct ww_reader *reader, struct ww_frame *out, struct ww_error *err);

struct ww_reader_info {
    int width, height;    // px
    double fps;           // 0: unknown
    int64_t num_frames;   // estimate; 0: unknown
    int64_t duration_ns;  // 0: unknown
    uint64_t broken;      // frames skipped so far because they could not be decoded
    char codec[32];
};
WW_API void ww_reader_info(struct ww_reader *reader, struct ww_reader_info *out);

// Writes frames as a film (.mp4, .mkv) or, for .png, the first frame as a picture. All frames must
// have the format and size of the first, any of ww_format but GRAY8.
struct ww_writer;
WW_API struct ww_writer *ww_writer_open(const char *path, double fps, struct ww_error *err);
WW_API bool ww_writer_add(struct ww_writer *writer, const struct ww_frame *frame,
                          struct ww_error *err);
// Finishes the file; false if what was written is not whole.
WW_API bool ww_writer_close(struct ww_writer **writer, struct ww_error *err);

#ifdef __cplusplus
}
#endif
