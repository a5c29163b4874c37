// The kernels of detectors against PyTorch's in float64, on every device.

#include "golden.h"
#include "models/pyramid.h"

// The operations ----------------------------------------------------------------------------------

static void group_norm(struct trial *t)
{
    struct ww_error err = {0};
    const struct ww_tensor x = map(t, tensor_of(t, "x"));
    float *w = calloc(2 * (size_t)x.c, sizeof *w);
    struct ww_filter norm;
    struct ww_bank *bank = ww_bank_create();
    for (int c = 0; w && c < x.c; c++) {
        w[c] = ww_weight_float(tensor_of(t, "weight"), (size_t)c);
        w[x.c + c] = ww_weight_float(tensor_of(t, "bias"), (size_t)c);
    }
    ww_pack_norm(bank, &norm, x.c, w, w + x.c);
    CHECK(ww_bank_upload(bank, t->device, t->storage, 4, &t->num_storages, &err));
    ww_bank_destroy(&bank);
    free(w);
    const struct ww_tensor y = ww_result_tensor(t->g, x.n, x.c, x.h, x.w);
    ww_groupnorm(t->g, y, x, &norm, (int)number(t, "groups"), (float)number(t, "eps"), 0);
    if (replay(t))
        compare_tensor(t, "out", y, false);
}

static void max_pool2d(struct trial *t)
{
    const struct ww_tensor x = map(t, tensor_of(t, "x"));
    const struct ww_weight *out = tensor_of(t, "out");
    const struct ww_tensor y =
        ww_result_tensor(t->g, x.n, x.c, (int)out->dim[2], (int)out->dim[3]);
    ww_maxpool(t->g, y, x,
               ww_maxpool_params(.k = (int)number(t, "kernel"), .stride = (int)number(t, "stride"),
                                 .pad = (int)number(t, "padding")));
    if (replay(t))
        compare_tensor(t, "out", y, false);
}

// Sampling alone: places and weights are given, so that references are zero and weights logarithms.
static void deformable_attention(struct trial *t)
{
    const struct ww_weight *value = tensor_of(t, "value"), *at = tensor_of(t, "locations"),
                           *weights = tensor_of(t, "weights"), *shapes = tensor_of(t, "shapes");
    const int n = (int)value->dim[0], tokens = (int)value->dim[1], heads = (int)value->dim[2];
    const int width = (int)value->dim[3], room = (width + 3) / 4 * 4; // heads begin with a quad
    const int queries = (int)at->dim[1], L = (int)at->dim[3], K = (int)at->dim[4];
    const int KO = (K + 1) / 2, KA = (K + 3) / 4;
    struct ww_tensor v, o, a, r, levels;
    float *vs = uploaded(t, &v, n, heads * room, 1, tokens);
    float *os = uploaded(t, &o, n, heads * L * KO * 4, 1, queries);
    float *as = uploaded(t, &a, n, heads * L * KA * 4, 1, queries);
    uploaded(t, &r, n, 4, 1, queries);
    struct ww_level *ls = (void *)uploaded(t, &levels, n, 4, 1, 2 * L);
    for (int b = 0, i = 0; b < n; b++)
        for (int s = 0; s < tokens; s++)
            for (int c = 0; c < heads * width; c++, i++)
                vs[ww_at(v, b, c / width * room + c % width, 0, s)] = ww_weight_float(value, (size_t)i);
    for (int b = 0; b < n; b++)
        for (int l = 0, first = 0; l < L; l++) {
            const int h = (int)whole(shapes, (size_t)(2 * l)), w = (int)whole(shapes, (size_t)(2 * l + 1));
            ls[b * L + l] = (struct ww_level){.w = (float)w,       .h = (float)h,
                                              .first = (float)first, .valid_w = (float)w,
                                              .valid_h = (float)h, .share_w = 1,
                                              .share_h = 1};
            first += h * w;
        }
    for (size_t i = 0; i < (size_t)(n * queries * heads * L * K); i++) {
        const int p = (int)i % K, l = (int)i / K % L, head = (int)i / (K * L) % heads;
        const int q = (int)i / (K * L * heads) % queries, b = (int)i / (K * L * heads * queries);
        const int group = head * L + l;
        os[ww_at(o, b, group * KO * 4 + 2 * p, 0, q)] = ww_weight_float(at, 2 * i) * ls[l].w;
        os[ww_at(o, b, group * KO * 4 + 2 * p + 1, 0, q)] = ww_weight_float(at, 2 * i + 1) * ls[l].h;
        as[ww_at(a, b, group * KA * 4 + p, 0, q)] = logf(ww_weight_float(weights, i));
    }
    const struct ww_tensor y = ww_result_tensor(t->g, n, heads * room, 1, queries);
    ww_deformable(t->g, y, v, o, a, r, levels,
                  ww_deformable_params(.heads = heads, .levels = L, .points = K));
    if (!replay(t))
        return;
    const float *from = ww_plan_host(t->plan, y);
    float *got = malloc(sizeof *got * (size_t)(n * queries * heads * width));
    for (int i = 0; got && i < n * queries * heads * width; i++) {
        const int c = i % (heads * width), q = i / (heads * width) % queries;
        got[i] = from[ww_at(y, i / (heads * width * queries), c / width * room + c % width, 0, q)];
    }
    compare(t, "out", got, (size_t)(n * queries * heads * width));
    free(got);
}

