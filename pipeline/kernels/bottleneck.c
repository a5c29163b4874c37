// y = project(act(depthwise(act(expand(x))))) + r
//
// MobileNet's block (Sandler et al., 2018, arXiv:1801.04381) as one pass: what lies between has several
// times the channels of either side and is neither stored nor loaded. Rows and columns that neighbours
// share are expanded by each: 1.25 times the work for stride 2, twice for stride 1. What a lane keeps, up to 640
// numbers of input alone, is a stack's in software but too much for a card's registers: there nobody calls it.

#include "filter.h"
#include "bottleneck.comp.h"

#include <stdlib.h>

// Rows of a lane. From many inputs two take 4 to 8 % longer than four, but software Vulkan compiles them in
// 1.4 s instead of 4.7.
static int rows_of(int quads)
{
    return quads < 8 ? 4 : 2;
}

struct push {
    uint32_t h, w, oh, ow, x_step, y_step, r_step, e, n;
};

bool ww_bottleneck_fits(struct ww_tensor x, const struct ww_filter *depthwise,
                        const struct ww_filter *project, int stride)
{
    const struct ww_same rows = ww_same(x.h, depthwise->k, stride);
    const struct ww_same cols = ww_same(x.w, depthwise->k, stride);
    return x.c <= WW_BOTTLENECK_IN && project->c_out <= WW_BOTTLENECK_OUT && depthwise->k == 3 &&
           rows.before == cols.before;
}

void ww_bottleneck(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                   const struct ww_filter *expand, const struct ww_filter *depthwise,
                   const struct ww_filter *project, const struct ww_conv_params *params)
{
    const int k = depthwise->k, stride = params->stride ? params->stride : 1;
    const struct ww_same rows = ww_same(x.h, k, stride), cols = ww_same(x.w, k, stride);
    ww_expect(g, expand->c_in == x.c && depthwise->c_in == expand->c_out);
    ww_expect(g, project->c_in == expand->c_out && project->c_out == y.c);
    ww_expect(g, y.n == x.n && y.h == rows.out && y.w == cols.out);
    ww_expect(g, ww_bottleneck_fits(x, depthwise, project, stride));
    ww_expect(g, !ww_some(params->residual) || ww_same_shape(params->residual, y));
    ww_expect(g, !ww_some(params->scale) && params->act == WW_ACT_NONE);
    const int Q = ww_quads(x), N = ww_quads(y), tile = (N + 1) / 2 * 2;
    const int wide = expand->c_out, strip = rows_of(Q);
    const struct push push = {(uint32_t)x.h, (uint32_t)x.w, (uint32_t)y.h,
                              (uint32_t)y.w, x.step,        y.step,
                              params->residual.step, ww_div_up(wide, 4), (uint32_t)N};
    const uint32_t spec[] = {8,
                             (uint32_t)strip,
                             (uint32_t)k,
                             (uint32_t)stride,
                             params->inner,
                             (uint32_t)((strip - 1) * stride + k),
                             (uint32_t)ww_depthwise_texels(k) / 8,
                             (uint32_t)rows.before,
                             (uint32_t)Q,
                             ww_div_up(Q, 2),
                             (uint32_t)tile,
                             (uint32_t)tile / 2,
                             ww_some(params->residual)};
    ww_launch(g, &ww_kernel_bottleneck,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, ww_filter_tensor(g, expand), ww_filter_tensor(g, depthwise),
                         ww_filter_tensor(g, project), params->residual},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 13,
                  .groups = {ww_div_up(y.w, 8), ww_div_up(y.h, strip), (uint32_t)x.n},
                  .batched = true,
                  .macs = (double)x.h * x.w * x.c * wide + (double)y.h * y.w * wide * (k * k + y.c)});
}

