// LLaMA weights from a checkpoint: its shape, its names, and which rows go where.

#include "base/json.h"
#include "base/room.h"
#include "llama-inner.h"
#include "weights/blocks.h"
#include "weights/meta.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <watchword/log.h>

#define MAX_CONFIG   (1 << 20)
#define MAX_STORAGES 64

struct loading {
    struct ww_device *device;
    struct ww_llama *model;
    struct ww_weights *weights;
    bool gguf; // its names and row order
    struct ww_bank *bank;
    struct ww_error *err;
    bool failed;
};

// --- shape ---

static bool whole(const struct ww_json *config, const char *key, int most, int *out,
                  struct ww_error *err)
{
    int64_t value = *out;
    const struct ww_json *field = ww_json_get(config, key);
    if (field && ww_json_kind(field) != WW_JSON_NULL && !ww_json_integer(field, &value))
        value = 0;
    if (value < 1 || value > most)
        return ww_fail(err, WW_E_FILE, "config.json: '%s' must be a whole number from 1 to %d", key,
                       most);
    *out = (int)value;
    return true;
}

static bool real(const struct ww_json *from, const char *key, double least, double most, double *out,
                 struct ww_error *err)
{
    double value = *out;
    const struct ww_json *field = ww_json_get(from, key);
    if (field && ww_json_kind(field) != WW_JSON_NULL && !ww_json_number(field, &value))
        value = NAN;
    if (!(value >= least && value <= most))
        return ww_fail(err, WW_E_FILE, "config.json: '%s' must be a number from %g to %g", key, least,
                       most);
    *out = value;
    return true;
}

// Whether positions are not scaled at all, whatever stands beside that.
static bool is_plain(const char *name)
{
    return name && (!strcmp(name, "default") || !strcmp(name, "none"));
}

static bool rope_kind(const char *name, struct ww_rope *r, struct ww_error *err)
{
    if (!name || is_plain(name) || !strcmp(name, "linear"))
        r->kind = WW_ROPE_LINEAR;
    else if (!strcmp(name, "llama3"))
        r->kind = WW_ROPE_LLAMA3;
    else if (!strcmp(name, "yarn"))
        r->kind = WW_ROPE_YARN;
    else
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "positions scaled by '%.40s': linear, llama3 and yarn are known", name);
    return true;
}

// YaRN's gain as the transformers library has it: what is given, or that of `mscale` over that of
// `mscale_all_dim` if both are there, or that of the factor alone. `truncate` false: no whole pairs.
static bool yarn_of_config(const struct ww_json *from, struct ww_rope *r, struct ww_error *err)
{
    double mscale = 0, all = 0;
    bool truncate = true;
    const struct ww_json *field = ww_json_get(from, "truncate");
    if (field && ww_json_kind(field) != WW_JSON_NULL && !ww_json_bool(field, &truncate))
        return ww_fail(err, WW_E_FILE, "config.json: 'truncate' must be true or false");
    r->smooth = !truncate;
    if (!real(from, "attention_factor", 0, 1e3, &r->gain, err) ||
        !real(from, "mscale", 0, 1e3, &mscale, err) || !real(from, "mscale_all_dim", 0, 1e3, &all, err))
        return false;
    if (r->gain <= 0 && mscale > 0 && all > 0)
        r->gain = ww_rope_mscale(r->factor, mscale) / ww_rope_mscale(r->factor, all);
    return true;
}

