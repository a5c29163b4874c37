// BERT. Devlin, Chang, Lee and Toutanova, 2018, arXiv:1810.04805; "§" is a section of it. Weights:
// any checkpoint of the transformers library's BertModel, and the names of the first release.
//
//     ids -> embed -> norm -+-> attend -> + -> norm -+-> linear -> GELU -> linear -> + -> norm -> ...
//                           +-------------+          +-------------------------------+
//
// T texts of N tokens, H hidden.

#include "bert.h"
#include "base/room.h"
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 96, MAX_WIDTH = 16384, MAX_ROWS = 1 << 21, MAX_STORAGES = 16 };

struct layer {
    struct ww_filter qkv, out, attention_norm, inner, outer, norm;
};

struct ww_bert {
    struct ww_bert_shape shape;
    struct ww_storage *storage[MAX_STORAGES];
    int num_storages;
    struct ww_filter word, position, type, norm;
    struct layer *layers;
    bool has_pooler;
    struct ww_filter pooler;
};

// Shape -------------------------------------------------------------------------------------------

static bool read_act(const struct ww_json *config, enum ww_activation_fn *out,
                     struct ww_error *err)
{
    static const struct {
        const char *name;
        enum ww_activation_fn act;
    } acts[] = {{"gelu", WW_ACT_GELU},
                {"gelu_new", WW_ACT_GELU_TANH},
                {"gelu_pytorch_tanh", WW_ACT_GELU_TANH},
                {"quick_gelu", WW_ACT_GELU_QUICK},
                {"relu", WW_ACT_RELU}};
    const struct ww_json *value = ww_json_get(config, "hidden_act");
    const char *name = value ? ww_json_string(value) : "gelu";
    for (size_t i = 0; name && i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(acts[i].name, name)) {
            *out = acts[i].act;
            return true;
        }
    return ww_fail(err, WW_E_UNSUPPORTED,
                   "'hidden_act' is '%.40s'; gelu, gelu_new, gelu_pytorch_tanh, quick_gelu and relu "
                   "can be computed",
                   name ? name : ww_json_kind_name(ww_json_kind(value)));
}

bool ww_bert_read_shape(const struct ww_json *config, struct ww_bert_shape *out,
                        struct ww_error *err)
{
    *out = (struct ww_bert_shape){.eps = 1e-12f};
    if (!ww_config_word(config, "model_type", "bert", err))
        return false;
    const char *positions = ww_json_string(ww_json_get(config, "position_embedding_type"));
    if (positions && strcmp(positions, "absolute"))
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "'position_embedding_type' is '%.40s'; only 'absolute' can be computed",
                       positions);
    if (!ww_config_integer(config, "hidden_size", 768, 4, MAX_WIDTH, &out->hidden, err) ||
        !ww_config_integer(config, "num_hidden_layers", 12, 1, MAX_LAYERS, &out->layers, err) ||
        !ww_config_integer(config, "num_attention_heads", 12, 1, MAX_WIDTH / 4, &out->heads,
                           err) ||
        !ww_config_integer(config, "intermediate_size", 3072, 1, MAX_WIDTH, &out->inner, err) ||
        !ww_config_integer(config, "vocab_size", 30522, 1, MAX_ROWS, &out->words, err) ||
        !ww_config_integer(config, "max_position_embeddings", 512, 1, MAX_ROWS, &out->positions,
                           err) ||
        !ww_config_integer(config, "type_vocab_size", 2, 1, MAX_ROWS, &out->types, err) ||
        !read_act(config, &out->act, err))
        return false;
    const int width = out->hidden / out->heads;
    if (out->hidden % out->heads || width % 4 || width > 128)
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "'hidden_size' %d and 'num_attention_heads' %d: a head must be a multiple of "
                       "4 wide and at most 128",
                       out->hidden, out->heads);
    double eps = out->eps;
    const struct ww_json *value = ww_json_get(config, "layer_norm_eps");
    if (value && (!ww_json_number(value, &eps) || !(eps >= 0 && eps <= 1)))
        return ww_fail(err, WW_E_FILE, "'layer_norm_eps' must be a number from 0 to 1");
    out->eps = (float)eps;
    return true;
}

// Weights -----------------------------------------------------------------------------------------

static void load_layer(struct ww_loader *l, const struct ww_bert_shape *s, struct layer *to,
                       const char *prefix, int i)
{
    static const char *const qkv[] = {"query", "key", "value"};
    const int H = s->hidden;
    ww_load_linears(l, &to->qkv, H, H, qkv, 3, "%sencoder.layer.%d.attention.self.", prefix, i);
    ww_load_linear(l, &to->out, H, H, "%sencoder.layer.%d.attention.output.dense", prefix, i);
    ww_load_norm(l, &to->attention_norm, H, "%sencoder.layer.%d.attention.output.LayerNorm", prefix,
                 i);
    ww_load_linear(l, &to->inner, H, s->inner, "%sencoder.layer.%d.intermediate.dense", prefix, i);
    ww_load_linear(l, &to->outer, s->inner, H, "%sencoder.layer.%d.output.dense", prefix, i);
    ww_load_norm(l, &to->norm, H, "%sencoder.layer.%d.output.LayerNorm", prefix, i);
}

static bool has(const struct ww_weights *weights, const char *prefix, const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return ww_weights_find(weights, full) != NULL;
}

