// rope.h: how fast the pairs of channels of a head turn with position, and what becomes of that where a
// model was stretched beyond the positions it was first trained on.

#pragma once

#include <stdbool.h>

enum ww_rope_kind { WW_ROPE_LINEAR, WW_ROPE_LLAMA3, WW_ROPE_YARN };
#define WW_ROPE_PAIRS 64 // most of a head

struct ww_rope {
    enum ww_rope_kind kind;
    double theta, factor;   // factor 1: not stretched
    double original;        // positions it was first trained on; linear: not looked at
    double low, high;       // llama3: turns within `original` between which the two are mixed
    double fast, slow;      // yarn: the same
    bool smooth;            // yarn: pairs in between begin and end where they do, not at a whole pair
    double gain;            // of cosines and sines; 0: yarn ww_rope_mscale(factor, 1), all others 1
    double divisor[WW_ROPE_PAIRS]; // each pair's own, of a GGUF file; 0: 1
};

// The angle that pair `j` of a head `width` channels wide turns by from one position to the next.
double ww_rope_angle(const struct ww_rope *rope, int width, int j);
// By how much YaRN widens what is compared: 0.1 mscale ln(factor) + 1, and 1 where nothing is stretched.
double ww_rope_mscale(double factor, double mscale);
// What cosines and sines are multiplied by.
double ww_rope_gain(const struct ww_rope *rope);
