#include "grounding-dino-inner.h"
#include "base/room.h"
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 4096, MAX_QUERIES = 10000, GROUPS = 32 };

// Shape -------------------------------------------------------------------------------------------

static bool read_part(const struct ww_json *config, const char *part,
                      struct ww_deformable_shape *to, int *layers, struct ww_error *err)
{
    char name[64];
#define FIELD(fmt) (snprintf(name, sizeof name, fmt, part), name)
    return ww_config_integer(config, FIELD("%s_layers"), 6, 1, WW_GDINO_MAX_LAYERS, layers, err) &&
           ww_config_integer(config, FIELD("%s_attention_heads"), 8, 2, 64, &to->heads, err) &&
           ww_config_integer(config, FIELD("%s_ffn_dim"), 2048, 2, 4 * MAX_WIDTH, &to->inner, err) &&
           ww_config_integer(config, FIELD("%s_n_points"), 4, 1, 16, &to->points, err);
#undef FIELD
}

static bool check_heads(int width, int heads, const char *part, struct ww_error *err)
{
    return (width % heads == 0 && width / heads % 4 == 0 && width / heads <= 128) ||
           ww_fail(err, WW_E_UNSUPPORTED,
                   "'d_model' %d and '%s_attention_heads': %d heads of the %s must each be a multiple "
                   "of 4 wide and at most 128",
                   width, part, heads, part);
}

// A field that must be a certain word, if it is there.
static bool read_word(const struct ww_json *config, const char *field, const char *word,
                      struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(config, field);
    const char *found = value ? ww_json_string(value) : word;
    return (found && !strcmp(found, word)) ||
           ww_fail(err, WW_E_UNSUPPORTED, "'%s' is '%.40s'; only '%s' can be computed", field,
                   found ? found : ww_json_kind_name(ww_json_kind(value)), word);
}

static bool read_flag(const struct ww_json *config, const char *field, bool wanted,
                      struct ww_error *err)
{
    bool found;
    return ww_config_bool(config, field, wanted, &found, err) &&
           (found == wanted || ww_fail(err, WW_E_UNSUPPORTED, "'%s' is %s; only %s can be computed",
                                       field, found ? "true" : "false", wanted ? "true" : "false"));
}

bool ww_gdino_read_shape(const struct ww_json *config, struct ww_gdino_shape *s, struct ww_error *err)
{
    *s = (struct ww_gdino_shape){0};
    int width, dimensions;
    double eps, temperature;
    if (!ww_bert_read_shape(ww_json_get(config, "text_config"), &s->text, err))
        return ww_within(err, "'text_config'");
    if (!ww_config_integer(config, "d_model", 256, 8, MAX_WIDTH, &width, err) ||
        !ww_config_integer(config, "num_feature_levels", 4, WW_GDINO_MAPS, WW_GDINO_MAPS + 1,
                           &s->levels, err) ||
        !read_part(config, "encoder", &s->encoder, &s->encoder_layers, err) ||
        !read_part(config, "decoder", &s->decoder, &s->decoder_layers, err) ||
        !ww_config_integer(config, "num_queries", 900, 1, MAX_QUERIES, &s->queries, err) ||
        !ww_config_integer(config, "max_text_len", 256, 4, WW_GDINO_MAX_TOKENS, &s->max_tokens, err) ||
        !ww_config_integer(config, "query_dim", 4, 4, 4, &dimensions, err) ||
        !ww_config_real(config, "layer_norm_eps", 1e-5, 0, 1, &eps, err) ||
        !ww_config_real(config, "positional_embedding_temperature", 20, 1, 1e6, &temperature, err) ||
        !read_word(config, "activation_function", "relu", err) ||
        !read_word(config, "position_embedding_type", "sine", err) ||
        !read_flag(config, "two_stage", true, err) ||
        !read_flag(config, "embedding_init_target", true, err) ||
        !read_flag(config, "decoder_bbox_embed_share", true, err) ||
        !read_flag(config, "two_stage_bbox_embed_share", false, err))
        return false;
    if (s->max_tokens > s->text.positions)
        return ww_fail(err, WW_E_UNSUPPORTED, "'max_text_len' is %d, but its BERT knows %d positions",
                       s->max_tokens, s->text.positions);
    if (width % GROUPS || width % 8)
        return ww_fail(err, WW_E_UNSUPPORTED, "'d_model' is %d; it must be a multiple of %d", width,
                       GROUPS);
    if (s->encoder.heads % 2 || s->encoder.inner % s->encoder.heads)
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "'encoder_attention_heads' %d and 'encoder_ffn_dim' %d: half of the one must "
                       "share half of the other",
                       s->encoder.heads, s->encoder.inner);
    s->encoder.width = s->decoder.width = width;
    s->encoder.levels = s->decoder.levels = s->levels;
    s->encoder.eps = s->decoder.eps = (float)eps;
    s->side_heads = s->encoder.heads / 2;
    s->side_inner = s->encoder.inner / 2;
    s->temperature = (float)temperature;
    return check_heads(width, s->encoder.heads, "encoder", err) &&
           check_heads(width, s->side_heads, "encoder", err) &&
           check_heads(width, s->decoder.heads, "decoder", err);
}

