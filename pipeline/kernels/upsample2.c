// y = act(x doubled in height and width + r), bilinear.
//
// Two conventions live in the nano networks. TensorFlow 1's: source = i / 2, so even outputs are
// copies. Half-pixel centres: weights 1/4 and 3/4 everywhere.

#include "kernels.h"
#include "upsample2.comp.h"

struct push {
    uint32_t h, w, x_step, y_step, r_step;
};

void ww_upsample2(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, bool half,
                  enum ww_activation_fn act, struct ww_tensor residual)
{
    ww_expect(g, y.n == x.n && y.c == x.c && y.h == 2 * x.h && y.w == 2 * x.w);
    ww_expect(g, !ww_some(residual) || ww_same_shape(residual, y));
    const struct push push = {(uint32_t)x.h, (uint32_t)x.w, x.step, y.step, residual.step};
    const uint32_t spec[] = {8, half, act, ww_some(residual)};
    ww_launch(g, &ww_kernel_upsample2,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, {0}, residual},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 4,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(x.w, 8), (uint32_t)(x.h * ww_quads(x)), (uint32_t)x.n},
                  .batched = true});
}

// The two sources of output `i` along an axis of n, and the weight of the second.
static void sources(int i, int n, bool half, int *a, int *b, double *part)
{
    const double at = half ? (i + 0.5) / 2 - 0.5 : i / 2.0;
    const double clamped = at < 0 ? 0 : at;
    *a = (int)clamped;
    *b = *a + 1 < n ? *a + 1 : n - 1;
    *part = clamped - *a;
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const float *in = a->i[0];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int oy = 0; oy < y.h; oy++)
                for (int ox = 0; ox < y.w; ox++) {
                    int y0, y1, x0, x1;
                    double v, u;
                    sources(oy, x.h, a->spec[1], &y0, &y1, &v);
                    sources(ox, x.w, a->spec[1], &x0, &x1, &u);
                    const double top = in[ww_at(x, b, c, y0, x0)] * (1 - u) +
                                       in[ww_at(x, b, c, y0, x1)] * u;
                    const double low = in[ww_at(x, b, c, y1, x0)] * (1 - u) +
                                       in[ww_at(x, b, c, y1, x1)] * u;
                    float sum = (float)(top * (1 - v) + low * v);
                    if (a->i[2])
                        sum += a->i[2][ww_at(a->in[2], b, c, oy, ox)];
                    a->o[0][ww_at(y, b, c, oy, ox)] = ww_activate(a->spec[2], sum);
                }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3];
    ww_upsample2(ww_try_cmd(t), ww_try_out(t, n, c, 2 * h, 2 * w), ww_try_in(t, n, c, h, w),
                 size[4], (enum ww_activation_fn)size[5],
                 size[6] ? ww_try_in(t, n, c, 2 * h, 2 * w) : (struct ww_tensor){0});
}

// batch, height, width, channels, half, activation, residual
static const int sizes[][8] = {{1, 1, 1, 1, 0, 0, 0}, {1, 1, 1, 1, 1, 0, 0}, {2, 5, 9, 6, 0, 1, 1},
                               {2, 5, 9, 6, 1, 0, 1}, {1, 64, 64, 64, 0, 1, 0}, {0}};

const struct ww_kernel ww_kernel_upsample2 = {
    .name = "upsample2",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_upsample2, "2x2")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-6f,
};
