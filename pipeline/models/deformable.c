// Layers of Deformable DETR. Zhu, Su, Lu, Li, Wang and Dai, 2020, arXiv:2010.04159; "§" is a section
// of it.

#include "deformable.h"
#include "feed.h"

static struct ww_tensor linear(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w,
                               enum ww_activation_fn act)
{
    const struct ww_tensor y = ww_like(g, x, w->c_out);
    ww_pointwise(g, y, x, w, ww_conv_params(.act = act));
    return y;
}

struct ww_tensor ww_sum(struct ww_cmd *g, struct ww_tensor x, struct ww_tensor y)
{
    const struct ww_tensor sum = ww_like(g, x, x.c);
    ww_combine(g, sum, x, (struct ww_tensor){0}, y, WW_ACT_NONE);
    return sum;
}

struct ww_token_positions ww_upload_positions(struct ww_cmd *g, int n, int width, int tokens, int codes)
{
    const struct ww_token_positions p = {ww_upload_tensor(g, n, 4, 1, tokens),
                                         ww_upload_tensor(g, n, width / 2, 1, codes)};
    if (ww_keeps_stages(g)) {
        const struct ww_tensor none = {0}, alone = ww_activation(g, n, width, 1, tokens);
        ww_positions(g, alone, none, p.cells, p.codes);
        ww_stage_rows(g, alone, "enc.position");
    }
    return p;
}

struct ww_tensor ww_at_its_place(struct ww_cmd *g, struct ww_tensor x, const struct ww_token_positions *p)
{
    const struct ww_tensor sum = ww_like(g, x, x.c);
    ww_positions(g, sum, x, p->cells, p->codes);
    return sum;
}

// norm(residual + x w), as fused as it may be; the product alone is a stage, if it has a name.
static struct ww_tensor sum_and_norm(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w,
                                     struct ww_tensor residual, const struct ww_filter *norm,
                                     float eps, const char *stage)
{
    struct ww_tensor sum;
    if (stage && ww_keeps_stages(g)) {
        const struct ww_tensor product = linear(g, x, w, WW_ACT_NONE);
        ww_stage_rows(g, product, "%s.msda", stage);
        sum = ww_sum(g, product, residual);
    } else {
        sum = ww_like(g, x, w->c_out);
        ww_pointwise(g, sum, x, w, ww_conv_params(.residual = residual));
    }
    const struct ww_tensor y = ww_like(g, x, w->c_out);
    ww_layernorm(g, y, sum, norm, eps);
    return y;
}

// §4.1 Multi-scale deformable attention -------------------------------------------------------------

void ww_load_looking(struct ww_loader *l, struct ww_looking *to,
                     const struct ww_deformable_shape *s, const char *fmt, ...)
{
    char name[256];
    WW_NAME_FROM(name, fmt);
    const int groups = s->heads * s->levels, K = s->points;
    ww_load_spread(l, &to->offsets, s->width, groups, 2 * K, 4 * (int)ww_div_up(K, 2),
                   "%s.sampling_offsets", name);
    ww_load_spread(l, &to->weights, s->width, groups, K, 4 * (int)ww_div_up(K, 4),
                   "%s.attention_weights", name);
    ww_load_linear(l, &to->value, s->width, s->width, "%s.value_proj", name);
    ww_load_linear(l, &to->out, s->width, s->width, "%s.output_proj", name);
}

// Where to look and how much it counts: floats, whatever x is stored as.
static struct ww_tensor places_of(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w)
{
    const struct ww_tensor y = ww_activation(g, x.n, w->c_out, x.h, x.w);
    ww_pointwise(g, y, x, w, ww_conv_params(0));
    return y;
}

