// y[r][o] = end(sum over i of W[o][i] x[r][i]), weights in the numbers of their file
//
// Compute bound with many rows: 2 K N flops a row, the weights fetched once for 32 rows. With few it
// is bound by what it takes to fetch the weights and turn them into floats: P / 8 bytes each.

#include "tokens.h"
#include "weights/blocks.h"
#include "matmul.comp.h"
#include "matmul_few.comp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS  4 // TM: rows of a lane
#define PAIRS 2 // of output quads of a lane
#define FEW_TILES 30 // of a matrix, from which on two a lane leave groups enough

enum { MANY, FEW };
enum { PLAIN, RESIDUAL, GATED, TURNED, HALVED };

struct push {
    uint32_t rows, blocks, unused;
    float inverse_width, eps;
    uint32_t first, q, qk, turn, slots;
};

static struct ww_tensor weights_of(struct ww_cmd *g, const struct ww_linear *m)
{
    return ww_stored_tensor(g, m->storage, m->first, 1, 4, 1, (int)ww_linear_texels(m));
}

// Of few rows, how many tiles a lane goes through together. Software Vulkan shares among two of them what it
// takes to fetch inputs and to sum them up, where groups are enough for threads to have about as many.
static uint32_t few_tiles(struct ww_cmd *g, uint32_t tiles, bool gated, int rows)
{
    const uint32_t least = gated ? 2 : 1;
    const bool two = ww_for_software(g) && rows <= 2 && tiles >= FEW_TILES && tiles % (2 * least) == 0;
    return two ? 2 * least : least;
}

void ww_matmul(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, const struct ww_linear *m,
               const struct ww_matmul_params *params)
{
    const struct ww_turning *t = params->turning;
    const bool few = x.w <= WW_FEW_ROWS;
    ww_expect(g, x.n == 1 && x.h == 1 && x.c == m->k && x.w == y.w && y.h == 1);
    ww_expect(g, y.c == (t ? t->q : m->gated ? m->n / 2 : m->n));
    ww_expect(g, !(t && (m->gated || ww_some(params->residual))));
    ww_expect(g, few || !params->norm);
    ww_expect(g, !t || (t->head % 4 == 0 && t->first % 4 == 0 && t->q % 4 == 0 && t->k % 4 == 0));
    ww_expect(g, ww_linear_takes(m->type));
    if (!ww_cmd_sound(g))
        return;
    struct push push = {.rows = (uint32_t)x.w,
                        .blocks = (uint32_t)m->k / WW_TILE,
                        .inverse_width = params->width ? 1 / (float)params->width : 0,
                        .eps = params->eps};
    if (t) {
        push.first = (uint32_t)t->first / 4;
        push.q = (uint32_t)t->q / 4;
        push.qk = (uint32_t)(t->q + t->k) / 4;
        push.turn = (uint32_t)t->head / 4;
        push.slots = (uint32_t)t->cache.w;
    }
    const struct ww_layout l = ww_linear_layout(m->type);
    const uint32_t end = t ? (t->half ? HALVED : TURNED) : m->gated ? GATED : ww_some(params->residual) ? RESIDUAL : PLAIN;
    const uint32_t tiles = (uint32_t)m->n / WW_TILE, each = few_tiles(g, tiles, m->gated, x.w);
    const uint32_t many_spec[] = {8, l.kind, l.inputs, l.high, l.scale, (uint32_t)l.offset, l.fetches,
                                  ROWS, PAIRS, end};
    const uint32_t few_spec[] = {8, l.kind, l.inputs, l.high, l.scale, (uint32_t)l.offset, l.fetches,
                                 (uint32_t)x.w, each, end, params->norm != NULL,
                                 WW_TILE / l.inputs};
    const struct ww_tensor none = {0};
    ww_launch(g, &ww_kernel_matmul,
              &(struct ww_launch_params){
                  .out = {y, t ? t->cache : none},
                  .in = {x, weights_of(g, m), t ? t->rows : params->residual,
                         params->norm ? ww_filter_tensor(g, params->norm) : none,
                         t ? t->turns : none},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = few ? few_spec : many_spec,
                  .num_spec = few ? 12 : 10,
                  .variant = few ? FEW : MANY,
                  .groups = {few ? tiles / each : m->gated ? tiles * 2 : tiles * 4 / PAIRS, 1,
                             few ? 1 : ww_div_up(x.w, WW_STRIP)},
                  .batched = !few,
                  .macs = (double)x.w * m->k * m->n});
}