// `rope_scaling`, or `rope_parameters`, which newer files have, with theta among them.
static bool rope_of_config(const struct ww_json *c, struct ww_llama_shape *s, struct ww_error *err)
{
    struct ww_rope *r = &s->rope;
    const struct ww_json *newer = ww_json_get(c, "rope_parameters");
    const struct ww_json *older = ww_json_get(c, "rope_scaling");
    const struct ww_json *from = older && ww_json_kind(older) != WW_JSON_NULL ? older : newer;
    const struct ww_json *given = ww_json_get(from, "rope_type");
    const char *type = ww_json_string(given ? given : ww_json_get(from, "type"));
    if (!real(newer, "rope_theta", 1, 1e12, &r->theta, err) ||
        !real(c, "rope_theta", 1, 1e12, &r->theta, err) ||
        !rope_kind(type, r, err))
        return ww_within(err, "config.json");
    if (is_plain(type))
        return true;
    r->original = s->context;
    r->low = 1;
    r->high = 4;
    r->fast = 32;
    r->slow = 1;
    return real(from, "factor", 1e-3, 1e6, &r->factor, err) &&
           real(from, "original_max_position_embeddings", 1, 1 << 24, &r->original, err) &&
           real(from, "low_freq_factor", 1e-6, 1e6, &r->low, err) &&
           real(from, "high_freq_factor", 2e-6, 2e6, &r->high, err) &&
           real(from, "beta_fast", 1e-6, 1e6, &r->fast, err) &&
           real(from, "beta_slow", 1e-6, 1e6, &r->slow, err) &&
           (r->kind != WW_ROPE_YARN || yarn_of_config(from, r, err));
}

static bool shape_of_config(const char *dir, struct ww_llama_shape *s, struct ww_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", dir);
    struct ww_json *c = ww_json_load(path, MAX_CONFIG, ww_json_params(0), err);
    if (!c)
        return false;
    bool ok = whole(c, "vocab_size", 1 << 20, &s->vocabulary, err) &&
              whole(c, "hidden_size", 1 << 16, &s->hidden, err) &&
              whole(c, "num_hidden_layers", 1024, &s->layers, err) &&
              whole(c, "num_attention_heads", 1024, &s->heads, err) &&
              whole(c, "intermediate_size", 1 << 18, &s->inner, err);
    s->kv_heads = s->heads;
    s->head = ok ? s->hidden / s->heads : 0;
    s->context = 2048;
    ok = ok && whole(c, "num_key_value_heads", 1024, &s->kv_heads, err) &&
         whole(c, "head_dim", 1024, &s->head, err) &&
         whole(c, "max_position_embeddings", 1 << 24, &s->context, err);
    double eps = 1e-6;
    ww_json_number(ww_json_get(c, "rms_norm_eps"), &eps);
    s->eps = (float)eps;
    ww_json_bool(ww_json_get(c, "tie_word_embeddings"), &s->tied);
    ok = ok && rope_of_config(c, s, err);
    ww_json_free(&c);
    return ok || ww_within(err, "%s", dir);
}

// What llama.cpp multiplies cosines and sines by: `attn_factor` beside YaRN's own, and in no other way
// that files of this architecture have.
static bool gain_of_meta(struct ww_weights *w, struct ww_rope *r, struct ww_error *err)
{
    static const struct {
        const char *key;
        double usual;
    } refused[] = {{"llama.rope.scaling.yarn_ext_factor", 1},
                   {"llama.rope.scaling.yarn_attn_factor", 1},
                   {"llama.rope.scaling.yarn_log_multiplier", 0}};
    double factor = 1;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        double value = refused[i].usual;
        if (!ww_weights_real(w, refused[i].key, false, -1e6, 1e6, &value, err))
            return false;
        if (value != refused[i].usual)
            return ww_fail(err, WW_E_UNSUPPORTED, "%s: '%s' is %g: only %g is known here",
                           ww_weights_path(w), refused[i].key, value, refused[i].usual);
    }
    if (!ww_weights_real(w, "llama.rope.scaling.attn_factor", false, 1e-3, 1e3, &factor, err) ||
        !ww_weights_real(w, "llama.rope.scaling.yarn_beta_fast", false, 1e-6, 1e6, &r->fast, err) ||
        !ww_weights_real(w, "llama.rope.scaling.yarn_beta_slow", false, 1e-6, 1e6, &r->slow, err))
        return false;
    r->gain = factor * ww_rope_gain(r);
    return true;
}

