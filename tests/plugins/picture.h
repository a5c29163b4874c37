// picture.h: pictures in memory of their own, between bytes that nobody may touch.

#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/frame.h>

enum { GUARD_BYTES = 64, GUARD = 0xa5 };

struct picture {
    struct ww_frame frame;
    uint8_t *memory[3];
    size_t bytes[3];
};

// All samples `fill`, strides `slack` bytes longer than a row.
static inline struct picture picture_create(enum ww_format format, int width, int height, int slack,
                                            uint8_t fill)
{
    struct picture p = {.frame = {.format = format, .width = width, .height = height}};
    for (int i = 0; i < ww_format_planes(format); i++) {
        int row = ww_format_row_bytes(format, i, width), rows = ww_format_rows(format, i, height);
        int stride = row + slack;
        p.bytes[i] = (size_t)stride * (size_t)rows + 2 * GUARD_BYTES;
        p.memory[i] = malloc(p.bytes[i]);
        memset(p.memory[i], GUARD, p.bytes[i]);
        for (int y = 0; y < rows; y++)
            memset(p.memory[i] + GUARD_BYTES + y * stride, fill, (size_t)row);
        p.frame.plane[i] = p.memory[i] + GUARD_BYTES;
        p.frame.stride[i] = stride;
    }
    return p;
}

static inline void picture_destroy(struct picture *p)
{
    for (int i = 0; i < 3; i++)
        free(p->memory[i]);
    *p = (struct picture){0};
}

// Whether the bytes around the planes and after their rows are as they were.
static inline bool picture_is_sound(const struct picture *p)
{
    const struct ww_frame *f = &p->frame;
    for (int i = 0; i < ww_format_planes(f->format); i++) {
        int row = ww_format_row_bytes(f->format, i, f->width);
        int rows = ww_format_rows(f->format, i, f->height);
        for (size_t at = 0; at < p->bytes[i]; at++) {
            long inside = (long)at - GUARD_BYTES;
            bool is_sample =
                inside >= 0 && inside / f->stride[i] < rows && inside % f->stride[i] < row;
            if (!is_sample && p->memory[i][at] != GUARD)
                return false;
        }
    }
    return true;
}

struct rgb {
    int r, g, b;
};

static inline int clamp_255(double v)
{
    return v < 0 ? 0 : v > 255 ? 255 : (int)(v + 0.5);
}

// What is seen at (x, y), computed from the definitions (ITU-R BT.601 and BT.709).
static inline struct rgb picture_at(const struct ww_frame *f, int x, int y)
{
    const uint8_t *p = f->plane[0] + y * f->stride[0];
    double cb = 0, cr = 0, luma;
    switch (f->format) {
    case WW_FORMAT_RGB:
        return (struct rgb){p[3 * x], p[3 * x + 1], p[3 * x + 2]};
    case WW_FORMAT_BGR:
        return (struct rgb){p[3 * x + 2], p[3 * x + 1], p[3 * x]};
    case WW_FORMAT_RGBA:
        return (struct rgb){p[4 * x], p[4 * x + 1], p[4 * x + 2]};
    case WW_FORMAT_BGRA:
        return (struct rgb){p[4 * x + 2], p[4 * x + 1], p[4 * x]};
    case WW_FORMAT_NV12:
        cb = f->plane[1][y / 2 * f->stride[1] + x / 2 * 2] - 128.0;
        cr = f->plane[1][y / 2 * f->stride[1] + x / 2 * 2 + 1] - 128.0;
        break;
    case WW_FORMAT_I420:
        cb = f->plane[1][y / 2 * f->stride[1] + x / 2] - 128.0;
        cr = f->plane[2][y / 2 * f->stride[2] + x / 2] - 128.0;
        break;
    default:
        return (struct rgb){p[x], p[x], p[x]};
    }
    luma = p[x];
    if (f->range == WW_RANGE_LIMITED) {
        luma = (luma - 16) * 255 / 219;
        cb *= 255.0 / 224;
        cr *= 255.0 / 224;
    }
    bool bt709 = f->matrix == WW_MATRIX_BT709;
    double kr = bt709 ? 0.2126 : 0.299, kb = bt709 ? 0.0722 : 0.114, kg = 1 - kr - kb;
    double r = luma + 2 * (1 - kr) * cr, b = luma + 2 * (1 - kb) * cb;
    return (struct rgb){clamp_255(r), clamp_255((luma - kr * r - kb * b) / kg), clamp_255(b)};
}
