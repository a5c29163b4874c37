// sample.h: which token comes next.

#pragma once

#include <stdint.h>
#include <watchword/language.h>

// Draws from logits, which it changes; `scratch` has room for `num` numbers. In this order:
// temperature, the k likeliest (ties stay), the fewest likeliest of those that weigh top_p together,
// those with at least min_p times the share of the likeliest; then, in the order of their numbers, the
// first whose cumulative share exceeds a number in [0, 1) that `state` yields (splitmix64). It is the
// order of the transformers library's generate(): min-p takes nothing from what top_p is a share of.
uint32_t ww_sample(const struct ww_generate_params *params, float *logits, float *scratch, int num,
                   uint64_t *state);