static void topk(struct trial *t)
{
    const struct ww_weight *x = tensor_of(t, "x");
    const int n = (int)x->dim[0], rows = (int)x->dim[1], k = (int)number(t, "k");
    struct ww_tensor scores;
    float *to = uploaded(t, &scores, n, 1, 1, rows);
    for (int i = 0; i < n * rows; i++)
        to[ww_at(scores, i / rows, 0, 0, i % rows)] = ww_weight_float(x, (size_t)i);
    const struct ww_tensor y = ww_result_tensor(t->g, n, 4, 1, k);
    ww_topk(t->g, y, scores);
    if (!replay(t))
        return;
    struct ww_tensor numbers = y;
    numbers.c = 1;
    compare_tensor(t, "indices", numbers, true);
    const float *from = ww_plan_host(t->plan, y);
    float *values = malloc(sizeof *values * (size_t)(n * k));
    for (int i = 0; values && i < n * k; i++)
        values[i] = from[ww_at(y, i / k, 1, 0, i % k)];
    compare(t, "values", values, (size_t)(n * k));
    free(values);
}

static void sine_code(struct trial *t)
{
    const struct ww_weight *x = tensor_of(t, "x");
    const int n = (int)x->dim[0], rows = (int)x->dim[1], num = (int)x->dim[2];
    const int F = (int)number(t, "features_per_coordinate");
    struct ww_tensor boxes;
    float *to = uploaded(t, &boxes, n, 4, 1, rows);
    for (int i = 0; i < n * rows * num; i++)
        to[ww_at(boxes, i / (rows * num), i % num, 0, i / num % rows)] = ww_weight_float(x, (size_t)i);
    const struct ww_tensor y = ww_result_tensor(t->g, n, num * F, 1, rows);
    ww_sinecode(t->g, y, boxes,
                ww_sinecode_params(.numbers = F, .temperature = (float)number(t, "temperature"),
                                   .y_first = num > 1));
    if (replay(t))
        compare_tensor(t, "out", y, true);
}

// Of boxes that are moved by nothing, the sigmoid is undone.
static void logit(struct trial *t)
{
    const struct ww_weight *x = tensor_of(t, "x");
    const int rows = (int)x->dim[0] / 4;
    struct ww_tensor zero, boxes;
    uploaded(t, &zero, 1, 4, 1, rows);
    float *to = uploaded(t, &boxes, 1, 4, 1, rows);
    for (int i = 0; i < 4 * rows; i++)
        to[i] = ww_weight_float(x, (size_t)i);
    const struct ww_tensor y = ww_result_tensor(t->g, 1, 4, 1, rows);
    ww_refine(t->g, y, zero, boxes,
              ww_refine_params(.eps = (float)number(t, "eps"), .inner = strstr(t->name, "inner")));
    if (!replay(t))
        return;
    const float *got = ww_plan_host(t->plan, y);
    for (int i = 0; i < 4 * rows; i++) {
        const double e = (double)ww_weight_float(tensor_of(t, "out"), (size_t)i);
        CHECK_NEAR((double)got[i], 1 / (1 + exp(-e)), 1e-6);
    }
}

// Made on the host, so that nothing is recorded.
static void sine_position(struct trial *t)
{
    const struct ww_weight *mask = tensor_of(t, "mask"), *out = tensor_of(t, "out");
    const int n = (int)mask->dim[0], h = (int)mask->dim[1], w = (int)mask->dim[2];
    const int width = (int)out->dim[1], half = width / 2;
    struct ww_pyramid pyramid = {.height = h, .width = w};
    ww_pyramid_add(&pyramid, h, w);
    const struct ww_tensor lie = {.n = 1, .c = half, .h = 1, .w = ww_pyramid_codes(&pyramid)};
    float *codes = calloc((size_t)(ww_quads(lie) * 4 * lie.w), sizeof *codes);
    float *cells = calloc((size_t)(4 * h * w), sizeof *cells);
    float *got = calloc((size_t)(n * width * h * w), sizeof *got), *to = got;
    if (!codes || !cells || !got)
        abort();
    for (int b = 0; b < n; b++) {
        int valid_h = 0, valid_w = 0;
        for (int y = 0; y < h; y++)
            valid_h += mask->type == WW_I64 ? whole(mask, (size_t)((b * h + y) * w)) != 0
                                            : ww_weight_float(mask, (size_t)((b * h + y) * w)) > 0;
        for (int x = 0; x < w; x++)
            valid_w += mask->type == WW_I64 ? whole(mask, (size_t)(b * h * w + x)) != 0
                                            : ww_weight_float(mask, (size_t)(b * h * w + x)) > 0;
        struct ww_level level;
        ww_pyramid_levels(&pyramid, valid_h, valid_w, &level);
        ww_pyramid_positions(&pyramid, &level,
                             &(struct ww_position_params){.width = width,
                                                          .temperature = (float)number(t, "temperature"),
                                                          .offset = (float)number(t, "offset")},
                             cells, codes);
        const bool hidden = number(t, "offset") < 0; // the golden set has zeros for padding there
        for (int c = 0; c < width; c++)
            for (int i = 0; i < h * w; i++)
                *to++ = hidden && (i / w >= valid_h || i % w >= valid_w)
                            ? 0
                            : codes[ww_at(lie, 0, c % half, 0, (int)cells[4 * i + c / half])];
    }
    compare(t, "out", got, (size_t)(n * width * h * w));
    free(codes);
    free(cells);
    free(got);
}

static const struct operation operations[] = {{"group_norm", group_norm},   {"max_pool2d", max_pool2d},
                  {"topk", topk},               {"deformable_attention", deformable_attention},
                  {"sine_code", sine_code},     {"sine_position", sine_position},
                  {"logit", logit},             {0}};

int main(void)
{
    return check_golden("detr", operations);
}
