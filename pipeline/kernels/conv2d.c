// y[p][n] = act(b[n] + sum over ky, kx, k of x[s p + d (ky, kx) - pad][k] w[ky][kx][k][n])
//
// Any window over all channels, as a product whose columns are gathered on the way. Lanes are pixels of a
// row ("tile"), or, where channels are many, of the whole picture ("flat"). Of a picture's few channels software
// keeps a 3 x 3 window in registers ("strip").

#include "filter.h"
#include "conv2d.comp.h"
#include "conv2d_flat.comp.h"
#include "conv2d_strip.comp.h"

#include <stdlib.h>
#include <string.h>

#define ROWS       4
#define CARD_LANES 32 // of a workgroup along a row
#define FLAT_QUADS 4 // input quads that pay for the divisions

enum { TILE, FLAT, STRIP };

struct push {
    uint32_t h, w, oh, ow, q, n, x_step, y_step, kh, kw, sy, sx, dy, dx, pad_y, pad_x, strips;
};

void ww_conv2d(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, const struct ww_filter *w,
               const struct ww_conv_params *params)
{
    const int stride = params->stride ? params->stride : 1;
    const int dilation = params->dilation ? params->dilation : 1;
    const int reach = (w->k - 1) * dilation + 1;
    struct ww_same rows = ww_same(x.h, reach, stride), cols = ww_same(x.w, reach, stride);
    if (params->padded) // what lies beyond is zero on either side: any size may come out
        rows = cols = (struct ww_same){.before = params->pad};
    ww_expect(g, w->c_in == x.c && w->c_out == y.c && y.n == x.n && !w->tiled);
    ww_expect(g, params->padded ? params->pad >= 0 : y.h == rows.out && y.w == cols.out);
    ww_expect(g, !ww_some(params->residual) && !ww_some(params->scale));
    const int N = ww_quads(y), tile = N > 2 ? 4 : 2;
    const bool flat = ww_quads(x) >= FLAT_QUADS;
    const bool strip = !ww_for_card(g) && ww_quads(x) == 1 && w->k == 3 && stride <= 2 && dilation == 1 &&
                       rows.before == cols.before;
    const int lanes = ww_for_card(g) && !flat ? CARD_LANES : 8;
    const uint32_t strips = ww_div_up(flat ? y.h * y.w : y.w, lanes * ROWS), tiles = ww_div_up(N, tile);
    const uint32_t k = (uint32_t)w->k;
    const struct push push = {
        (uint32_t)x.h,      (uint32_t)x.w,        (uint32_t)y.h,         (uint32_t)y.w,
        (uint32_t)ww_quads(x), (uint32_t)N,       x.step,                y.step,
        k,                  k,                    (uint32_t)stride,      (uint32_t)stride,
        (uint32_t)dilation, (uint32_t)dilation,   (uint32_t)rows.before, (uint32_t)cols.before,
        strips};
    const uint32_t tile_spec[] = {(uint32_t)lanes, ROWS, (uint32_t)tile, (uint32_t)tile / 2, params->act};
    const uint32_t strip_spec[] = {8,
                                   ROWS,
                                   k,
                                   (uint32_t)stride,
                                   params->act,
                                   (uint32_t)((ROWS - 1) * stride) + k,
                                   (uint32_t)rows.before,
                                   (uint32_t)x.c};
    ww_launch(g, &ww_kernel_conv2d,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, ww_filter_tensor(g, w)},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = strip ? strip_spec : tile_spec,
                  .num_spec = strip ? 8 : 5,
                  .variant = strip ? STRIP : flat ? FLAT : TILE,
                  .lanes = flat ? WW_LANES_Y : WW_LANES_FIXED,
                  .groups = {strip ? ww_div_up(y.w, 8) : flat ? tiles : strips * tiles,
                             strip ? ww_div_up(y.h, ROWS) : flat ? strips : (uint32_t)y.h,
                             (uint32_t)x.n},
                  .batched = true,
                  .macs = (double)y.h * y.w * x.c * y.c * w->k * w->k});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], x = a->in[0];
    const struct push *p = a->push;
    const float *bias = a->i[1], *packed = bias + 4 * p->n;
    const size_t quads = (size_t)p->kh * p->kw * p->q;
    float *w = malloc(sizeof *w * 16 * quads); // of a quad of outputs
    if (!w)
        abort();
    for (int o = 0; o < (int)p->n; o++) {
        for (size_t i = 0; i < quads; i++)
            memcpy(w + 16 * i, packed + 16 * (i * p->n + (size_t)o), sizeof *w * 16);
        for (int b = 0; b < a->batch; b++)
            for (int oy = 0; oy < y.h; oy++)
                for (int ox = 0; ox < y.w; ox++) {
                    double sum[4] = {bias[4 * o], bias[4 * o + 1], bias[4 * o + 2], bias[4 * o + 3]};
                    for (int tap = 0; tap < (int)(p->kh * p->kw); tap++) {
                        const int iy = oy * (int)p->sy + tap / (int)p->kw * (int)p->dy - (int)p->pad_y;
                        const int ix = ox * (int)p->sx + tap % (int)p->kw * (int)p->dx - (int)p->pad_x;
                        if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w)
                            continue;
                        const float *in = a->i[0] + ww_at(x, b, 0, iy, ix), *of_tap = w + 16 * (size_t)tap * p->q;
                        for (size_t k = 0; k < (size_t)x.c; k++)
                            ww_add_quad(sum, in[k / 4 * (size_t)(x.h * x.w) * 4 + k % 4], of_tap + 4 * k);
                    }
                    for (int i = 0; i < 4 && 4 * o + i < y.c; i++)
                        a->o[0][ww_at(y, b, 4 * o + i, oy, ox)] = ww_activate(a->spec[4], (float)sum[i]);
                }
    }
    free(w);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3], o = size[4], k = size[5];
    const int stride = size[6], dilation = size[7] > 0 ? size[7] : 1;
    const struct ww_filter filter = ww_try_conv(t, k, c, o);
    const int reach = (k - 1) * dilation + 1;
    const bool padded = size[7] < 0; // as ResNet is
    if (padded) {
        ww_conv2d(ww_try_cmd(t),
                  ww_try_out(t, n, o, ww_padded(h, k, k / 2, stride), ww_padded(w, k, k / 2, stride)),
                  ww_try_in(t, n, c, h, w), &filter,
                  ww_conv_params(.stride = stride, .padded = true, .pad = k / 2, .act = WW_ACT_RELU));
        return;
    }
    ww_conv2d(ww_try_cmd(t),
              ww_try_out(t, n, o, ww_same(h, reach, stride).out, ww_same(w, reach, stride).out),
              ww_try_in(t, n, c, h, w), &filter,
              ww_conv_params(.stride = stride, .dilation = dilation, .act = WW_ACT_HSWISH));
}

// batch, height, width, channels in, out, window, stride, dilation or -1: padded
static const int sizes[][8] = {{1, 1, 1, 1, 1, 3, 1, 1},     {2, 9, 11, 3, 7, 3, 2, 1},
                               {1, 17, 12, 6, 18, 5, 1, 2},  {1, 15, 40, 3, 16, 7, 2, 1},
                               {2, 14, 17, 9, 12, 3, 2, -1},
                               {1, 23, 18, 3, 8, 7, 2, -1},  {1, 10, 9, 12, 24, 1, 2, -1},
                               {1, 12, 13, 16, 5, 3, 1, -1}, {2, 25, 21, 32, 18, 3, 2, -1},
                               {1, 25, 21, 128, 20, 3, 1, 2}, {1, 25, 42, 256, 256, 3, 1, -1},
                               {1, 256, 256, 3, 16, 3, 2, 1}, {0}};

const struct ww_kernel ww_kernel_conv2d = {
    .name = "conv2d",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_conv2d, "tile"),
                                          WW_SHADER(ww_spv_conv2d_flat, "flat"),
                                          WW_SHADER(ww_spv_conv2d_strip, "strip")},
    .num_shaders = 3,
    .for_cards = true,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 2e-6f,
};
