// y[p][n] = act(b[n] + sum over k of x[p][k] s[k] w[k][n]) + r[p][n]
//
// A matrix product whose lanes are pixels. Compute bound: 2 K N flops for K + N numbers a pixel. On
// software Vulkan few input channels stay in registers while all outputs are walked ("short"); many are
// walked while a tile of outputs stays ("long"). Cards have shared memory for a tile of both ("tile"),
// and some compute with halves ("halves").

#include "filter.h"
#include "words.h"
#include "pointwise.comp.h"
#include "pointwise_short.comp.h"
#include "pointwise_tile.comp.h"
#include "pointwise_tile16.comp.h"

#include <stdlib.h>
#include <string.h>

#define SHORT_QUADS 12 // most input quads whose pixels fit beside the accumulators
#define ROWS        4  // TM: pixels of a lane
#define LONG_QUADS  4  // TN: output quads of a lane
#define MAX_BLOCK   8  // strips that take turns at a tile of weights
#define BLOCK_BYTES (256 << 10) // of pixels: what a core's cache keeps beside the weights

#define CARD_LANES  128 // of a workgroup, shaders/tile.glsl: 16 along the pixels, 8 along the outputs
#define CARD_GROUPS 256 // workgroups that keep a large card busy; smaller tiles until there are as many

enum { LONG, SHORT, TILE, HALVES };
enum { ACT = 3, SCALED, RESIDUAL, FIRST }; // specialisation constants that all variants have

struct push {
    uint32_t pixels, q, n, x_step, y_step, r_step, s_step, pairs, w_step, w_tile, w_quad, block, x_plane,
        y_plane;
};

// Strips of `strip_bytes` pixels each that share a tile of weights from the cache before the next comes.
static uint32_t block_of(uint32_t strips, int strip_bytes)
{
    uint32_t block = BLOCK_BYTES / (uint32_t)strip_bytes;
    block = block > MAX_BLOCK ? MAX_BLOCK : block < 1 ? 1 : block;
    return block < strips ? block : strips;
}

// What a variant makes of the work: how many pixels and quads of outputs a lane has, and workgroups.
struct tiling {
    int variant;
    enum ww_lanes lanes;
    uint32_t pixels, quads, groups[2];
};

// For cards: pixels of a lane are halved until there are enough workgroups.
static struct tiling card_tiling(int pixels, int N, int batch)
{
    struct tiling t = {.variant = TILE, .lanes = WW_LANES_FIXED, .pixels = 8, .quads = N > 8 ? 2 : 1};
    t.groups[0] = ww_div_up(N, 8 * (int)t.quads);
    for (;; t.pixels /= 2) {
        t.groups[1] = ww_div_up(pixels, 16 * (int)t.pixels);
        if (t.pixels == 2 || (uint64_t)t.groups[0] * t.groups[1] * (uint64_t)batch >= CARD_GROUPS)
            return t;
    }
}

static struct tiling short_tiling(int pixels, int Q, int N, uint32_t pairs)
{
    return (struct tiling){.variant = SHORT, .lanes = WW_LANES_X, .pixels = ROWS, .quads = (uint32_t)Q,
                           .groups = {ww_div_up(pixels, 8 * ROWS), ww_div_up(N, 2 * (int)pairs)}};
}

// All outputs of a block of strips before the next one, whose pixels then stay in the cache; the weights come
// round once a block, tile by tile.
static struct tiling long_tiling(int pixels, int Q, int N, bool tiled, uint32_t *block)
{
    // One pixel needs no tile of pixels, and enough groups to go round the cores.
    const int rows = pixels <= 8 ? 1 : ROWS;
    // Of a tile of 4 for the last of 5 or 6 quads, half would be for nothing.
    const int quads = !tiled && N > LONG_QUADS && N <= 6 ? 6 : LONG_QUADS;
    const uint32_t strips = ww_div_up(pixels, 8 * rows);
    *block = block_of(strips, 8 * rows * Q * 16);
    return (struct tiling){.variant = LONG, .lanes = WW_LANES_FIXED, .pixels = (uint32_t)rows,
                           .quads = (uint32_t)quads,
                           .groups = {ww_div_up(N, quads) * *block, ww_div_up((int)strips, (int)*block)}};
}

