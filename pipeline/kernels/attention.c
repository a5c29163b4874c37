// y[i] = sum over keys j of softmax_j(scale q[i].k[j] + bias[i][j] + mask[i][j]) v[j], head by head
//
// Attention (Vaswani et al., 2017, arXiv:1706.03762) in one pass over the keys with an online softmax
// (Milakov and Gimelshein, 2018, arXiv:1805.02867), as Dao et al. fused it (2022, arXiv:2205.14135):
// scores live in registers alone. Compute bound: of I queries and J keys of D numbers a head takes
// 4 I J D flops, and reads (I + 2 J ceil(I / 16)) D numbers. Values wider than a lane's registers
// are made in parts, which repeat the scores.

#include "filter.h"
#include "attention.comp.h"

#include <math.h>
#include <stdlib.h>

#define MAX_QUERY_QUADS 32 // 128 numbers of a head
#define MAX_VALUE_QUADS 16 // 64, of a part

struct push {
    uint32_t queries, keys, rows, parts, heads;
    float scale;
    uint32_t q_step, k_step, v_step, y_step, b_step, b_n, b_heads, m_step, m_n, m_heads;
};

static bool added_fits(struct ww_tensor t, struct ww_tensor q, struct ww_tensor k, int heads)
{
    return !ww_some(t) || (t.c == k.w && t.w == q.w && (t.h == 1 || t.h == heads) &&
                           q.n * q.h % t.n == 0);
}

// As few parts as fit, all of one size.
static int parts_of(int quads)
{
    int parts = (int)ww_div_up(quads, MAX_VALUE_QUADS);
    while (quads % parts)
        parts++;
    return parts;
}

void ww_attention(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor q, struct ww_tensor k,
                  struct ww_tensor v, const struct ww_attention_params *params)
{
    const int heads = params->heads;
    ww_expect(g, heads > 0 && q.c % (4 * heads) == 0 && v.c % (4 * heads) == 0);
    ww_expect(g, q.c == k.c && y.c == v.c && q.c / heads <= 4 * MAX_QUERY_QUADS);
    ww_expect(g, q.n == k.n && q.h == k.h && q.n == v.n && q.h == v.h && k.w == v.w);
    ww_expect(g, y.n == q.n && y.h == q.h && y.w == q.w);
    ww_expect(g, added_fits(params->bias, q, k, heads) && added_fits(params->mask, q, k, heads));
    ww_expect(g, !ww_some(params->lengths) ||
                     (params->lengths.n == 1 && params->lengths.c == 1 &&
                      params->lengths.h * params->lengths.w == q.n * q.h));
    if (!ww_cmd_sound(g))
        return;
    const int width = q.c / heads;
    const int QD = width / 4, VD = v.c / heads / 4, parts = parts_of(VD), R = q.w > 8 ? 2 : 1;
    const struct push push = {
        (uint32_t)q.w, (uint32_t)k.w, (uint32_t)q.h, (uint32_t)parts, (uint32_t)heads,
        params->scale > 0 ? params->scale : 1 / sqrtf((float)width),
        q.step, k.step, v.step, y.step,
        params->bias.step, (uint32_t)params->bias.n, (uint32_t)params->bias.h,
        params->mask.step, (uint32_t)params->mask.n, (uint32_t)params->mask.h};
    const uint32_t spec[] = {8,
                             (uint32_t)R,
                             (uint32_t)QD,
                             (uint32_t)(VD / parts),
                             (uint32_t)(R * QD),
                             (uint32_t)(R * VD / parts),
                             ww_some(params->bias),
                             ww_some(params->mask),
                             ww_some(params->lengths)};
    ww_launch(g, &ww_kernel_attention,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {q, k, v, params->bias, params->mask, params->lengths},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 9,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(q.w, 8 * R), (uint32_t)(q.h * heads * parts), (uint32_t)q.n},
                  .batched = true,
                  .macs = (double)q.h * q.w * k.w * (q.c * parts + v.c)});
}