struct ww_tensor ww_look_at(struct ww_cmd *g, const struct ww_looking *w,
                            const struct ww_deformable_shape *s, const struct ww_scene *scene,
                            const struct ww_look_at *p)
{
    const bool detail = p->detail && ww_keeps_stages(g);
    const struct ww_tensor value = linear(g, scene->tokens, &w->value, WW_ACT_NONE);
    const struct ww_tensor offsets = places_of(g, p->query, &w->offsets);
    const struct ww_tensor weights = places_of(g, p->query, &w->weights);
    const struct ww_tensor seen = ww_like(g, p->query, s->width);
    const struct ww_tensor places =
        detail ? ww_like(g, offsets, 4 * s->heads * s->levels * s->points) : (struct ww_tensor){0};
    ww_deformable(g, seen, value, offsets, weights, p->reference, scene->levels,
                  ww_deformable_params(.heads = s->heads, .levels = s->levels, .points = s->points,
                                       .boxes = p->boxes, .places = places));
    if (detail) {
        ww_stage_rows(g, value, "%s.msda.values", p->stage);
        ww_stage_rows(g, places, "%s.msda.places", p->stage);
    }
    return sum_and_norm(g, seen, &w->out, p->residual, p->norm, s->eps, p->stage);
}

// Attention among rows ------------------------------------------------------------------------------

void ww_load_attending(struct ww_loader *l, struct ww_attending *to, int width,
                       const char *const names[4], const char *fmt, ...)
{
    char name[256];
    WW_NAME_FROM(name, fmt);
    ww_load_linears(l, &to->qk, width, width, names, 2, "%s.", name);
    ww_load_linear(l, &to->v, width, width, "%s.%s", name, names[2]);
    ww_load_linear(l, &to->out, width, width, "%s.%s", name, names[3]);
}

struct ww_tensor ww_attend_self(struct ww_cmd *g, const struct ww_attending *w,
                                const struct ww_deformable_shape *s, struct ww_tensor x,
                                struct ww_tensor position, const struct ww_filter *norm)
{
    const struct ww_tensor qk = linear(g, ww_sum(g, x, position), &w->qk, WW_ACT_NONE);
    const struct ww_tensor v = linear(g, x, &w->v, WW_ACT_NONE), context = ww_like(g, x, x.c);
    ww_attention(g, context, ww_channels(qk, 0, x.c), ww_channels(qk, x.c, x.c), v,
                 ww_attention_params(.heads = s->heads));
    return sum_and_norm(g, context, &w->out, x, norm, s->eps, NULL);
}

// Heads and feed forward ----------------------------------------------------------------------------

void ww_load_feeding(struct ww_loader *l, struct ww_feeding *to, int width, int inner,
                     const char *fmt, ...)
{
    char name[256];
    WW_NAME_FROM(name, fmt);
    ww_load_linear(l, &to->inner, width, inner, "%sfc1", name);
    ww_load_linear(l, &to->outer, inner, width, "%sfc2", name);
}

struct ww_tensor ww_feed(struct ww_cmd *g, const struct ww_feeding *w, struct ww_tensor x,
                         enum ww_activation_fn act, const struct ww_filter *norm, float eps)
{
    const struct ww_tensor sum = ww_feed_forward(g, x, &w->inner, act, &w->outer, x);
    const struct ww_tensor y = ww_like(g, x, x.c);
    ww_layernorm(g, y, sum, norm, eps);
    return y;
}

void ww_load_mlp(struct ww_loader *l, struct ww_mlp *to, int num, int c_in, int c_mid, int c_out,
                 const char *fmt, ...)
{
    char name[256];
    WW_NAME_FROM(name, fmt);
    to->num = num;
    for (int i = 0; i < num; i++)
        ww_load_linear(l, &to->layer[i], i ? c_mid : c_in, i + 1 < num ? c_mid : c_out,
                       "%s.layers.%d", name, i);
}

struct ww_tensor ww_mlp(struct ww_cmd *g, const struct ww_mlp *w, struct ww_tensor x)
{
    for (int i = 0; i < w->num; i++)
        x = linear(g, x, &w->layer[i], i + 1 < w->num ? WW_ACT_RELU : WW_ACT_NONE);
    return x;
}
