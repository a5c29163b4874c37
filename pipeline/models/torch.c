#include "torch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_NAME 256

// Tensor "NAME PART END" as floats: [rows][c], or [c] with rows 0. NULL after an error.
static float *need(struct ww_loader *l, const char *name, const char *part, const char *end,
                   int rows, int c)
{
    char full[MAX_NAME + 64];
    snprintf(full, sizeof full, "%s%s%s", name, part, end);
    const struct ww_weight *w =
        l->failed ? NULL
        : rows    ? ww_weights_need(l->weights, full, l->err, 2, (int64_t)rows, (int64_t)c)
                  : ww_weights_need(l->weights, full, l->err, 1, (int64_t)c);
    l->failed |= !w;
    return w ? ww_load_floats(l, w) : NULL;
}

static void load_linears(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out,
                         const char *const *parts, int num_parts, bool biased, const char *name)
{
    const size_t in = (size_t)c_in, each = (size_t)c_out, all = each * (size_t)num_parts;
    float *w = NULL, *bias = NULL; // made once a tensor of that size was found
    for (int k = 0; k < num_parts && !l->failed; k++) {
        float *part = need(l, name, parts[k], ".weight", c_out, c_in);
        float *lift = biased ? need(l, name, parts[k], ".bias", 0, c_out) : NULL;
        if (!w && !l->failed) {
            w = ww_loader_floats(l, (in + 1) * all);
            bias = w ? w + in * all : NULL;
        }
        for (size_t o = 0; !l->failed && o < each; o++) {
            for (size_t i = 0; i < in; i++)
                w[i * all + (size_t)k * each + o] = part[o * in + i];
            bias[(size_t)k * each + o] = biased ? lift[o] : 0;
        }
        free(part);
        free(lift);
    }
    if (!l->failed)
        ww_pack_linear(l->bank, f, c_in, num_parts * c_out, w, bias);
    free(w);
}

void ww_load_linear(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out, const char *fmt,
                    ...)
{
    char name[MAX_NAME];
    WW_NAME_FROM(name, fmt);
    load_linears(l, f, c_in, c_out, (const char *const[]){""}, 1, true, name);
}

void ww_load_product(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out, const char *fmt, ...)
{
    char name[MAX_NAME];
    WW_NAME_FROM(name, fmt);
    load_linears(l, f, c_in, c_out, (const char *const[]){""}, 1, false, name);
}

void ww_load_linears(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out,
                     const char *const *parts, int num_parts, const char *fmt, ...)
{
    char name[MAX_NAME];
    WW_NAME_FROM(name, fmt);
    load_linears(l, f, c_in, c_out, parts, num_parts, true, name);
}

void ww_load_spread(struct ww_loader *l, struct ww_filter *f, int c_in, int groups, int each,
                    int room, const char *fmt, ...)
{
    char name[MAX_NAME];
    WW_NAME_FROM(name, fmt);
    float *w = need(l, name, "", ".weight", groups * each, c_in);
    float *bias = need(l, name, "", ".bias", 0, groups * each);
    const size_t in = (size_t)c_in, all = (size_t)groups * (size_t)room;
    float *turned = ww_loader_floats(l, (in + 1) * all);
    if (turned) {
        for (int o = 0; o < groups * each; o++) {
            const size_t to = (size_t)(o / each * room + o % each);
            for (size_t i = 0; i < in; i++)
                turned[i * all + to] = w[(size_t)o * in + i];
            turned[in * all + to] = bias[o];
        }
        ww_pack_linear(l->bank, f, c_in, (int)all, turned, turned + in * all);
    }
    free(turned);
    free(w);
    free(bias);
}

