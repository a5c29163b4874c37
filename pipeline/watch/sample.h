// sample.h: which token comes next.

#pragma once

#include <stdint.h>
#include <watchword/language.h>

// Draws from logits, which it changes; `scratch` has room for `num` numbers. In this order:
// temperature, the k likeliest (ties stay), min-p, the fewest likeliest that weigh top_p together;
// then, in the order of their numbers, the first whose cumulative share exceeds a number in [0, 1)
// that `state` yields (splitmix64).
uint32_t ww_sample(const struct ww_generate_params *params, float *logits, float *scratch, int num,
                   uint64_t *state);
