// log.h: what the daemon says to its operator: to the journal with fields, or to standard error.
//
// The journal gets CAMERA= and WATCH= beside the text, so that `journalctl -u watchwordd CAMERA=gate`
// shows one camera. Thread-safety: any thread, after log_init.

#pragma once

#include <watchword/log.h>

// Lines graver than or as grave as `level` are written; the library's, too.
void log_init(enum ww_log_level level);

// "error", "warn", "info", "debug", "trace"; -1 if it is none of them.
int log_level_from_name(const char *name);

// `camera` and `watch` may be NULL.
void log_say(enum ww_log_level level, const char *camera, const char *watch, const char *fmt, ...)
    WW_PRINTF(4, 5);