// NAME.weight [c_out][c_in][k][k] as [k][k][c_in][c_out], each output times its `scale`.
static float *need_window(struct ww_loader *l, const char *name, int k, int c_in, int c_out,
                          const float *scale)
{
    char full[MAX_NAME + 8];
    snprintf(full, sizeof full, "%s.weight", name);
    const struct ww_weight *weight =
        l->failed ? NULL
                  : ww_weights_need(l->weights, full, l->err, 4, (int64_t)c_out, (int64_t)c_in,
                                    (int64_t)k, (int64_t)k);
    l->failed |= !weight;
    float *from = weight ? ww_load_floats(l, weight) : NULL;
    if (!from)
        return NULL;
    const size_t taps = (size_t)(k * k), in = (size_t)c_in, out = (size_t)c_out;
    float *to = ww_loader_floats(l, taps * in * out);
    for (size_t o = 0; to && o < out; o++)
        for (size_t i = 0; i < in; i++)
            for (size_t t = 0; t < taps; t++)
                to[(t * in + i) * out + o] = from[(o * in + i) * taps + t] * (scale ? scale[o] : 1);
    free(from);
    return to;
}

void ww_load_conv2d(struct ww_loader *l, struct ww_filter *f, int k, int c_in, int c_out,
                    const char *fmt, ...)
{
    char name[MAX_NAME];
    WW_NAME_FROM(name, fmt);
    float *w = need_window(l, name, k, c_in, c_out, NULL);
    float *bias = need(l, name, "", ".bias", 0, c_out);
    if (!l->failed)
        ww_pack_conv(l->bank, f, k, c_in, c_out, w, bias);
    free(w);
    free(bias);
}

// It would make every result none.
static void check_variances(struct ww_loader *l, const char *norm, const float *var, int c, float eps)
{
    for (int o = 0; !l->failed && o < c; o++)
        if (!((double)var[o] + (double)eps > 0))
            l->failed = !ww_fail(l->err, WW_E_FILE,
                                 "%s: tensor '%s.running_var': element %d is %g; a variance is above 0",
                                 ww_weights_path(l->weights), norm, o, (double)var[o]);
}

// y = (x - mean) weight / sqrt(var + eps) + bias
void ww_load_conv_norm(struct ww_loader *l, struct ww_filter *f, int k, int c_in, int c_out,
                       float eps, const char *conv, const char *norm)
{
    float *gain = need(l, norm, "", ".weight", 0, c_out), *lift = need(l, norm, "", ".bias", 0, c_out);
    float *mean = need(l, norm, "", ".running_mean", 0, c_out);
    float *var = need(l, norm, "", ".running_var", 0, c_out);
    check_variances(l, norm, var, c_out, eps);
    for (int o = 0; !l->failed && o < c_out; o++) {
        gain[o] = (float)((double)gain[o] / sqrt((double)var[o] + (double)eps));
        lift[o] = (float)((double)lift[o] - (double)mean[o] * (double)gain[o]);
    }
    float *w = need_window(l, conv, k, c_in, c_out, gain);
    if (!l->failed)
        ww_pack_conv(l->bank, f, k, c_in, c_out, w, lift);
    free(w);
    free(gain);
    free(lift);
    free(mean);
    free(var);
}

void ww_load_norm(struct ww_loader *l, struct ww_filter *f, int c, const char *fmt, ...)
{
    char name[MAX_NAME], old[MAX_NAME + 64];
    WW_NAME_FROM(name, fmt);
    snprintf(old, sizeof old, "%s.gamma", name);
    const bool early = ww_weights_find(l->weights, old) != NULL;
    float *gain = need(l, name, "", early ? ".gamma" : ".weight", 0, c);
    float *lift = need(l, name, "", early ? ".beta" : ".bias", 0, c);
    if (!l->failed)
        ww_pack_norm(l->bank, f, c, gain, lift);
    free(gain);
    free(lift);
}

void ww_load_rows(struct ww_loader *l, struct ww_filter *f, int rows, int c, const char *fmt, ...)
{
    char name[MAX_NAME];
    WW_NAME_FROM(name, fmt);
    float *data = need(l, name, "", ".weight", rows, c);
    if (!l->failed)
        ww_pack_rows(l->bank, f, rows, c, data);
    free(data);
}
