#include <stdlib.h>
#include <string.h>

#include "cli.h"

void copy_frame(const struct ww_frame *frame, struct ww_frame *copy, uint8_t **pixels)
{
    enum { SPARE = 64 }; // libswscale's vector code reads a little further than it says
    size_t bytes = SPARE, at = 0;
    for (int p = 0; p < ww_format_planes(frame->format); p++)
        bytes += (size_t)ww_format_row_bytes(frame->format, p, frame->width) *
                 (size_t)ww_format_rows(frame->format, p, frame->height);
    *pixels = realloc(*pixels, bytes);
    if (!*pixels)
        abort();
    *copy = *frame;
    for (int p = 0; p < ww_format_planes(frame->format); p++) {
        const size_t row = (size_t)ww_format_row_bytes(frame->format, p, frame->width);
        const int rows = ww_format_rows(frame->format, p, frame->height);
        copy->plane[p] = *pixels + at;
        copy->stride[p] = (int)row;
        for (int y = 0; y < rows; y++, at += row)
            memcpy(*pixels + at, frame->plane[p] + (ptrdiff_t)y * frame->stride[p], row);
    }
    memset(*pixels + at, 0, SPARE);
}
