#include "picture.h"

#include <math.h>
#include <string.h>

void ww_picture_pack(const struct ww_frame *frame, void *to)
{
    const struct ww_packing packing = ww_packing(frame->format, frame->width, frame->height);
    for (int i = 0; i < ww_format_planes(frame->format); i++) {
        const size_t bytes = (size_t)ww_format_row_bytes(frame->format, i, frame->width);
        const int rows = ww_format_rows(frame->format, i, frame->height);
        char *plane = (char *)to + packing.plane[i];
        for (int y = 0; y < rows; y++)
            memcpy(plane + (size_t)y * packing.stride[i],
                   frame->plane[i] + (ptrdiff_t)y * frame->stride[i], bytes);
    }
}

struct ww_storage *ww_picture_storage(struct ww_device *device, const struct ww_look_params *params,
                                      struct ww_error *err)
{
    const struct ww_packing packing = ww_packing(params->format, params->width, params->height);
    const uint64_t words = packing.bytes / 4 + 32, reach = device->profile.max_texels; // with what goes before
    if (words <= reach)
        return ww_storage_create(device, packing.bytes + 64ull + 16, WW_PLACE_UPLOAD, err);
    ww_fail(err, WW_E_MEMORY, "a frame of %dx%d is %.1f MB; this device reads pictures of at most %.1f MB",
            params->width, params->height, (double)packing.bytes / 1e6, 4e-6 * (double)reach);
    return NULL;
}

static int round_to(double x, int step)
{
    const int n = (int)lround(x / step) * step;
    return n < step ? step : n;
}

bool ww_input_check(int size, int width, int height, int step, struct ww_error *err)
{
    if ((width || height) && (width < step || height < step || width > WW_INPUT_MAX_SIDE ||
                              height > WW_INPUT_MAX_SIDE || width % step || height % step))
        return step > 1 ? ww_fail(err, WW_E_CONFIG,
                                  "input of %dx%d: width and height must be multiples of %d, up to %d",
                                  width, height, step, WW_INPUT_MAX_SIDE)
                        : ww_fail(err, WW_E_CONFIG, "input of %dx%d: width and height must be from 1 to %d",
                                  width, height, WW_INPUT_MAX_SIDE);
    return !size || (size >= step && size <= WW_INPUT_MAX_SIDE) ||
           ww_fail(err, WW_E_CONFIG, "input size %d: must be from %d to %d", size, step, WW_INPUT_MAX_SIDE);
}

bool ww_input_size(const struct ww_look_params *params, int standard, int step, int *w, int *h,
                   struct ww_error *err)
{
    if (!ww_input_check(params->input_size, params->input_width, params->input_height, step, err))
        return false;
    if (params->input_width || params->input_height) {
        *w = params->input_width;
        *h = params->input_height;
        return true;
    }
    const int size = params->input_size ? params->input_size : standard;
    const double scale = (double)size / fmax(params->width, params->height);
    *w = round_to(params->width * scale, step);
    *h = round_to(params->height * scale, step);
    return true;
}
