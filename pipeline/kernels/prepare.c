// A region of a picture, resized, in R'G'B', as a tensor: colour, scale and layout in one pass.
//
// Bilinear, half-pixel centres: source = (i + 0.5) in / out - 0.5, clamped to the region. Chroma
// planes are sampled at their own resolution; colour is converted after that and clamped to 0..255
// (ITU-R BT.601 and BT.709, limited and full range). Where a side shrinks by more than 2:1, several
// samples along it are averaged. What lies outside the picture is black.

#include "resample.h"
#include "prepare.comp.h"

#include <math.h>

#define ROWS 4

struct push {
    uint32_t w, h, ow, oh, y_step, region, stride0, stride1, plane1, plane2;
    struct ww_colours colours;
    float gain, lift;
};

struct ww_packing ww_packing(enum ww_format format, int width, int height)
{
    struct ww_packing p = {0};
    for (int i = 0; i < ww_format_planes(format); i++) {
        p.plane[i] = p.bytes;
        p.stride[i] = ((uint32_t)ww_format_row_bytes(format, i, width) + 3) / 4 * 4;
        p.bytes += p.stride[i] * (uint32_t)ww_format_rows(format, i, height);
    }
    return p;
}

struct ww_colours ww_colours(enum ww_matrix matrix, enum ww_range range)
{
    const double kr = matrix == WW_MATRIX_BT709 ? 0.2126 : 0.299;
    const double kb = matrix == WW_MATRIX_BT709 ? 0.0722 : 0.114;
    const double kg = 1 - kr - kb;
    const double luma = range == WW_RANGE_FULL ? 1 : 255.0 / 219;
    const double chroma = range == WW_RANGE_FULL ? 2 : 255.0 / 112;
    return (struct ww_colours){.y_gain = (float)luma,
                               .y_lift = range == WW_RANGE_FULL ? 0 : (float)(-16 * luma),
                               .r_v = (float)(chroma * (1 - kr)),
                               .g_u = (float)(-chroma * (1 - kb) * kb / kg),
                               .g_v = (float)(-chroma * (1 - kr) * kr / kg),
                               .b_u = (float)(chroma * (1 - kb))};
}

void ww_prepare(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor picture,
                const struct ww_prepare_params *params)
{
    const struct ww_packing packing = ww_packing(params->format, params->width, params->height);
    ww_expect(g, y.c == 3);
    ww_expect(g, (uint64_t)picture.step * 16 >= packing.bytes);
    struct push push = {.w = (uint32_t)params->width,
                        .h = (uint32_t)params->height,
                        .ow = (uint32_t)y.w,
                        .oh = (uint32_t)y.h,
                        .y_step = y.step,
                        .region = (uint32_t)params->region,
                        .stride0 = packing.stride[0],
                        .stride1 = packing.stride[1],
                        .plane1 = packing.plane[1],
                        .plane2 = params->format == WW_FORMAT_NV12 ? packing.plane[1] + 1
                                                                   : packing.plane[2],
                        .colours = ww_colours(params->matrix, params->range),
                        .gain = params->gain,
                        .lift = params->lift};
    // A region inside the picture is no larger than it, so neither is its reduction.
    const bool one = params->inside && params->width <= 2 * y.w && params->height <= 2 * y.h;
    ww_launch(g, &ww_kernel_prepare,
              &(struct ww_launch_params){.out = {y},
                                         .in = {picture},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8, params->format,
                                                                    !params->inside, one, ROWS},
                                         .num_spec = 5,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(y.w, 8), ww_div_up(y.h, ROWS),
                                                    (uint32_t)y.n},
                                         .batched = true});
}

struct plane {
    const uint8_t *data;
    int w, h, pixel;
    uint32_t stride;
    float black;
};

static float texel(const struct plane *p, int y, int x)
{
    const bool inside = x >= 0 && x < p->w && y >= 0 && y < p->h;
    return inside ? p->data[(size_t)y * p->stride + (size_t)(x * p->pixel)] : p->black;
}

// Where output falls on an axis: two sources and the second's weight.
static float split(float origin, float size, float at, float resolution, int *a, int *b)
{
    const float first = floorf(origin * resolution);
    const float last = fmaxf(ceilf((origin + size) * resolution) - 1, first);
    const float p = fminf(fmaxf((origin + at) * resolution - 0.5f, first), last);
    *a = (int)floorf(p);
    *b = *a + 1 < (int)last ? *a + 1 : (int)last;
    return p - (float)*a;
}

static float sample(const struct plane *p, const float region[4], const float at[2], float resolution)
{
    int x0, x1, y0, y1;
    const float u = split(region[0], region[2], at[0], resolution, &x0, &x1);
    const float v = split(region[1], region[3], at[1], resolution, &y0, &y1);
    const float top = texel(p, y0, x0) * (1 - u) + texel(p, y0, x1) * u;
    const float low = texel(p, y1, x0) * (1 - u) + texel(p, y1, x1) * u;
    return top * (1 - v) + low * v;
}

