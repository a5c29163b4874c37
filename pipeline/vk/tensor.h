// tensor.h: what kernels read and write.
//
// A tensor is a value: copy it, slice it. Its elements are float32 and lie row-major as
//
//     [n][c/4][h][w][4]     image: channels in quads, so that a texel is four channels of a pixel
//
// with channels past `c` in the last quad kept zero. (Rows of text or features are the same thing
// with h = 1: [n][c/4][1][rows][4].) `step` lies between one n and the next, so that a slice of the
// channels is a tensor, too.

#pragma once

#include <stdbool.h>
#include <stdint.h>

struct ww_tensor {
    int32_t id;         // whose memory: index in the recording's table; 0 is no tensor
    int32_t n, c, h, w; // batch, channels, rows, columns
    uint32_t first;     // texels from the start of that memory
    uint32_t step;      // texels from one n to the next
};

static inline int ww_quads(struct ww_tensor t)
{
    return (t.c + 3) / 4;
}

static inline bool ww_some(struct ww_tensor t)
{
    return t.id != 0;
}

static inline bool ww_same_shape(struct ww_tensor a, struct ww_tensor b)
{
    return a.n == b.n && a.c == b.c && a.h == b.h && a.w == b.w;
}

// Channels [first, first + c) of `t`; `first` is a multiple of 4.
static inline struct ww_tensor ww_channels(struct ww_tensor t, int first, int c)
{
    t.first += (uint32_t)(first / 4 * t.h * t.w);
    t.c = c;
    return t;
}
