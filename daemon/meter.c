#include "meter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

double rate_update(struct rate *r, guint64 count, gint64 now_us)
{
    const guint oldest = r->filled < RATE_SAMPLES ? 0 : r->next;
    const bool any = r->filled > 0 && now_us > r->at_us[oldest];
    const double rate = any ? (double)(count - r->count[oldest]) * 1e6 /
                                  (double)(now_us - r->at_us[oldest])
                            : 0;
    r->count[r->next] = count;
    r->at_us[r->next] = now_us;
    r->next = (r->next + 1) % RATE_SAMPLES;
    r->filled = MIN(r->filled + 1, RATE_SAMPLES);
    return rate;
}

void latency_add(struct latency *l, double ms)
{
    l->ms[l->next] = (float)ms;
    l->next = (l->next + 1) % LATENCY_SAMPLES;
    l->filled = MIN(l->filled + 1, LATENCY_SAMPLES);
}

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double latency_quantile(const struct latency *l, double share)
{
    float sorted[LATENCY_SAMPLES];
    if (l->filled == 0)
        return -1;
    memcpy(sorted, l->ms, l->filled * sizeof(*sorted));
    qsort(sorted, l->filled, sizeof(*sorted), ascending);
    return (double)sorted[(guint)(share * (l->filled - 1) + 0.5)];
}
