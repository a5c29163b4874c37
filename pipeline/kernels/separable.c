// y = act(b + pointwise(inner(depthwise(x s)))) + r
//
// What lies between is neither stored nor loaded: of a block at 128 x 128 that is two thirds of the
// traffic. All outputs of a pixel belong to one lane where they fit, or the windows would be computed
// again for each tile of outputs.

#include "filter.h"
#include "separable.comp.h"

#include <stdlib.h>

#define MAX_QUADS 20 // output quads of a lane

// Rows of a lane. Of many outputs two are as fast as four, for the loop then fits a core's instruction
// cache, and software Vulkan compiles them in 40 % of the time.
static int rows_of(int tile)
{
    return tile < 12 ? 4 : 2;
}

struct push {
    uint32_t h, w, oh, ow, x_step, y_step, q, n, r_step, s_step;
};

void ww_separable(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *depthwise, const struct ww_filter *pointwise,
                  const struct ww_conv_params *params)
{
    const int k = depthwise->k, stride = params->stride ? params->stride : 1;
    const struct ww_same rows = ww_same(x.h, k, stride), cols = ww_same(x.w, k, stride);
    ww_expect(g, depthwise->c_in == x.c && pointwise->c_in == x.c && pointwise->c_out == y.c);
    ww_expect(g, y.n == x.n && y.h == rows.out && y.w == cols.out && !pointwise->tiled);
    ww_expect(g, rows.before == cols.before && k <= 5);
    ww_expect(g, !ww_some(params->residual) || ww_same_shape(params->residual, y));
    ww_expect(g, !ww_some(params->scale) || params->scale.c == x.c);
    if (!ww_cmd_sound(g))
        return;
    const int N = ww_quads(y);
    const int tiles = (int)ww_div_up(N, MAX_QUADS), tile = (int)ww_div_up(N, 2 * tiles) * 2;
    const int strip = rows_of(tile);
    const struct push push = {(uint32_t)x.h,
                              (uint32_t)x.w,
                              (uint32_t)y.h,
                              (uint32_t)y.w,
                              x.step,
                              y.step,
                              (uint32_t)ww_quads(x),
                              (uint32_t)N,
                              params->residual.step,
                              params->scale.step};
    const uint32_t spec[] = {8,
                             (uint32_t)strip,
                             (uint32_t)k,
                             (uint32_t)stride,
                             (uint32_t)((strip - 1) * stride + k),
                             (uint32_t)ww_depthwise_texels(k) / 8,
                             params->inner,
                             (uint32_t)tile,
                             (uint32_t)tile / 2,
                             params->act,
                             ww_some(params->scale),
                             ww_some(params->residual),
                             (uint32_t)rows.before};
    ww_launch(g, &ww_kernel_separable,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, ww_filter_tensor(g, depthwise), params->residual, params->scale,
                         ww_filter_tensor(g, pointwise)},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 13,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8), ww_div_up(y.h, strip) * ww_div_up(N, tile),
                             (uint32_t)x.n},
                  .batched = true,
                  .macs = (double)y.h * y.w * x.c * (k * k + y.c)});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const int k = (int)a->spec[2], stride = (int)a->spec[3];
    const struct push *push = a->push;
    const float *bias = a->i[4], *w = bias + 4 * push->n;
    float *between = malloc(sizeof *between * (size_t)x.c);
    if (!between)
        abort();
    for (int b = 0; b < a->batch; b++)
        for (int oy = 0; oy < y.h; oy++)
            for (int ox = 0; ox < y.w; ox++) {
                for (int c = 0; c < x.c; c++)
                    between[c] = ww_activate(
                        a->spec[6],
                        ww_depthwise_at(a->i[0] + (size_t)b * x.step * 4, x, a->i[1], k, stride,
                                        (int)a->spec[12],
                                        a->i[3] ? &a->i[3][ww_at(a->in[3], b, c, 0, 0)] : NULL, c,
                                        oy, ox));
                for (int o = 0; o < y.c; o += 4) {
                    double sum[4] = {bias[o], bias[o + 1], bias[o + 2], bias[o + 3]};
                    for (int c = 0; c < x.c; c++)
                        ww_add_quad(sum, between[c],
                                    w + 16 * ((size_t)(c / 4) * push->n + (size_t)(o / 4)) + 4 * (c % 4));
                    for (int i = 0; i < 4 && o + i < y.c; i++) {
                        float v = ww_activate(a->spec[9], (float)sum[i]);
                        if (a->i[2])
                            v += a->i[2][ww_at(a->in[2], b, o + i, oy, ox)];
                        a->o[0][ww_at(y, b, o + i, oy, ox)] = v;
                    }
                }
            }
    free(between);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3], o = size[4], k = size[5];
    const int stride = size[6];
    const struct ww_filter depthwise = ww_try_window(t, k, c), pointwise = ww_try_conv(t, 1, c, o);
    const int oh = ww_same(h, k, stride).out, ow = ww_same(w, k, stride).out;
    ww_separable(ww_try_cmd(t), ww_try_out(t, n, o, oh, ow), ww_try_in(t, n, c, h, w), &depthwise,
                 &pointwise,
                 ww_conv_params(.stride = stride, .inner = WW_ACT_RELU, .act = WW_ACT_HSWISH,
                                .scale = size[7] & 1 ? ww_try_in(t, n, c, 1, 1)
                                                     : (struct ww_tensor){0},
                                .residual = size[7] & 2 ? ww_try_in(t, n, o, oh, ow)
                                                        : (struct ww_tensor){0}));
}

// batch, height, width, channels in, out, window, stride, 1: scaled + 2: residual
static const int sizes[][8] = {{1, 1, 1, 1, 1, 3, 1, 0},    {2, 7, 9, 5, 13, 3, 1, 3},
                               {1, 16, 12, 18, 70, 5, 1, 1}, {1, 13, 13, 32, 4, 3, 2, 0},
                               {1, 24, 24, 16, 16, 5, 2, 2}, {1, 128, 128, 72, 24, 3, 1, 2},
                               {0}};

const struct ww_kernel ww_kernel_separable = {
    .name = "separable",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_separable, "strip")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f,
};
