// y[p] = x at the place of p in it: bilinear by half-pixel centres, s (p + 1/2) - 1/2 with
// s = in / out; bilinear by corners, s p with s = (in - 1) / (out - 1); or the pixel at floor(s p).
//
// Places are held inside the picture. They are computed in float32, as PyTorch's are: where s is no
// binary fraction the nearest pixel depends on it.

#include "kernels.h"
#include "resize.comp.h"

#include <math.h>

struct push {
    uint32_t h, w, oh, ow, x_step, y_step;
    float sy, sx, shift;
};

static float scale(int in, int out, enum ww_resize_how how)
{
    if (how == WW_RESIZE_CORNERS)
        return out > 1 ? (float)(in - 1) / (float)(out - 1) : 0;
    return (float)in / (float)out;
}

void ww_resize(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, enum ww_resize_how how)
{
    ww_expect(g, y.n == x.n && y.c == x.c);
    const struct push push = {(uint32_t)x.h, (uint32_t)x.w, (uint32_t)y.h, (uint32_t)y.w, x.step, y.step,
                              scale(x.h, y.h, how), scale(x.w, y.w, how),
                              how == WW_RESIZE_CENTRES ? 0.5f : 0};
    const uint32_t spec[] = {8, how};
    ww_launch(g, &ww_kernel_resize,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 2,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8), (uint32_t)(y.h * ww_quads(y)), (uint32_t)x.n},
                  .batched = true});
}

// The two sources of output `i` along an axis of n, and the share of the second.
static void place(int i, float s, float shift, bool nearest, int n, int *a, int *b, double *part)
{
    const float at = fmaxf(s * ((float)i + shift) - shift, 0);
    *a = (int)fminf(floorf(at), (float)(n - 1));
    *b = *a + 1 < n ? *a + 1 : n - 1;
    *part = nearest ? 0 : (double)at - *a;
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const struct push *p = a->push;
    const float *in = a->i[0];
    const bool nearest = a->spec[1] == WW_RESIZE_NEAREST;
    for (int b = 0; b < a->batch; b++)
        for (int oy = 0; oy < y.h; oy++)
            for (int ox = 0; ox < y.w; ox++) {
                int y0, y1, x0, x1;
                double v, u;
                place(oy, p->sy, p->shift, nearest, x.h, &y0, &y1, &v);
                place(ox, p->sx, p->shift, nearest, x.w, &x0, &x1, &u);
                for (int c = 0; c < y.c; c++) {
                    const double top =
                        in[ww_at(x, b, c, y0, x0)] * (1 - u) + in[ww_at(x, b, c, y0, x1)] * u;
                    const double low =
                        in[ww_at(x, b, c, y1, x0)] * (1 - u) + in[ww_at(x, b, c, y1, x1)] * u;
                    a->o[0][ww_at(y, b, c, oy, ox)] = (float)(top * (1 - v) + low * v);
                }
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    ww_resize(ww_try_cmd(t), ww_try_out(t, size[0], size[3], size[4], size[5]),
              ww_try_in(t, size[0], size[3], size[1], size[2]), (enum ww_resize_how)size[6]);
}

// batch, height, width, channels, new height, new width, how
static const int sizes[][8] = {{1, 1, 1, 1, 3, 2, 0},    {2, 5, 9, 6, 13, 4, 0}, {2, 5, 9, 6, 8, 18, 1},
                               {1, 7, 6, 3, 1, 1, 1},    {1, 6, 7, 5, 11, 3, 2}, {1, 8, 8, 4, 16, 16, 2},
                               {1, 40, 40, 64, 100, 120, 0}, {0}};

const struct ww_kernel ww_kernel_resize = {
    .name = "resize",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_resize, "pixel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-5f, // places are float32 on both sides, but a device may fuse their product and sum
};
