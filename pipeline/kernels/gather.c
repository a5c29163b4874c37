// y[r] = x[rows[r]]: the chosen of many rows. Memory bound.

#include "detr.h"
#include "gather.comp.h"

struct push {
    uint32_t rows, x_rows, x_step, y_step, r_step;
};

void ww_gather(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor rows)
{
    ww_expect(g, y.n == x.n && rows.n == x.n && y.c == x.c && rows.w == y.w);
    ww_expect(g, y.h == 1 && x.h == 1 && rows.h == 1);
    const struct push push = {(uint32_t)y.w, (uint32_t)x.w, x.step, y.step, rows.step};
    ww_launch(g, &ww_kernel_gather,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, rows},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8},
                  .num_spec = 1,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8), (uint32_t)ww_quads(y), (uint32_t)x.n},
                  .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    for (int b = 0; b < a->batch; b++)
        for (int r = 0; r < y.w; r++) {
            const float named = a->i[1][ww_at(a->in[1], b, 0, 0, r)];
            const int row = !(named > 0) ? 0 : named < (float)(x.w - 1) ? (int)named : x.w - 1;
            for (int c = 0; c < y.c; c++)
                a->o[0][ww_at(y, b, c, 0, r)] = a->i[0][ww_at(x, b, c, 0, row)];
        }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], from = size[2], c = size[3];
    ww_gather(ww_try_cmd(t), ww_try_out(t, n, c, 1, rows), ww_try_in(t, n, c, 1, from),
              ww_try_whole(t, n, 4, 1, rows, from + 2));
}

// batch, rows, rows to choose from, channels
static const int sizes[][8] = {{1, 1, 1, 1}, {2, 19, 7, 6}, {1, 900, 22223, 256}, {0}};

const struct ww_kernel ww_kernel_gather = {
    .name = "gather",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_gather, "texel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
