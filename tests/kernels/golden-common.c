// The kernels that every model has against PyTorch's operators in float64, on every device.

#include "golden.h"

// Rows of features [rows][c] as tokens.
static struct ww_tensor rows(struct trial *t, const struct ww_weight *from)
{
    const int n = (int)from->dim[0], c = (int)from->dim[1];
    struct ww_tensor x;
    float *to = uploaded(t, &x, 1, c, 1, n);
    for (int i = 0; i < n * c; i++)
        to[ww_at(x, 0, i % c, 0, i / c)] = ww_weight_float(from, (size_t)i);
    return x;
}

static float *floats(const struct ww_weight *from, size_t count)
{
    float *out = from ? malloc(count * sizeof *out) : NULL;
    for (size_t i = 0; out && i < count; i++)
        out[i] = ww_weight_float(from, i);
    return out;
}

// Weights [out][in][k][k] as kernels want them, [k][k][in][out].
static struct ww_filter filter(struct trial *t)
{
    struct ww_error err = {0};
    const struct ww_weight *weight = tensor_of(t, "weight");
    const int n = (int)weight->dim[0], c = (int)weight->dim[1];
    const int k = weight->rank > 2 ? (int)weight->dim[2] : 1;
    float *w = calloc((size_t)(n * c * k * k), sizeof *w), *bias = floats(tensor_of(t, "bias"), (size_t)n);
    for (int i = 0; w && i < n * c * k * k; i++)
        w[(i % (k * k) * c + i / (k * k) % c) * n + i / (k * k * c)] = ww_weight_float(weight, (size_t)i);
    struct ww_filter out = {0};
    struct ww_bank *bank = ww_bank_create();
    ww_pack_conv(bank, &out, k, c, n, w, bias);
    CHECK(ww_bank_upload(bank, t->device, t->storage, 4, &t->num_storages, &err));
    ww_bank_destroy(&bank);
    free(bias);
    free(w);
    return out;
}

static void linear(struct trial *t)
{
    const struct ww_tensor x = rows(t, tensor_of(t, "x"));
    const struct ww_filter w = filter(t);
    const struct ww_tensor y = ww_result_tensor(t->g, 1, w.c_out, 1, x.w);
    ww_pointwise(t->g, y, x, &w, ww_conv_params(0));
    if (replay(t))
        compare_tensor(t, "out", y, true);
}

static void conv2d(struct trial *t)
{
    const struct ww_tensor x = map(t, tensor_of(t, "x"));
    const struct ww_weight *out = tensor_of(t, "out");
    const struct ww_filter w = filter(t);
    const struct ww_tensor y =
        ww_result_tensor(t->g, x.n, w.c_out, (int)out->dim[2], (int)out->dim[3]);
    ww_conv2d(t->g, y, x, &w,
              ww_conv_params(.stride = (int)number(t, "stride"), .padded = true,
                             .pad = (int)number(t, "padding"),
                             .dilation = (int)number(t, "dilation")));
    if (replay(t))
        compare_tensor(t, "out", y, false);
}

static void layer_norm(struct trial *t)
{
    struct ww_error err = {0};
    const struct ww_tensor x = rows(t, tensor_of(t, "x"));
    float *gain = floats(tensor_of(t, "weight"), (size_t)x.c);
    float *lift = floats(tensor_of(t, "bias"), (size_t)x.c);
    struct ww_filter norm;
    struct ww_bank *bank = ww_bank_create();
    ww_pack_norm(bank, &norm, x.c, gain, lift);
    CHECK(ww_bank_upload(bank, t->device, t->storage, 4, &t->num_storages, &err));
    ww_bank_destroy(&bank);
    free(gain);
    free(lift);
    const struct ww_tensor y = ww_result_tensor(t->g, 1, x.c, 1, x.w);
    ww_layernorm(t->g, y, x, &norm, (float)number(t, "eps"));
    if (replay(t))
        compare_tensor(t, "out", y, true);
}

// Windows [c][1][k][k] as kernels want them, [k][k][c].
static void depthwise(struct trial *t)
{
    struct ww_error err = {0};
    const struct ww_tensor x = map(t, tensor_of(t, "x"));
    const struct ww_weight *weight = tensor_of(t, "weight");
    const int k = (int)weight->dim[2], c = x.c;
    float *w = calloc((size_t)(c * k * k), sizeof *w), *bias = calloc((size_t)c, sizeof *bias);
    for (int i = 0; w && i < c * k * k; i++)
        w[i % (k * k) * c + i / (k * k)] = ww_weight_float(weight, (size_t)i);
    struct ww_filter filter;
    struct ww_bank *bank = ww_bank_create();
    ww_pack_depthwise(bank, &filter, k, c, w, bias);
    CHECK(ww_bank_upload(bank, t->device, t->storage, 4, &t->num_storages, &err));
    ww_bank_destroy(&bank);
    free(bias);
    free(w);
    const struct ww_tensor y = ww_result_tensor(t->g, x.n, c, x.h, x.w);
    ww_depthwise(t->g, y, x, &filter, ww_conv_params(0));
    if (replay(t))
        compare_tensor(t, "out", y, false);
}

