// w[c][h words + i] = x[i][h width + c], or w[h words + i][c]: rows as the weights of a product
//
// What kernels/pointwise.c reads as weights by tiles, made of an activation: bias, then for each tile of four
// quads of outputs and each quad of inputs 16 texels, each four outputs of one input. Memory bound, and
// small: rows are words.

#include "filter.h"
#include "words.h"
#include "asweights.comp.h"

#include <string.h>

struct push {
    uint32_t texels, rows, heads, q, x_step, b_step, y_step;
};

static int inputs(int words, int width, int heads, bool turned)
{
    return turned ? width : heads * words;
}

// A fetch by eight lanes may reach past the last output, as in a bank of filters.
int ww_as_weights_texels(int words, int width, int heads, bool turned)
{
    return ww_tiled_texels(inputs(words, width, heads, turned) / 4,
                           inputs(words, width, heads, !turned) / 4) + 8;
}

void ww_as_weights(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                   const struct ww_as_weights_params *params)
{
    const int heads = params->heads, width = heads > 0 ? x.c / heads : 0;
    const struct ww_tensor bias = params->bias;
    ww_expect(g, heads > 0 && x.c == heads * width && width % 4 == 0 && x.h == 1 && x.w % 4 == 0);
    ww_expect(g, !ww_some(bias) || (params->turned && bias.n == x.n && bias.c == heads &&
                                    bias.h == 1 && bias.w == x.w));
    if (!ww_cmd_sound(g))
        return;
    const int texels = ww_as_weights_texels(x.w, width, heads, params->turned);
    ww_expect(g, y.n == x.n && y.c == 4 && y.h == 1 && y.w == texels);
    const struct push push = {(uint32_t)texels, (uint32_t)x.w, (uint32_t)heads, (uint32_t)width / 4,
                              x.step,           bias.step,     y.step};
    ww_launch(g, &ww_kernel_asweights,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, bias},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, params->turned, ww_some(bias)},
                  .num_spec = 3,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(texels, 8), 1, (uint32_t)x.n},
                  .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const struct ww_tensor x = a->in[0], y = a->out[0];
    const bool turned = a->spec[1];
    const int heads = (int)push->heads, width = x.c / heads;
    const int outs = inputs(x.w, width, heads, !turned), ins = inputs(x.w, width, heads, turned);
    for (int b = 0; b < a->batch; b++) {
        float *to = a->o[0] + 4 * (size_t)b * y.step;
        memset(to, 0, 16 * push->texels);
        for (int o = 0; o < outs; o++)
            to[o] = turned && a->i[1] ? a->i[1][ww_at(a->in[1], b, o / x.w, 0, o % x.w)] : 0;
        for (int in = 0; in < ins; in++)
            for (int out = 0; out < outs; out++) {
                const int row = turned ? out : in, c = turned ? in : out; // of all heads; of one
                to[4 * ww_tiled_at(ins / 4, outs / 4, in, out) + (size_t)(out % 4)] =
                    a->i[0][ww_at(x, b, row / x.w * width + c, 0, row % x.w)];
            }
    }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], words = size[1], heads = size[2], width = size[3];
    ww_as_weights(ww_try_cmd(t),
                  ww_try_out(t, n, 4, 1, ww_as_weights_texels(words, width, heads, size[4])),
                  ww_try_in(t, n, heads * width, 1, words),
                  ww_as_weights_params(.heads = heads, .turned = size[4],
                                       .bias = size[5] ? ww_try_in(t, n, heads, 1, words)
                                                       : (struct ww_tensor){0}));
}

// batch, words, heads, width, turned, bias
static const int sizes[][8] = {{1, 4, 1, 4, 1, 0},  {2, 12, 3, 8, 1, 1},  {2, 12, 3, 8, 0, 0},
                               {1, 8, 5, 20, 1, 1}, {1, 16, 4, 256, 1, 1}, {0}};

const struct ww_kernel ww_kernel_asweights = {
    .name = "asweights",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_asweights, "texel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
