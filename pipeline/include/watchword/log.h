// log.h: what the library does, line by line. What it returns as an error it does not log.
// Nothing is logged per frame above WW_LOG_TRACE.

#pragma once

#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ww_log_level { WW_LOG_ERROR, WW_LOG_WARN, WW_LOG_INFO, WW_LOG_DEBUG, WW_LOG_TRACE };

// Called from any thread, one call at a time. `text` is one line without its end, borrowed.
// It must not log itself.
typedef void (*ww_log_fn)(void *opaque, enum ww_log_level level, const char *text);

// Sends lines of `level` and graver to `fn`; NULL: to stderr, as it is from the start at
// WW_LOG_WARN or at $WATCHWORD_LOG (error, warn, info, debug, trace).
WW_API void ww_log_set(ww_log_fn fn, void *opaque, enum ww_log_level level);

WW_API void ww_log(enum ww_log_level level, const char *fmt, ...) WW_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
