#include "sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Steele, Lea and Flood, 2014: fast splittable pseudorandom number generators.
static double next_number(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

uint32_t ww_sample(const struct ww_generate_params *p, float *logits, float *scratch, int num,
                   uint64_t *state)
{
    int best = 0;
    for (int i = 1; i < num; i++)
        if (logits[i] > logits[best])
            best = i;
    if (p->temperature < 1e-5f || !isfinite(logits[best]))
        return (uint32_t)best;

    // Shares of the largest, so that it is 1; what is cut becomes 0.
    const float top = logits[best];
    double sum = 0;
    for (int i = 0; i < num; i++) {
        logits[i] = expf((logits[i] - top) / p->temperature);
        logits[i] = logits[i] >= 0 ? logits[i] : 0; // a NaN
    }
    float least = p->min_p;
    if ((p->top_k > 0 && p->top_k < num) || (p->top_p > 0 && p->top_p < 1)) {
        memcpy(scratch, logits, sizeof *scratch * (size_t)num);
        qsort(scratch, (size_t)num, sizeof *scratch, falling);
        int keep = p->top_k > 0 && p->top_k < num ? p->top_k : num;
        while (keep < num && scratch[keep] == scratch[keep - 1])
            keep++;
        for (int i = 0; i < keep; i++)
            sum += scratch[i];
        if (p->top_p > 0 && p->top_p < 1) {
            double mass = 0;
            int i = 0;
            while (i < keep && mass < p->top_p * sum)
                mass += scratch[i++];
            keep = i;
        }
        least = fmaxf(least, scratch[keep - 1]);
    }
    sum = 0;
    for (int i = 0; i < num; i++) {
        logits[i] = logits[i] >= least ? logits[i] : 0;
        sum += logits[i];
    }
    const double drawn = next_number(state) * sum;
    double mass = 0;
    for (int i = 0; i < num; i++) {
        mass += logits[i];
        if (mass > drawn && logits[i] > 0)
            return (uint32_t)i;
    }
    return (uint32_t)best;
}
