// packed.h: the eight scales and eight minima, of six bits each, that Q4_K and Q5_K keep in twelve
// bytes: the first four of each have a byte, whose two upper bits lend themselves to the last four.

#pragma once

#include <stdint.h>

struct ww_scale_min {
    int scale, min; // 0 to 63
};

static inline struct ww_scale_min ww_scale_min_get(const uint8_t s[12], int g)
{
    if (g < 4)
        return (struct ww_scale_min){s[g] & 63, s[g + 4] & 63};
    return (struct ww_scale_min){(s[g + 4] & 15) | (s[g - 4] >> 6) << 4, s[g + 4] >> 4 | (s[g] >> 6)
                                                                                             << 4};
}

// Into bytes that were zero, from group 0 to 7.
static inline void ww_scale_min_put(uint8_t s[12], int g, struct ww_scale_min v)
{
    if (g < 4) {
        s[g] = (uint8_t)v.scale;
        s[g + 4] = (uint8_t)v.min;
        return;
    }
    s[g + 4] = (uint8_t)((v.scale & 15) | (v.min & 15) << 4);
    s[g - 4] |= (uint8_t)(v.scale >> 4 << 6);
    s[g] |= (uint8_t)(v.min >> 4 << 6);
}
