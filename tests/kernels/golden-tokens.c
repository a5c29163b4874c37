// The kernels of language models against PyTorch's operators in float64, on every device.

#include "golden.h"
#include "kernels/tokens.h"

// Rows of features [rows][c] as a language model has them: channels filled up to a multiple of 32.
static struct ww_tensor tokens(struct trial *t, const struct ww_weight *from)
{
    const int n = (int)from->dim[0], c = (int)from->dim[1];
    struct ww_tensor x;
    float *to = uploaded(t, &x, 1, (c + 31) / 32 * 32, 1, n);
    for (int i = 0; i < n * c; i++)
        to[ww_at(x, 0, i % c, 0, i / c)] = ww_weight_float(from, (size_t)i);
    return x;
}

static void rms_norm(struct trial *t)
{
    struct ww_error err = {0};
    const struct ww_weight *weight = tensor_of(t, "weight");
    const struct ww_tensor x = tokens(t, tensor_of(t, "x"));
    const int c = (int)weight->dim[0];
    float *gain = calloc((size_t)x.c, sizeof *gain);
    for (int i = 0; gain && i < c; i++)
        gain[i] = ww_weight_float(weight, (size_t)i);
    struct ww_filter filter;
    struct ww_bank *bank = ww_bank_create();
    ww_pack_rows(bank, &filter, 1, x.c, gain);
    CHECK(ww_bank_upload(bank, t->device, t->storage, 4, &t->num_storages, &err));
    ww_bank_destroy(&bank);
    free(gain);
    const struct ww_tensor y = ww_result_tensor(t->g, 1, x.c, 1, x.w);
    ww_rmsnorm(t->g, y, x, &filter, c, (float)number(t, "eps"), (struct ww_tensor){0});
    if (!replay(t))
        return;
    float *got = malloc(sizeof *got * (size_t)(c * y.w));
    for (int i = 0; got && i < c * y.w; i++)
        got[i] = ((const float *)ww_plan_host(t->plan, y))[ww_at(y, 0, i % c, 0, i / c)];
    compare(t, "out", got, (size_t)(c * y.w));
    free(got);
}

// Queries of the last positions over a cache of keys, then values, `rows` at a time.
static void causal(struct trial *t)
{
    const struct ww_weight *q = tensor_of(t, "q"), *part[] = {tensor_of(t, "k"), tensor_of(t, "v")};
    const int h = (int)q->dim[1], queries = (int)q->dim[2], d = (int)q->dim[3];
    const int kv = (int)part[0]->dim[1], slots = (int)part[0]->dim[2];
    const int rows = (int)number(t, "rows"), past = slots - queries;
    struct ww_tensor cache, y[4];
    float *to = uploaded(t, &cache, 1, 2 * kv * d, 1, slots);
    for (int i = 0; i < 2 * kv * slots * d; i++)
        to[ww_at(cache, 0, i / (slots * d) * d + i % d, 0, i / d % slots)] =
            ww_weight_float(part[i / (kv * slots * d)], (size_t)(i % (kv * slots * d)));
    for (int first = 0; first < queries; first += rows) {
        const int w = queries - first < rows ? queries - first : rows;
        struct ww_tensor some, turns;
        float *x = uploaded(t, &some, 1, h * d, 1, w), *turn = uploaded(t, &turns, 1, 4, 1, w);
        for (int i = 0; i < w * h * d; i++)
            x[ww_at(some, 0, i % (h * d), 0, i / (h * d))] = ww_weight_float(
                q, (size_t)((i % (h * d) / d * queries + first + i / (h * d)) * d + i % d));
        for (int i = 0; i < w; i++)
            memcpy(turn + 4 * i, (const uint32_t[]){0, (uint32_t)(past + first + i), 0, 0}, 16);
        y[first / rows] = ww_result_tensor(t->g, 1, h * d, 1, w);
        ww_causal(t->g, y[first / rows], some,
                  &(struct ww_causal_params){.rows = turns, .cache = cache, .heads = h, .kv_heads = kv,
                                             .head = d, .keys = kv * d});
    }
    if (!replay(t))
        return;
    float *got = malloc(sizeof *got * (size_t)(h * queries * d));
    for (int i = 0; got && i < h * queries * d; i++) {
        const int row = i / d % queries;
        const struct ww_tensor from = y[row / rows];
        got[i] = ((const float *)ww_plan_host(
            t->plan, from))[ww_at(from, 0, i / (d * queries) * d + i % d, 0, row % rows)];
    }
    compare(t, "out", got, (size_t)(h * queries * d));
    free(got);
}

int main(void)
{
    return check_golden("tokens", (const struct operation[]){
                                      {"rms_norm", rms_norm}, {"causal", causal}, {0}});
}