// Two neighbours turned by their position's angle.
static void turn(double *v, const float *c)
{
    for (int i = 0; i < 4; i += 2) {
        const double a = v[i], b = v[i + 1];
        v[i] = a * c[i] - b * c[i + 1];
        v[i + 1] = b * c[i] + a * c[i + 1];
    }
}

// What put() of shaders/linear.glsl does.
static void put(const struct ww_args *a, uint32_t end, size_t quad, size_t row, double v[4],
                const double opened[4])
{
    const struct push *push = a->push;
    float *to = a->o[0] + 4 * (quad * push->rows + row);
    uint8_t *halves = NULL;
    if (end >= TURNED) {
        const size_t at = push->first + quad;
        const uint32_t *info = (const uint32_t *)a->i[2] + 4 * row;
        if (at < push->qk)
            turn(v, a->i[4] + 4 * ((size_t)info[1] * push->turn + at % push->turn));
        to = at < push->q ? a->o[0] + 4 * (at * push->rows + row)
                          : a->o[1] + 4 * ((at - push->q) * push->slots + info[2]);
        if (end == HALVED && at >= push->q)
            halves = (uint8_t *)(a->o[1] + 4 * ((at - push->q) / 2 * push->slots + info[2])) + 8 * (at % 2);
    }
    for (int i = 0; i < 4; i++) {
        if (end == RESIDUAL)
            v[i] += a->i[2][4 * (quad * push->rows + row) + (size_t)i];
        if (end == GATED)
            v[i] *= opened[i] / (1 + exp(-v[i]));
        if (halves)
            memcpy(halves + 2 * i, &(uint16_t){ww_half((float)v[i])}, 2);
        else
            to[i] = (float)v[i];
    }
}

// Adds one record's share to a quad of outputs of every row.
static void add_record(const struct ww_args *a, enum ww_type type, size_t texel, size_t block,
                       size_t rows, double (*sum)[4])
{
    float w[4][WW_TILE];
    ww_linear_record(type, a->i[1] + 4 * texel, w);
    const struct push *push = a->push;
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < WW_TILE; i++) {
            double x = a->i[0][4 * ((block * 8 + i / 4) * push->rows + r) + i % 4];
            if (a->i[3])
                x *= a->i[3][block * WW_TILE + i];
            for (int o = 0; o < 4; o++)
                sum[r][o] += w[o][i] * x;
        }
}

static enum ww_type type_of(const uint32_t *spec)
{
    for (int type = 0; type < WW_NUM_TYPES; type++) {
        const struct ww_layout l = ww_linear_layout((enum ww_type)type);
        if (l.texels && l.kind == spec[1] && l.high == spec[3] && l.scale == spec[4] &&
            l.offset == (int32_t)spec[5])
            return (enum ww_type)type;
    }
    return WW_F32;
}