static void colour(const struct ww_args *a, const float region[4], const float at[2], double rgb[3])
{
    const struct push *push = a->push;
    const enum ww_format format = a->spec[1];
    const uint8_t *data = (const uint8_t *)a->i[0];
    struct plane p = {data, (int)push->w, (int)push->h, 1, push->stride0, 0};
    if (format == WW_FORMAT_NV12 || format == WW_FORMAT_I420) {
        p.black = -push->colours.y_lift / push->colours.y_gain;
        const float y = sample(&p, region, at, 1) * push->colours.y_gain + push->colours.y_lift;
        struct plane c = {NULL, (p.w + 1) / 2, (p.h + 1) / 2, format == WW_FORMAT_NV12 ? 2 : 1,
                          push->stride1, 128};
        c.data = data + push->plane1;
        const float u = sample(&c, region, at, 0.5f) - 128;
        c.data = data + push->plane2;
        const float v = sample(&c, region, at, 0.5f) - 128;
        const float out[3] = {y + push->colours.r_v * v, y + push->colours.g_u * u + push->colours.g_v * v,
                              y + push->colours.b_u * u};
        for (int i = 0; i < 3; i++)
            rgb[i] += fminf(fmaxf(out[i], 0), 255);
        return;
    }
    const bool bgr = format == WW_FORMAT_BGR || format == WW_FORMAT_BGRA;
    p.pixel = format == WW_FORMAT_GRAY8                            ? 1
              : format == WW_FORMAT_RGB || format == WW_FORMAT_BGR ? 3
                                                                   : 4;
    for (int i = 0; i < 3; i++) {
        p.data = data + (p.pixel == 1 ? 0 : bgr ? 2 - i : i);
        rgb[i] += sample(&p, region, at, 1);
    }
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0];
    const struct push *push = a->push;
    for (int b = 0; b < a->batch; b++) {
        const float *region = (const float *)a->params + 4 * (push->region + (uint32_t)b);
        const float sx = region[2] / (float)y.w, sy = region[3] / (float)y.h;
        const int nx = (int)fmaxf(ceilf(sx / 2), 1), ny = (int)fmaxf(ceilf(sy / 2), 1);
        for (int oy = 0; oy < y.h; oy++)
            for (int ox = 0; ox < y.w; ox++) {
                double rgb[3] = {0};
                for (int j = 0; j < ny; j++)
                    for (int i = 0; i < nx; i++)
                        colour(a, region,
                               (const float[]){((float)ox + ((float)i + 0.5f) / (float)nx) * sx,
                                               ((float)oy + ((float)j + 0.5f) / (float)ny) * sy},
                               rgb);
                for (int i = 0; i < 3; i++)
                    a->o[0][ww_at(y, b, i, oy, ox)] =
                        (float)(rgb[i] / (nx * ny)) * push->gain + push->lift;
                a->o[0][ww_at(y, b, 3, oy, ox)] = 0;
            }
    }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[1], w = size[2], h = size[3];
    const enum ww_format format = (enum ww_format)size[0];
    const struct ww_packing packing = ww_packing(format, w, h);
    float *region = (float *)ww_try_params(t) + 4 * 3;
    for (int i = 0; i < n; i++, region += 4) {
        region[0] = (float)(i * w / 4 - (i ? w / 3 : 0));
        region[1] = (float)(i ? -h / 4 : 0);
        region[2] = (float)(i ? w / 2 + 1 : w);
        region[3] = (float)h;
    }
    ww_prepare(ww_try_cmd(t), ww_try_out(t, n, 3, size[5], size[4]),
               ww_try_bytes(t, packing.bytes),
               ww_prepare_params(.format = format, .matrix = (enum ww_matrix)(size[6] & 1),
                                 .range = (enum ww_range)(size[6] >> 1), .width = w, .height = h,
                                 .region = 3, .inside = n == 1, .gain = size[7] ? 1 / 127.5f : 1,
                                 .lift = size[7] ? -1 : 0));
}

// format, regions, picture w, h, tensor w, h, matrix + 2 range, gain and lift
static const int sizes[][8] = {{0, 1, 1, 1, 8, 8, 0, 0},      {1, 3, 33, 17, 19, 23, 1, 1},
                               {0, 3, 65, 31, 16, 9, 2, 0},   {2, 2, 31, 29, 30, 31, 0, 1},
                               {3, 1, 200, 90, 32, 24, 0, 0}, {4, 1, 16, 16, 16, 16, 0, 0},
                               {5, 2, 21, 9, 40, 20, 0, 1},   {6, 1, 37, 41, 11, 13, 0, 0},
                               {1, 1, 768, 576, 512, 384, 0, 0}, {0}};

const struct ww_kernel ww_kernel_prepare = {
    .name = "prepare",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_prepare, "bilinear")},
    .num_shaders = 1,
    .view = {WW_VIEW_U32},
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-5f, // the position is a float: 512 px keep 15 bits after the point
};
