// y[c] = mean over all pixels of x[c]. Memory bound; eight lanes share a quad of channels and add up
// by shuffles.

#include "kernels.h"
#include "mean.comp.h"

struct push {
    uint32_t pixels, x_step, y_step;
};

void ww_mean(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x)
{
    ww_expect(g, y.n == x.n && y.c == x.c && y.h == 1 && y.w == 1);
    const struct push push = {(uint32_t)(x.h * x.w), x.step, y.step};
    ww_launch(g, &ww_kernel_mean,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .groups = {(uint32_t)ww_quads(x), 1, (uint32_t)x.n},
                                         .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < x.c; c++) {
            double sum = 0;
            for (int iy = 0; iy < x.h; iy++)
                for (int ix = 0; ix < x.w; ix++)
                    sum += a->i[0][ww_at(x, b, c, iy, ix)];
            a->o[0][ww_at(y, b, c, 0, 0)] = (float)(sum / x.h / x.w);
        }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3];
    ww_mean(ww_try_cmd(t), ww_try_out(t, n, c, 1, 1), ww_try_in(t, n, c, h, w));
}

// batch, height, width, channels
static const int sizes[][8] = {{1, 1, 1, 1}, {2, 7, 5, 6}, {1, 33, 3, 40}, {1, 64, 64, 96}, {0}};

const struct ww_kernel ww_kernel_mean = {
    .name = "mean",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_mean, "team")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f, // relative to a mean that is itself small
};
