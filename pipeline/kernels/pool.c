// y[i][h, c] = sum over s of e[s][h, i] x[s][c] / sum over s of e[s][h, i]
//
// What the words see of a picture: a product over its many tokens, in pieces that are joined in a second
// launch. Compute bound: S heads N C multiply-adds, 512 for each twelve fetches of a lane.

#include "words.h"
#include "pool.comp.h"
#include "pool_join.comp.h"

#define PIECES    16  // of the tokens, if there are enough
#define MIN_PIECE 256
#define WORDS     4 // quads of words that a lane sums for its quad of channels

struct push {
    uint32_t tokens, piece, pieces, e_quads, head_quads, x_quads, e_step, x_step, y_step, t_step;
};
struct join {
    uint32_t words, pieces, q, p_step, t_step, y_step;
};

void ww_pool(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor e, struct ww_tensor x, int heads)
{
    ww_expect(g, heads > 0 && e.n == x.n && e.h == 1 && x.h == 1 && e.w == x.w && x.c % 4 == 0);
    ww_expect(g, y.n == x.n && y.h == 1 && y.c == heads * x.c && y.w % 4 == 0 && e.c == heads * y.w);
    if (!ww_cmd_sound(g))
        return;
    int piece = (int)ww_div_up((int)ww_div_up(x.w, PIECES), 8) * 8;
    piece = piece < MIN_PIECE ? MIN_PIECE : piece;
    const int pieces = (int)ww_div_up(x.w, piece), words = y.w;
    const struct ww_tensor parts = ww_activation(g, y.n, y.c, pieces, words);
    const struct ww_tensor totals = ww_activation(g, y.n, 4 * heads, pieces, words);
    const struct push push = {(uint32_t)x.w,      (uint32_t)piece,       (uint32_t)pieces,
                              (uint32_t)e.c / 4,  (uint32_t)words / 4,   (uint32_t)x.c / 4,
                              e.step,             x.step,                parts.step,
                              totals.step};
    const uint32_t tiles = ww_div_up(e.c, 4 * WORDS) * ww_div_up(x.c, 4 * 8);
    ww_launch(g, &ww_kernel_pool,
              &(struct ww_launch_params){.out = {parts, totals},
                                         .in = {e, x},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8, WORDS},
                                         .num_spec = 2,
                                         .groups = {tiles, (uint32_t)pieces, (uint32_t)x.n},
                                         .batched = true,
                                         .macs = (double)x.w * e.c * x.c});
    const struct join join = {(uint32_t)words, (uint32_t)pieces, (uint32_t)x.c / 4,
                              parts.step,      totals.step,      y.step};
    ww_launch(g, &ww_kernel_pool_join,
              &(struct ww_launch_params){.out = {y},
                                         .in = {parts, totals},
                                         .push = &join,
                                         .push_bytes = sizeof join,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(words, 8), (uint32_t)ww_quads(y),
                                                    (uint32_t)y.n},
                                         .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const struct ww_tensor e = a->in[0], x = a->in[1], y = a->out[0];
    const int words = y.w;
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int p = 0; p < y.h; p++)
                for (int i = 0; i < words; i++) {
                    const int head = c / x.c, end = (p + 1) * (int)push->piece;
                    double sum = 0, total = 0;
                    for (int s = p * (int)push->piece; s < end && s < x.w; s++) {
                        const double share = (double)a->i[0][ww_at(e, b, head * words + i, 0, s)];
                        sum += share * (double)a->i[1][ww_at(x, b, c % x.c, 0, s)];
                        total += share;
                    }
                    a->o[0][ww_at(y, b, c, p, i)] = (float)sum;
                    if (c % x.c == 0)
                        a->o[1][ww_at(a->out[1], b, 4 * head, p, i)] = (float)total;
                    else if (c % x.c < 4)
                        a->o[1][ww_at(a->out[1], b, 4 * head + c % x.c, p, i)] = 0;
                }
}

static void join_reference(const struct ww_args *a)
{
    const struct join *push = a->push;
    const struct ww_tensor parts = a->in[0], totals = a->in[1], y = a->out[0];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < y.c; c++)
            for (int i = 0; i < y.w; i++) {
                double sum = 0, total = 0;
                for (int p = 0; p < parts.h; p++) {
                    sum += (double)a->i[0][ww_at(parts, b, c, p, i)];
                    total += (double)a->i[1][ww_at(totals, b, c / 4 / (int)push->q * 4, p, i)];
                }
                a->o[0][ww_at(y, b, c, 0, i)] = total > 0 ? (float)(sum / total) : 0;
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], tokens = size[1], words = size[2], heads = size[3], c = size[4];
    ww_pool(ww_try_cmd(t), ww_try_out(t, n, heads * c, 1, words),
            ww_try_whole(t, n, heads * words, 1, tokens, 5), ww_try_in(t, n, c, 1, tokens), heads);
}

// batch, tokens, words, heads, channels
static const int sizes[][8] = {{1, 1, 4, 1, 4},        {2, 37, 4, 3, 12},      {1, 1000, 12, 2, 20},
                               {2, 300, 20, 1, 8},     {1, 5577, 16, 4, 256}, {0}};

const struct ww_kernel ww_kernel_pool = {
    .name = "pool",
    .exact = true,
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_pool, "team")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f, // sums of mixed sign that cancel down to a few of their terms
};

const struct ww_kernel ww_kernel_pool_join = {
    .name = "pool_join",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_pool_join, "texel")},
    .num_shaders = 1,
    .reference = join_reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f,
};
