// pace.h: which frames to look at, and how long that takes. No locks: the owner has one.

#pragma once

#include <stdbool.h>
#include <stdint.h>

// Thins a stream out to a rate. All zeros is the start.
struct ww_pace {
    bool started;
    int64_t due_ns; // when the next frame is wanted
};

// Whether the frame at `now_ns` is one of `rate` a second; 0: always. Frames come at their own
// times, often with jitter, so one that is a quarter of an interval early will do, and the plan
// goes on from when it was due: the average is kept, and a camera of 10 frames a second, asked for
// 10, gives each one. Time that jumps back and a rate that has changed begin a new plan.
bool ww_pace_due(struct ww_pace *pace, double rate, int64_t now_ns);

enum { WW_LATENCY_WINDOW = 16 };

// The time an inference takes, for the latency that a live pipeline plans with: the longest of the
// last ones, in steps of 10 ms so that it stays put. All zeros is the start.
struct ww_latency {
    int64_t recent_ns[WW_LATENCY_WINDOW];
    unsigned num_measured;
    int64_t reported_ns;
};

// Adds a measurement. Returns whether `reported_ns` is another now: it grows at once and shrinks
// when it is more than twice what the whole window needed. The first measurement, which includes
// what the device does once for a size, is left out.
bool ww_latency_add(struct ww_latency *latency, int64_t ns);
