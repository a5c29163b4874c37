// meter.h: how many a second, and how long. Not thread-safe: its owner locks.

#pragma once

#include <glib.h>

// How many a second, over the last few seconds.
#define RATE_SAMPLES 6
struct rate {
    guint64 count[RATE_SAMPLES]; // a ring: the running count, and when it was read
    gint64 at_us[RATE_SAMPLES];
    guint next, filled;
};
// Tells the count as it is now, about once a second; returns events per second.
double rate_update(struct rate *rate, guint64 count, gint64 now_us);

// How long the last few hundred took.
#define LATENCY_SAMPLES 512
struct latency {
    float ms[LATENCY_SAMPLES]; // a ring
    guint next, filled;
};
void latency_add(struct latency *latency, double ms);

// The time that a share (0.99) of them took at most; -1 if there are none.
double latency_quantile(const struct latency *latency, double share);
