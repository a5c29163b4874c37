// y[c] = the largest x[r][c] of all rows r that are shown
//
// In two launches: of pieces of the rows, then of what they came to. Memory bound.

#include "words.h"
#include "tops.comp.h"

#include <math.h>

#define PIECES 32
#define LOWEST (-3.402823466e38f)

struct push {
    uint32_t rows, piece, x_step, s_step, y_step, pieces;
};

static void tops(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor shown,
                 int piece)
{
    const struct push push = {(uint32_t)x.w, (uint32_t)piece, x.step, shown.step, y.step,
                              (uint32_t)y.w};
    ww_launch(g, &ww_kernel_tops,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x, shown},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8, ww_some(shown)},
                                         .num_spec = 2,
                                         .groups = {push.pieces, (uint32_t)ww_quads(x), (uint32_t)x.n},
                                         .batched = true});
}

void ww_tops(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor shown)
{
    ww_expect(g, y.n == x.n && y.c == x.c && y.h == 1 && y.w == 1);
    ww_expect(g, x.h == 1 && x.w <= 1 << 21); // loops of 65,535 turns at most
    ww_expect(g, !ww_some(shown) || (shown.n == x.n && shown.h == 1 && shown.w == x.w));
    if (x.w <= 256) {
        tops(g, y, x, shown, x.w);
        return;
    }
    const int piece = (int)ww_div_up(x.w, PIECES);
    const struct ww_tensor parts = ww_activation(g, x.n, x.c, 1, (int)ww_div_up(x.w, piece));
    tops(g, parts, x, shown, piece);
    tops(g, y, parts, (struct ww_tensor){0}, parts.w);
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const struct ww_tensor x = a->in[0], y = a->out[0];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int p = 0; p < y.w; p++) {
                float top = LOWEST;
                const int end = (p + 1) * (int)push->piece;
                for (int r = p * (int)push->piece; r < end && r < x.w; r++)
                    if (!a->i[1] || a->i[1][ww_at(a->in[1], b, 0, 0, r)] != 0)
                        top = fmaxf(top, a->i[0][ww_at(x, b, c, 0, r)]);
                a->o[0][ww_at(y, b, c, 0, p)] = top;
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], c = size[2];
    ww_tops(ww_try_cmd(t), ww_try_out(t, n, c, 1, 1), ww_try_in(t, n, c, 1, rows),
            size[3] ? ww_try_whole(t, n, 1, 1, rows, 2) : (struct ww_tensor){0});
}

// batch, rows, channels, some shown
static const int sizes[][8] = {{1, 1, 4, 0}, {2, 33, 12, 1}, {3, 300, 8, 1}, {2, 1011, 20, 0},
                               {1, 22223, 64, 1}, {0}};

const struct ww_kernel ww_kernel_tops = {
    .name = "tops",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_tops, "team")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
