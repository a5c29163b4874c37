// blocks.h: elements of any type to floats, and floats to the types that a conversion writes.
//
// Decoding follows the reference bit for bit, in float arithmetic, one operation at a time.
// Encoding does so for the float types and the blocks of 32; for the blocks of 256, where the
// format leaves the choice of scales to the encoder, it searches for the least squared error. Both
// are pure: the same bytes in give the same bytes out. Thread-safety: any thread.

#pragma once

#include "weights.h"

// Whether ww_decode knows the type: every one but C64, those below a byte, and those of 8-bit
// floats.
bool ww_can_decode(enum ww_type type);
// Whether ww_encode does: F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K.
bool ww_can_encode(enum ww_type type);

// `count` elements, a whole number of blocks, both ways. Neither side need be aligned in bytes that
// are no floats. What a float cannot hold of an integer or F64 is rounded to nearest.
void ww_decode(enum ww_type type, const void *from, size_t count, float *to);
void ww_encode(enum ww_type type, const float *from, size_t count, void *to);

// Rounds to nearest, ties to even; too large becomes infinite, NaN stays one.
uint16_t ww_half(float value);

// Elements [first, first + count) of a tensor as floats, read from the file in pieces; both are
// multiples of the block. False: WW_E_FILE, cannot be read, or of a type that has no floats here.
bool ww_weights_floats(const struct ww_weights *weights, const struct ww_weight *weight,
                       size_t first, size_t count, float *to, struct ww_error *err);
