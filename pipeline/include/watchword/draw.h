// draw.h: boxes, labels and skeletons into a picture, in place, on the CPU.

#pragma once

#include <watchword/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_draw_params {
    int line_width; // px; 0: follows the picture's height
    bool no_labels, no_scores;
    float keypoint_threshold; // keypoints under it are not drawn; 0: 0.2
};
#define ww_draw_params(...) (&(struct ww_draw_params){__VA_ARGS__})

// Draws every object of `result` into `frame`, whose planes must be writable (the const of
// ww_frame.plane is cast away). Every ww_format; coordinates outside are clipped. Colours are fixed
// by label, so an object keeps its colour from frame to frame. A score under 0 is not written.
// `params` may be NULL.
WW_API void ww_draw(const struct ww_frame *frame, const struct ww_result *result,
                    const struct ww_draw_params *params);

// One more element of an overlay, for text that is not an object (a clock, a name): at x, y px.
WW_API void ww_draw_text(const struct ww_frame *frame, int x, int y, const char *text);

#ifdef __cplusplus
}
#endif
