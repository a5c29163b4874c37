// y[r] = x[r] where row r is kept, else 0. Memory bound.

#include "detr.h"
#include "keep.comp.h"

struct push {
    uint32_t rows, x_step, k_step, y_step;
};

void ww_keep(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor kept)
{
    ww_expect(g, ww_same_shape(y, x) && x.h == 1 && kept.n == x.n && kept.h == 1 && kept.w == x.w);
    const struct push push = {(uint32_t)y.w, x.step, kept.step, y.step};
    ww_launch(g, &ww_kernel_keep,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, kept},
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
    const struct ww_tensor y = a->out[0];
    for (int b = 0; b < a->batch; b++)
        for (int r = 0; r < y.w; r++)
            for (int c = 0; c < y.c; c++)
                a->o[0][ww_at(y, b, c, 0, r)] = a->i[1][ww_at(a->in[1], b, 0, 0, r)] != 0
                                                    ? a->i[0][ww_at(a->in[0], b, c, 0, r)]
                                                    : 0;
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], c = size[2];
    ww_keep(ww_try_cmd(t), ww_try_out(t, n, c, 1, rows), ww_try_in(t, n, c, 1, rows),
            ww_try_whole(t, n, 1, 1, rows, 2));
}

// batch, rows, channels
static const int sizes[][8] = {{1, 1, 1}, {2, 19, 7}, {1, 22223, 256}, {0}};

const struct ww_kernel ww_kernel_keep = {
    .name = "keep",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_keep, "texel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
