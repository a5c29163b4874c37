// reach.h: is anybody there? A connection that is closed as soon as it stands.
//
// GStreamer says only that it could not connect. This finds out why, and is what a lost camera is
// knocked at with until it opens: cheaper for both sides than an attempt to play.
// Thread-safety: the main thread; nothing blocks it.

#pragma once

#include "cause.h"

struct reach;

// `cause->code` is CAUSE_NONE if somebody answered.
typedef void (*reach_fn)(void *opaque, const struct cause *cause);

// Calls back from the main loop, never from within. reach_cancel, or having called back, ends it.
struct reach *reach_start(const char *host, int port, int timeout_ms, reach_fn done, void *opaque);
void reach_cancel(struct reach **reach);
