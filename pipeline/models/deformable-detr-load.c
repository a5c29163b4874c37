#include "deformable-detr-inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WIDTH = 4096, MAX_QUERIES = 10000, MAX_CLASSES = 4096, GROUPS = 32 };
#define BACKBONE "model.backbone.conv_encoder.model."

// Shape -------------------------------------------------------------------------------------------

static bool read_part(const struct ww_json *config, const char *part,
                      struct ww_deformable_shape *to, int *layers, struct ww_error *err)
{
    char name[64];
#define FIELD(fmt) (snprintf(name, sizeof name, fmt, part), name)
    return ww_config_integer(config, FIELD("%s_layers"), 6, 1, WW_DETR_MAX_LAYERS, layers, err) &&
           ww_config_integer(config, FIELD("%s_attention_heads"), 8, 1, 64, &to->heads, err) &&
           ww_config_integer(config, FIELD("%s_ffn_dim"), 1024, 1, 4 * MAX_WIDTH, &to->inner, err) &&
           ww_config_integer(config, FIELD("%s_n_points"), 4, 1, 16, &to->points, err);
#undef FIELD
}

static bool check_part(const struct ww_deformable_shape *s, const char *part, struct ww_error *err)
{
    const int width = s->width / s->heads;
    return (s->width % s->heads == 0 && width % 4 == 0 && width <= 128) ||
           ww_fail(err, WW_E_UNSUPPORTED,
                   "'d_model' %d and '%s_attention_heads' %d: a head must be a multiple of 4 wide and "
                   "at most 128",
                   s->width, part, s->heads);
}

bool ww_detr_read_shape(const struct ww_json *config, struct ww_detr_shape *s, struct ww_error *err)
{
    *s = (struct ww_detr_shape){0};
    int width, proposals;
    if (!ww_config_integer(config, "d_model", 256, 8, MAX_WIDTH, &width, err) ||
        !ww_config_integer(config, "num_feature_levels", 4, 1, 4, &s->levels, err) ||
        !read_part(config, "encoder", &s->encoder, &s->encoder_layers, err) ||
        !read_part(config, "decoder", &s->decoder, &s->decoder_layers, err) ||
        !ww_config_integer(config, "num_queries", 300, 1, MAX_QUERIES, &s->queries, err) ||
        !ww_config_integer(config, "two_stage_num_proposals", 300, 1, MAX_QUERIES, &proposals, err) ||
        !ww_config_bool(config, "with_box_refine", false, &s->refine, err) ||
        !ww_config_bool(config, "two_stage", false, &s->two_stage, err) ||
        !ww_config_bool(config, "dilation", false, &s->dilated, err) ||
        !ww_config_word(config, "activation_function", "relu", err) ||
        !ww_config_word(config, "position_embedding_type", "sine", err))
        return false;
    if (width % GROUPS || width % 8)
        return ww_fail(err, WW_E_UNSUPPORTED, "'d_model' is %d; it must be a multiple of %d", width,
                       GROUPS);
    if (s->two_stage && !s->refine)
        return ww_fail(err, WW_E_UNSUPPORTED, "'two_stage' without 'with_box_refine'");
    if (s->two_stage)
        s->queries = proposals;
    s->encoder.width = s->decoder.width = width;
    s->encoder.levels = s->decoder.levels = s->levels;
    s->encoder.eps = s->decoder.eps = 1e-5f;
    return check_part(&s->encoder, "encoder", err) && check_part(&s->decoder, "decoder", err);
}

// Weights -----------------------------------------------------------------------------------------

static bool there_is(const struct ww_loader *l, const char *name)
{
    return ww_weights_find(l->weights, name) != NULL;
}

// Rows of NAME, [rows][c], -1 taking any number of them.
static float *load_table(struct ww_loader *l, const char *name, int rows, int c)
{
    const struct ww_weight *w =
        l->failed ? NULL : ww_weights_need(l->weights, name, l->err, 2, (int64_t)rows, (int64_t)c);
    l->failed |= !w;
    return w ? ww_load_floats(l, w) : NULL;
}

static void load_projections(struct ww_loader *l, struct ww_detr *m)
{
    const int width = m->shape.encoder.width, maps = ww_detr_maps(&m->shape);
    for (int i = 0; i < m->shape.levels && !l->failed; i++) {
        const int stage = i < maps ? WW_RESNET_STAGES - maps + i : WW_RESNET_STAGES - 1;
        ww_load_conv2d(l, &m->project[i], i < maps ? 1 : 3, ww_resnet_channels(m->resnet, stage),
                       width, "model.input_proj.%d.0", i);
        ww_load_norm(l, &m->project_norm[i], width, "model.input_proj.%d.1", i);
    }
    m->level_embed = load_table(l, "model.level_embed", m->shape.levels, width);
}

static void load_encoder_layer(struct ww_loader *l, const struct ww_deformable_shape *s,
                               struct ww_detr_encoder_layer *to, int i)
{
    ww_load_looking(l, &to->look, s, "model.encoder.layers.%d.self_attn", i);
    ww_load_norm(l, &to->look_norm, s->width, "model.encoder.layers.%d.self_attn_layer_norm", i);
    ww_load_feeding(l, &to->feed, s->width, s->inner, "model.encoder.layers.%d.", i);
    ww_load_norm(l, &to->feed_norm, s->width, "model.encoder.layers.%d.final_layer_norm", i);
}

