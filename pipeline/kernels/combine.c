// y = act(x s + r), elementwise; s is one number a channel. Memory bound. Networks fuse this into
// their neighbours; it runs alone where every stage is wanted.

#include "kernels.h"
#include "combine.comp.h"

struct push {
    uint32_t pixels, x_step, y_step, r_step, s_step;
};

void ww_combine(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor scale,
                struct ww_tensor residual, enum ww_activation_fn act)
{
    ww_expect(g, ww_same_shape(y, x));
    ww_expect(g, !ww_some(residual) || ww_same_shape(residual, y));
    ww_expect(g, !ww_some(scale) || (scale.c == x.c && scale.h == 1 && scale.w == 1));
    const struct push push = {(uint32_t)(x.h * x.w), x.step, y.step, residual.step, scale.step};
    const uint32_t spec[] = {8, act, ww_some(scale), ww_some(residual)};
    ww_launch(g, &ww_kernel_combine,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, {0}, residual, scale},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 4,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(x.h * x.w, 8), (uint32_t)ww_quads(x), (uint32_t)x.n},
                  .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int oy = 0; oy < y.h; oy++)
                for (int ox = 0; ox < y.w; ox++) {
                    float v = a->i[0][ww_at(x, b, c, oy, ox)];
                    if (a->i[3])
                        v *= a->i[3][ww_at(a->in[3], b, c, 0, 0)];
                    if (a->i[2])
                        v += a->i[2][ww_at(a->in[2], b, c, oy, ox)];
                    a->o[0][ww_at(y, b, c, oy, ox)] = ww_activate(a->spec[1], v);
                }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3];
    const struct ww_tensor none = {0};
    ww_combine(ww_try_cmd(t), ww_try_out(t, n, c, h, w), ww_try_in(t, n, c, h, w),
               size[4] ? ww_try_in(t, n, c, 1, 1) : none,
               size[5] ? ww_try_in(t, n, c, h, w) : none, (enum ww_activation_fn)size[6]);
}

// batch, height, width, channels, scaled, residual, activation
static const int sizes[][8] = {{1, 1, 1, 1, 0, 0, 6}, {2, 5, 9, 6, 1, 1, 3}, {1, 3, 3, 7, 1, 0, 5},
                               {1, 9, 70, 9, 0, 1, 7}, {1, 9, 70, 9, 0, 1, 8},
                               {1, 9, 70, 9, 0, 1, 9}, {1, 9, 70, 9, 0, 1, 10},
                               {1, 64, 64, 64, 0, 1, 1}, {0}};

const struct ww_kernel ww_kernel_combine = {
    .name = "combine",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_combine, "texel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-6f,
};