static bool rope_of_meta(struct ww_weights *w, int head, struct ww_llama_shape *s, struct ww_error *err)
{
    struct ww_rope *r = &s->rope;
    struct ww_text type = {0};
    char name[48] = "none";
    if (!ww_weights_text(w, "llama.rope.scaling.type", false, &type, err))
        return false;
    if (type.bytes)
        snprintf(name, sizeof name, "%.*s", (int)(type.bytes < 47 ? type.bytes : 47), type.at);
    if (!rope_kind(name, r, err))
        return ww_within(err, "%s: 'llama.rope.scaling.type'", ww_weights_path(w));
    r->original = s->context;
    r->fast = 32;
    r->slow = 1;
    if (!ww_weights_real(w, "llama.rope.freq_base", false, 1, 1e12, &r->theta, err) ||
        !ww_weights_real(w, "llama.rope.scale_linear", false, 1e-3, 1e6, &r->factor, err) ||
        !ww_weights_real(w, "llama.rope.scaling.factor", false, 1e-3, 1e6, &r->factor, err) ||
        !ww_weights_real(w, "llama.rope.scaling.original_context_length", false, 1, 1 << 24,
                         &r->original, err))
        return false;
    if (type.bytes && is_plain(name))
        r->factor = 1;
    if (!gain_of_meta(w, r, err))
        return false;
    // llama3: the file has it worked out, a divisor a pair.
    const struct ww_weight *divisors = ww_weights_find(w, "rope_freqs.weight");
    float value[WW_ROPE_PAIRS];
    if (!divisors || head > 2 * WW_ROPE_PAIRS)
        return true; // too wide a head is refused further on
    if (!ww_weights_need(w, "rope_freqs.weight", err, 1, (int64_t)(head / 2)) ||
        !ww_weights_floats(w, divisors, 0, (size_t)head / 2, value, err))
        return false;
    for (int j = 0; j < head / 2; j++) {
        if (!(value[j] >= 1e-3f && value[j] <= 1e6f))
            return ww_fail(err, WW_E_FILE, "%s: 'rope_freqs.weight' %d is %g: 0.001 to 1e6 are possible",
                           ww_weights_path(w), j, (double)value[j]);
        r->divisor[j] = (double)value[j];
    }
    return true;
}

static bool shape_of_meta(struct ww_weights *w, struct ww_llama_shape *s, struct ww_error *err)
{
    int64_t hidden, layers, heads, inner, context, kv, head;
    double eps = 1e-5;
    if (!ww_weights_integer(w, "llama.embedding_length", true, 1, 1 << 16, &hidden, err) ||
        !ww_weights_integer(w, "llama.block_count", true, 1, 1024, &layers, err) ||
        !ww_weights_integer(w, "llama.attention.head_count", true, 1, 1024, &heads, err) ||
        !ww_weights_integer(w, "llama.feed_forward_length", true, 1, 1 << 18, &inner, err) ||
        !ww_weights_integer(w, "llama.context_length", true, 1, 1 << 24, &context, err))
        return false;
    kv = heads;
    head = hidden / heads;
    int64_t turned;
    if (!ww_weights_integer(w, "llama.attention.head_count_kv", false, 1, 1024, &kv, err) ||
        !ww_weights_integer(w, "llama.attention.key_length", false, 1, 1024, &head, err))
        return false;
    turned = head;
    if (!ww_weights_integer(w, "llama.rope.dimension_count", false, 1, 1024, &turned, err) ||
        !ww_weights_real(w, "llama.attention.layer_norm_rms_epsilon", true, 0, 1, &eps, err))
        return false;
    const struct ww_weight *embed = ww_weights_need(w, "token_embd.weight", err, 2, -1, hidden);
    if (!embed)
        return false;
    if (turned != head || embed->dim[0] > 1 << 20)
        return ww_fail(err, WW_E_UNSUPPORTED, "%s: %lld of %lld channels of a head turn, %lld tokens",
                       ww_weights_path(w), (long long)turned, (long long)head,
                       (long long)embed->dim[0]);
    *s = (struct ww_llama_shape){.vocabulary = (int)embed->dim[0], .hidden = (int)hidden,
                                 .layers = (int)layers, .heads = (int)heads, .kv_heads = (int)kv,
                                 .head = (int)head, .inner = (int)inner, .context = (int)context,
                                 .eps = (float)eps, .rope = s->rope,
                                 .tied = !ww_weights_find(w, "output.weight")};
    return rope_of_meta(w, s->head, s, err);
}

