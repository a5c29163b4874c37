// compile.h: every pipeline of a recording, made by as many threads as there are cores.
//
// A driver compiles when a pipeline is created, or puts the rest off until it is first dispatched, and
// must not do so in front of a camera; so each new one is dispatched once, with no groups. Software
// Vulkan does most of its work then, one after the other in the one thread of its queue. Where that takes
// long, other threads meanwhile dispatch pipelines of the list's end on devices of their own, and the
// first device finds what came of it in the driver's cache on disk.

#pragma once

#include "recording.h"

#define COMPILE_NS (300ull * 1000000000) // the longest that one pipeline may take, on a busy machine

// Sets the pipeline of each launch; `rest` is what is bound in place of inputs that a launch has not.
// `use` dispatches one with no groups and waits; it is called by the thread that calls this, and so is the
// device's `activity`. After a failure those that were dispatched stay. WW_E_DEVICE, WW_E_MEMORY.
bool ww_compile(struct ww_device *device, struct recording *recording, const struct ww_storage *rest,
                bool (*use)(void *opaque, int launch, struct ww_error *err), void *opaque,
                struct ww_error *err);
