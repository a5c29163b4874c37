// Swin Transformer. Liu, Lin, Cao, Hu, Wei, Zhang, Lin and Guo, 2021, arXiv:2103.14030; "§" is a section
// of it.
//
//     patches -> norm -> blocks -> merge -> blocks -> merge -> blocks -> merge -> blocks
//                           +-> norm           (each stage that gives something out)
//     block: x -+-> norm -> windows -> + -+-> norm -> linear -> GELU -> linear -> + ->
//               +----------------------+  +---------------------------------------+
//
// As a detector uses it, windows have one size, also where the map is smaller, and odd blocks are
// always shifted.

#include "swin.h"
#include "base/room.h"
#include "feed.h"
#include "kernels/swin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BLOCKS = 64, MAX_WIDTH = 1 << 14, MAX_HEADS = 256, MAX_WINDOW = 32, MAX_PATCH = 32 };
enum { MAX_HEAD = 64 }; // numbers of one, as ww_windows takes them
enum { MAX_BIAS = 1 << 26 }; // numbers of a block's, for all heads

struct block {
    struct ww_filter before, qkv, bias, out, after, inner, outer;
};

struct ww_swin {
    struct ww_swin_shape shape;
    struct ww_filter patch, patch_norm;
    struct block *blocks[WW_SWIN_STAGES];
    struct ww_filter merge_norm[WW_SWIN_STAGES], merge[WW_SWIN_STAGES], out_norm[WW_SWIN_STAGES];
};

// Names -------------------------------------------------------------------------------------------

// What the transformers library and the first release call the same things.
struct names {
    const char *patch, *patch_norm, *layers;                // behind the prefix
    const char *before, *table, *out, *after, *inner, *outer; // of a block
    const char *qkv[3];
    int num_qkv;
    const char *out_norm; // and a number, of which the first stage has:
    int first_out;
};

static const struct names library = {.patch = "embeddings.patch_embeddings.projection",
                                     .patch_norm = "embeddings.norm",
                                     .layers = "encoder.layers",
                                     .before = "layernorm_before",
                                     .table = "attention.self.relative_position_bias_table",
                                     .out = "attention.output.dense",
                                     .after = "layernorm_after",
                                     .inner = "intermediate.dense",
                                     .outer = "output.dense",
                                     .qkv = {"attention.self.query", "attention.self.key",
                                             "attention.self.value"},
                                     .num_qkv = 3,
                                     .out_norm = "hidden_states_norms.stage",
                                     .first_out = 1};
static const struct names release = {.patch = "patch_embed.proj",
                                     .patch_norm = "patch_embed.norm",
                                     .layers = "layers",
                                     .before = "norm1",
                                     .table = "attn.relative_position_bias_table",
                                     .out = "attn.proj",
                                     .after = "norm2",
                                     .inner = "mlp.fc1",
                                     .outer = "mlp.fc2",
                                     .qkv = {"attn.qkv"},
                                     .num_qkv = 1,
                                     .out_norm = "norm"};

static const struct ww_weight *WW_PRINTF(2, 3)
    find(const struct ww_weights *weights, const char *fmt, ...)
{
    char name[256];
    WW_NAME_FROM(name, fmt);
    return ww_weights_find(weights, name);
}

static const struct names *names_of(const struct ww_weights *weights, const char *prefix)
{
    return find(weights, "%s%s.weight", prefix, release.patch) ? &release : &library;
}

// Shape -------------------------------------------------------------------------------------------

static bool check_heads(const struct ww_swin_shape *s, struct ww_error *err)
{
    for (int i = 0; i < s->stages; i++) {
        const int c = s->embed << i, width = c / s->heads[i];
        if (c % s->heads[i] || width % 4 || width > MAX_HEAD || c > MAX_WIDTH)
            return ww_fail(err, WW_E_UNSUPPORTED,
                           "stage %d of the Swin backbone has %d channels and %d heads: a head must be a "
                           "multiple of 4 wide and at most %d, a stage at most %d",
                           i, c, s->heads[i], MAX_HEAD, MAX_WIDTH);
        const int64_t pairs = (int64_t)s->window * s->window * s->window * s->window;
        if (s->heads[i] * pairs > MAX_BIAS)
            return ww_fail(err, WW_E_UNSUPPORTED,
                           "stage %d of the Swin backbone has windows %d wide and %d heads, which is more than "
                           "memory is spent on", i, s->window, s->heads[i]);
    }
    return true;
}

