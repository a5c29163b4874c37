// check-inner.h: what check.c lends to the files that make operands for it.

#pragma once

#include "kernel.h"

struct ww_device *ww_try_device(struct ww_try *t);
// Of the attempt, with `data` from texel 4 on; NULL after an error.
struct ww_storage *ww_try_storage(struct ww_try *t, const void *data, uint64_t bytes);
// An operand that lies there, from texel 4 on.
struct ww_tensor ww_try_stored(struct ww_try *t, struct ww_storage *s, int n, int c, int h, int w);
// What the plan is replayed with, where that is not the n of the first output.
void ww_try_batch(struct ww_try *t, int n);
