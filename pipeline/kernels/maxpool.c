// y[p] = the largest of x in the k x k window that begins at s p - pad. Memory bound.

#include "kernels.h"
#include "maxpool.comp.h"

struct push {
    uint32_t h, w, oh, ow, x_step, y_step, stride, pad;
};

void ww_maxpool(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                const struct ww_maxpool_params *params)
{
    const int k = params->k, stride = params->stride, pad = params->pad;
    ww_expect(g, y.n == x.n && y.c == x.c && k > 0 && k <= 16 && stride > 0);
    // Every window has a cell of the map, and its outer ones are the nearest to what lies outside.
    ww_expect(g, pad >= 0 && 2 * pad <= k && (y.h - 1) * stride - pad < x.h &&
                     (y.w - 1) * stride - pad < x.w);
    const struct push push = {(uint32_t)x.h, (uint32_t)x.w, (uint32_t)y.h,    (uint32_t)y.w,
                              x.step,        y.step,        (uint32_t)stride, (uint32_t)pad};
    ww_launch(g, &ww_kernel_maxpool,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, (uint32_t)k},
                  .num_spec = 2,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8), (uint32_t)(y.h * ww_quads(y)), (uint32_t)x.n},
                  .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const struct push *p = a->push;
    const int k = (int)a->spec[1], stride = (int)p->stride, pad = (int)p->pad;
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int oy = 0; oy < y.h; oy++)
                for (int ox = 0; ox < y.w; ox++) {
                    float largest = -3.402823466e38f;
                    for (int iy = oy * stride - pad; iy < oy * stride - pad + k; iy++)
                        for (int ix = ox * stride - pad; ix < ox * stride - pad + k; ix++)
                            if (iy >= 0 && iy < x.h && ix >= 0 && ix < x.w &&
                                a->i[0][ww_at(x, b, c, iy, ix)] > largest)
                                largest = a->i[0][ww_at(x, b, c, iy, ix)];
                    a->o[0][ww_at(y, b, c, oy, ox)] = largest;
                }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3], k = size[4], stride = size[5];
    const int pad = size[6];
    ww_maxpool(ww_try_cmd(t),
               ww_try_out(t, n, c, ww_padded(h, k, pad, stride), ww_padded(w, k, pad, stride)),
               ww_try_in(t, n, c, h, w), ww_maxpool_params(.k = k, .stride = stride, .pad = pad));
}

// batch, height, width, channels, window, stride, padding
static const int sizes[][8] = {{1, 1, 1, 1, 3, 2, 1},   {2, 13, 11, 5, 3, 2, 1}, {1, 12, 8, 3, 3, 2, 1},
                               {1, 9, 7, 4, 2, 2, 0},   {2, 7, 10, 3, 5, 1, 2},  {1, 400, 667, 64, 3, 2, 1},
                               {0}};

const struct ww_kernel ww_kernel_maxpool = {
    .name = "maxpool",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_maxpool, "window")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
