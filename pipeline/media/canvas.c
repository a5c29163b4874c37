// A shape is its bounds and a function that says how much of a pixel it covers. One painter walks
// the pixels, two rows and two columns at a time where the format has a chroma sample for them.

#include <math.h>

#include "canvas.h"
#include "font.h"

enum { MAX_GLYPHS = 256 };

struct shape {
    int x0, y0, x1, y1; // pixels it may touch
    float opacity;

    // How much of pixel (x, y) is covered, 0 to 1; 0 outside the bounds.
    float (*cover)(const struct shape *s, int x, int y);
    // Narrows [*x0, *x1) to what row y can touch. NULL: the bounds are all there is to know.
    void (*reach)(const struct shape *s, int y, int *x0, int *x1);

    float ax, ay, bx, by, radius; // line
    const uint8_t *glyphs;        // text
    int num_glyphs, scale;
};

// A colour as the frame's bytes: Y, Cb, Cr or the four bytes of a pixel in memory order.
struct ink {
    uint8_t v[4];
};

static int imin(int a, int b)
{
    return a < b ? a : b;
}

static int imax(int a, int b)
{
    return a > b ? a : b;
}

// Float to int that is defined for every float; NaN becomes `lo`.
static int to_int(float v, int lo, int hi)
{
    return v > (float)lo ? v < (float)hi ? (int)v : hi : lo;
}

static struct ink ink_yuv(const struct ww_frame *f, struct ww_colour c)
{
    bool bt709 = f->matrix == WW_MATRIX_BT709;
    bool full = f->range == WW_RANGE_FULL || f->format == WW_FORMAT_GRAY8;
    float kr = bt709 ? 0.2126f : 0.299f, kb = bt709 ? 0.0722f : 0.114f;
    float y = kr * c.r + (1 - kr - kb) * c.g + kb * c.b; // 0..255
    float cb = (c.b - y) / (2 * (1 - kb)), cr = (c.r - y) / (2 * (1 - kr));
    float luma = full ? 1 : 219 / 255.0f, chroma = full ? 1 : 224 / 255.0f;
    return (struct ink){{
        (uint8_t)to_int(luma * y + (full ? 0 : 16) + 0.5f, 0, 255),
        (uint8_t)to_int(chroma * cb + 128.5f, 0, 255),
        (uint8_t)to_int(chroma * cr + 128.5f, 0, 255),
    }};
}

static void blend(uint8_t *p, uint8_t ink, float alpha)
{
    *p = (uint8_t)(*p + (ink - *p) * alpha + 0.5f);
}

static float covered(const struct shape *s, int x, int y)
{
    bool inside = x >= s->x0 && x < s->x1 && y >= s->y0 && y < s->y1;
    return inside ? s->opacity * s->cover(s, x, y) : 0;
}

static uint8_t *row(const struct ww_frame *f, int plane, int y)
{
    return (uint8_t *)f->plane[plane] + (ptrdiff_t)y * f->stride[plane];
}

static void paint_packed(const struct ww_frame *f, const struct shape *s, struct ink ink, int bytes)
{
    for (int y = s->y0; y < s->y1; y++) {
        int x0 = s->x0, x1 = s->x1;
        if (s->reach)
            s->reach(s, y, &x0, &x1);
        uint8_t *p = row(f, 0, y) + (ptrdiff_t)x0 * bytes;
        for (int x = x0; x < x1; x++, p += bytes) {
            float alpha = covered(s, x, y);
            for (int i = 0; alpha > 0 && i < bytes; i++)
                blend(&p[i], ink.v[i], alpha);
        }
    }
}

static void paint_chroma(const struct ww_frame *f, struct ink ink, int x, int y, float alpha)
{
    if (f->format == WW_FORMAT_NV12) {
        uint8_t *uv = row(f, 1, y) + 2 * (ptrdiff_t)x;
        blend(&uv[0], ink.v[1], alpha);
        blend(&uv[1], ink.v[2], alpha);
    } else {
        blend(row(f, 1, y) + x, ink.v[1], alpha);
        blend(row(f, 2, y) + x, ink.v[2], alpha);
    }
}

