// json_text.h: JSON, written value by value into memory that the caller has.
//
//     struct ww_json_text t = {.out = buffer, .size = sizeof(buffer)};
//     ww_json_object(&t, NULL);
//     ww_json_put_string(&t, "stream", "gate");
//     ww_json_array(&t, "box");
//     ww_json_put_real(&t, NULL, 221.25, 2);
//     ww_json_end(&t);
//     ww_json_end(&t); // {"stream":"gate","box":[221.25]}
//
// A text that does not fit is counted to its end but cut, as snprintf does it: `length` says what
// it takes, so that the caller can come again with more. It is one line, UTF-8, the same in every
// locale. Nothing is allocated. Thread-safety: a text belongs to one thread.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WW_JSON_MAX_DEPTH 32

struct ww_json_text {
    char *out;     // `size` bytes; NULL: only count
    size_t size;   // 0 with NULL
    size_t length; // bytes so far without the NUL that follows; it fitted if this is < size
    int depth;     // the rest is the writer's own; all zero at the start
    bool comma;
    uint32_t arrays; // bit d: the value open at depth d is an array
};

// Whether all of it is in `out`.
static inline bool ww_json_fits(const struct ww_json_text *text)
{
    return text->length < text->size;
}

// `name` is the member's name inside an object, NULL inside an array and at the top.
WW_API void ww_json_object(struct ww_json_text *text, const char *name);
WW_API void ww_json_array(struct ww_json_text *text, const char *name);
// Ends the innermost object or array.
WW_API void ww_json_end(struct ww_json_text *text);

// NULL is written as null; each byte that is no UTF-8 becomes U+FFFD.
WW_API void ww_json_put_string(struct ww_json_text *text, const char *name, const char *value);
WW_API void ww_json_put_int(struct ww_json_text *text, const char *name, int64_t value);
WW_API void ww_json_put_uint(struct ww_json_text *text, const char *name, uint64_t value);
// At most `decimals` (0 to 9) digits after the point, none that say nothing. What is not finite is
// written as null.
WW_API void ww_json_put_real(struct ww_json_text *text, const char *name, double value,
                             int decimals);
WW_API void ww_json_put_bool(struct ww_json_text *text, const char *name, bool value);
WW_API void ww_json_put_null(struct ww_json_text *text, const char *name);
// Nanoseconds since 1970 as RFC 3339 in UTC: "2026-11-22T10:15:04.120Z".
WW_API void ww_json_put_time(struct ww_json_text *text, const char *name, int64_t unix_ns);

#ifdef __cplusplus
}
#endif