// A list of whole numbers, one for each stage; returns how many there are, or -1.
static int read_list(const struct ww_json *config, const char *field, const int usual[WW_SWIN_STAGES],
                     int high, int out[WW_SWIN_STAGES], struct ww_error *err)
{
    const struct ww_json *list = ww_json_get(config, field);
    memcpy(out, usual, sizeof *out * WW_SWIN_STAGES);
    if (!list)
        return WW_SWIN_STAGES;
    int num = 0;
    for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x), num++) {
        int64_t number;
        if (num == WW_SWIN_STAGES || !ww_json_integer(x, &number) || number < 1 || number > high) {
            num = 0;
            break;
        }
        out[num] = (int)number;
    }
    if (num)
        return num;
    ww_fail(err, WW_E_FILE, "'%s' must be a list of 1 to %d whole numbers from 1 to %d", field,
            WW_SWIN_STAGES, high);
    return -1;
}

static bool is_there(const struct ww_json *value)
{
    return value && ww_json_kind(value) != WW_JSON_NULL;
}

// "stage1" is the first; "stem", the embedding, is nothing that we give out.
static bool read_features(const struct ww_json *features, struct ww_swin_shape *s, struct ww_error *err)
{
    bool some = false, sound = true;
    for (const struct ww_json *x = ww_json_first(features); sound && x; x = ww_json_next(x)) {
        const char *name = ww_json_string(x);
        sound = name && !strncmp(name, "stage", 5) && name[5] >= '1' && name[5] < '1' + s->stages && !name[6];
        if (sound)
            some = s->out[name[5] - '1'] = true;
    }
    return (some && sound) || ww_fail(err, WW_E_UNSUPPORTED, "'out_features' must be a list of names from "
                                                             "'stage1' to 'stage%d'", s->stages);
}

// What is given out by number, from 1 on, or by name.
static bool read_outputs(const struct ww_json *config, struct ww_swin_shape *s, struct ww_error *err)
{
    const struct ww_json *indices = ww_json_get(config, "out_indices");
    const struct ww_json *features = ww_json_get(config, "out_features");
    if (!is_there(indices) && is_there(features))
        return read_features(features, s, err);
    if (!is_there(indices)) {
        s->out[s->stages - 1] = true;
        return true;
    }
    bool some = false, sound = true;
    for (const struct ww_json *x = ww_json_first(indices); sound && x; x = ww_json_next(x)) {
        int64_t number;
        sound = ww_json_integer(x, &number) && number >= 1 && number <= s->stages;
        if (sound)
            some = s->out[number - 1] = true;
    }
    return (some && sound) ||
           ww_fail(err, WW_E_UNSUPPORTED,
                   "'out_indices' must be a list of whole numbers from 1 to %d, the stages", s->stages);
}

static bool read_fixed(const struct ww_json *config, struct ww_error *err)
{
    bool absolute, biased;
    if (!ww_config_bool(config, "use_absolute_embeddings", false, &absolute, err) ||
        !ww_config_bool(config, "qkv_bias", true, &biased, err) ||
        !ww_config_word(config, "hidden_act", "gelu", err))
        return false;
    if (absolute || !biased)
        return ww_fail(err, WW_E_UNSUPPORTED, "'%s' is %s; only %s can be computed",
                       absolute ? "use_absolute_embeddings" : "qkv_bias", absolute ? "true" : "false",
                       absolute ? "false" : "true");
    return true;
}