// One chroma sample at (x, y) and the four pixels it belongs to, fewer at odd edges.
static void paint_block(const struct ww_frame *f, const struct shape *s, struct ink ink, int x,
                        int y)
{
    float sum = 0;
    int x1 = imin(2 * x + 2, f->width), y1 = imin(2 * y + 2, f->height);
    for (int j = 2 * y; j < y1; j++) {
        for (int i = 2 * x; i < x1; i++) {
            float alpha = covered(s, i, j);
            if (alpha > 0)
                blend(row(f, 0, j) + i, ink.v[0], alpha);
            sum += alpha;
        }
    }
    if (sum > 0)
        paint_chroma(f, ink, x, y, sum / (float)((x1 - 2 * x) * (y1 - 2 * y)));
}

static void paint_subsampled(const struct ww_frame *f, const struct shape *s, struct ink ink)
{
    for (int y = s->y0 / 2; 2 * y < s->y1; y++) {
        int x0 = s->x0, x1 = s->x1;
        if (s->reach) {
            int odd_x0 = s->x0, odd_x1 = s->x1;
            s->reach(s, 2 * y, &x0, &x1);
            s->reach(s, 2 * y + 1, &odd_x0, &odd_x1);
            x0 = imin(x0, odd_x0);
            x1 = imax(x1, odd_x1);
        }
        for (int x = x0 / 2; 2 * x < x1; x++)
            paint_block(f, s, ink, x, y);
    }
}

static void paint(const struct ww_frame *f, struct shape *s, struct ww_colour c)
{
    s->x0 = imax(s->x0, 0);
    s->y0 = imax(s->y0, 0);
    s->x1 = imin(s->x1, f->width);
    s->y1 = imin(s->y1, f->height);
    switch (f->format) {
    case WW_FORMAT_NV12:
    case WW_FORMAT_I420:
        paint_subsampled(f, s, ink_yuv(f, c));
        break;
    case WW_FORMAT_RGB:
        paint_packed(f, s, (struct ink){{c.r, c.g, c.b}}, 3);
        break;
    case WW_FORMAT_BGR:
        paint_packed(f, s, (struct ink){{c.b, c.g, c.r}}, 3);
        break;
    case WW_FORMAT_RGBA:
        paint_packed(f, s, (struct ink){{c.r, c.g, c.b, 255}}, 4);
        break;
    case WW_FORMAT_BGRA:
        paint_packed(f, s, (struct ink){{c.b, c.g, c.r, 255}}, 4);
        break;
    case WW_FORMAT_GRAY8:
        paint_packed(f, s, ink_yuv(f, c), 1);
        break;
    case WW_NUM_FORMATS:
        break;
    }
}

static float rect_cover(const struct shape *s, int x, int y)
{
    (void)s, (void)x, (void)y;
    return 1;
}

void ww_canvas_rect(const struct ww_frame *frame, struct ww_colour colour, float opacity, int x0,
                    int y0, int x1, int y1)
{
    struct shape s = {x0, y0, x1, y1, opacity, rect_cover};
    paint(frame, &s, colour);
}

// Distance from the pixel's centre to the segment, faded over the last pixel.
static float line_cover(const struct shape *s, int x, int y)
{
    float dx = s->bx - s->ax, dy = s->by - s->ay;
    float px = (float)x + 0.5f - s->ax, py = (float)y + 0.5f - s->ay;
    float length2 = dx * dx + dy * dy;
    float t = length2 > 0 ? fminf(fmaxf((px * dx + py * dy) / length2, 0), 1) : 0;
    float distance = hypotf(px - t * dx, py - t * dy);
    return fminf(fmaxf(s->radius + 0.5f - distance, 0), 1);
}

