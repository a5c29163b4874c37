// message.h: a result as the JSON text that the daemon publishes and `watchword run` prints.
//
// One writer for both, so that a script which reads one reads the other. docs/messages.md describes
// the fields, docs/schema/ has a JSON Schema for each kind.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WW_MESSAGE_SCHEMA "watchword/1"

// Where the time in `captured_at` comes from.
enum ww_clock {
    WW_CLOCK_ARRIVAL, // when the frame reached this machine
    WW_CLOCK_RTCP,    // the camera's own clock, from its sender reports
    WW_CLOCK_NTP,
    WW_CLOCK_FILE, // the time of a file plus the frame's presentation time
    WW_NUM_CLOCKS
};

// "arrival", "rtcp", ...; NULL outside the range.
WW_API const char *ww_clock_name(enum ww_clock clock);

// The kind of message that a task's results are: "detection", "grounding", "pose", ...; the first
// part of their topic. NULL outside the range.
WW_API const char *ww_task_kind(enum ww_task task);

// What a message says beside the result. Strings are borrowed for the call.
struct ww_message {
    enum ww_task task;
    const char *stream;
    const char *watch;
    const char *epoch; // one run of the program: see ww_message_epoch
    uint64_t seq;      // counts per topic within an epoch, from 0
    const struct ww_result *result;
    const struct ww_model_info *model; // its name and digest are told
    int64_t captured_ns;               // since 1970, UTC
    enum ww_clock clock;
    int64_t decode_ns; // from the frame's arrival to being shown to the watch; -1: not known
};
#define ww_message(...) (&(struct ww_message){__VA_ARGS__})

// Writes the message as one line without its end, and a NUL. Returns its length, which is `size` or
// more when it did not fit; `out` is then cut. A pts that is not known is null. Latencies are in
// milliseconds; "total" is the sum of those that are known.
WW_API size_t ww_message_write(const struct ww_message *message, char *out, size_t size);

// Names this run: 26 characters that sort by time (a ULID, 48 bits of milliseconds and 80 random
// ones), and a NUL.
WW_API void ww_message_epoch(char epoch[27]);

#ifdef __cplusplus
}
#endif
