#include "layers.h"

#include "base/room.h"

#include <math.h>
#include <stdlib.h>

float *ww_loader_floats(struct ww_loader *l, size_t count)
{
    float *data = l->failed ? NULL : ww_room_for(count, sizeof *data, l->err);
    l->failed |= !data;
    return data;
}

float *ww_load_floats(struct ww_loader *l, const struct ww_weight *w)
{
    size_t count = 1;
    for (int d = 0; d < w->rank; d++)
        count *= (size_t)w->dim[d];
    float *out = ww_loader_floats(l, count);
    unsigned char *raw = out ? ww_room_for(w->bytes, 1, l->err) : NULL;
    if (!raw) {
        l->failed = true;
        free(out);
        return NULL;
    }
    const bool real = w->type == WW_F32 || w->type == WW_F16 || w->type == WW_BF16;
    if (!real)
        l->failed = !ww_fail(l->err, WW_E_FILE, "%s: tensor '%s' is %s, expected F32, F16 or BF16",
                             ww_weights_path(l->weights), w->name, ww_type_name(w->type));
    else
        l->failed = !ww_weights_copy(l->weights, w, 0, w->bytes, raw, l->err);
    for (size_t i = 0; !l->failed && i < count; i++) {
        out[i] = ww_type_float(w->type, raw + i * ww_type_bytes(w->type));
        if (!isfinite(out[i])) // it would make every result none, too
            l->failed = !ww_fail(l->err, WW_E_FILE, "%s: tensor '%s': element %zu is no finite number",
                                 ww_weights_path(l->weights), w->name, i);
    }
    free(raw);
    if (!l->failed)
        return out;
    free(out);
    return NULL;
}

static float *need(struct ww_loader *l, const char *name, int rank, int a, int b, int c, int d)
{
    const struct ww_weight *w = l->failed ? NULL
                                : rank == 1
                                    ? ww_weights_need(l->weights, name, l->err, 1, (int64_t)a)
                                    : ww_weights_need(l->weights, name, l->err, 4, (int64_t)a,
                                                      (int64_t)b, (int64_t)c, (int64_t)d);
    l->failed |= !w;
    return w ? ww_load_floats(l, w) : NULL;
}

static float *need_bias(struct ww_loader *l, const char *name, int c)
{
    return name ? need(l, name, 1, c, 0, 0, 0) : NULL;
}

void ww_load_conv(struct ww_loader *l, struct ww_filter *f, int k, int c_in, int c_out,
                  const char *name, const char *bias)
{
    float *w = need(l, name, 4, k, k, c_in, c_out), *b = need_bias(l, bias, c_out);
    if (!l->failed)
        ww_pack_conv(l->bank, f, k, c_in, c_out, w, b);
    free(w);
    free(b);
}

void ww_load_some(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out, const int *outputs,
                  int num_outputs, const char *name, const char *bias)
{
    float *w = need(l, name, 4, 1, 1, c_in, c_out), *b = need_bias(l, bias, c_out);
    float *some = ww_loader_floats(l, (size_t)(c_in + 1) * (size_t)num_outputs);
    for (int o = 0; !l->failed && o < num_outputs; o++) {
        for (int i = 0; i < c_in; i++)
            some[i * num_outputs + o] = w[i * c_out + outputs[o]];
        if (b)
            some[c_in * num_outputs + o] = b[outputs[o]];
    }
    if (!l->failed)
        ww_pack_conv(l->bank, f, 1, c_in, num_outputs, some, some + c_in * num_outputs);
    free(some);
    free(w);
    free(b);
}

void ww_load_window(struct ww_loader *l, struct ww_filter *f, int k, int c, const char *name,
                    const char *bias)
{
    float *w = need(l, name, 4, k, k, c, 1), *b = need_bias(l, bias, c);
    if (!l->failed)
        ww_pack_depthwise(l->bank, f, k, c, w, b);
    free(w);
    free(b);
}