// Heads [b][heads][rows][d], one after another in the channels, each filled up to four with zeros.
static struct ww_tensor heads(struct trial *t, const struct ww_weight *from)
{
    const int n = (int)from->dim[0], h = (int)from->dim[1], w = (int)from->dim[2];
    const int d = (int)from->dim[3], wide = (d + 3) / 4 * 4;
    struct ww_tensor x;
    float *to = uploaded(t, &x, n, h * wide, 1, w);
    for (int i = 0; i < n * h * w * d; i++)
        to[ww_at(x, i / (d * w * h), i / (d * w) % h * wide + i % d, 0, i / d % w)] =
            ww_weight_float(from, (size_t)i);
    return x;
}

// A mask [1 or b][1 or heads][1 or queries][keys], for every query.
static struct ww_tensor mask(struct trial *t, int queries)
{
    const struct ww_weight *from = tensor_of(t, "mask");
    if (!from)
        return (struct ww_tensor){0};
    const int n = (int)from->dim[0], h = (int)from->dim[1], rows = (int)from->dim[2];
    const int keys = (int)from->dim[3];
    struct ww_tensor m;
    float *to = uploaded(t, &m, n, keys, h, queries);
    for (int i = 0; i < n * h * queries * keys; i++) {
        const int key = i % keys, query = i / keys % queries, head = i / (keys * queries) % h;
        const int batch = i / (keys * queries * h);
        to[ww_at(m, batch, key, head, query)] =
            ww_weight_float(from, (size_t)(((batch * h + head) * rows + query % rows) * keys + key));
    }
    return m;
}

static void attention(struct trial *t)
{
    const struct ww_weight *out = tensor_of(t, "out");
    const struct ww_tensor q = heads(t, tensor_of(t, "q")), k = heads(t, tensor_of(t, "k"));
    const struct ww_tensor v = heads(t, tensor_of(t, "v"));
    const int h = (int)out->dim[1], d = (int)out->dim[3], wide = q.c / h;
    const struct ww_tensor y = ww_result_tensor(t->g, q.n, q.c, 1, q.w);
    ww_attention(t->g, y, q, k, v,
                 ww_attention_params(.heads = h, .scale = (float)(1 / sqrt(d)), .mask = mask(t, q.w)));
    if (!replay(t))
        return;
    const float *from = ww_plan_host(t->plan, y);
    const int count = q.n * h * q.w * d;
    float *got = malloc(sizeof *got * (size_t)count);
    for (int i = 0; got && i < count; i++)
        got[i] = from[ww_at(y, i / (d * q.w * h), i / (d * q.w) % h * wide + i % d, 0, i / d % q.w)];
    compare(t, "out", got, (size_t)count);
    free(got);
}

// What other kernels do as they store, alone.
static void activation(struct trial *t, enum ww_activation_fn act)
{
    const struct ww_weight *from = tensor_of(t, "x");
    int count = 1;
    for (int i = 0; i < from->rank; i++)
        count *= (int)from->dim[i];
    struct ww_tensor x;
    float *to = uploaded(t, &x, 1, 1, 1, count);
    for (int i = 0; i < count; i++)
        to[ww_at(x, 0, 0, 0, i)] = ww_weight_float(from, (size_t)i);
    const struct ww_tensor y = ww_result_tensor(t->g, 1, 1, 1, count);
    ww_combine(t->g, y, x, (struct ww_tensor){0}, (struct ww_tensor){0}, act);
    if (replay(t))
        compare_tensor(t, "out", y, false);
}

static void relu(struct trial *t)
{
    activation(t, WW_ACT_RELU);
}

static void sigmoid(struct trial *t)
{
    activation(t, WW_ACT_SIGMOID);
}

static void gelu_erf(struct trial *t)
{
    activation(t, WW_ACT_GELU);
}

static void gelu_tanh(struct trial *t)
{
    activation(t, WW_ACT_GELU_TANH);
}

static void gelu_quick(struct trial *t)
{
    activation(t, WW_ACT_GELU_QUICK);
}

static void resize(struct trial *t)
{
    const struct ww_tensor x = map(t, tensor_of(t, "x"));
    const struct ww_weight *out = tensor_of(t, "out");
    const struct ww_tensor y = ww_result_tensor(t->g, x.n, x.c, (int)out->dim[2], (int)out->dim[3]);
    ww_resize(t->g, y, x,
              strstr(t->name, "nearest")     ? WW_RESIZE_NEAREST
              : number(t, "align_corners") != 0 ? WW_RESIZE_CORNERS
                                             : WW_RESIZE_CENTRES);
    if (replay(t))
        compare_tensor(t, "out", y, false);
}

static const struct operation operations[] = {
    {"linear", linear},       {"conv2d", conv2d},         {"depthwise", depthwise},
    {"layer_norm", layer_norm}, {"attention", attention}, {"relu", relu},             {"sigmoid", sigmoid},
    {"gelu_erf", gelu_erf},   {"gelu_tanh", gelu_tanh},   {"gelu_quick", gelu_quick},
    {"interpolate_bilinear", resize}, {"interpolate_nearest", resize}, {0}};

int main(void)
{
    return check_golden("common", operations);
}