static bool sane(const struct ww_llama_shape *s, struct ww_error *err)
{
    if (s->heads % s->kv_heads || s->head < 4 || s->head % 4 || s->head > 128 || s->heads * s->head % WW_TILE ||
        s->kv_heads * s->head % 4 || !(s->eps >= 0))
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "%d heads over %d of keys, %d wide each: a head must be a multiple of 4 and at "
                       "most 128 wide, all of them a multiple of %d", s->heads, s->kv_heads, s->head,
                       WW_TILE);
    if (s->rope.kind == WW_ROPE_LLAMA3 && !(s->rope.low < s->rope.high))
        return ww_fail(err, WW_E_FILE, "'low_freq_factor' %g must be below 'high_freq_factor' %g",
                       s->rope.low, s->rope.high);
    if (s->rope.kind == WW_ROPE_YARN && !(s->rope.theta > 1 && s->rope.slow < s->rope.fast))
        return ww_fail(err, WW_E_FILE, "yarn: 'rope_theta' %g must be above 1 and 'beta_slow' %g below "
                       "'beta_fast' %g", s->rope.theta, s->rope.slow, s->rope.fast);
    return true;
}

// --- rows ---

// Matrices that become one: end to end, or as a gate and what it opens.
struct parts {
    const struct loading *l;
    const struct ww_weight *weight[3];
    int num;
    bool gated;
    int head[3]; // width of the heads whose halves are to be laced together; 0: rows as they are
    enum ww_type type;
    float *floats; // of a row that is decoded
};

static int copy_row(void *opaque, int output, void *to, struct ww_error *err)
{
    const struct parts *p = opaque;
    int part = 0, row = output;
    if (p->gated) {
        part = output / WW_TILE % 2;
        row = output / WW_TILE / 2 * WW_TILE + output % WW_TILE;
    } else {
        while (part + 1 < p->num && row >= ww_tiled((int)p->weight[part]->dim[0]))
            row -= ww_tiled((int)p->weight[part++]->dim[0]);
    }
    const struct ww_weight *w = p->weight[part];
    if (row >= w->dim[0])
        return 0;
    const int head = p->head[part];
    if (head) // half a head apart in the file
        row = row / head * head + row % head / 2 + row % 2 * (head / 2);
    const size_t k = (size_t)w->dim[1];
    if (p->type != w->type)
        return ww_weights_floats(p->l->weights, w, (size_t)row * k, k, to, err) ? 1 : -1;
    const size_t bytes = k / ww_type_block(w->type) * ww_type_block_bytes(w->type);
    return ww_weights_copy(p->l->weights, w, (size_t)row * bytes, bytes, to, err) ? 1 : -1;
}

static const struct ww_weight *need(struct loading *l, int layer, const char *hf, const char *gguf,
                                    int n, int k)
{
    char name[128];
    if (layer < 0)
        snprintf(name, sizeof name, "%s", l->gguf ? gguf : hf);
    else if (l->gguf)
        snprintf(name, sizeof name, "blk.%d.%s", layer, gguf);
    else
        snprintf(name, sizeof name, "model.layers.%d.%s", layer, hf);
    const struct ww_weight *w =
        l->failed ? NULL
        : k       ? ww_weights_need(l->weights, name, l->err, 2, (int64_t)n, (int64_t)k)
                  : ww_weights_need(l->weights, name, l->err, 1, (int64_t)n);
    l->failed |= !w;
    return w;
}