// Names -------------------------------------------------------------------------------------------

// A loader that knows by what names its checkpoint goes.
struct names {
    struct ww_loader l;
    bool original;
    char prefix[32]; // before all of them, of the first release
};

bool ww_gdino_layout(const struct ww_weights *weights, enum ww_gdino_layout *out, char prefix[64],
                     struct ww_error *err)
{
    static const char *const prefixes[] = {"model/module.", "model/", "module.", ""};
    char name[96];
    *out = WW_GDINO_LIBRARY;
    snprintf(prefix, 64, "model.backbone.conv_encoder.model.");
    if (ww_weights_find(weights, "model.text_projection.weight"))
        return true;
    *out = WW_GDINO_ORIGINAL;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        snprintf(name, sizeof name, "%sfeat_map.weight", prefixes[i]);
        snprintf(prefix, 64, "%sbackbone.0.", prefixes[i]);
        if (ww_weights_find(weights, name))
            return true;
    }
    return ww_fail(err, WW_E_FILE,
                   "%s: no tensor 'model.text_projection.weight' and none 'feat_map.weight': these are "
                   "not the weights of a Grounding DINO",
                   ww_weights_path(weights));
}

// Chooses among a name of the library's and one of the first release's, and puts in the number of a
// layer, if there is a %d. A place of its own for each of the last few, so that calls can be nested.
static const char *pick(struct names *n, const char *library, const char *original, int layer)
{
    static _Thread_local char places[4][192];
    static _Thread_local int last;
    char *to = places[last = (last + 1) % 4];
    const char *from = n->original ? original : library, *number = strstr(from, "%d");
    const char *prefix = n->original ? n->prefix : "";
    if (number)
        snprintf(to, sizeof places[0], "%s%.*s%d%s", prefix, (int)(number - from), from, layer,
                 number + 2);
    else
        snprintf(to, sizeof places[0], "%s%s", prefix, from);
    return to;
}

// NAME as floats, [rows][c] or, without rows, [c]; NULL after an error.
static float *need(struct names *n, int rows, int c, const char *name)
{
    struct ww_loader *l = &n->l;
    const struct ww_weight *w =
        l->failed ? NULL
        : rows    ? ww_weights_need(l->weights, name, l->err, 2, (int64_t)rows, (int64_t)c)
                  : ww_weights_need(l->weights, name, l->err, 1, (int64_t)c);
    l->failed |= !w;
    return w ? ww_load_floats(l, w) : NULL;
}

static float *need_part(struct names *n, int rows, int c, const char *name, const char *part)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", name, part);
    return need(n, rows, c, full);
}

static void need_linear(struct names *n, int rows, int c, const char *name, float **w, float **bias)
{
    *w = need_part(n, rows, c, name, ".weight");
    *bias = need_part(n, 0, rows, name, ".bias");
}