void ww_load_image(struct ww_loader *l, struct ww_filter *f, int h, int w, const char *name)
{
    const struct ww_weight *weight =
        l->failed ? NULL
                  : ww_weights_need(l->weights, name, l->err, 3, (int64_t)h, (int64_t)w, (int64_t)1);
    float *data = weight ? ww_load_floats(l, weight) : NULL;
    l->failed |= !data;
    if (data)
        ww_pack_image(l->bank, f, 1, h, w, data);
    free(data);
}

static struct ww_tensor like(struct ww_cmd *g, struct ww_tensor x, int c, int stride)
{
    return ww_activation(g, x.n, c, ww_same(x.h, 1, stride).out, ww_same(x.w, 1, stride).out);
}

// Names a stage unless the table has no such row.
static void stage(struct ww_cmd *g, struct ww_tensor t, int row)
{
    if (row)
        ww_stage(g, t, "row.%03d", row);
}

static struct ww_tensor apart(struct ww_cmd *g, struct ww_tensor x, const struct ww_layer *l)
{
    const struct ww_tensor none = {0};
    if (l->expand) {
        const struct ww_tensor y = like(g, x, l->expand->c_out, 1);
        ww_pointwise(g, y, x, l->expand, ww_conv_params(.act = l->inner));
        stage(g, x = y, l->rows.expand);
    }
    if (ww_some(l->scale)) {
        const struct ww_tensor y = like(g, x, x.c, 1);
        ww_combine(g, y, x, l->scale, none, WW_ACT_NONE);
        stage(g, x = y, l->rows.scale);
    }
    if (l->window) {
        const struct ww_tensor y = like(g, x, x.c, l->stride ? l->stride : 1);
        ww_depthwise(g, y, x, l->window,
                     ww_conv_params(.stride = l->stride, .act = l->point ? l->inner : l->act));
        stage(g, x = y, l->rows.window);
    }
    if (l->point) {
        const struct ww_tensor y = like(g, x, l->point->c_out, 1);
        ww_pointwise(g, y, x, l->point, ww_conv_params(.act = l->act));
        stage(g, x = y, l->rows.point);
    }
    if (ww_some(l->residual)) {
        const struct ww_tensor y = like(g, x, x.c, 1);
        ww_combine(g, y, x, none, l->residual, WW_ACT_NONE);
        stage(g, x = y, l->rows.add);
    }
    if (ww_some(l->into)) {
        ww_combine(g, l->into, x, none, none, WW_ACT_NONE);
        x = l->into;
    }
    return x;
}

struct ww_tensor ww_layer_(struct ww_cmd *g, struct ww_tensor x, const struct ww_layer *l)
{
    if (ww_keeps_stages(g))
        return apart(g, x, l);
    const bool whole = l->expand && ww_for_software(g) && !ww_some(l->scale) &&
                       l->act == WW_ACT_NONE &&
                       ww_bottleneck_fits(x, l->window, l->point, l->stride ? l->stride : 1);
    if (l->expand && !whole) {
        const struct ww_tensor wide = like(g, x, l->expand->c_out, 1);
        ww_pointwise(g, wide, x, l->expand, ww_conv_params(.act = l->inner));
        x = wide;
    }
    const struct ww_tensor y =
        ww_some(l->into)
            ? l->into
            : like(g, x, l->point ? l->point->c_out : x.c, l->stride ? l->stride : 1);
    const struct ww_conv_params params = {.stride = l->stride,
                                          .inner = l->inner,
                                          .act = l->act,
                                          .scale = l->scale,
                                          .residual = l->residual};
    if (whole)
        ww_bottleneck(g, y, x, l->expand, l->window, l->point, &params);
    else if (l->window && l->point)
        ww_separable(g, y, x, l->window, l->point, &params);
    else if (l->point)
        ww_pointwise(g, y, x, l->point, &params);
    else
        ww_depthwise(g, y, x, l->window, &params);
    return y;
}
