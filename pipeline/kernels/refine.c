// y = sigmoid(x + logit(reference)): a box moved by what a head says, in [0, 1]
//
// The logit is clamped, in one of two ways that checkpoints were trained with.

#include "detr.h"
#include "refine.comp.h"

#include <math.h>

struct push {
    uint32_t rows, x_step, r_step, y_step;
    float eps;
};

void ww_refine(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor reference,
               const struct ww_refine_params *params)
{
    ww_expect(g, ww_same_shape(y, x) && ww_same_shape(reference, x) && x.c == 4 && x.h == 1);
    const struct push push = {(uint32_t)x.w, x.step, reference.step, y.step, params->eps};
    ww_launch(g, &ww_kernel_refine,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x, reference},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8, params->points, params->inner},
                                         .num_spec = 3,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(x.w, 8), 1, (uint32_t)x.n},
                                         .batched = true});
}

static double logit(float x, float eps, bool inner)
{
    const float r = fminf(fmaxf(x, 0), 1), high = 1 - eps;
    if (!inner)
        return log((double)fmaxf(r, eps) / (double)fmaxf(1 - r, eps));
    const double c = (double)fminf(fmaxf(r, eps), high);
    return log(c / (1 - c));
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const struct ww_tensor y = a->out[0];
    for (int b = 0; b < a->batch; b++)
        for (int r = 0; r < y.w; r++)
            for (int c = 0; c < 4; c++) {
                const float from = a->i[1][ww_at(a->in[1], b, c, 0, r)];
                double v = (double)a->i[0][ww_at(a->in[0], b, c, 0, r)];
                if (c < 2 || !a->spec[1])
                    v += logit(from, push->eps, a->spec[2]);
                a->o[0][ww_at(y, b, c, 0, r)] = (float)(1 / (1 + exp(-v)));
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1];
    ww_refine(ww_try_cmd(t), ww_try_out(t, n, 4, 1, rows), ww_try_in(t, n, 4, 1, rows),
              ww_try_in(t, n, 4, 1, rows),
              ww_refine_params(.eps = size[2] ? 1e-5f : 1e-3f, .points = size[3], .inner = size[4]));
}

// batch, rows, the smaller eps, points, inner
static const int sizes[][8] = {{1, 1, 0, 0, 0}, {2, 31, 1, 1, 0}, {2, 31, 1, 0, 1}, {1, 900, 0, 0, 0}, {0}};

const struct ww_kernel ww_kernel_refine = {
    .name = "refine",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_refine, "row")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 2e-6f,
};
