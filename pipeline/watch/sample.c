#include "sample.h"

#include <math.h>
#include <string.h>

// Steele, Lea and Flood, 2014: fast splittable pseudorandom number generators.
static double next_number(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

enum { DIGIT = 10, BINS = 1 << DIGIT }; // three digits hold the bits of a number from 0 to 1

// The largest number that, with all that are as large, makes `goal`: of numbers from 0 to 1, whose
// bits are in their order, either so many or so much. From digit to digit only those are looked at
// whose number begins like the one sought; they go to `scratch`.
static float reach(const float *shares, float *scratch, int num, double goal, bool by_share)
{
    const float *from = shares;
    double above = 0; // of larger ones
    uint32_t sought = 0;
    for (int shift = 2 * DIGIT; shift >= 0; shift -= DIGIT) {
        double weight[BINS] = {0};
        for (int i = 0; i < num; i++)
            weight[bits_of(from[i]) >> shift & (BINS - 1)] += by_share ? (double)from[i] : 1;
        int bin = BINS - 1;
        while (bin > 0 && above + weight[bin] < goal)
            above += weight[bin--];
        sought |= (uint32_t)bin << shift;
        int kept = 0;
        for (int i = 0; i < num; i++)
            if (bits_of(from[i]) >> shift == sought >> shift)
                scratch[kept++] = from[i];
        from = scratch;
        num = kept;
    }
    float found;
    memcpy(&found, &sought, sizeof found);
    return found;
}

// The least share that top-k and top-p leave, ties with it too.
static float least_kept(const struct ww_generate_params *p, const float *shares, float *scratch, int num)
{
    float least = 0;
    if (p->top_k > 0 && p->top_k < num)
        least = reach(shares, scratch, num, p->top_k, false);
    if (p->top_p > 0 && p->top_p < 1) {
        double sum = 0;
        for (int i = 0; i < num; i++)
            sum += shares[i] >= least ? (double)shares[i] : 0;
        least = fmaxf(least, reach(shares, scratch, num, (double)p->top_p * sum, true));
    }
    return least;
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
    for (int i = 0; i < num; i++) {
        logits[i] = expf((logits[i] - top) / p->temperature);
        logits[i] = logits[i] >= 0 ? logits[i] : 0; // a NaN
    }
    const float least = fmaxf(p->min_p, least_kept(p, logits, scratch, num));
    double sum = 0;
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