// A linear layer from rows [c_out][c_in] as they lie.
static void pack_linear(struct names *n, struct ww_filter *f, int c_in, int c_out, const float *rows,
                        const float *bias)
{
    float *turned = ww_loader_floats(&n->l, (size_t)c_in * (size_t)c_out);
    for (int o = 0; turned && o < c_out; o++)
        for (int i = 0; i < c_in; i++)
            turned[(size_t)i * (size_t)c_out + (size_t)o] = rows[(size_t)o * (size_t)c_in + (size_t)i];
    if (turned)
        ww_pack_linear(n->l.bank, f, c_in, c_out, turned, bias);
    free(turned);
}

// Query, key and value of an attention one below the other, [3 width][width], and the bias likewise.
static bool need_qkv(struct names *n, int width, const char *name, float **w, float **bias)
{
    if (n->original) {
        *w = need_part(n, 3 * width, width, name, ".in_proj_weight");
        *bias = need_part(n, 0, 3 * width, name, ".in_proj_bias");
        return !n->l.failed;
    }
    static const char *const parts[][2] = {{".query.weight", ".query.bias"},
                                           {".key.weight", ".key.bias"},
                                           {".value.weight", ".value.bias"}};
    const size_t all = (size_t)width * (size_t)width;
    *w = ww_loader_floats(&n->l, 3 * all);
    *bias = ww_loader_floats(&n->l, 3 * (size_t)width);
    for (int i = 0; i < 3 && !n->l.failed; i++) {
        float *part = need_part(n, width, width, name, parts[i][0]);
        float *lift = need_part(n, 0, width, name, parts[i][1]);
        if (part && lift) {
            memcpy(*w + (size_t)i * all, part, sizeof *part * all);
            memcpy(*bias + i * width, lift, sizeof *lift * (size_t)width);
        }
        free(part);
        free(lift);
    }
    return !n->l.failed;
}

static void load_attending(struct names *n, struct ww_attending *to, int width, const char *name)
{
    float *w = NULL, *bias = NULL;
    const size_t all = (size_t)width * (size_t)width;
    if (need_qkv(n, width, name, &w, &bias)) {
        pack_linear(n, &to->qk, width, 2 * width, w, bias);
        pack_linear(n, &to->v, width, width, w + 2 * all, bias + 2 * width);
    }
    free(w);
    free(bias);
    ww_load_linear(&n->l, &to->out, width, width, "%s.out_proj", name);
}

static void load_asking(struct names *n, struct ww_gdino_asking *to, int width, const char *name)
{
    float *w = NULL, *bias = NULL;
    const size_t all = (size_t)width * (size_t)width;
    if (need_qkv(n, width, name, &w, &bias)) {
        pack_linear(n, &to->q, width, width, w, bias);
        pack_linear(n, &to->kv, width, 2 * width, w + all, bias + width);
    }
    free(w);
    free(bias);
    ww_load_linear(&n->l, &to->out, width, width, "%s.out_proj", name);
}

static void load_feeding(struct names *n, struct ww_feeding *to, int width, int inner,
                         const char *first, const char *second)
{
    ww_load_linear(&n->l, &to->inner, width, inner, "%s", first);
    ww_load_linear(&n->l, &to->outer, inner, width, "%s", second);
}

// Fusion ------------------------------------------------------------------------------------------

// What a checkpoint has of it: see grounding-dino-inner.h.
struct fusion {
    int width, heads, inner; // D; `inner` of all heads
    float *Q, *a, *K, *b;    // [inner][D], [inner]
    float *Vt, *vt, *Vv, *vv;
    float *Ov, *ov, *Ot, *ot; // [D][inner], [D]
    float *gain_v, *gain_t;   // [D]
};