bool ww_swin_read_shape(const struct ww_json *config, struct ww_swin_shape *s, struct ww_error *err)
{
    *s = (struct ww_swin_shape){0};
    int colours;
    double eps;
    if (!ww_config_word(config, "model_type", "swin", err) ||
        !ww_config_integer(config, "patch_size", 4, 1, MAX_PATCH, &s->patch, err) ||
        !ww_config_integer(config, "num_channels", 3, 3, 3, &colours, err) ||
        !ww_config_integer(config, "embed_dim", 96, 4, MAX_WIDTH, &s->embed, err) ||
        !ww_config_integer(config, "window_size", 7, 1, MAX_WINDOW, &s->window, err) ||
        !ww_config_real(config, "layer_norm_eps", 1e-5, 0, 1, &eps, err) || !read_fixed(config, err))
        return false;
    s->eps = (float)eps;
    s->stages = read_list(config, "depths", (const int[]){2, 2, 6, 2}, MAX_BLOCKS, s->depths, err);
    const int heads = read_list(config, "num_heads", (const int[]){3, 6, 12, 24}, MAX_HEADS, s->heads, err);
    if (s->stages < 0 || heads < 0)
        return false;
    if (heads < s->stages)
        return ww_fail(err, WW_E_FILE, "'num_heads' has %d entries and 'depths' %d", heads, s->stages);
    return read_outputs(config, s, err) && check_heads(s, err);
}

static int count_blocks(const struct ww_weights *weights, const char *prefix, const struct names *n, int s)
{
    int num = 0;
    while (num < MAX_BLOCKS &&
           find(weights, "%s%s.%d.blocks.%d.%s", prefix, n->layers, s, num, n->table))
        num++;
    return num;
}

bool ww_swin_find_shape(const struct ww_weights *weights, const char *prefix,
                        struct ww_swin_shape *s, struct ww_error *err)
{
    const struct names *n = names_of(weights, prefix);
    *s = (struct ww_swin_shape){.eps = 1e-5f};
    char name[256];
    snprintf(name, sizeof name, "%s%s.weight", prefix, n->patch);
    const struct ww_weight *patch =
        ww_weights_need(weights, name, err, 4, (int64_t)-1, (int64_t)3, (int64_t)-1, (int64_t)-1);
    if (!patch)
        return false;
    if (patch->dim[0] < 4 || patch->dim[0] > MAX_WIDTH || patch->dim[2] < 1 || patch->dim[2] > MAX_PATCH)
        return ww_fail(err, WW_E_FILE, "%s: tensor '%s' is of no Swin backbone: [%lld, 3, %lld, ..]",
                       ww_weights_path(weights), name, (long long)patch->dim[0],
                       (long long)patch->dim[2]);
    s->embed = (int)patch->dim[0];
    s->patch = (int)patch->dim[2];
    for (; s->stages < WW_SWIN_STAGES; s->stages++) {
        const int i = s->stages;
        s->depths[i] = count_blocks(weights, prefix, n, i);
        if (!s->depths[i] && i > 0)
            break;
        snprintf(name, sizeof name, "%s%s.%d.blocks.0.%s", prefix, n->layers, i, n->table);
        const struct ww_weight *table = ww_weights_need(weights, name, err, 2, (int64_t)-1, (int64_t)-1);
        if (!table)
            return false;
        int window = 1;
        while (window < MAX_WINDOW && (2 * window - 1) * (2 * window - 1) < table->dim[0])
            window++;
        if ((2 * window - 1) * (2 * window - 1) != table->dim[0] || table->dim[1] < 1 ||
            table->dim[1] > MAX_HEADS || (i > 0 && window != s->window))
            return ww_fail(err, WW_E_FILE,
                           "%s: tensor '%s' of [%lld, %lld]: rows must be the square of 2 w - 1 for a window "
                           "w of at most %d, the same in all stages, columns at most %d",
                           ww_weights_path(weights), name, (long long)table->dim[0],
                           (long long)table->dim[1], MAX_WINDOW, MAX_HEADS);
        s->window = window;
        s->heads[i] = (int)table->dim[1];
        s->out[i] = find(weights, "%s%s%d.weight", prefix, n->out_norm, i + n->first_out);
    }
    return check_heads(s, err);
}

// Weights -----------------------------------------------------------------------------------------

static void load_bias(struct ww_loader *l, struct ww_filter *to, int window, int heads, const char *block,
                      const char *table)
{
    char name[256];
    snprintf(name, sizeof name, "%s%s", block, table);
    const int64_t rows = (int64_t)(2 * window - 1) * (2 * window - 1);
    const struct ww_weight *w =
        l->failed ? NULL : ww_weights_need(l->weights, name, l->err, 2, rows, (int64_t)heads);
    l->failed |= !w;
    float *data = w ? ww_load_floats(l, w) : NULL;
    if (data)
        l->failed = !ww_pack_window_bias(l->bank, to, window, heads, data, l->err);
    free(data);
}

