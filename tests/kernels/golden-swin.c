// Attention in windows and patch merging against the transformers library's in float64, on every device.

#include "golden.h"
#include "kernels/swin.h"

static float *floats(const struct ww_weight *from)
{
    const size_t count = from->bytes / sizeof(float);
    float *out = malloc(from->bytes);
    if (!out)
        abort();
    for (size_t i = 0; i < count; i++)
        out[i] = ww_weight_float(from, i);
    return out;
}

// A linear layer's weight [out][in] as kernels want it, [in][out].
static void linear(struct trial *t, struct ww_bank *bank, struct ww_filter *f, const char *weight,
                   const char *bias)
{
    const struct ww_weight *from = tensor_of(t, weight);
    const int n = (int)from->dim[0], c = (int)from->dim[1];
    float *w = floats(from), *turned = malloc(from->bytes), *b = bias ? floats(tensor_of(t, bias)) : NULL;
    if (!turned)
        abort();
    for (int i = 0; i < n * c; i++)
        turned[i % c * n + i / c] = w[i];
    ww_pack_conv(bank, f, 1, c, n, turned, b);
    free(w);
    free(turned);
    free(b);
}

// x [b][h][w][c] as a map of h x w, whose pixels past x's are zero.
static struct ww_tensor pixels(struct trial *t, int h, int w)
{
    const struct ww_weight *from = tensor_of(t, "x");
    const int n = (int)from->dim[0], c = (int)from->dim[3], count = (int)(from->dim[1] * from->dim[2]);
    struct ww_tensor x;
    float *to = uploaded(t, &x, n, c, h, w);
    for (int i = 0; i < n * count * c; i++)
        to[ww_at(x, i / (count * c), i % c, 0, i / c % count)] = ww_weight_float(from, (size_t)i);
    return x;
}

static void upload(struct trial *t, struct ww_bank **bank)
{
    struct ww_error err = {0};
    CHECK(ww_bank_upload(*bank, t->device, t->storage, 4, &t->num_storages, &err));
    ww_bank_destroy(bank);
}

static void window_attention(struct trial *t)
{
    const struct ww_weight *from = tensor_of(t, "x");
    const int n = (int)from->dim[0], h = (int)from->dim[1], w = (int)from->dim[2], c = (int)from->dim[3];
    const int heads = (int)number(t, "heads"), window = (int)number(t, "window");
    struct ww_filter qkv, out, bias;
    struct ww_bank *bank = ww_bank_create();
    linear(t, bank, &qkv, "qkv_weight", "qkv_bias");
    linear(t, bank, &out, "proj_weight", "proj_bias");
    float *table = floats(tensor_of(t, "table"));
    CHECK(ww_pack_window_bias(bank, &bias, window, heads, table, NULL));
    free(table);
    upload(t, &bank);
    const struct ww_tensor x = pixels(t, 1, h * w + 1);
    const struct ww_tensor all = ww_activation(t->g, n, 3 * c, 1, h * w + 1);
    const struct ww_tensor seen = ww_activation(t->g, n, c, h, w);
    const struct ww_tensor y = ww_result_tensor(t->g, n, c, h, w);
    ww_pointwise(t->g, all, x, &qkv, ww_conv_params(0));
    ww_windows(t->g, seen, ww_channels(all, 0, c), ww_channels(all, c, c), ww_channels(all, 2 * c, c),
               ww_windows_params(.heads = heads, .window = window, .shift = (int)number(t, "shift"),
                                 .bias = ww_window_bias(t->g, &bias, window, heads)));
    ww_pointwise(t->g, y, seen, &out, ww_conv_params(0));
    if (replay(t))
        compare_tensor(t, "out", y, true);
}

static void patch_merging(struct trial *t)
{
    const struct ww_weight *from = tensor_of(t, "x");
    const int h = (int)from->dim[1], w = (int)from->dim[2];
    struct ww_filter norm, product;
    struct ww_bank *bank = ww_bank_create();
    float *gain = floats(tensor_of(t, "norm_weight")), *lift = floats(tensor_of(t, "norm_bias"));
    ww_pack_norm(bank, &norm, (int)tensor_of(t, "norm_weight")->dim[0], gain, lift);
    free(gain);
    free(lift);
    linear(t, bank, &product, "weight", NULL);
    upload(t, &bank);
    const struct ww_tensor x = pixels(t, h, w);
    const struct ww_tensor four = ww_activation(t->g, x.n, 4 * x.c, (h + 1) / 2, (w + 1) / 2);
    const struct ww_tensor normed = ww_activation(t->g, x.n, four.c, four.h, four.w);
    const struct ww_tensor y = ww_result_tensor(t->g, x.n, product.c_out, four.h, four.w);
    ww_merge(t->g, four, x);
    ww_layernorm(t->g, normed, four, &norm, (float)number(t, "eps"));
    ww_pointwise(t->g, y, normed, &product, ww_conv_params(0));
    if (replay(t))
        compare_tensor(t, "out", y, true);
}

static const struct operation operations[] = {
    {"window_attention", window_attention}, {"patch_merging", patch_merging}, {0}};

int main(void)
{
    return check_golden("swin", operations);
}
