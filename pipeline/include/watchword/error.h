// error.h: what went wrong, as a value: a code to act on and a sentence to read.
//
// Functions that can fail take a `struct ww_error *err` last and return false, NULL or -1. `err` may
// be NULL when nobody will read it. On success `err` is not touched.

#pragma once

#include <stdbool.h>

#if defined(__GNUC__)
#define WW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define WW_API __attribute__((visibility("default")))
#else
#define WW_PRINTF(fmt, args)
#define WW_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum ww_code {
    WW_OK = 0,
    WW_E_FILE,        // a file is missing, unreadable or not what it claims to be
    WW_E_CONFIG,      // a setting is unknown, of the wrong type or out of range
    WW_E_TEXT,        // words the model does not know, or too many of them
    WW_E_FRAME,       // a picture of a format or size that cannot be taken
    WW_E_MEMORY,      // the device has no room left; freeing another model may help
    WW_E_DEVICE,      // no such device, or it was lost; the engine reopens it by itself
    WW_E_UNSUPPORTED, // asked for what this model or this build cannot do
    WW_E_STOPPED,     // the engine is closing
    WW_E_NETWORK,     // a socket or server failed
};

struct ww_error {
    enum ww_code code;
    char text[1000]; // UTF-8, no trailing newline or full stop
};

// Fills `err` (NULL is fine) and returns false, so that `return ww_fail(...)` leaves a function.
WW_API bool ww_fail(struct ww_error *err, enum ww_code code, const char *fmt, ...) WW_PRINTF(3, 4);

// Says where the error was: puts "fmt: " before the text, as each level returns. Returns false.
WW_API bool ww_within(struct ww_error *err, const char *fmt, ...) WW_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