// How wide the middle of a block is, its first linear layer says.
static int inner_of(struct ww_loader *l, int c, const char *block, const char *inner)
{
    char name[288];
    snprintf(name, sizeof name, "%s%s.weight", block, inner);
    const struct ww_weight *w =
        l->failed ? NULL : ww_weights_need(l->weights, name, l->err, 2, (int64_t)-1, (int64_t)c);
    if (w && (w->dim[0] < 1 || w->dim[0] > 4 * MAX_WIDTH)) {
        ww_fail(l->err, WW_E_UNSUPPORTED, "%s: tensor '%s' has %lld rows; from 1 to %d are allowed",
                ww_weights_path(l->weights), name, (long long)w->dim[0], 4 * MAX_WIDTH);
        w = NULL;
    }
    l->failed |= !w;
    return w ? (int)w->dim[0] : 0;
}

static void load_block(struct ww_loader *l, const struct ww_swin *net, const struct names *n, int s,
                       struct block *to, const char *block)
{
    const int c = ww_swin_channels(net, s), inner = inner_of(l, c, block, n->inner);
    ww_load_norm(l, &to->before, c, "%s%s", block, n->before);
    ww_load_linears(l, &to->qkv, c, 3 * c / n->num_qkv, n->qkv, n->num_qkv, "%s", block);
    load_bias(l, &to->bias, net->shape.window, net->shape.heads[s], block, n->table);
    ww_load_linear(l, &to->out, c, c, "%s%s", block, n->out);
    ww_load_norm(l, &to->after, c, "%s%s", block, n->after);
    ww_load_linear(l, &to->inner, c, inner, "%s%s", block, n->inner);
    ww_load_linear(l, &to->outer, inner, c, "%s%s", block, n->outer);
}

struct ww_swin *ww_swin_load(struct ww_loader *l, const char *prefix, const struct ww_swin_shape *shape)
{
    const struct names *n = names_of(l->weights, prefix);
    struct ww_swin *net = calloc(1, sizeof *net);
    if (!net)
        abort();
    net->shape = *shape;
    ww_bank_allow_halves(l->bank, true);
    ww_load_conv2d(l, &net->patch, shape->patch, 3, shape->embed, "%s%s", prefix, n->patch);
    ww_load_norm(l, &net->patch_norm, shape->embed, "%s%s", prefix, n->patch_norm);
    for (int s = 0; s < shape->stages && !l->failed; s++) {
        const int c = ww_swin_channels(net, s);
        char name[192];
        net->blocks[s] = ww_room_for((size_t)shape->depths[s], sizeof *net->blocks[s], l->err);
        l->failed |= !net->blocks[s];
        for (int i = 0; i < shape->depths[s] && !l->failed; i++) {
            snprintf(name, sizeof name, "%s%s.%d.blocks.%d.", prefix, n->layers, s, i);
            load_block(l, net, n, s, &net->blocks[s][i], name);
        }
        if (shape->out[s])
            ww_load_norm(l, &net->out_norm[s], c, "%s%s%d", prefix, n->out_norm, s + n->first_out);
        if (s + 1 == shape->stages)
            continue;
        ww_load_norm(l, &net->merge_norm[s], 4 * c, "%s%s.%d.downsample.norm", prefix, n->layers, s);
        ww_load_product(l, &net->merge[s], 4 * c, 2 * c, "%s%s.%d.downsample.reduction", prefix, n->layers,
                        s);
    }
    ww_bank_allow_halves(l->bank, false);
    if (l->failed)
        ww_swin_destroy(&net);
    return net;
}

void ww_swin_destroy(struct ww_swin **pointer)
{
    struct ww_swin *net = *pointer;
    if (!net)
        return;
    for (int s = 0; s < WW_SWIN_STAGES; s++)
        free(net->blocks[s]);
    free(net);
    *pointer = NULL;
}

const struct ww_swin_shape *ww_swin_shape(const struct ww_swin *net)
{
    return &net->shape;
}

int ww_swin_channels(const struct ww_swin *net, int stage)
{
    return net->shape.embed << stage;
}

// Forward -----------------------------------------------------------------------------------------

