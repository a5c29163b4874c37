// y[r] = sum over p <= position of softmax_p(q[r].k[p] / sqrt(head)) v[p], keys and values cached
//
// Compute bound with many rows (4 head flops a row, head and position), bound by reading the cache
// with few: 8 head bytes for a position of a head.

#include "tokens.h"
#include "weights/weights.h"
#include "causal.comp.h"
#include "causal_few.comp.h"

#include <math.h>
#include <stdlib.h>

enum { MANY, FEW };

struct push {
    uint32_t rows, slots, group, keys;
    float scale;
    uint32_t ring;
};

void ww_causal(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor q,
               const struct ww_causal_params *p)
{
    ww_expect(g, ww_same_shape(y, q) && q.c == p->heads * p->head && p->rows.w == q.w);
    ww_expect(g, p->kv_heads > 0 && p->heads % p->kv_heads == 0);
    ww_expect(g, p->head > 0 && p->head % 4 == 0 && p->head <= 128);
    if (!ww_cmd_sound(g))
        return;
    const int quad = p->half ? 8 : 4; // channels of a texel of the cache
    ww_expect(g, p->keys % quad == 0 && p->head % quad == 0);
    ww_expect(g, p->cache.c / 4 * quad >= p->keys + p->kv_heads * p->head);
    const struct push push = {(uint32_t)q.w, (uint32_t)p->cache.w, (uint32_t)(p->heads / p->kv_heads),
                              (uint32_t)(p->keys / quad),
                              1.44269504f / sqrtf((float)p->head), // log2 e: powers of two follow
                              (uint32_t)(p->ring ? p->ring : p->cache.w)};
    const bool few = q.w <= WW_FEW_ROWS;
    ww_expect(g, p->ring >= 0 && p->ring <= p->cache.w);
    ww_launch(g, &ww_kernel_causal,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {q, p->cache, p->rows},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, 0, 1, 0, 0, 0, 8, (uint32_t)p->head / 4,
                                              p->half},
                  .num_spec = 9,
                  .variant = few ? FEW : MANY,
                  .groups = {(uint32_t)p->heads, few ? (uint32_t)q.w : WW_STRIP / 8,
                             few ? 1 : ww_div_up(q.w, WW_STRIP)},
                  .batched = !few});
}

// Channel `c` of a position whose keys or values begin at `at`.
static double cached(const float *at, size_t c, size_t slots, bool half)
{
    if (!half)
        return (double)at[4 * (c / 4 * slots) + c % 4];
    const uint8_t *texel = (const uint8_t *)(at + 4 * (c / 8 * slots));
    return (double)ww_type_float(WW_F16, texel + 2 * (c % 8));
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const size_t D = a->spec[7] * 4, heads = (size_t)a->in[0].c / D, slots = push->slots;
    const size_t wanted = push->rows <= WW_FEW_ROWS ? push->rows : (size_t)a->batch * WW_STRIP;
    const bool half = a->spec[8];
    double *weight = calloc(slots, sizeof *weight);
    if (!weight)
        abort();
    for (size_t r = 0; r < push->rows && r < wanted; r++)
        for (size_t h = 0; h < heads; h++) {
            const uint32_t *info = (const uint32_t *)a->i[2] + 4 * r;
            const size_t room = slots - info[3];
            const size_t past = info[1] + 1 < push->ring ? info[1] + 1 : push->ring;
            const size_t count = past < room ? past : room;
            const float *k = a->i[1] + 4 * (h / push->group * (D / (half ? 8 : 4)) * slots + info[3]);
            const float *v = k + 4 * (size_t)push->keys * slots;
            double largest = -1e30, sum = 0;
            for (size_t p = 0; p < count; p++) {
                double s = 0;
                for (size_t d = 0; d < D; d++)
                    s += (double)a->i[0][4 * ((h * D + d) / 4 * push->rows + r) + d % 4] *
                         cached(k + 4 * p, d, slots, half);
                weight[p] = s * (double)push->scale;
                largest = weight[p] > largest ? weight[p] : largest;
            }
            for (size_t p = 0; p < count; p++)
                sum += weight[p] = exp2(weight[p] - largest);
            for (size_t d = 0; d < D; d++) {
                double o = 0;
                for (size_t p = 0; p < count; p++)
                    o += weight[p] * cached(v + 4 * p, d, slots, half);
                a->o[0][4 * ((h * D + d) / 4 * push->rows + r) + d % 4] = (float)(o / sum);
            }
        }
    free(weight);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int rows = size[0], heads = size[1], kv = size[2], head = size[3], slots = size[4];
    const struct ww_tensor y = ww_try_out(t, 1, heads * head, 1, rows);
    ww_causal(ww_try_cmd(t), y, ww_try_in(t, 1, heads * head, 1, rows),
              &(struct ww_causal_params){.rows = ww_try_positions(t, rows, slots),
                                         .cache = size[6] ? ww_try_halves(t, 2 * kv * head, slots)
                                                          : ww_try_in(t, 1, 2 * kv * head, 1, slots),
                                         .heads = heads, .kv_heads = kv, .head = head,
                                         .keys = kv * head, .ring = size[5], .half = size[6]});
}

// rows, heads, heads of keys and values, width of a head, slots, ring, halves
static const int sizes[][8] = {{1, 2, 1, 16, 1},     {3, 6, 2, 16, 40},    {8, 4, 4, 64, 300},
                               {2, 6, 2, 16, 40, 7}, {33, 6, 2, 16, 50},   {9, 2, 1, 128, 64, 60},
                               {3, 6, 2, 16, 40, 0, 1}, {33, 4, 1, 64, 50, 0, 1},
                               {1, 9, 3, 64, 1024, 0, 1}, {256, 9, 3, 64, 256, 0, 1},
                               {1, 9, 3, 64, 1024},  {256, 9, 3, 64, 256}, {0}};

const struct ww_kernel ww_kernel_causal = {
    .name = "causal",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_causal, "many"),
                                          WW_SHADER(ww_spv_causal_few, "few")},
    .num_shaders = 2,
    .reference = reference,
    .view = {WW_VIEW_F32X4, WW_VIEW_U32X4, WW_VIEW_U32X4},
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f,
};