// Weights of a filter packed for pointwise: of input `in`, for the quad of outputs that begins with `out`.
static const float *weights(const float *packed, uint32_t n, int in, int out)
{
    return packed + 4 * n + 16 * ((size_t)(in / 4) * n + (size_t)(out / 4)) + 4 * (in % 4);
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const struct push *push = a->push;
    const int k = (int)a->spec[2], stride = (int)a->spec[3], channels = 4 * (int)push->e;
    struct ww_tensor wide = {.n = 1, .c = channels, .h = x.h, .w = x.w,
                             .step = push->e * (uint32_t)(x.h * x.w)};
    float *expanded = malloc(sizeof *expanded * 4 * wide.step);
    float *between = malloc(sizeof *between * (size_t)channels);
    if (!expanded || !between)
        abort();
    for (int b = 0; b < a->batch; b++) {
        for (int c = 0; c < channels; c += 4)
            for (int iy = 0; iy < x.h; iy++)
                for (int ix = 0; ix < x.w; ix++) {
                    const float *bias = a->i[1] + c;
                    double sum[4] = {bias[0], bias[1], bias[2], bias[3]};
                    for (int i = 0; i < x.c; i++)
                        ww_add_quad(sum, a->i[0][ww_at(x, b, i, iy, ix)], weights(a->i[1], push->e, i, c));
                    for (int i = 0; i < 4; i++)
                        expanded[ww_at(wide, 0, c + i, iy, ix)] = ww_activate(a->spec[4], (float)sum[i]);
                }
        for (int oy = 0; oy < y.h; oy++)
            for (int ox = 0; ox < y.w; ox++) {
                for (int c = 0; c < channels; c++)
                    between[c] = ww_activate(a->spec[4],
                                             ww_depthwise_at(expanded, wide, a->i[2], k, stride,
                                                             (int)a->spec[7], NULL, c, oy, ox));
                for (int o = 0; o < y.c; o += 4) {
                    double sum[4] = {0};
                    for (int i = 0; i < 4 && o + i < y.c; i++)
                        sum[i] = a->i[3][o + i] + (a->i[4] ? a->i[4][ww_at(a->in[4], b, o + i, oy, ox)] : 0);
                    for (int c = 0; c < channels; c++)
                        ww_add_quad(sum, between[c], weights(a->i[3], push->n, c, o));
                    for (int i = 0; i < 4 && o + i < y.c; i++)
                        a->o[0][ww_at(y, b, o + i, oy, ox)] = (float)sum[i];
                }
            }
    }
    free(expanded);
    free(between);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3], wide = size[4], o = size[5];
    const int stride = size[6], k = 3;
    const struct ww_filter expand = ww_try_conv(t, 1, c, wide), depthwise = ww_try_window(t, k, wide),
                           project = ww_try_conv(t, 1, wide, o);
    const int oh = ww_same(h, k, stride).out, ow = ww_same(w, k, stride).out;
    ww_bottleneck(ww_try_cmd(t), ww_try_out(t, n, o, oh, ow), ww_try_in(t, n, c, h, w), &expand,
                  &depthwise, &project,
                  ww_conv_params(.stride = stride, .inner = size[7] & 2 ? WW_ACT_HSWISH : WW_ACT_RELU,
                                 .residual = size[7] & 1 ? ww_try_in(t, n, o, oh, ow)
                                                         : (struct ww_tensor){0}));
}

// batch, height, width, channels in, expanded, out, stride, 1: residual + 2: HardSwish
static const int sizes[][8] = {{1, 1, 1, 1, 1, 1, 1, 0},     {2, 7, 9, 5, 13, 6, 1, 3},
                               {1, 18, 20, 16, 24, 24, 2, 0}, {2, 13, 21, 10, 12, 9, 2, 3},
                               {1, 9, 17, 32, 20, 64, 2, 2},  {1, 96, 128, 24, 72, 24, 1, 1},
                               {1, 192, 256, 16, 64, 24, 2, 0},
                               {0}};

const struct ww_kernel ww_kernel_bottleneck = {
    .name = "bottleneck",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_bottleneck, "strip")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 6e-6f, // three sums, one over another
};
