// y[r] = x[from] gain / sqrt(mean(x[from]^2) + eps)
//
// Zhang and Sennrich, 2019, arXiv:1910.07467. Memory bound: two reads and a write of each row.

#include "tokens.h"
#include "rmsnorm.comp.h"

#include <math.h>

struct push {
    uint32_t rows, from, q;
    float inverse_width, eps;
};

void ww_rmsnorm(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, const struct ww_filter *gain,
                int width, float eps, struct ww_tensor picks)
{
    ww_expect(g, x.n == 1 && x.h == 1 && x.c == y.c && (ww_some(picks) ? picks.w : x.w) == y.w);
    const struct push push = {(uint32_t)y.w, (uint32_t)x.w, (uint32_t)ww_quads(x), 1 / (float)width, eps};
    const bool few = y.w <= WW_FEW_ROWS;
    ww_launch(g, &ww_kernel_rmsnorm,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, ww_filter_tensor(g, gain), picks},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, 0, 1, 0, 0, 0, 8, ww_some(picks)},
                  .num_spec = 8,
                  .groups = {few ? 1 : WW_STRIP / 8, 1, few ? 1 : ww_div_up(y.w, WW_STRIP)},
                  .batched = !few});
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    for (size_t r = 0; r < push->rows && r < (size_t)a->batch * WW_STRIP; r++) {
        size_t from = a->i[2] ? ((const uint32_t *)a->i[2])[4 * r] : r;
        from = from < push->from ? from : push->from - 1;
        double sum = 0;
        for (size_t c = 0; c < 4 * push->q; c++) {
            const double x = a->i[0][4 * (c / 4 * push->from + from) + c % 4];
            sum += x * x;
        }
        const double factor = 1 / sqrt(sum * (double)push->inverse_width + (double)push->eps);
        for (size_t c = 0; c < 4 * push->q; c++)
            a->o[0][4 * (c / 4 * push->rows + r) + c % 4] =
                (float)(a->i[0][4 * (c / 4 * push->from + from) + c % 4] * factor) * a->i[1][c];
    }
}

static void attempt(struct ww_try *t, const int *size)
{
    const struct ww_filter gain = ww_try_row(t, size[1]);
    ww_try_strips(t, size[0]);
    ww_rmsnorm(ww_try_cmd(t), ww_try_out(t, 1, size[1], 1, size[0]),
               ww_try_in(t, 1, size[1], 1, size[2]), &gain, size[1] - 3, 1e-5f,
               size[3] ? ww_try_positions(t, size[0], size[2]) : (struct ww_tensor){0});
}

// rows, channels, rows of x, picked
static const int sizes[][8] = {{1, 32, 1, 0}, {3, 64, 77, 1}, {33, 96, 33, 0}, {256, 576, 256, 0}, {0}};

const struct ww_kernel ww_kernel_rmsnorm = {
    .name = "rmsnorm",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_rmsnorm, "row")},
    .num_shaders = 1,
    .reference = reference,
    .view = {WW_VIEW_F32X4, WW_VIEW_F32X4, WW_VIEW_U32X4},
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-6f,
};