// The part of the segment within `radius` + 1 rows of y, and as many columns to either side.
static void line_reach(const struct shape *s, int y, int *x0, int *x1)
{
    float dx = s->bx - s->ax, dy = s->by - s->ay, pad = s->radius + 1;
    float t0 = 0, t1 = 1;
    if (fabsf(dy) > 1e-3f) {
        float u = ((float)y + 0.5f - pad - s->ay) / dy, v = ((float)y + 0.5f + pad - s->ay) / dy;
        t0 = fminf(fmaxf(fminf(u, v), 0), 1);
        t1 = fminf(fmaxf(fmaxf(u, v), 0), 1);
    }
    float p = s->ax + t0 * dx, q = s->ax + t1 * dx;
    *x0 = imax(s->x0, to_int(floorf(fminf(p, q) - pad), 0, WW_FRAME_MAX_SIDE));
    *x1 = imin(s->x1, to_int(ceilf(fmaxf(p, q) + pad), 0, WW_FRAME_MAX_SIDE));
}

void ww_canvas_line(const struct ww_frame *frame, struct ww_colour colour, float opacity, float x0,
                    float y0, float x1, float y1, float radius)
{
    if (!isfinite(x0) || !isfinite(y0) || !isfinite(x1) || !isfinite(y1))
        return;
    float pad = radius + 1;
    struct shape s = {
        .x0 = to_int(floorf(fminf(x0, x1) - pad), 0, WW_FRAME_MAX_SIDE),
        .y0 = to_int(floorf(fminf(y0, y1) - pad), 0, WW_FRAME_MAX_SIDE),
        .x1 = to_int(ceilf(fmaxf(x0, x1) + pad), 0, WW_FRAME_MAX_SIDE),
        .y1 = to_int(ceilf(fmaxf(y0, y1) + pad), 0, WW_FRAME_MAX_SIDE),
        .opacity = opacity,
        .cover = line_cover,
        .reach = line_reach,
        .ax = x0,
        .ay = y0,
        .bx = x1,
        .by = y1,
        .radius = radius,
    };
    paint(frame, &s, colour);
}

static float dot(const struct shape *s, int x, int y)
{
    if (x < 0)
        return 0;
    int glyph = x / WW_GLYPH_WIDTH;
    return glyph < s->num_glyphs && ww_glyph_dot(s->glyphs[glyph], x % WW_GLYPH_WIDTH, y);
}

// Dots as they are at scale 1. Larger, the dots are taken as samples of a smooth picture, which is
// cut at a little under one half: straight strokes stay straight and stairs become slopes.
static float text_cover(const struct shape *s, int x, int y)
{
    if (s->scale == 1)
        return dot(s, x - (int)s->ax, y - (int)s->ay);
    float scale = (float)s->scale;
    float u = ((float)x + 0.5f - s->ax) / scale - 0.5f,
          v = ((float)y + 0.5f - s->ay) / scale - 0.5f;
    int i = (int)floorf(u), j = (int)floorf(v);
    float fu = u - (float)i, fv = v - (float)j;
    float upper = dot(s, i, j) * (1 - fu) + dot(s, i + 1, j) * fu;
    float lower = dot(s, i, j + 1) * (1 - fu) + dot(s, i + 1, j + 1) * fu;
    float value = upper * (1 - fv) + lower * fv;
    return fminf(fmaxf((value - 0.45f) * scale + 0.5f, 0), 1);
}

int ww_canvas_text_width(int scale, const char *text)
{
    uint8_t glyphs[MAX_GLYPHS];
    int n = ww_glyphs(text, glyphs, MAX_GLYPHS);
    return n > 0 ? scale * (n * WW_GLYPH_WIDTH - 1) : 0;
}

void ww_canvas_text(const struct ww_frame *frame, struct ww_colour colour, int x, int y, int scale,
                    const char *text)
{
    uint8_t glyphs[MAX_GLYPHS];
    int n = ww_glyphs(text, glyphs, MAX_GLYPHS);
    struct shape s = {
        .x0 = x,
        .y0 = y,
        .x1 = x + scale * n * WW_GLYPH_WIDTH,
        .y1 = y + scale * WW_GLYPH_HEIGHT,
        .opacity = 1,
        .cover = text_cover,
        .ax = (float)x,
        .ay = (float)y,
        .glyphs = glyphs,
        .num_glyphs = n,
        .scale = scale,
    };
    paint(frame, &s, colour);
}
