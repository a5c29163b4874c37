// quote.h: text from outside, made fit to be shown: it gives a terminal no orders and no password away.

#pragma once

#include <stddef.h>
#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

// Makes `text` one printable line, in place: what is no UTF-8 and every control character becomes '?', line
// ends and tabs become blanks, blanks at the end go. Never longer than it was.
WW_API void ww_quote_tidy(char *text);

// Copies `text` to `out`, `size` bytes with the NUL at most and no character in part, with "…" for the secrets
// of URLs in it: all that may be a user and a password ("rtsp://user:pa/ss@camera/live"), and what a path or a
// query calls password, token, key and the like, where many cameras take them
// ("http://camera/user=admin&password=secret&channel=1"). Where there is doubt it hides too much. Works on a URL
// and on sentences that quote some.
WW_API void ww_quote_redacted(const char *text, char *out, size_t size);

#ifdef __cplusplus
}
#endif
