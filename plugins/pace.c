#include "pace.h"

#define JITTER_NS 50000000

bool ww_pace_due(struct ww_pace *pace, double rate, int64_t now_ns)
{
    if (!(rate > 0)) {
        pace->started = false;
        return true;
    }
    int64_t interval = rate > 1e-9 ? (int64_t)(1e9 / rate) : INT64_MAX / 8;
    if (!pace->started || pace->due_ns - now_ns > 2 * interval)
        *pace = (struct ww_pace){.started = true, .due_ns = now_ns};
    int64_t early = interval / 4 < JITTER_NS ? interval / 4 : JITTER_NS;
    if (now_ns < pace->due_ns - early)
        return false;
    if (now_ns - pace->due_ns >= interval) // frames are rarer than the rate, or some were lost
        pace->due_ns = now_ns;
    pace->due_ns += interval;
    return true;
}

bool ww_latency_add(struct ww_latency *latency, int64_t ns)
{
    const int64_t step = 10000000;
    unsigned n = latency->num_measured++;
    if (n == 0)
        return false;
    latency->recent_ns[n % WW_LATENCY_WINDOW] = ns;

    int64_t longest = 0;
    for (int i = 0; i < WW_LATENCY_WINDOW; i++)
        longest = latency->recent_ns[i] > longest ? latency->recent_ns[i] : longest;
    int64_t needed = (longest + step - 1) / step * step;
    bool shrinks = n >= WW_LATENCY_WINDOW && 2 * needed < latency->reported_ns;
    if (needed <= latency->reported_ns && !shrinks)
        return false;
    latency->reported_ns = needed;
    return true;
}
