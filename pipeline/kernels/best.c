// y[r] = max over the first lengths[b] channels c of x[r][c]. Memory bound.

#include "words.h"
#include "best.comp.h"

#include <math.h>

struct push {
    uint32_t rows, q, x_step, y_step;
};

void ww_best(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor lengths)
{
    ww_expect(g, y.n == x.n && y.c == 1 && y.h == 1 && x.h == 1 && y.w == x.w);
    ww_expect(g, lengths.n == 1 && lengths.c == 1 && lengths.h == 1 && lengths.w == x.n);
    const struct push push = {(uint32_t)x.w, (uint32_t)ww_quads(x), x.step, y.step};
    ww_launch(g, &ww_kernel_best,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x, lengths},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(x.w, 8), 1, (uint32_t)x.n},
                                         .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor x = a->in[0], y = a->out[0];
    for (int b = 0; b < a->batch; b++)
        for (int r = 0; r < x.w; r++) {
            float best = -3.402823466e38f;
            for (int c = 0; c < x.c && (float)c < a->i[1][4 * b]; c++)
                best = fmaxf(best, a->i[0][ww_at(x, b, c, 0, r)]);
            a->o[0][ww_at(y, b, 0, 0, r)] = best;
        }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], c = size[2];
    ww_best(ww_try_cmd(t), ww_try_out(t, n, 1, 1, rows), ww_try_in(t, n, c, 1, rows),
            ww_try_whole(t, 1, 1, 1, n, c + 1));
}

// batch, rows, channels
static const int sizes[][8] = {{1, 1, 1}, {3, 19, 7}, {2, 9, 256}, {1, 22223, 16}, {0}};

const struct ww_kernel ww_kernel_best = {
    .name = "best",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_best, "row")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