static void load_decoder_layer(struct ww_loader *l, const struct ww_detr_shape *shape,
                               struct ww_detr_decoder_layer *to, int i)
{
    static const char *const names[4] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    const struct ww_deformable_shape *s = &shape->decoder;
    ww_load_attending(l, &to->self, s->width, names, "model.decoder.layers.%d.self_attn", i);
    ww_load_norm(l, &to->self_norm, s->width, "model.decoder.layers.%d.self_attn_layer_norm", i);
    ww_load_looking(l, &to->look, s, "model.decoder.layers.%d.encoder_attn", i);
    ww_load_norm(l, &to->look_norm, s->width, "model.decoder.layers.%d.encoder_attn_layer_norm", i);
    ww_load_feeding(l, &to->feed, s->width, s->inner, "model.decoder.layers.%d.", i);
    ww_load_norm(l, &to->feed_norm, s->width, "model.decoder.layers.%d.final_layer_norm", i);
    if (shape->refine || i + 1 == shape->decoder_layers) // without refinement one head is all heads
        ww_load_mlp(l, &to->box, 3, s->width, s->width, 4, "bbox_embed.%d", shape->refine ? i : 0);
}

// The number of classes is what the head has rows for.
static void load_classes(struct ww_loader *l, struct ww_detr *m)
{
    char name[64];
    const int head = m->shape.refine ? m->shape.decoder_layers - 1 : 0;
    snprintf(name, sizeof name, "class_embed.%d.weight", head);
    const struct ww_weight *w =
        l->failed ? NULL
                  : ww_weights_need(l->weights, name, l->err, 2, (int64_t)-1,
                                    (int64_t)m->shape.decoder.width);
    l->failed |= !w;
    if (!w)
        return;
    if (w->dim[0] < 1 || w->dim[0] > MAX_CLASSES) {
        l->failed = !ww_fail(l->err, WW_E_FILE, "%s: tensor '%s' has %lld rows; from 1 to %d are allowed",
                             ww_weights_path(l->weights), name, (long long)w->dim[0], MAX_CLASSES);
        return;
    }
    m->num_classes = (int)w->dim[0];
    ww_load_linear(l, &m->class, m->shape.decoder.width, m->num_classes, "class_embed.%d", head);
}

// A proposal's score is the logit of the first class alone.
static void load_score(struct ww_loader *l, struct ww_detr *m)
{
    const int width = m->shape.decoder.width;
    char name[64];
    snprintf(name, sizeof name, "class_embed.%d.weight", m->shape.decoder_layers);
    float *w = load_table(l, name, m->num_classes, width);
    snprintf(name, sizeof name, "class_embed.%d.bias", m->shape.decoder_layers);
    const struct ww_weight *found =
        l->failed ? NULL : ww_weights_need(l->weights, name, l->err, 1, (int64_t)m->num_classes);
    l->failed |= !found;
    float *bias = found ? ww_load_floats(l, found) : NULL;
    if (w && bias)
        ww_pack_conv(l->bank, &m->select_score, 1, width, 1, w, bias);
    free(w);
    free(bias);
}

static void load_queries(struct ww_loader *l, struct ww_detr *m)
{
    const int width = m->shape.decoder.width;
    if (!m->shape.two_stage) {
        float *table = load_table(l, "model.query_position_embeddings.weight", m->shape.queries,
                                  2 * width);
        if (table)
            ww_pack_image(l->bank, &m->query, 2 * width, 1, m->shape.queries, table);
        free(table);
        ww_load_spread(l, &m->point, width, 1, 2, 4, "model.reference_points");
        return;
    }
    ww_load_linear(l, &m->select, width, width, "model.enc_output");
    ww_load_norm(l, &m->select_norm, width, "model.enc_output_norm");
    load_score(l, m);
    ww_load_mlp(l, &m->select_box, 3, width, width, 4, "bbox_embed.%d", m->shape.decoder_layers);
    ww_load_linear(l, &m->transform, 2 * width, 2 * width, "model.pos_trans");
    ww_load_norm(l, &m->transform_norm, 2 * width, "model.pos_trans_norm");
}

struct ww_detr *ww_detr_load(struct ww_device *device, const struct ww_weights *weights,
                             const struct ww_detr_shape *shape, struct ww_error *err)
{
    struct ww_detr *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->shape = *shape;
    struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = err};
    if (!there_is(&l, BACKBONE "conv1.weight"))
        l.failed = !ww_fail(err, WW_E_FILE, "%s: no tensor '" BACKBONE "conv1.weight'",
                            ww_weights_path(weights));
    if (!l.failed)
        m->resnet = ww_resnet_load(&l, BACKBONE, shape->dilated);
    load_projections(&l, m);
    for (int i = 0; i < shape->encoder_layers; i++)
        load_encoder_layer(&l, &shape->encoder, &m->encoder[i], i);
    for (int i = 0; i < shape->decoder_layers; i++)
        load_decoder_layer(&l, shape, &m->decoder[i], i);
    load_classes(&l, m);
    load_queries(&l, m);
    const bool ok = !l.failed && ww_bank_upload(l.bank, device, m->storage, WW_DETR_MAX_STORAGES,
                                                &m->num_storages, err);
    ww_bank_destroy(&l.bank);
    if (!ok)
        ww_detr_destroy(device, &m);
    return m;
}

void ww_detr_destroy(struct ww_device *device, struct ww_detr **pointer)
{
    struct ww_detr *m = *pointer;
    if (!m)
        return;
    for (int i = 0; i < m->num_storages; i++)
        ww_storage_destroy(device, &m->storage[i]);
    ww_resnet_destroy(&m->resnet);
    free(m->level_embed);
    free(m);
    *pointer = NULL;
}

const struct ww_detr_shape *ww_detr_shape(const struct ww_detr *m)
{
    return &m->shape;
}

int ww_detr_classes(const struct ww_detr *m)
{
    return m->num_classes;
}