static struct ww_tensor norm(struct ww_cmd *g, const struct ww_swin *net, struct ww_tensor x,
                             const struct ww_filter *w)
{
    const struct ww_tensor y = ww_like(g, x, x.c);
    ww_layernorm(g, y, x, w, net->shape.eps);
    return y;
}

// x w + b + residual
static struct ww_tensor linear(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w,
                               struct ww_tensor residual)
{
    const struct ww_tensor y = ww_like(g, x, w->c_out);
    ww_pointwise(g, y, x, w, ww_conv_params(.residual = residual));
    return y;
}

// §3.1 Patch embedding: what the last patches lack is zero.
static struct ww_tensor embed(struct ww_cmd *g, const struct ww_swin *net, struct ww_tensor x)
{
    const int patch = net->shape.patch;
    const struct ww_tensor y = ww_half_activation(g, x.n, net->shape.embed, (x.h + patch - 1) / patch,
                                                  (x.w + patch - 1) / patch);
    ww_conv2d(g, y, x, &net->patch, ww_conv_params(.stride = patch, .padded = true));
    return norm(g, net, y, &net->patch_norm);
}

// §3.2 Attention in windows, whose padding is zero after the norm: the pixel behind the last.
static struct ww_tensor attend(struct ww_cmd *g, const struct ww_swin *net, int s, int i, struct ww_tensor x)
{
    const struct block *b = &net->blocks[s][i];
    const int heads = net->shape.heads[s], window = net->shape.window;
    const struct ww_tensor none = {0}, normed = ww_activation_as(g, x, x.n, x.c, 1, x.h * x.w + 1);
    ww_layernorm(g, normed, x, &b->before, net->shape.eps);
    const struct ww_tensor qkv = linear(g, normed, &b->qkv, none), seen = ww_like(g, x, x.c);
    ww_windows(g, seen, ww_channels(qkv, 0, x.c), ww_channels(qkv, x.c, x.c),
               ww_channels(qkv, 2 * x.c, x.c),
               ww_windows_params(.heads = heads, .window = window, .shift = i % 2 ? window / 2 : 0,
                                 .bias = ww_window_bias(g, &b->bias, window, heads)));
    return linear(g, seen, &b->out, x);
}

static struct ww_tensor feed_forward(struct ww_cmd *g, const struct ww_swin *net, const struct block *b,
                                     struct ww_tensor x)
{
    return ww_feed_forward(g, norm(g, net, x, &b->after), &b->inner, WW_ACT_GELU, &b->outer, x);
}

// §3.1 Patch merging
static struct ww_tensor merge(struct ww_cmd *g, const struct ww_swin *net, int s, struct ww_tensor x)
{
    const struct ww_tensor none = {0};
    const struct ww_tensor four = ww_activation_as(g, x, x.n, 4 * x.c, (x.h + 1) / 2, (x.w + 1) / 2);
    ww_merge(g, four, x);
    return linear(g, norm(g, net, four, &net->merge_norm[s]), &net->merge[s], none);
}

void ww_swin(struct ww_cmd *g, const struct ww_swin *net, struct ww_tensor x,
             struct ww_tensor out[WW_SWIN_STAGES], const char *prefix)
{
    memset(out, 0, sizeof *out * WW_SWIN_STAGES);
    ww_label(g, "embed");
    x = embed(g, net, x);
    ww_stage_rows(g, x, "%sembed", prefix);
    for (int s = 0; s < net->shape.stages; s++) {
        for (int i = 0; i < net->shape.depths[s]; i++) {
            ww_label(g, "stage %d block %d attention", s, i);
            x = attend(g, net, s, i, x);
            ww_label(g, "stage %d block %d feed forward", s, i);
            x = feed_forward(g, net, &net->blocks[s][i], x);
            ww_stage_rows(g, x, "%sstage%d.block%d", prefix, s, i);
        }
        ww_label(g, "stage %d end", s);
        if (net->shape.out[s]) {
            out[s] = norm(g, net, x, &net->out_norm[s]);
            ww_stage_map(g, out[s], "%sfeature%d", prefix, s);
        }
        if (s + 1 < net->shape.stages) {
            x = merge(g, net, s, x);
            ww_stage_rows(g, x, "%sstage%d.merge", prefix, s);
        }
    }
}
