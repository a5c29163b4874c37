// y[oy][ox][4 parts of C] = x[2 oy + part % 2][2 ox + part / 2][C], zero beyond the map
//
// Patch merging (Liu et al., 2021, arXiv:2103.14030, §3.1) without the norm and the product that
// follow. Memory bound.

#include "swin.h"
#include "merge.comp.h"

struct push {
    uint32_t h, w, oh, ow, channels, q, x_step, y_step;
};

void ww_merge(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x)
{
    ww_expect(g, y.n == x.n && y.c == 4 * x.c && y.h == (x.h + 1) / 2 && y.w == (x.w + 1) / 2);
    const struct push push = {(uint32_t)x.h, (uint32_t)x.w,        (uint32_t)y.h, (uint32_t)y.w,
                              (uint32_t)x.c, (uint32_t)ww_quads(x), x.step,        y.step};
    ww_launch(g, &ww_kernel_merge,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8, x.c % 4 == 0},
                                         .num_spec = 2,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(y.h * y.w, 8), 4, (uint32_t)x.n},
                                         .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int oy = 0; oy < y.h; oy++)
                for (int ox = 0; ox < y.w; ox++) {
                    const int part = c / x.c, iy = 2 * oy + part % 2, ix = 2 * ox + part / 2;
                    a->o[0][ww_at(y, b, c, oy, ox)] =
                        iy < x.h && ix < x.w ? a->i[0][ww_at(x, b, c % x.c, iy, ix)] : 0;
                }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], c = size[1], h = size[2], w = size[3];
    ww_merge(ww_try_cmd(t), ww_try_out(t, n, 4 * c, (h + 1) / 2, (w + 1) / 2),
             ww_try_in(t, n, c, h, w));
}

// batch, channels, height, width
static const int sizes[][8] = {{1, 1, 1, 1}, {2, 6, 7, 9}, {1, 12, 1, 19}, {3, 8, 6, 5},
                               {1, 96, 200, 267}, {0}};

const struct ww_kernel ww_kernel_merge = {
    .name = "merge",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_merge, "texel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
