// y[c] = act(b[c] + x[c] * w[c]), a k x k window for each channel.
//
// Memory bound: k k flops a number. A lane is a column of four outputs, so that a fetched row serves
// all outputs it reaches: (3 s + k) k fetches for four outputs.

#include "filter.h"
#include "depthwise.comp.h"

#define ROWS 4

struct push {
    uint32_t h, w, oh, ow, x_step, y_step;
};

void ww_depthwise(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, const struct ww_conv_params *params)
{
    const int stride = params->stride ? params->stride : 1;
    const struct ww_same rows = ww_same(x.h, w->k, stride), cols = ww_same(x.w, w->k, stride);
    ww_expect(g, w->c_in == x.c && y.c == x.c && y.n == x.n);
    ww_expect(g, y.h == rows.out && y.w == cols.out);
    ww_expect(g, rows.before == cols.before && w->k <= 5);
    ww_expect(g, !ww_some(params->residual) && !ww_some(params->scale));
    const struct push push = {(uint32_t)x.h, (uint32_t)x.w, (uint32_t)y.h,         (uint32_t)y.w,
                              x.step, y.step};
    const uint32_t spec[] = {8,
                             ROWS,
                             (uint32_t)w->k,
                             (uint32_t)stride,
                             (uint32_t)((ROWS - 1) * stride + w->k),
                             (uint32_t)ww_depthwise_texels(w->k) / 8,
                             params->act,
                             (uint32_t)rows.before};
    ww_launch(g, &ww_kernel_depthwise,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, ww_filter_tensor(g, w)},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 8,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8),
                             ww_div_up(y.h, ROWS) * (uint32_t)ww_quads(y), (uint32_t)x.n},
                  .batched = true,
                  .macs = (double)y.h * y.w * y.c * w->k * w->k});
}

// One number of a depthwise output: shared with separable.c.
float ww_depthwise_at(const float *x, struct ww_tensor shape, const float *w, int k, int stride,
                      int pad, const float *scale, int c, int oy, int ox)
{
    const float *quad = w + (size_t)(c / 4 * ww_depthwise_texels(k)) * 4 + c % 4;
    double sum = quad[4 * k * k];
    for (int ky = 0; ky < k; ky++)
        for (int kx = 0; kx < k; kx++) {
            const int iy = oy * stride + ky - pad, ix = ox * stride + kx - pad;
            if (iy >= 0 && iy < shape.h && ix >= 0 && ix < shape.w)
                sum += (double)(x[ww_at(shape, 0, c, iy, ix)] * (scale ? *scale : 1)) *
                       quad[4 * (ky * k + kx)];
        }
    return (float)sum;
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const int k = (int)a->spec[2], stride = (int)a->spec[3];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int oy = 0; oy < y.h; oy++)
                for (int ox = 0; ox < y.w; ox++)
                    a->o[0][ww_at(y, b, c, oy, ox)] = ww_activate(
                        a->spec[6], ww_depthwise_at(a->i[0] + (size_t)b * x.step * 4, x, a->i[1], k,
                                                    stride, (int)a->spec[7], NULL, c, oy, ox));
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3], k = size[4], stride = size[5];
    const struct ww_filter filter = ww_try_window(t, k, c);
    ww_depthwise(ww_try_cmd(t),
                 ww_try_out(t, n, c, ww_same(h, k, stride).out, ww_same(w, k, stride).out),
                 ww_try_in(t, n, c, h, w), &filter,
                 ww_conv_params(.stride = stride, .act = (enum ww_activation_fn)size[6]));
}

// batch, height, width, channels, window, stride, activation
static const int sizes[][8] = {{1, 1, 1, 1, 3, 1, 0},    {2, 7, 9, 5, 3, 1, 1},
                               {1, 13, 13, 6, 5, 1, 3},  {3, 8, 10, 17, 3, 2, 2},
                               {1, 16, 16, 40, 5, 2, 3}, {1, 128, 128, 72, 3, 1, 1},
                               {0}};

const struct ww_kernel ww_kernel_depthwise = {
    .name = "depthwise",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_depthwise, "strip")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 2e-6f,
};
