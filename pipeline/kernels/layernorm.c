// y[c] = (x[c] - mean) / sqrt(variance + eps) gain[c] + lift[c], over the channels of a pixel
//
// Layer normalisation (Ba, Kiros and Hinton, 2016, arXiv:1607.06450); the variance is the
// population's. Memory bound: 10 C flops for 3 C numbers read, of which two thirds come from the cache.

#include "filter.h"
#include "layernorm.comp.h"

#include <math.h>

struct push {
    uint32_t pixels, y_pixels, q, x_step, y_step;
    float channels, eps;
};

void ww_layernorm(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, float eps)
{
    ww_expect(g, y.n == x.n && y.c == x.c && y.h * y.w >= x.h * x.w && w->c_in == x.c);
    const struct push push = {(uint32_t)(x.h * x.w), (uint32_t)(y.h * y.w), (uint32_t)ww_quads(x),
                              x.step,                y.step,                (float)x.c,
                              eps};
    ww_launch(g, &ww_kernel_layernorm,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x, ww_filter_tensor(g, w)},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(y.h * y.w, 8), 1, (uint32_t)x.n},
                                         .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const struct push *push = a->push;
    for (int b = 0; b < a->batch; b++) {
        for (int i = 0; i < x.h * x.w; i++) {
            double sum = 0, squares = 0;
            for (int c = 0; c < x.c; c++)
                sum += a->i[0][ww_at(x, b, c, 0, i)];
            const double mean = sum / x.c;
            for (int c = 0; c < x.c; c++)
                squares += pow(a->i[0][ww_at(x, b, c, 0, i)] - mean, 2);
            const double scale = 1 / sqrt(squares / x.c + (double)push->eps);
            for (int c = 0; c < x.c; c++) {
                const float *w = a->i[1] + (size_t)(c / 4) * 8 + c % 4;
                a->o[0][ww_at(y, b, c, 0, i)] =
                    (float)((a->i[0][ww_at(x, b, c, 0, i)] - mean) * scale * w[0] + w[4]);
            }
        }
        for (int i = x.h * x.w; i < y.h * y.w; i++)
            for (int c = 0; c < y.c; c++)
                a->o[0][ww_at(y, b, c, 0, i)] = 0;
    }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3];
    const struct ww_filter norm = ww_try_norm(t, c);
    ww_layernorm(ww_try_cmd(t), ww_try_out(t, n, c, 1, h * w + size[4]), ww_try_in(t, n, c, h, w),
                 &norm, 1e-5f);
}

// batch, height, width, channels, pixels more that come out; the last are MiniLM's of eighty names, those before
// them more than Swin has of 4096x2048
static const int sizes[][8] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {1, 1, 33, 131}, {3, 1, 8, 48},
                               {2, 4, 4, 12, 1}, {1, 1025, 512, 4},
                               {1, 80, 8, 384}, {0}};

const struct ww_kernel ww_kernel_layernorm = {
    .name = "layernorm",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_layernorm, "pixel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 2e-6f,
};