// `w_step`: from one of the batch's weights to the next; 0: they share them.
static void multiply(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor w,
                     bool tiled, uint32_t w_step, const struct ww_conv_params *params)
{
    const int x_plane = x.h * x.w, y_plane = y.h * y.w, from = params->from;
    const int pixels = x_plane < y_plane ? x_plane : y_plane;
    const int whole = x_plane + y_plane - pixels;
    ww_expect(g, x.n == y.n && from >= 0 && from + pixels <= whole);
    ww_expect(g, x_plane != y_plane || x.h == y.h);
    ww_expect(g, !ww_some(params->residual) || ww_same_shape(params->residual, y));
    ww_expect(g, !ww_some(params->scale) || params->scale.c == x.c);
    if (!ww_cmd_sound(g))
        return;
    const int Q = ww_quads(x), N = ww_quads(y);
    // Short walks all outputs, unless there would be too few groups for two cores.
    const uint32_t pairs = ww_div_up(pixels, 8 * ROWS) >= 64 ? ww_div_up(N, 2) : 2;
    uint32_t block = 1;
    const struct tiling t = pixels > 8 && ww_for_card(g)      ? card_tiling(pixels, N, x.n)
                            : pixels > 8 && Q <= SHORT_QUADS ? short_tiling(pixels, Q, N, pairs)
                                                             : long_tiling(pixels, Q, N, tiled, &block);
    const struct push push = {(uint32_t)pixels,        (uint32_t)Q, (uint32_t)N, x.step, y.step,
                              params->residual.step, params->scale.step, pairs, w_step,
                              tiled ? 16 * (uint32_t)Q : 16, tiled ? 16 : 4 * (uint32_t)N, block,
                              (uint32_t)x_plane, (uint32_t)y_plane};
    struct ww_tensor residual_at = params->residual;
    if (x_plane > y_plane)
        x.first += (uint32_t)from;
    if (y_plane > x_plane) {
        y.first += (uint32_t)from;
        residual_at.first += (uint32_t)from;
    }
    // Without an activation it does not matter which comes first, and the residual is quicker.
    const bool first = ww_some(params->residual) && (params->residual_first || params->act == WW_ACT_NONE);
    const uint32_t spec[] = {t.variant == TILE ? CARD_LANES : 8, t.pixels, t.quads,
                             [ACT] = params->act,
                             [SCALED] = ww_some(params->scale),
                             [RESIDUAL] = ww_some(params->residual) && !first,
                             [FIRST] = first,
                             t.quads / 2,
                             // Lines are fetched beforehand for networks of maps; for matrices, whose sums
                             // are longer, it costs 4 %.
                             !tiled};
    ww_launch(g, &ww_kernel_pointwise,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x, w, residual_at, params->scale},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = spec,
                                         .num_spec = t.variant == LONG ? FIRST + 3 : FIRST + 1,
                                         .variant = t.variant,
                                         .lanes = t.lanes,
                                         .groups = {t.groups[0], t.groups[1], (uint32_t)x.n},
                                         .batched = true,
                                         .macs = (double)pixels * x.c * y.c});
}

void ww_pointwise(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, const struct ww_conv_params *params)
{
    ww_expect(g, w->k == 1 && w->c_in == x.c && w->c_out == y.c);
    multiply(g, y, x, ww_filter_tensor(g, w), w->tiled, 0, params);
}

void ww_product(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor weights,
                struct ww_tensor residual)
{
    ww_expect(g, weights.n == x.n && weights.w == ww_tiled_texels(ww_quads(x), ww_quads(y)) + 8);
    multiply(g, y, x, weights, true, weights.step, ww_conv_params(.residual = residual));
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const struct push *push = a->push;
    const enum ww_activation_fn act = a->spec[ACT];
    const bool first = a->spec[FIRST];
    const size_t plane = (size_t)push->x_plane * 4;
    float(*w)[4] = malloc(sizeof *w * (size_t)x.c); // of a quad of outputs
    if (!w)
        abort();
    for (int b = 0; b < a->batch; b++) {
        const float *bias = a->i[1] + 4 * (size_t)b * push->w_step, *packed = bias + 4 * push->n;
        for (size_t o = 0; o < push->n; o++) {
            for (size_t k = 0; k < (size_t)x.c; k++)
                memcpy(w[k], packed + 4 * (k / 4 * push->w_quad + o / 4 * push->w_tile + o % 4 * 4 + k % 4),
                       sizeof *w);
            for (size_t p = 0; p < push->pixels; p++) {
                const float *in = a->i[0] + (size_t)b * x.step * 4 + p * 4;
                double sum[4] = {bias[4 * o], bias[4 * o + 1], bias[4 * o + 2], bias[4 * o + 3]};
                for (size_t k = 0; k < (size_t)x.c; k++) {
                    const float s = a->i[3] ? a->i[3][ww_at(a->in[3], b, (int)k, 0, 0)] : 1;
                    ww_add_quad(sum, in[k / 4 * plane + k % 4] * s, w[k]);
                }
                for (size_t i = 0; i < 4 && 4 * o + i < (size_t)y.c; i++) {
                    const size_t at = (o * push->y_plane + p) * 4 + i;
                    const float r = a->i[2] ? a->i[2][(size_t)b * push->r_step * 4 + at] : 0;
                    const float v = ww_activate(act, (float)sum[i] + (first ? r : 0));
                    a->o[0][(size_t)b * push->y_step * 4 + at] = v + (first ? 0 : r);
                }
            }
        }
    }
    free(w);
}

