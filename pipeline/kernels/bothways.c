// p[s][h, i] = exp(z[s][h, i] - max_i) / sum_i, e[s][h, i] = exp(z[s][h, i] - max_s)
//
// One table of likeness between tokens s and words i, and the two softmaxes of an attention both ways
// (Li et al., 2022, arXiv:2112.03857, §3.2). Over the words, all of it; over the tokens its
// exponentials, whose sums fall out of the product that reads them. Memory bound.

#include "words.h"
#include "bothways.comp.h"

#include <math.h>

struct push {
    uint32_t tokens, heads, q, z_step, t_step, s_step, p_step, e_step;
};

void ww_both_ways(struct ww_cmd *g, struct ww_tensor words, struct ww_tensor tokens,
                  struct ww_tensor z, struct ww_tensor tops, struct ww_tensor shown,
                  struct ww_tensor lengths, int heads)
{
    ww_expect(g, heads > 0 && z.c % (4 * heads) == 0 && z.h == 1);
    ww_expect(g, ww_same_shape(words, z) && ww_same_shape(tokens, z));
    ww_expect(g, tops.n == z.n && tops.c == z.c && tops.h == 1 && tops.w == 1);
    ww_expect(g, shown.n == z.n && shown.h == 1 && shown.w == z.w);
    ww_expect(g, lengths.n == 1 && lengths.c == 1 && lengths.h == 1 && lengths.w == z.n);
    if (!ww_cmd_sound(g))
        return;
    const struct push push = {(uint32_t)z.w, (uint32_t)heads, (uint32_t)(z.c / heads / 4),
                              z.step,        tops.step,       shown.step,
                              words.step,    tokens.step};
    ww_launch(g, &ww_kernel_bothways,
              &(struct ww_launch_params){.out = {words, tokens},
                                         .in = {z, tops, shown, lengths},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(z.w, 8), (uint32_t)heads, (uint32_t)z.n},
                                         .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const struct ww_tensor z = a->in[0];
    const int words = z.c / (int)push->heads;
    for (int b = 0; b < a->batch; b++)
        for (int s = 0; s < z.w; s++)
            for (int first = 0; first < z.c; first += words) {
                const float given = a->i[3][4 * b];
                const int length = given < (float)words ? (int)given : words;
                double most = -HUGE_VAL, sum = 0;
                for (int i = 0; i < length; i++)
                    most = fmax(most, (double)a->i[0][ww_at(z, b, first + i, 0, s)]);
                for (int i = 0; i < length; i++)
                    sum += exp((double)a->i[0][ww_at(z, b, first + i, 0, s)] - most);
                for (int c = first; c < first + words; c++) {
                    const double x = (double)a->i[0][ww_at(z, b, c, 0, s)];
                    const bool shown = a->i[2][ww_at(a->in[2], b, 0, 0, s)] != 0;
                    const double top = (double)a->i[1][ww_at(a->in[1], b, c, 0, 0)];
                    a->o[1][ww_at(a->out[1], b, c, 0, s)] = shown ? (float)exp(x - top) : 0;
                    a->o[0][ww_at(a->out[0], b, c, 0, s)] =
                        c - first < length ? (float)(exp(x - most) / sum) : 0;
                }
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], tokens = size[1], words = size[2], heads = size[3];
    const struct ww_tensor z = ww_try_in(t, n, heads * words, 1, tokens);
    ww_both_ways(ww_try_cmd(t), ww_try_out(t, n, heads * words, 1, tokens),
                 ww_try_out(t, n, heads * words, 1, tokens), z, ww_try_in(t, n, heads * words, 1, 1),
                 ww_try_whole(t, n, 1, 1, tokens, 2), ww_try_whole(t, 1, 1, 1, n, words + 1), heads);
}

// batch, tokens, words, heads
static const int sizes[][8] = {{1, 1, 4, 1}, {3, 21, 12, 2}, {2, 9, 256, 4}, {1, 22223, 16, 4}, {0}};

const struct ww_kernel ww_kernel_bothways = {
    .name = "bothways",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_bothways, "token")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-6f,
};
