// canvas.h: filled shapes, blended into a frame of any format, clipped to it.
//
// Shapes have soft edges. Where chroma is subsampled, a chroma sample takes the mean of what its
// four pixels get, so thin lines keep their brightness and lose only some colour. The frame's
// planes must be writable: the const of ww_frame.plane is cast away here and nowhere else.

#pragma once

#include <stdint.h>
#include <watchword/frame.h>

struct ww_colour {
    uint8_t r, g, b;
};

// Pixels x0 <= x < x1, y0 <= y < y1; opacity 0 to 1.
void ww_canvas_rect(const struct ww_frame *frame, struct ww_colour colour, float opacity, int x0,
                    int y0, int x1, int y1);

// Everything within `radius` of the line from (x0, y0) to (x1, y1), in pixel edges as boxes are; a
// dot where both are the same point. Points that are not finite draw nothing.
void ww_canvas_line(const struct ww_frame *frame, struct ww_colour colour, float opacity, float x0,
                    float y0, float x1, float y1, float radius);

// Text, one font dot being `scale` pixels, with the top left corner of the first letter at (x, y).
void ww_canvas_text(const struct ww_frame *frame, struct ww_colour colour, int x, int y, int scale,
                    const char *text);

// Width that ww_canvas_text covers, px, the gap after the last letter left out.
int ww_canvas_text_width(int scale, const char *text);
