// Su et al., 2021, arXiv:2104.09864; linear: Chen et al., 2023, arXiv:2306.15595; YaRN: Peng et al.,
// 2023, arXiv:2309.00071, section 3; llama3: the Llama 3.1 release. Constants are those of the
// transformers library.

#include "rope.h"

#include <math.h>

#define TURN (2 * 3.14159265358979323846)

// Slow pairs, which do not go round once within what was trained, are stretched; fast ones are not.
static double llama3(const struct ww_rope *r, double angle)
{
    const double turns = r->original * angle / TURN;
    const double kept = fmin(fmax((turns - r->low) / (r->high - r->low), 0), 1);
    return angle / r->factor * (1 - kept) + angle * kept;
}

// The pair that goes round `turns` times within what was trained.
static double pair_of(const struct ww_rope *r, int width, double turns)
{
    return width * log(r->original / (turns * TURN)) / (2 * log(r->theta));
}

static double yarn(const struct ww_rope *r, int width, int j, double angle)
{
    const double fast = pair_of(r, width, r->fast), slow = pair_of(r, width, r->slow);
    const double first = fmax(r->smooth ? fast : floor(fast), 0);
    double last = fmin(r->smooth ? slow : ceil(slow), width - 1);
    if (last == first)
        last += 0.001;
    const double stretched = fmin(fmax((j - first) / (last - first), 0), 1);
    return angle / r->factor * stretched + angle * (1 - stretched);
}

double ww_rope_angle(const struct ww_rope *r, int width, int j)
{
    const double angle = pow(r->theta, -2.0 * j / width) / (r->divisor[j] > 0 ? r->divisor[j] : 1);
    return r->kind == WW_ROPE_LLAMA3 ? llama3(r, angle)
           : r->kind == WW_ROPE_YARN ? yarn(r, width, j, angle)
                                     : angle / r->factor;
}

double ww_rope_mscale(double factor, double mscale)
{
    return factor > 1 ? 0.1 * mscale * log(factor) + 1 : 1;
}

double ww_rope_gain(const struct ww_rope *r)
{
    return r->gain > 0 ? r->gain : r->kind == WW_ROPE_YARN ? ww_rope_mscale(r->factor, 1) : 1;
}
