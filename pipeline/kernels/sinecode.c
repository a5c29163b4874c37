// y[i F + 2 k], y[i F + 2 k + 1] = sin, cos of 2 pi x[i] / temperature^(2 k / F)
//
// The code of coordinates in [0, 1], F numbers each (Vaswani et al., 2017, §3.5, of boxes). Bound by
// sines.

#include "detr.h"
#include "sinecode.comp.h"

#include <math.h>

struct push {
    uint32_t rows, f, x_step, y_step, s_step;
    float log_temperature;
};

void ww_sinecode(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                 const struct ww_sinecode_params *params)
{
    const int F = params->numbers;
    ww_expect(g, F > 0 && F % 4 == 0 && y.c % F == 0 && y.c / F <= 4 && params->temperature > 0);
    ww_expect(g, x.c == 4 && y.n == x.n && y.w == x.w && y.h == 1 && x.h == 1);
    const struct push push = {(uint32_t)y.w, (uint32_t)F, x.step, y.step, params->levels.step,
                              logf(params->temperature)};
    ww_launch(g, &ww_kernel_sinecode,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, params->levels},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, params->y_first, ww_some(params->levels)},
                  .num_spec = 3,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8), (uint32_t)ww_quads(y), (uint32_t)y.n},
                  .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const int F = (int)push->f;
    for (int b = 0; b < a->batch; b++)
        for (int r = 0; r < y.w; r++)
            for (int c = 0; c < y.c; c++) {
                const int i = c / F, from = a->spec[1] && i < 2 ? 1 - i : i;
                double v = (double)a->i[0][ww_at(x, b, from, 0, r)];
                if (a->i[1])
                    v *= (double)a->i[1][ww_at(a->in[1], b, 2 + from % 2, 0, 1)];
                const double angle = v * 6.283185307179586 *
                                     exp(-(double)push->log_temperature * (c % F / 2 * 2) / F);
                a->o[0][ww_at(y, b, c, 0, r)] = (float)(c % 2 ? cos(angle) : sin(angle));
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], F = size[2], coordinates = size[3];
    int tokens;
    const struct ww_tensor y = ww_try_out(t, n, F * coordinates, 1, rows);
    ww_sinecode(ww_try_cmd(t), y, ww_try_in(t, n, 4, 1, rows),
                ww_sinecode_params(.numbers = F, .temperature = 10000, .y_first = size[4],
                                   .levels = size[5] ? ww_try_levels(t, n, 2, 9, 7, &tokens)
                                                     : (struct ww_tensor){0}));
}

// batch, rows, numbers of a coordinate, coordinates, y first, shared
static const int sizes[][8] = {{1, 1, 4, 1, 0, 0}, {2, 11, 32, 4, 1, 1}, {1, 7, 64, 2, 1, 0},
                               {1, 900, 128, 4, 0, 0}, {0}};

const struct ww_kernel ww_kernel_sinecode = {
    .name = "sinecode",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_sinecode, "texel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f, // angles up to 2 pi, rounded
};