// A place for a matrix: in the last storage if it has room, or in a new one.
static bool settle(struct loading *l, struct ww_linear *m, uint64_t *left)
{
    struct ww_llama *model = l->model;
    const uint64_t texels = ww_linear_texels(m), limit = ww_storage_limit(l->device) / 16;
    const uint64_t usual = (64u << 20) / 16; // a storage, unless one matrix needs more
    if (texels + 4 > limit)
        return ww_fail(l->err, WW_E_MEMORY, "a matrix of %.1f MB exceeds this device's limit",
                       (double)texels * 16e-6);
    if (texels > *left) {
        if (model->num_storages == MAX_STORAGES * 16)
            return ww_fail(l->err, WW_E_MEMORY, "the weights need more than %d allocations",
                           MAX_STORAGES * 16);
        const uint64_t room = texels + 4 > usual ? texels + 4 : usual;
        struct ww_storage *s = ww_storage_create(l->device, room * 16, WW_PLACE_DEVICE, l->err);
        if (!s)
            return false;
        model->storages[model->num_storages++] = s;
        *left = room - 4;
    }
    m->storage = model->storages[model->num_storages - 1];
    m->first = (uint32_t)(m->storage->bytes / 16 - *left);
    *left -= texels;
    return true;
}

static void load(struct loading *l, struct ww_linear *m, struct parts *p, uint64_t *left)
{
    if (l->failed)
        return;
    p->l = l;
    p->type = p->weight[0]->type;
    int n = 0;
    for (int i = 0; i < p->num; i++) {
        n += ww_tiled((int)p->weight[i]->dim[0]);
        if (p->weight[i]->type != p->type)
            p->type = WW_F32;
    }
    if (!ww_linear_takes(p->type)) {
        ww_log(WW_LOG_INFO, "%s: '%s' is %s, which no kernel reads: it becomes F32",
               ww_weights_path(l->weights), p->weight[0]->name, ww_type_name(p->type));
        p->type = WW_F32;
    }
    const int k = (int)p->weight[0]->dim[1];
    *m = (struct ww_linear){.type = p->type, .k = ww_tiled(k), .n = n, .gated = p->gated};
    l->failed = !settle(l, m, left) || !ww_linear_write(l->device, m, k, copy_row, p, l->err);
}

static void load_gain(struct loading *l, struct ww_filter *f, const struct ww_weight *w)
{
    if (l->failed)
        return;
    const int c = (int)w->dim[0];
    float *gain = ww_room_for((size_t)ww_tiled(c), sizeof *gain, l->err);
    l->failed = !gain || !ww_weights_floats(l->weights, w, 0, (size_t)c, gain, l->err);
    if (!l->failed)
        ww_pack_rows(l->bank, f, 1, ww_tiled(c), gain);
    free(gain);
}

static void load_layer(struct loading *l, int i, uint64_t *left)
{
    const struct ww_llama_shape *s = &l->model->shape;
    struct llama_layer *to = &l->model->layers[i];
    const int H = s->hidden, qn = s->heads * s->head, kn = s->kv_heads * s->head;
    const int lace = l->gguf ? 0 : s->head;
    load_gain(l, &to->attn_norm, need(l, i, "input_layernorm.weight", "attn_norm.weight", H, 0));
    load_gain(l, &to->ffn_norm, need(l, i, "post_attention_layernorm.weight", "ffn_norm.weight", H, 0));
    const struct ww_weight *w[3] = {need(l, i, "self_attn.q_proj.weight", "attn_q.weight", qn, H),
                                    need(l, i, "self_attn.k_proj.weight", "attn_k.weight", kn, H),
                                    need(l, i, "self_attn.v_proj.weight", "attn_v.weight", kn, H)};
    if (l->failed)
        return;
    const bool together = w[0]->type == w[1]->type && w[0]->type == w[2]->type;
    to->num_qkv = together ? 1 : 3;
    for (int m = 0; m < to->num_qkv; m++) {
        struct parts p = {.weight = {w[m], w[1], w[2]}, .num = together ? 3 : 1,
                          .head = {m < 2 ? lace : 0, lace, 0}};
        load(l, &to->qkv[m], &p, left);
    }
    struct parts o = {.weight = {need(l, i, "self_attn.o_proj.weight", "attn_output.weight", H, qn)},
                      .num = 1};
    load(l, &to->output, &o, left);
    struct parts gate = {.weight = {need(l, i, "mlp.gate_proj.weight", "ffn_gate.weight", s->inner, H),
                                    need(l, i, "mlp.up_proj.weight", "ffn_up.weight", s->inner, H)},
                         .num = 2, .gated = true};
    load(l, &to->gate_up, &gate, left);
    struct parts down = {.weight = {need(l, i, "mlp.down_proj.weight", "ffn_down.weight", H, s->inner)},
                         .num = 1};
    load(l, &to->down, &down, left);
}

