#include <watchword/frame.h>

#include <assert.h>
#include <stddef.h>

// Of each plane: bytes a pixel, and whether it has half the picture's columns and rows (rounded
// up).
static const struct format {
    const char *name;
    int num_planes;
    struct {
        int pixel_bytes, halved;
    } plane[3];
} formats[WW_NUM_FORMATS] = {
    [WW_FORMAT_NV12] = {"NV12", 2, {{1, 0}, {2, 1}}},
    [WW_FORMAT_I420] = {"I420", 3, {{1, 0}, {1, 1}, {1, 1}}},
    [WW_FORMAT_RGB] = {"RGB", 1, {{3, 0}}},
    [WW_FORMAT_BGR] = {"BGR", 1, {{3, 0}}},
    [WW_FORMAT_RGBA] = {"RGBA", 1, {{4, 0}}},
    [WW_FORMAT_BGRA] = {"BGRA", 1, {{4, 0}}},
    [WW_FORMAT_GRAY8] = {"GRAY8", 1, {{1, 0}}},
};

int ww_format_planes(enum ww_format format)
{
    assert((unsigned)format < WW_NUM_FORMATS);
    return formats[format].num_planes;
}

int ww_format_row_bytes(enum ww_format format, int plane, int width)
{
    assert((unsigned)format < WW_NUM_FORMATS && plane >= 0 && plane < formats[format].num_planes);
    const int halved = formats[format].plane[plane].halved;
    return ((width + halved) >> halved) * formats[format].plane[plane].pixel_bytes;
}

int ww_format_rows(enum ww_format format, int plane, int height)
{
    assert((unsigned)format < WW_NUM_FORMATS && plane >= 0 && plane < formats[format].num_planes);
    const int halved = formats[format].plane[plane].halved;
    return (height + halved) >> halved;
}

bool ww_frame_check(const struct ww_frame *frame, struct ww_error *err)
{
    if ((unsigned)frame->format >= WW_NUM_FORMATS)
        return ww_fail(err, WW_E_FRAME, "format %d is none that is known", (int)frame->format);
    const char *name = formats[frame->format].name;
    if (frame->width < 1 || frame->width > WW_FRAME_MAX_SIDE || frame->height < 1 ||
        frame->height > WW_FRAME_MAX_SIDE)
        return ww_fail(err, WW_E_FRAME, "%s frame is %dx%d; each side must be 1 to %d px", name,
                       frame->width, frame->height, WW_FRAME_MAX_SIDE);
    for (int p = 0; p < formats[frame->format].num_planes; p++) {
        const int row_bytes = ww_format_row_bytes(frame->format, p, frame->width);
        if (!frame->plane[p])
            return ww_fail(err, WW_E_FRAME, "%s frame of %dx%d has no plane %d", name, frame->width,
                           frame->height, p);
        if (frame->stride[p] < row_bytes)
            return ww_fail(err, WW_E_FRAME,
                           "%s frame of %dx%d has a stride of %d bytes in plane %d; a row needs %d",
                           name, frame->width, frame->height, frame->stride[p], p, row_bytes);
    }
    if (frame->matrix != WW_MATRIX_BT601 && frame->matrix != WW_MATRIX_BT709)
        return ww_fail(err, WW_E_FRAME, "colour matrix %d is none that is known",
                       (int)frame->matrix);
    if (frame->range != WW_RANGE_LIMITED && frame->range != WW_RANGE_FULL)
        return ww_fail(err, WW_E_FRAME, "colour range %d is none that is known", (int)frame->range);
    return true;
}