static void free_fusion(struct fusion *f)
{
    float *all[] = {f->Q,  f->a,  f->K,  f->b,  f->Vt,     f->vt,    f->Vv,
                    f->vv, f->Ov, f->ov, f->Ot, f->ot, f->gain_v, f->gain_t};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

// out[i][c] += sum over the head's k of left[k][i] right[k][c], each k an entry of the inner width; all of
// which lie as [inner][D].
static void fold(const struct fusion *f, int head, const float *left, const float *right, double *out)
{
    const int D = f->width, each = f->inner / f->heads;
    memset(out, 0, sizeof *out * (size_t)D * (size_t)D);
    for (int k = head * each; k < (head + 1) * each; k++)
        for (int i = 0; i < D; i++) {
            const double by = (double)left[k * D + i];
            double *row = out + (size_t)i * (size_t)D;
            for (int c = 0; c < D; c++)
                row[c] += by * (double)right[k * D + c];
        }
}

// The same of a vector: out[c] = sum over k of left[k] right[k][c].
static double fold_one(const struct fusion *f, int head, const float *left, const float *right, int c)
{
    const int each = f->inner / f->heads;
    double sum = 0;
    for (int k = head * each; k < (head + 1) * each; k++)
        sum += (double)left[k] * (double)right[k * f->width + c];
    return sum;
}

// [D][inner] as [inner][D]; NULL after an error.
static float *turn(struct names *n, const struct fusion *f, const float *rows)
{
    float *out = ww_loader_floats(&n->l, (size_t)f->width * (size_t)f->inner);
    for (int c = 0; out && c < f->width; c++)
        for (int k = 0; k < f->inner; k++)
            out[k * f->width + c] = rows[c * f->inner + k];
    return out;
}

// key(t)_h = Q_h' (K_h t + b_h) / sqrt(width of a head), lift(t)_h = a_h . (K_h t + b_h) likewise.
static void fold_keys(struct names *n, const struct fusion *f, struct ww_gdino_fusion *to, double *sum)
{
    const size_t D = (size_t)f->width, all = D * (size_t)f->heads;
    const double scale = 1 / sqrt((double)f->inner / f->heads);
    float *w = ww_loader_floats(&n->l, (D + 1) * all);
    float *lift = ww_loader_floats(&n->l, (D + 1) * (size_t)f->heads);
    float *bias = lift ? w + D * all : NULL, *lift_bias = lift ? lift + D * (size_t)f->heads : NULL;
    for (int h = 0; lift && h < f->heads; h++) {
        const int each = f->inner / f->heads;
        fold(f, h, f->K, f->Q, sum);
        for (size_t i = 0; i < D; i++) {
            for (size_t c = 0; c < D; c++)
                w[i * all + (size_t)h * D + c] = (float)(scale * sum[i * D + c]);
            lift[i * (size_t)f->heads + (size_t)h] = (float)(scale * fold_one(f, h, f->a, f->K, (int)i));
        }
        for (size_t c = 0; c < D; c++)
            bias[(size_t)h * D + c] = (float)(scale * fold_one(f, h, f->b, f->Q, (int)c));
        double meet = 0;
        for (int k = h * each; k < (h + 1) * each; k++)
            meet += (double)f->a[k] * (double)f->b[k];
        lift_bias[h] = (float)(scale * meet);
    }
    if (lift) {
        ww_pack_linear(n->l.bank, &to->key, f->width, (int)all, w, bias);
        ww_pack_linear(n->l.bank, &to->lift, f->width, f->heads, lift, lift_bias);
    }
    free(w);
    free(lift);
}

// value(t)_h = gain O_h (V_h t + v_h). As shares of words add up to 1, the output's own bias may be one
// of the first head's.
static void fold_values(struct names *n, const struct fusion *f, struct ww_gdino_fusion *to, double *sum)
{
    const size_t D = (size_t)f->width, all = D * (size_t)f->heads;
    float *w = ww_loader_floats(&n->l, (D + 1) * all), *O = turn(n, f, f->Ov);
    float *bias = O ? w + D * all : NULL;
    for (int h = 0; O && h < f->heads; h++) {
        fold(f, h, f->Vt, O, sum);
        for (size_t c = 0; c < D; c++) {
            const double gain = (double)f->gain_v[c];
            for (size_t i = 0; i < D; i++)
                w[i * all + (size_t)h * D + c] = (float)(gain * sum[i * D + c]);
            bias[(size_t)h * D + c] = (float)(gain * (fold_one(f, h, f->vt, O, (int)c) +
                                                      (h ? 0 : (double)f->ov[c])));
        }
    }
    if (O)
        ww_pack_linear(n->l.bank, &to->value, f->width, (int)all, w, bias);
    free(O);
    free(w);
}

// out(u) = gain (sum over h of O_h (V_h u_h + v_h) + o)
static void fold_out(struct names *n, const struct fusion *f, struct ww_gdino_fusion *to, double *sum)
{
    const size_t D = (size_t)f->width, all = D * (size_t)f->heads;
    float *w = ww_loader_floats(&n->l, (all + 1) * D), *O = turn(n, f, f->Ot);
    float *bias = O ? w + all * D : NULL;
    for (size_t c = 0; O && c < D; c++) {
        double lift = (double)f->ot[c];
        for (int h = 0; h < f->heads; h++)
            lift += fold_one(f, h, f->vv, O, (int)c);
        bias[c] = (float)((double)f->gain_t[c] * lift);
    }
    for (int h = 0; O && h < f->heads; h++) {
        fold(f, h, f->Vv, O, sum);
        for (size_t i = 0; i < D; i++)
            for (size_t c = 0; c < D; c++)
                w[((size_t)h * D + i) * D + c] = (float)((double)f->gain_t[c] * sum[i * D + c]);
    }
    if (O)
        ww_pack_linear(n->l.bank, &to->out, (int)all, f->width, w, bias);
    free(O);
    free(w);
}

#define LIBRARY_FUSION  "model.encoder.layers.%d.fusion_layer."
#define ORIGINAL_FUSION "transformer.encoder.fusion_layers.%d."

static void load_fusion(struct names *n, const struct ww_gdino_shape *s, struct ww_gdino_fusion *to,
                        int i)
{
    const int D = s->encoder.width, inner = s->side_inner;
    struct fusion f = {.width = D, .heads = s->side_heads, .inner = inner};
#define FUSION(library, original) pick(n, LIBRARY_FUSION library, ORIGINAL_FUSION original, i)
    ww_load_norm(&n->l, &to->picture_norm, D, "%s", FUSION("layer_norm_vision", "layer_norm_v"));
    ww_load_norm(&n->l, &to->words_norm, D, "%s", FUSION("layer_norm_text", "layer_norm_l"));
    f.gain_v = need(n, 0, D, FUSION("vision_param", "gamma_v"));
    f.gain_t = need(n, 0, D, FUSION("text_param", "gamma_l"));
    need_linear(n, inner, D, FUSION("attn.vision_proj", "attn.v_proj"), &f.Q, &f.a);
    need_linear(n, inner, D, FUSION("attn.text_proj", "attn.l_proj"), &f.K, &f.b);
    need_linear(n, inner, D, FUSION("attn.values_text_proj", "attn.values_l_proj"), &f.Vt, &f.vt);
    need_linear(n, inner, D, FUSION("attn.values_vision_proj", "attn.values_v_proj"), &f.Vv, &f.vv);
    need_linear(n, D, inner, FUSION("attn.out_vision_proj", "attn.out_v_proj"), &f.Ov, &f.ov);
    need_linear(n, D, inner, FUSION("attn.out_text_proj", "attn.out_l_proj"), &f.Ot, &f.ot);
#undef FUSION
    double *sum = n->l.failed ? NULL : ww_room_for((size_t)D * (size_t)D, sizeof *sum, n->l.err);
    n->l.failed |= !sum;
    if (sum) {
        fold_keys(n, &f, to, sum);
        fold_values(n, &f, to, sum);
        fold_out(n, &f, to, sum);
    }
    free(sum);
    free_fusion(&f);
}

// Layers ------------------------------------------------------------------------------------------

static void load_encoder_layer(struct names *n, const struct ww_gdino_shape *shape,
                               struct ww_gdino_encoder_layer *to, int i)
{
    const struct ww_deformable_shape *s = &shape->encoder;
    const int D = s->width;
    load_fusion(n, shape, &to->fusion, i);
#define WORDS(library, original)                                                                   \
    pick(n, "model.encoder.layers.%d.text_enhancer_layer." library,                                \
         "transformer.encoder.text_layers.%d." original, i)
    load_attending(n, &to->words_self, D, WORDS("self_attn", "self_attn"));
    ww_load_norm(&n->l, &to->words_self_norm, D, "%s", WORDS("layer_norm_before", "norm1"));
    load_feeding(n, &to->words_feed, D, shape->side_inner, WORDS("fc1", "linear1"),
                 WORDS("fc2", "linear2"));
    ww_load_norm(&n->l, &to->words_feed_norm, D, "%s", WORDS("layer_norm_after", "norm2"));
#undef WORDS
#define PICTURE(library, original)                                                                 \
    pick(n, "model.encoder.layers.%d.deformable_layer." library,                                   \
         "transformer.encoder.layers.%d." original, i)
    ww_load_looking(&n->l, &to->look, s, "%s", PICTURE("self_attn", "self_attn"));
    ww_load_norm(&n->l, &to->look_norm, D, "%s", PICTURE("self_attn_layer_norm", "norm1"));
    ww_bank_allow_halves(n->l.bank, true);
    load_feeding(n, &to->feed, D, s->inner, PICTURE("fc1", "linear1"), PICTURE("fc2", "linear2"));
    ww_bank_allow_halves(n->l.bank, false);
    ww_load_norm(&n->l, &to->feed_norm, D, "%s", PICTURE("final_layer_norm", "norm2"));
#undef PICTURE
}

// The first release numbers its norms in another order than they come in.
static void load_decoder_layer(struct names *n, const struct ww_deformable_shape *s,
                               struct ww_gdino_decoder_layer *to, int i)
{
    const int D = s->width;
#define QUERIES(library, original)                                                                 \
    pick(n, "model.decoder.layers.%d." library, "transformer.decoder.layers.%d." original, i)
    load_attending(n, &to->self, D, QUERIES("self_attn", "self_attn"));
    ww_load_norm(&n->l, &to->self_norm, D, "%s", QUERIES("self_attn_layer_norm", "norm2"));
    load_asking(n, &to->words, D, QUERIES("encoder_attn_text", "ca_text"));
    ww_load_norm(&n->l, &to->words_norm, D, "%s",
                 QUERIES("encoder_attn_text_layer_norm", "catext_norm"));
    ww_load_looking(&n->l, &to->look, s, "%s", QUERIES("encoder_attn", "cross_attn"));
    ww_load_norm(&n->l, &to->look_norm, D, "%s", QUERIES("encoder_attn_layer_norm", "norm1"));
    load_feeding(n, &to->feed, D, s->inner, QUERIES("fc1", "linear1"), QUERIES("fc2", "linear2"));
    ww_load_norm(&n->l, &to->feed_norm, D, "%s", QUERIES("final_layer_norm", "norm3"));
#undef QUERIES
}

// One head goes by the name of every layer that has it, with or without the decoder's before it; a file
// may hold any one of them.
static void load_box(struct names *n, struct ww_gdino *m)
{
    const int D = m->shape.decoder.width;
    char name[192] = "";
    for (int i = 0; i < 2 * m->shape.decoder_layers; i++) {
        const int k = i % m->shape.decoder_layers;
        snprintf(name, sizeof name, "%s",
                 i == k ? pick(n, "bbox_embed.%d", "bbox_embed.%d", k)
                        : pick(n, "model.decoder.bbox_embed.%d",
                               "transformer.decoder.bbox_embed.%d", k));
        char full[224];
        snprintf(full, sizeof full, "%s.layers.0.weight", name);
        if (ww_weights_find(n->l.weights, full))
            break;
        snprintf(name, sizeof name, "%s", pick(n, "bbox_embed.%d", "bbox_embed.%d", 0));
    }
    ww_load_mlp(&n->l, &m->box, 3, D, D, 4, "%s", name);
}

static void load_queries(struct names *n, struct ww_gdino *m)
{
    const int D = m->shape.decoder.width;
    const struct ww_gdino_shape *s = &m->shape;
    ww_load_linear(&n->l, &m->select, D, D, "%s", pick(n, "model.enc_output", "transformer.enc_output", 0));
    ww_load_norm(&n->l, &m->select_norm, D, "%s",
                 pick(n, "model.enc_output_norm", "transformer.enc_output_norm", 0));
    ww_load_mlp(&n->l, &m->select_box, 3, D, D, 4, "%s",
                pick(n, "model.encoder_output_bbox_embed", "transformer.enc_out_bbox_embed", 0));
    float *table = need(n, s->queries, D, pick(n, "model.query_position_embeddings.weight",
                                               "transformer.tgt_embed.weight", 0));
    if (table)
        ww_pack_image(n->l.bank, &m->query, D, 1, s->queries, table);
    free(table);
    ww_load_mlp(&n->l, &m->place, 2, 2 * D, D, D, "%s",
                pick(n, "model.decoder.reference_points_head", "transformer.decoder.ref_point_head", 0));
    ww_load_norm(&n->l, &m->norm, D, "%s",
                 pick(n, "model.decoder.layer_norm", "transformer.decoder.norm", 0));
    load_box(n, m);
}

static void load_projections(struct names *n, struct ww_gdino *m, const int channels[WW_GDINO_MAPS])
{
    const int D = m->shape.encoder.width;
    for (int i = 0; i < m->shape.levels && !n->l.failed; i++) {
        const int from = channels[i < WW_GDINO_MAPS ? i : WW_GDINO_MAPS - 1];
        ww_load_conv2d(&n->l, &m->project[i], i < WW_GDINO_MAPS ? 1 : 3, from, D, "%s",
                       pick(n, "model.input_proj_vision.%d.0", "input_proj.%d.0", i));
        ww_load_norm(&n->l, &m->project_norm[i], D, "%s",
                     pick(n, "model.input_proj_vision.%d.1", "input_proj.%d.1", i));
    }
    m->level_embed = need(n, m->shape.levels, D, pick(n, "model.level_embed", "transformer.level_embed", 0));
    ww_load_linear(&n->l, &m->words_project, m->shape.text.hidden, D, "%s",
                   pick(n, "model.text_projection", "feat_map", 0));
}

struct ww_gdino *ww_gdino_load(struct ww_device *device, const struct ww_weights *weights,
                               const struct ww_gdino_shape *shape,
                               const int channels[WW_GDINO_MAPS], struct ww_error *err)
{
    char backbone[64];
    struct ww_gdino *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->shape = *shape;
    struct names n = {.l = {.weights = weights, .bank = ww_bank_create(), .err = err}};
    n.l.failed = !ww_gdino_layout(weights, &m->layout, backbone, err);
    n.original = m->layout == WW_GDINO_ORIGINAL;
    if (n.original)
        snprintf(n.prefix, sizeof n.prefix, "%.*s", (int)(strlen(backbone) - strlen("backbone.0.")),
                 backbone);
    if (!n.l.failed)
        m->bert = ww_bert_load(device, weights, pick(&n, "model.text_backbone.", "bert.", 0),
                               &shape->text, err);
    n.l.failed |= !m->bert;
    load_projections(&n, m, channels);
    for (int i = 0; i < shape->encoder_layers && !n.l.failed; i++)
        load_encoder_layer(&n, shape, &m->encoder[i], i);
    for (int i = 0; i < shape->decoder_layers && !n.l.failed; i++)
        load_decoder_layer(&n, &shape->decoder, &m->decoder[i], i);
    load_queries(&n, m);
    const bool ok = !n.l.failed && ww_bank_upload(n.l.bank, device, m->storage, WW_GDINO_MAX_STORAGES,
                                                  &m->num_storages, err);
    ww_bank_destroy(&n.l.bank);
    if (!ok)
        ww_gdino_destroy(device, &m);
    return m;
}

void ww_gdino_destroy(struct ww_device *device, struct ww_gdino **pointer)
{
    struct ww_gdino *m = *pointer;
    if (!m)
        return;
    for (int i = 0; i < m->num_storages; i++)
        ww_storage_destroy(device, &m->storage[i]);
    ww_bert_destroy(device, &m->bert);
    free(m->level_embed);
    free(m);
    *pointer = NULL;
}

const struct ww_gdino_shape *ww_gdino_shape(const struct ww_gdino *m)
{
    return &m->shape;
}
