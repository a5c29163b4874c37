// y[q] = sum over levels l and points p of softmax(a[q])[l, p] value_l at (reference[q] + offset[q, l, p])
//
// Multi-scale deformable attention (Zhu et al., 2020, arXiv:2010.04159, §4.1), with the softmax, the
// places and the bilinear samples in one pass. Bound by fetches: of L levels, K points and heads of D
// numbers a query fetches 4 L K D / 4 texels a head, nearly all from the cache, for 8 flops each.
// Samples lie where the network wants them, so lanes are queries, whose neighbours look near each other.

#include "detr.h"
#include "deformable.comp.h"

#include <math.h>

#define MAX_QUADS  32 // of a head
#define MAX_POINTS 16

struct push {
    uint32_t queries, tokens, levels, v_step, o_step, a_step, r_step, l_step, y_step, p_step;
    float reach;
};

void ww_deformable(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor value,
                   struct ww_tensor offsets, struct ww_tensor weights, struct ww_tensor reference,
                   struct ww_tensor levels, const struct ww_deformable_params *params)
{
    const int heads = params->heads, K = params->points, L = params->levels;
    ww_expect(g, heads > 0 && K > 0 && K <= MAX_POINTS && L > 0 && L <= WW_MAX_LEVELS);
    if (!ww_cmd_sound(g))
        return;
    const int KA = (int)ww_div_up(K, 4), KO = (int)ww_div_up(K, 2), D = value.c / (4 * heads);
    ww_expect(g, value.c == 4 * heads * D && D > 0 && D <= MAX_QUADS && y.c == value.c);
    ww_expect(g, offsets.c == 4 * heads * L * KO && weights.c == 4 * heads * L * KA);
    ww_expect(g, value.h == 1 && y.h == 1 && offsets.h == 1 && weights.h == 1 && reference.h == 1);
    ww_expect(g, offsets.w == y.w && weights.w == y.w && reference.w == y.w && reference.c == 4);
    ww_expect(g, levels.c == 4 && levels.h == 1 && levels.w == 2 * L);
    ww_expect(g, value.n == y.n && offsets.n == y.n && weights.n == y.n && reference.n == y.n &&
                     levels.n == y.n);
    ww_expect(g, !ww_some(params->places) ||
                     (params->places.n == y.n && params->places.c == 4 * heads * L * K &&
                      params->places.h == 1 && params->places.w == y.w));
    const struct push push = {(uint32_t)y.w,   (uint32_t)value.w, (uint32_t)L,    value.step,
                              offsets.step,    weights.step,      reference.step, levels.step,
                              y.step,          params->places.step,
                              params->boxes ? 0.5f / (float)K : 0};
    const uint32_t spec[] = {8, (uint32_t)K, (uint32_t)D, (uint32_t)KA, (uint32_t)KO,
                             ww_some(params->places)};
    ww_launch(g, &ww_kernel_deformable,
              &(struct ww_launch_params){
                  .out = {y, params->places},
                  .in = {value, offsets, weights, reference, levels},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 6,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8), (uint32_t)heads, (uint32_t)y.n},
                  .batched = true,
                  .macs = 4.0 * y.w * y.c * L * K});
}

// One level as a query of one head sees it.
struct sight {
    const struct ww_args *a;
    struct ww_level level;
    int b, first; // of the batch; the head's first channel
};

static double cell(const struct sight *s, int c, double x, double y)
{
    if (!(x >= 0 && x < (double)s->level.valid_w && y >= 0 && y < (double)s->level.valid_h))
        return 0;
    const int token = (int)s->level.first + (int)y * (int)s->level.w + (int)x;
    return (double)s->a->i[0][ww_at(s->a->in[0], s->b, s->first + c, 0, token)];
}

// Adds `weight` times the sample at (x, y), in cells from the corner, to `sum`.
static void sample(const struct sight *s, double weight, double x, double y, int width, double *sum)
{
    const double x0 = floor(x - 0.5), y0 = floor(y - 0.5), u = x - 0.5 - x0, v = y - 0.5 - y0;
    for (int c = 0; c < width; c++)
        sum[c] += weight * ((1 - v) * ((1 - u) * cell(s, c, x0, y0) + u * cell(s, c, x0 + 1, y0)) +
                            v * ((1 - u) * cell(s, c, x0, y0 + 1) + u * cell(s, c, x0 + 1, y0 + 1)));
}

static float weight_at(const struct ww_args *a, int b, int head, int l, int p, int q)
{
    const struct push *push = a->push;
    const int KA = (int)a->spec[3];
    return a->i[2][ww_at(a->in[2], b, (head * (int)push->levels + l) * 4 * KA + p, 0, q)];
}