struct ww_bert *ww_bert_load(struct ww_device *device, const struct ww_weights *weights,
                             const char *prefix, const struct ww_bert_shape *shape,
                             struct ww_error *err)
{
    struct ww_bert *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->shape = *shape;
    m->layers = ww_room_for((size_t)shape->layers, sizeof *m->layers, err);
    if (!prefix)
        prefix = has(weights, "bert.", "embeddings.word_embeddings.weight") ? "bert." : "";
    struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = err,
                          .failed = !m->layers};
    ww_bank_allow_halves(l.bank, true);
    ww_load_rows(&l, &m->word, shape->words, shape->hidden, "%sembeddings.word_embeddings", prefix);
    ww_load_rows(&l, &m->position, shape->positions, shape->hidden,
                 "%sembeddings.position_embeddings", prefix);
    ww_load_rows(&l, &m->type, shape->types, shape->hidden, "%sembeddings.token_type_embeddings",
                 prefix);
    ww_load_norm(&l, &m->norm, shape->hidden, "%sembeddings.LayerNorm", prefix);
    for (int i = 0; i < shape->layers && !l.failed; i++)
        load_layer(&l, shape, &m->layers[i], prefix, i);
    m->has_pooler = has(weights, prefix, "pooler.dense.weight");
    if (m->has_pooler)
        ww_load_linear(&l, &m->pooler, shape->hidden, shape->hidden, "%spooler.dense", prefix);
    const bool ok = !l.failed && ww_bank_upload(l.bank, device, m->storage, MAX_STORAGES,
                                                &m->num_storages, err);
    ww_bank_destroy(&l.bank);
    if (!ok)
        ww_bert_destroy(device, &m);
    return m;
}

void ww_bert_destroy(struct ww_device *device, struct ww_bert **pointer)
{
    struct ww_bert *m = *pointer;
    if (!m)
        return;
    for (int i = 0; i < m->num_storages; i++)
        ww_storage_destroy(device, &m->storage[i]);
    free(m->layers);
    free(m);
    *pointer = NULL;
}

const struct ww_bert_shape *ww_bert_shape(const struct ww_bert *m)
{
    return &m->shape;
}

// Forward -----------------------------------------------------------------------------------------

// norm(x w + b + residual)
static struct ww_tensor add_and_norm(struct ww_cmd *g, const struct ww_bert *m, struct ww_tensor x,
                                     const struct ww_filter *w, const struct ww_filter *norm,
                                     struct ww_tensor residual)
{
    const struct ww_tensor sum = ww_like(g, x, w->c_out), y = ww_like(g, x, w->c_out);
    ww_pointwise(g, sum, x, w, ww_conv_params(.residual = residual));
    ww_layernorm(g, y, sum, norm, m->shape.eps);
    return y;
}

// §3, and Vaswani et al., 2017, §3.1
static struct ww_tensor encode(struct ww_cmd *g, const struct ww_bert *m, int i,
                               const struct ww_bert_text *text, struct ww_tensor x)
{
    const struct layer *l = &m->layers[i];
    const int H = m->shape.hidden;
    ww_label(g, "layer %d attention", i);
    const struct ww_tensor qkv = ww_like(g, x, 3 * H); // [3 H, T, N]
    ww_pointwise(g, qkv, x, &l->qkv, ww_conv_params(0));
    const struct ww_tensor q = ww_channels(qkv, 0, H), k = ww_channels(qkv, H, H),
                           v = ww_channels(qkv, 2 * H, H), context = ww_like(g, x, H);
    ww_stage(g, q, "layer.%d.q", i);
    ww_stage(g, k, "layer.%d.k", i);
    ww_stage(g, v, "layer.%d.v", i);
    ww_attention(g, context, q, k, v,
                 ww_attention_params(.heads = m->shape.heads, .mask = text->mask,
                                     .lengths = text->lengths));
    ww_stage(g, context, "layer.%d.context", i);
    x = add_and_norm(g, m, context, &l->out, &l->attention_norm, x);
    ww_stage(g, x, "layer.%d.attention", i);

    ww_label(g, "layer %d feed forward", i);
    const struct ww_tensor inner = ww_like(g, x, m->shape.inner);
    ww_pointwise(g, inner, x, &l->inner, ww_conv_params(.act = m->shape.act));
    ww_stage(g, inner, "layer.%d.gelu", i);
    x = add_and_norm(g, m, inner, &l->outer, &l->norm, x);
    ww_stage(g, x, "layer.%d.out", i);
    return x;
}

struct ww_tensor ww_bert(struct ww_cmd *g, const struct ww_bert *m, const struct ww_bert_text *text)
{
    const struct ww_tensor ids = text->ids; // [3, T, N]
    ww_label(g, "embeddings");
    const struct ww_tensor sum = ww_like(g, ids, m->shape.hidden); // [H, T, N]
    ww_embed(g, sum, ids, &m->word, &m->position, &m->type);
    ww_stage(g, sum, "embeddings.sum");
    struct ww_tensor x = ww_like(g, ids, m->shape.hidden);
    ww_layernorm(g, x, sum, &m->norm, m->shape.eps);
    ww_stage(g, x, "embeddings.out");
    for (int i = 0; i < m->shape.layers; i++)
        x = encode(g, m, i, text, x);
    return x;
}

struct ww_tensor ww_bert_pooler(struct ww_cmd *g, const struct ww_bert *m, struct ww_tensor x)
{
    if (!m->has_pooler)
        return (struct ww_tensor){0};
    ww_label(g, "pooler");
    const struct ww_tensor y = ww_like(g, x, m->shape.hidden);
    ww_pointwise(g, y, x, &m->pooler, ww_conv_params(.act = WW_ACT_TANH));
    return y;
}