static double added(const struct ww_args *a, int which, int sequence, int head, int i, int j)
{
    const struct ww_tensor t = a->in[which];
    return a->i[which] ? a->i[which][ww_at(t, sequence % t.n, j, head % t.h, i)] : 0;
}

// One query of one head; `p` has room for all keys.
static void attend(const struct ww_args *a, int b, int row, int head, int i, double *p)
{
    const struct push *push = a->push;
    const struct ww_tensor q = a->in[0], k = a->in[1], v = a->in[2], y = a->out[0];
    const int width = q.c / (int)push->heads, wide = v.c / (int)push->heads;
    const int sequence = b * q.h + row;
    const float given = a->i[5] ? a->i[5][4 * sequence] : (float)k.w;
    const int length = given < 0 ? 0 : given < (float)k.w ? (int)given : k.w;
    double most = -HUGE_VAL, sum = 0;
    for (int j = 0; j < length; j++) {
        double s = 0;
        for (int c = head * width; c < (head + 1) * width; c++)
            s += (double)a->i[0][ww_at(q, b, c, row, i)] * a->i[1][ww_at(k, b, c, row, j)];
        p[j] = fmax(s * push->scale + added(a, 3, sequence, head, i, j) +
                        added(a, 4, sequence, head, i, j),
                    -3.402823466e38);
        most = fmax(most, p[j]);
    }
    for (int j = 0; j < length; j++)
        sum += p[j] = exp(p[j] - most);
    for (int c = head * wide; c < (head + 1) * wide; c++) {
        double o = 0;
        for (int j = 0; j < length; j++)
            o += p[j] * a->i[2][ww_at(v, b, c, row, j)];
        a->o[0][ww_at(y, b, c, row, i)] = (float)(length ? o / sum : 0);
    }
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const struct ww_tensor q = a->in[0];
    double *p = malloc(sizeof *p * push->keys);
    if (!p)
        abort();
    for (int b = 0; b < a->batch; b++)
        for (int row = 0; row < q.h; row++)
            for (int head = 0; head < (int)push->heads; head++)
                for (int i = 0; i < q.w; i++)
                    attend(a, b, row, head, i, p);
    free(p);
}

enum { HAS_BIAS = 1, HAS_MASK = 2, HAS_LENGTHS = 4 };

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], queries = size[2], keys = size[3];
    const int heads = size[4], width = size[5], wide = size[6], with = size[7];
    const struct ww_tensor none = {0};
    const struct ww_tensor lengths =
        with & HAS_LENGTHS ? ww_try_whole(t, 1, 1, 1, n * rows, keys + 1) : none;
    ww_attention(ww_try_cmd(t), ww_try_out(t, n, heads * wide, rows, queries),
                 ww_try_in(t, n, heads * width, rows, queries),
                 ww_try_in(t, n, heads * width, rows, keys),
                 ww_try_in(t, n, heads * wide, rows, keys),
                 ww_attention_params(
                     .heads = heads, .scale = 1,
                     .bias = with & HAS_BIAS ? ww_try_in(t, 1, keys, heads, queries) : none,
                     .mask = with & HAS_MASK ? ww_try_in(t, n * rows, keys, 1, queries) : none,
                     .lengths = lengths));
}

// batch, rows, queries, keys, heads, width, width of values, 1: bias + 2: mask + 4: lengths
static const int sizes[][8] = {{1, 1, 1, 1, 1, 4, 4, 0},      {2, 1, 9, 13, 3, 12, 12, 2},
                               {1, 5, 8, 8, 4, 12, 12, 4},    {2, 2, 19, 33, 2, 64, 64, 7},
                               {1, 1, 40, 7, 2, 8, 68, 3},    {1, 4, 49, 49, 3, 32, 32, 3},
                               {1, 1, 21, 50, 1, 128, 256, 4}, {1, 1, 577, 577, 16, 64, 64, 0},
                               {0}};

const struct ww_kernel ww_kernel_attention = {
    .name = "attention",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_attention, "flash")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f, // the exponential of a sum of 64 products, rounded at 8
};
