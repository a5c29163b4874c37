// decode.h: pictures and films from files and URLs, through libavformat and libavcodec.
//
// What libav has to say goes to ww_log at WW_LOG_DEBUG, from the first reader or writer of the process
// on. Thread-safety: a reader or writer belongs to one thread at a time.

#pragma once

#include <signal.h>
#include <watchword/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_reader;

// Opens a picture, film or stream (any URL libavformat takes). WW_E_FILE: cannot be opened, holds no
// video, or its codec is missing; WW_E_NETWORK: the server cannot be reached, refuses, or is silent for
// 10 s. Credentials in the URL are not repeated in the text. RTSP goes over TCP.
WW_API struct ww_reader *ww_reader_open(const char *url, struct ww_error *err);
// The same, but this call and every later one that waits for a server gives up with WW_E_STOPPED soon
// after `*stop` is no longer 0: for signal handlers. `stop` must outlive the reader.
WW_API struct ww_reader *ww_reader_open_until(const char *url, const volatile sig_atomic_t *stop,
                                              struct ww_error *err);
WW_API void ww_reader_close(struct ww_reader **reader);

// The next frame in order; the pixels belong to the reader, are good until the next call and must not
// be changed: the codec predicts later frames from them. Formats that ww_frame lacks are converted, I420
// and NV12 are passed through. `pts_ns` counts from the start of the file, `index` counts the frames
// returned. 1: a frame, 0: the end, -1: WW_E_FILE, WW_E_NETWORK, WW_E_STOPPED (a frame that cannot be
// decoded is skipped and counted, not an error).
WW_API int ww_reader_next(struct ww_reader *reader, struct ww_frame *out, struct ww_error *err);

struct ww_reader_info {
    int width, height;    // px
    double fps;           // 0: unknown, or a picture
    int64_t num_frames;   // estimate; 0: unknown
    int64_t duration_ns;  // 0: unknown
    uint64_t broken;      // frames skipped so far because they could not be decoded
    bool live;            // comes from a server, as it happens
    char codec[32];
};
WW_API void ww_reader_info(struct ww_reader *reader, struct ww_reader_info *out);

// Writes frames as a film (.mp4, .mkv) or, for .png, the first frame as a picture. All frames must
// have the format and size of the first. Films are H.264 where libx264 is there, else MPEG-4 part 2; an
// odd width or height loses its last column or row. `fps` 0: 25. WW_E_CONFIG: another ending; WW_E_FILE:
// cannot be written.
struct ww_writer;
WW_API struct ww_writer *ww_writer_open(const char *path, double fps, struct ww_error *err);
WW_API bool ww_writer_add(struct ww_writer *writer, const struct ww_frame *frame,
                          struct ww_error *err);
// Finishes the file; false if what was written is not whole.
WW_API bool ww_writer_close(struct ww_writer **writer, struct ww_error *err);

#ifdef __cplusplus
}
#endif