static double inverse_root(const struct ww_args *a, size_t row)
{
    const struct push *push = a->push;
    double sum = 0;
    for (size_t i = 0; i < push->blocks * WW_TILE; i++) {
        const double x = a->i[0][4 * (i / 4 * push->rows + row) + i % 4];
        sum += x * x;
    }
    return 1 / sqrt(sum * (double)push->inverse_width + (double)push->eps);
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const uint32_t end = a->spec[9];
    const bool few = push->rows <= WW_FEW_ROWS, gated = end == GATED;
    const size_t wanted = few ? push->rows : (size_t)a->batch * WW_STRIP;
    const size_t rows = wanted < push->rows ? wanted : push->rows;
    const enum ww_type type = type_of(a->spec);
    const size_t P = ww_linear_layout(type).texels;
    const size_t quads = (size_t)a->in[1].w / P / push->blocks / (gated ? 2 : 1);
    double(*sum)[4] = calloc(2 * rows, sizeof *sum), *factor = calloc(rows, sizeof *factor);
    if (!sum || !factor)
        abort();
    for (size_t r = 0; r < rows; r++)
        factor[r] = a->i[3] ? inverse_root(a, r) : 1;
    for (size_t quad = 0; quad < quads; quad++) {
        memset(sum, 0, 2 * rows * sizeof *sum);
        for (size_t block = 0; block < push->blocks; block++)
            for (size_t half = 0; half < (gated ? 2u : 1u); half++) {
                const size_t tile = gated ? quad / 8 * 2 + half : quad / 8;
                add_record(a, type, ww_linear_texel(type, push->blocks, 8 * tile + quad % 8, block), block, rows,
                           sum + half * rows);
            }
        for (size_t r = 0; r < rows; r++) {
            for (int i = 0; i < 4; i++) {
                sum[r][i] *= factor[r];
                sum[rows + r][i] *= factor[r];
            }
            put(a, end, quad, r, sum[r], sum[rows + r]);
        }
    }
    free(sum);
    free(factor);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int rows = size[0], k = size[1], n = size[2];
    ww_try_strips(t, rows);
    const bool gated = size[4] == GATED, turned = size[4] >= TURNED;
    const struct ww_linear m = ww_try_matrix(t, (enum ww_type)size[3], k, n, gated);
    const struct ww_filter gain = ww_try_row(t, k);
    struct ww_turning turning = {.q = 32, .k = 32, .head = 16, .half = size[4] == HALVED};
    if (turned) {
        turning.turns = ww_try_in(t, 1, 4, 1, 40 * 4);
        turning.rows = ww_try_positions(t, rows, 40);
    }
    const struct ww_tensor x = ww_try_in(t, 1, k, 1, rows);
    const struct ww_tensor y = ww_try_out(t, 1, turned ? 32 : gated ? n / 2 : n, 1, rows);
    if (turned)
        turning.cache = turning.half ? ww_try_zeros(t, (n - 32) / 2, 40) : ww_try_out(t, 1, n - 32, 1, 40);
    ww_matmul(ww_try_cmd(t), y, x, &m,
              &(struct ww_matmul_params){
                  .residual = size[4] == RESIDUAL ? ww_try_in(t, 1, n, 1, rows) : (struct ww_tensor){0},
                  .turning = turned ? &turning : NULL,
                  .norm = size[5] ? &gain : NULL,
                  .width = k - 1,
                  .eps = 1e-5f});
    if (!turning.half)
        return;
    // Halves are judged by what attention reads of them; where one is rounded the other way, that is off.
    ww_try_tolerance(t, 0x1p-11f);
    ww_causal(ww_try_cmd(t), ww_try_out(t, 1, 32, 1, rows), y,
              &(struct ww_causal_params){.rows = turning.rows, .cache = turning.cache, .heads = 2,
                                         .kv_heads = 2, .head = 16, .keys = 32, .half = true});
}

// rows, inputs, outputs, type, end, norm before
static const int sizes[][8] = {{1, 32, 32, WW_F32, PLAIN, 0},     {3, 64, 96, WW_F16, RESIDUAL, 1},
                               {8, 96, 64, WW_BF16, GATED, 1},    {1, 64, 64, WW_Q8_0, PLAIN, 1},
                               {2, 64, 96, WW_Q4_0, TURNED, 1},   {1, 64, 128, WW_Q4_1, GATED, 1},
                               {4, 96, 32, WW_Q5_0, RESIDUAL, 0}, {1, 32, 32, WW_Q5_1, PLAIN, 0},
                               {1, 256, 32, WW_Q4_K, PLAIN, 0},   {2, 256, 32, WW_Q5_K, PLAIN, 0},
                               {1, 512, 64, WW_Q6_K, RESIDUAL, 1}, {9, 32, 32, WW_F32, PLAIN, 0},
                               {40, 64, 96, WW_F16, RESIDUAL, 0}, {33, 32, 64, WW_BF16, GATED, 0},
                               {17, 64, 32, WW_Q8_0, PLAIN, 0},   {35, 64, 96, WW_Q4_0, TURNED, 0},
                               {3, 64, 96, WW_F16, HALVED, 1},    {35, 64, 96, WW_Q8_0, HALVED, 0},
                               {65, 96, 128, WW_Q4_1, GATED, 0},  {12, 32, 32, WW_Q5_0, PLAIN, 0},
                               {12, 32, 32, WW_Q5_1, PLAIN, 0},   {12, 256, 32, WW_Q4_K, PLAIN, 0},
                               {12, 256, 32, WW_Q5_K, PLAIN, 0},  {12, 512, 32, WW_Q6_K, PLAIN, 0},
                               {1, 64, 1024, WW_Q8_0, PLAIN, 0},  {2, 96, 960, WW_Q4_1, TURNED, 1},
                               {1, 64, 992, WW_F16, RESIDUAL, 1}, {2, 256, 1024, WW_Q6_K, HALVED, 1},
                               {1, 576, 3072, WW_Q4_1, GATED, 1}, {256, 576, 3072, WW_Q4_1, GATED, 0},
                               {0}};

const struct ww_kernel ww_kernel_matmul = {
    .name = "matmul",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_matmul, "many"),
                                          WW_SHADER(ww_spv_matmul_few, "few")},
    .num_shaders = 2,
    .view = {WW_VIEW_F32X4, WW_VIEW_U32X4, WW_VIEW_U32X4},
    .exact = true,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f,
};
