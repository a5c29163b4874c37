// LLaMA: Touvron et al., 2023, arXiv:2302.13971 and 2307.09288; grouped queries: Ainslie et al., 2023,
// arXiv:2305.13245; turned positions: Su et al., 2021, arXiv:2104.09864.
//
//     tokens -> embed -> [ norm -> q k v -> turn -> causal -> + -> norm -> gate, up -> down -> + ] x layers
//            -> norm -> head -> logits
//
// Pairs of channels that turn together lie side by side, as in GGUF; rows of Hugging Face's q and k,
// whose pairs lie half a head apart, are moved at load.

#include "llama-inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct ww_tensor linear(struct ww_cmd *g, struct ww_tensor x, const struct ww_linear *m,
                               const struct ww_matmul_params *params)
{
    const struct ww_tensor y = ww_activation(g, 1, m->gated ? m->n / 2 : m->n, 1, x.w);
    ww_matmul(g, y, x, m, params);
    return y;
}

// A layer's input, normed: by the product that follows (few rows), or here.
static struct ww_tensor norm(struct ww_cmd *g, const struct ww_llama *m, struct ww_tensor x,
                             const struct ww_filter *gain, struct ww_matmul_params *params)
{
    if (x.w <= WW_FEW_ROWS && !ww_keeps_stages(g)) {
        params->norm = gain;
        params->width = m->shape.hidden;
        params->eps = m->shape.eps;
        return x;
    }
    const struct ww_tensor y = ww_activation(g, 1, x.c, 1, x.w);
    ww_rmsnorm(g, y, x, gain, m->shape.hidden, m->shape.eps, (struct ww_tensor){0});
    return y;
}

// x + W y; where stages are kept, W y is one.
static struct ww_tensor add(struct ww_cmd *g, struct ww_tensor x, struct ww_tensor y,
                            const struct ww_linear *w, const char *name, int layer)
{
    const struct ww_tensor none = {0};
    if (!ww_keeps_stages(g))
        return linear(g, y, w, ww_matmul_params(.residual = x));
    const struct ww_tensor product = linear(g, y, w, ww_matmul_params(0));
    ww_stage(g, product, "layer.%d.%s", layer, name);
    const struct ww_tensor sum = ww_activation(g, 1, x.c, 1, x.w);
    ww_combine(g, sum, product, none, x, WW_ACT_NONE);
    return sum;
}

static struct ww_tensor block(struct ww_cmd *g, const struct ww_llama *m, const struct llama_inputs *in,
                              int l, struct ww_tensor x)
{
    const struct llama_layer *layer = &m->layers[l];
    const struct ww_llama_shape *s = &m->shape;
    const int q_width = ww_tiled(s->heads * s->head), k_width = ww_tiled(s->kv_heads * s->head);
    struct ww_tensor cache = ww_stored_tensor(g, in->cache[l], 0, 1, in->half ? k_width : 2 * k_width, 1,
                                              in->slots);
    struct ww_turning turning = {.rows = in->rows, .turns = in->turns, .cache = cache, .q = q_width,
                                 .k = k_width, .head = s->head, .half = in->half};

    ww_label(g, "layer %d q k v", l);
    struct ww_matmul_params params = {.turning = &turning};
    const struct ww_tensor a = norm(g, m, x, &layer->attn_norm, &params);
    ww_stage(g, a, "layer.%d.attn_norm", l);
    const struct ww_tensor q = ww_activation(g, 1, q_width, 1, x.w);
    for (int i = 0; i < layer->num_qkv; i++) {
        turning.first = i == 0 ? 0 : i == 1 ? q_width : q_width + k_width;
        ww_matmul(g, q, a, &layer->qkv[i], &params);
    }
    ww_stage(g, q, "layer.%d.q_rope", l);
    if (!in->half) // no float could be read
        ww_stage(g, ww_channels(cache, 0, k_width), "layer.%d.k_rope", l);

    ww_label(g, "layer %d attention", l);
    const struct ww_tensor o = ww_activation(g, 1, q_width, 1, x.w);
    ww_causal(g, o, q,
              &(struct ww_causal_params){.rows = in->rows, .cache = cache, .heads = s->heads,
                                         .kv_heads = s->kv_heads, .head = s->head, .keys = k_width,
                                         .ring = in->ring, .half = in->half});
    ww_label(g, "layer %d output", l);
    x = add(g, x, o, &layer->output, "attn_out", l);
    ww_stage(g, x, "layer.%d.after_attn", l);

    ww_label(g, "layer %d gate, up", l);
    params = (struct ww_matmul_params){0};
    const struct ww_tensor b = norm(g, m, x, &layer->ffn_norm, &params);
    ww_stage(g, b, "layer.%d.ffn_norm", l);
    const struct ww_tensor h = linear(g, b, &layer->gate_up, &params);
    ww_label(g, "layer %d down", l);
    x = add(g, x, h, &layer->down, "ffn_out", l);
    ww_stage(g, x, "layer.%d.out", l);
    return x;
}

struct llama_outputs ww_llama_forward(struct ww_cmd *g, const struct ww_llama *m,
                                      const struct llama_inputs *in)
{
    const struct ww_llama_shape *s = &m->shape;
    ww_label(g, "embed");
    struct ww_tensor x = ww_activation(g, 1, ww_tiled(s->hidden), 1, in->rows.w);
    ww_lookup(g, x, in->rows, &m->embed, in->given);
    ww_stage(g, x, "embed");
    for (int l = 0; l < s->layers; l++)
        x = block(g, m, in, l, x);

    ww_label(g, "head");
    const struct ww_linear *head = s->tied ? &m->embed : &m->head;
    if (ww_keeps_stages(g)) {
        const struct ww_tensor all = ww_activation(g, 1, x.c, 1, x.w);
        ww_rmsnorm(g, all, x, &m->norm, s->hidden, s->eps, (struct ww_tensor){0});
        ww_stage(g, all, "final_norm");
        ww_stage(g, linear(g, all, head, ww_matmul_params(0)), "logits");
    }
    const struct llama_outputs out = {ww_result_tensor(g, 1, x.c, 1, in->picks.w),
                                      ww_result_tensor(g, 1, head->n, 1, in->picks.w)};
    ww_rmsnorm(g, out.hidden, x, &m->norm, s->hidden, s->eps, in->picks);
    ww_matmul(g, out.logits, out.hidden, head, ww_matmul_params(0));
    return out;
}