static void look(const struct ww_args *a, int b, int head, int q)
{
    const struct push *push = a->push;
    const int K = (int)a->spec[1], width = 4 * (int)a->spec[2], KO = (int)a->spec[4];
    const int L = (int)push->levels;
    double most = -HUGE_VAL, sum = 0, y[4 * MAX_QUADS] = {0};
    for (int l = 0; l < L; l++)
        for (int p = 0; p < K; p++)
            most = fmax(most, (double)weight_at(a, b, head, l, p, q));
    for (int l = 0; l < L; l++)
        for (int p = 0; p < K; p++)
            sum += exp((double)weight_at(a, b, head, l, p, q) - most);
    const float *r = a->i[3] + ww_at(a->in[3], b, 0, 0, q);
    for (int l = 0; l < L; l++) {
        const float *at = a->i[4] + ww_at(a->in[4], b, 0, 0, 2 * l);
        const struct sight s = {
            a, {at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7]}, b, head * width};
        for (int p = 0; p < K; p++) {
            const int c = (head * L + l) * 4 * KO + 2 * p;
            const double size[2] = {(double)at[0], (double)at[1]};
            double place[2];
            for (int d = 0; d < 2; d++) {
                const double o = (double)a->i[1][ww_at(a->in[1], b, c + d, 0, q)];
                const double unit = push->reach > 0 ? (double)push->reach * (double)r[2 + d] *
                                                          (double)at[6 + d] * size[d]
                                                    : 1;
                place[d] = (double)r[d] * (double)at[6 + d] * size[d] + o * unit;
            }
            const double weight = exp((double)weight_at(a, b, head, l, p, q) - most) / sum;
            sample(&s, weight, place[0], place[1], width, y);
            if (a->o[1]) {
                float *out = a->o[1] + ww_at(a->out[1], b, ((head * L + l) * K + p) * 4, 0, q);
                out[0] = (float)(place[0] / size[0]);
                out[1] = (float)(place[1] / size[1]);
                out[2] = (float)weight;
                out[3] = 0;
            }
        }
    }
    for (int i = 0; i < width; i++)
        a->o[0][ww_at(a->out[0], b, head * width + i, 0, q)] = (float)y[i];
}

static void reference(const struct ww_args *a)
{
    const int width = 4 * (int)a->spec[2], heads = a->out[0].c / width;
    for (int b = 0; b < a->batch; b++)
        for (int head = 0; head < heads; head++)
            for (int q = 0; q < a->out[0].w; q++)
                look(a, b, head, q);
}

enum { BOXES = 1, PLACES = 2 };

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], queries = size[1], heads = size[2], width = size[3];
    const int L = size[4], K = size[5], h = size[6] / 1000, w = size[6] % 1000, with = size[7];
    int tokens;
    const struct ww_tensor levels = ww_try_levels(t, n, L, h, w, &tokens);
    const int KA = (int)ww_div_up(K, 4), KO = (int)ww_div_up(K, 2);
    const struct ww_tensor y = ww_try_out(t, n, heads * width, 1, queries);
    ww_deformable(ww_try_cmd(t), y, ww_try_in(t, n, heads * width, 1, tokens),
                  ww_try_in(t, n, heads * L * KO * 4, 1, queries),
                  ww_try_in(t, n, heads * L * KA * 4, 1, queries), ww_try_in(t, n, 4, 1, queries),
                  levels,
                  ww_deformable_params(.heads = heads, .levels = L, .points = K,
                                       .boxes = with & BOXES,
                                       .places = with & PLACES
                                                     ? ww_try_out(t, n, 4 * heads * L * K, 1, queries)
                                                     : (struct ww_tensor){0}));
}

// batch, queries, heads, width, levels, points, height and width of the first level, 1: boxes + 2: places;
// the last is a layer of the encoder at 512 x 683
static const int sizes[][8] = {{1, 1, 1, 4, 1, 1, 1001, 0},    {2, 21, 4, 8, 4, 4, 7009, 2},
                               {3, 9, 2, 16, 3, 3, 5006, 1},   {2, 13, 8, 32, 4, 4, 11008, 3},
                               {1, 7, 1, 64, 2, 6, 9004, 0},   {1, 7344, 8, 32, 4, 4, 64086, 0},
                               {0}};

const struct ww_kernel ww_kernel_deformable = {
    .name = "deformable",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_deformable, "query")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-5f, // a place is a float: of 86 cells 17 bits are left of the point's right
};