// A third kind of product: of weights that are each picture's own.
static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3], o = size[4];
    if (size[6] == 2) {
        const struct ww_tensor rows = ww_try_in(t, n, c, 1, o);
        const struct ww_tensor weights =
            ww_activation(ww_try_cmd(t), n, 4, 1, ww_as_weights_texels(o, c, 1, true));
        ww_as_weights(ww_try_cmd(t), weights, rows, ww_as_weights_params(.heads = 1, .turned = true));
        ww_product(ww_try_cmd(t), ww_try_out(t, n, o, h, w), ww_try_in(t, n, c, h, w), weights,
                   size[7] ? ww_try_in(t, n, o, h, w) : (struct ww_tensor){0});
        return;
    }
    const bool tiled = size[6] >= 3, slice = size[6] == 4;
    const struct ww_filter filter = tiled ? ww_try_linear(t, c, o) : ww_try_conv(t, 1, c, o);
    if (slice) { // there and back
        const int from = h * w / 3, count = h * w - from - h * w / 5;
        const struct ww_filter back = ww_try_linear(t, o, c);
        const struct ww_tensor x = ww_try_in(t, n, c, h, w), y = ww_try_out(t, n, c, h, w);
        const struct ww_tensor middle = ww_activation(ww_try_cmd(t), n, o, 1, count);
        const struct ww_tensor none = {0};
        ww_combine(ww_try_cmd(t), y, x, none, none, WW_ACT_NONE);
        ww_pointwise(ww_try_cmd(t), middle, x, &filter,
                     ww_conv_params(.act = (enum ww_activation_fn)size[5], .from = from));
        ww_pointwise(ww_try_cmd(t), y, middle, &back,
                     ww_conv_params(.residual = size[7] ? ww_try_in(t, n, c, h, w) : none, .from = from));
        return;
    }
    const struct ww_tensor y = ww_try_out(t, n, o, h, w);
    ww_pointwise(ww_try_cmd(t), y, ww_try_in(t, n, c, h, w), &filter,
                 ww_conv_params(.act = (enum ww_activation_fn)size[5],
                                .scale = size[6] == 1 ? ww_try_in(t, n, c, 1, 1) : (struct ww_tensor){0},
                                .residual = size[7] ? ww_try_in(t, n, o, h, w)
                                                    : (struct ww_tensor){0},
                                .residual_first = size[7] == 2));
}

// batch, height, width, channels in, out, activation, scaled (2: ww_product; 3: weights by tiles; 4: of a
// slice, there and back), residual (2: before the activation)
static const int sizes[][8] = {{1, 1, 1, 1, 1, 0, 0, 0},      {1, 1, 1, 72, 24, 1, 0, 0},
                               {2, 5, 7, 19, 33, 1, 1, 1},    {3, 1, 9, 64, 3, 5, 1, 0},
                               {1, 13, 31, 131, 97, 3, 0, 1}, {2, 8, 8, 48, 16, 4, 0, 0},
                               {1, 16, 16, 52, 40, 6, 1, 1},  {2, 9, 11, 60, 22, 1, 1, 1},
                               {1, 5, 9, 20, 12, 1, 0, 2},
                               {1, 5, 9, 80, 12, 1, 0, 2},    {2, 1, 37, 24, 20, 0, 2, 1},
                               {3, 1, 70, 64, 12, 0, 2, 0},   {1, 25, 42, 2048, 512, 1, 0, 0},
                               {1, 1, 1, 20, 9, 1, 3, 0},     {2, 5, 9, 20, 33, 1, 3, 1},
                               {2, 13, 31, 131, 97, 3, 3, 2}, {1, 1, 1100, 256, 520, 1, 3, 0},
                               {2, 7, 11, 20, 72, 1, 4, 1},   {1, 1, 300, 64, 68, 0, 4, 0},
                               {1, 32, 32, 528, 88, 2, 0, 0},
                               {0}};

const struct ww_kernel ww_kernel_pointwise = {
    .name = "pointwise",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_pointwise, "long"),
                                          WW_SHADER(ww_spv_pointwise_short, "short"),
                                          WW_SHADER(ww_spv_pointwise_tile, "tile", .in_halves = HALVES),
                                          WW_SHADER(ww_spv_pointwise_tile16, "halves")},
    .num_shaders = 4,
    .for_cards = true,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f, // 528 products of mixed sign that cancel down to a few
};
