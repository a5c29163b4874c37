// file.h: small files whole.

#pragma once

#include <stddef.h>
#include <watchword/error.h>

// The bytes of a regular file, with a NUL behind them that `bytes` does not count; the caller frees
// them. NULL: WW_E_FILE, it cannot be read, is no regular file or has more than `max_bytes`;
// WW_E_MEMORY. The error names the file.
char *ww_read_whole(const char *path, size_t max_bytes, size_t *bytes, struct ww_error *err);