static void load_all(struct loading *l)
{
    struct ww_llama *m = l->model;
    const struct ww_llama_shape *s = &m->shape;
    uint64_t left = 0;
    struct parts embed = {.weight = {need(l, -1, "model.embed_tokens.weight", "token_embd.weight",
                                          s->vocabulary, s->hidden)}, .num = 1};
    load(l, &m->embed, &embed, &left);
    load_gain(l, &m->norm, need(l, -1, "model.norm.weight", "output_norm.weight", s->hidden, 0));
    for (int i = 0; !l->failed && i < s->layers; i++)
        load_layer(l, i, &left);
    if (!s->tied) {
        struct parts head = {.weight = {need(l, -1, "lm_head.weight", "output.weight", s->vocabulary,
                                             s->hidden)}, .num = 1};
        load(l, &m->head, &head, &left);
    }
    int made = 0;
    if (!l->failed)
        l->failed = !ww_bank_upload(l->bank, l->device, m->storages + m->num_storages, MAX_STORAGES,
                                    &made, l->err);
    m->num_storages += made;
}

// A directory that says it is another kind of model is told so, before its weights are looked at.
static bool is_llama(const char *dir, struct ww_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (access(path, F_OK) != 0) // a file, or a directory with a GGUF file alone
        return true;
    struct ww_json *config = ww_json_load(path, MAX_CONFIG, ww_json_params(0), err);
    const char *type = ww_json_string(ww_json_get(config, "model_type"));
    const bool ok = config && (!type || !strcmp(type, "llama") ||
                               ww_fail(err, WW_E_UNSUPPORTED,
                                       "%s: model_type '%.60s' is no language model of LLaMA's "
                                       "architecture ('llama')", path, type));
    ww_json_free(&config);
    return ok;
}

bool ww_llama_read_config(const char *dir, struct ww_llama_shape *s, struct ww_error *err)
{
    *s = (struct ww_llama_shape){.rope = {.theta = 10000, .factor = 1}};
    return is_llama(dir, err) && shape_of_config(dir, s, err) &&
           (sane(s, err) || ww_within(err, "%s", dir));
}

struct ww_llama *ww_llama_load(struct ww_device *device, const char *path, struct ww_error *err)
{
    struct ww_llama *m = ww_room(1, sizeof *m);
    m->shape = (struct ww_llama_shape){.rope = {.theta = 10000, .factor = 1}};
    m->storages = ww_room(MAX_STORAGES * 17, sizeof *m->storages);
    struct loading l = {.device = device, .model = m, .err = err, .bank = ww_bank_create()};
    l.weights = is_llama(path, err) ? ww_weights_open(path, err) : NULL;
    l.failed = !l.weights;
    l.gguf = l.weights && ww_weights_find(l.weights, "token_embd.weight");
    l.failed = l.failed || !(l.gguf ? shape_of_meta(l.weights, &m->shape, err)
                                    : shape_of_config(path, &m->shape, err)) ||
               (!sane(&m->shape, err) && !ww_within(err, "%s", path));
    if (!l.failed) {
        m->layers = ww_room_for((size_t)m->shape.layers, sizeof *m->layers, err);
        l.failed = !m->layers;
    }
    if (!l.failed)
        load_all(&l);
    ww_bank_destroy(&l.bank);
    ww_weights_close(&l.weights);
    if (l.failed)
        ww_llama_unload(device, &m);
    return m;
}

void ww_llama_unload(struct ww_device *device, struct ww_llama **pointer)
{
    struct ww_llama *m = *pointer;
    if (!m)
        return;
    for (int i = 0; i < m->num_storages; i++)
        ww_storage_destroy(device, &m->storages[i]);
    free(m->storages);
    free(m->layers);
    free(m);
    *pointer = NULL;
}

const struct ww_llama_shape *ww_llama_shape(const struct ww_llama *model)
{
    return &model->shape;
}
