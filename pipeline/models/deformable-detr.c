// Deformable DETR. Zhu, Su, Lu, Li, Wang and Dai, 2020, arXiv:2010.04159; "§" is a section of it. Weights:
// checkpoints of the transformers library.
//
//     frame -> ResNet -> project -> + -> encoder -+---------> look <- queries
//                        positions -+             |           boxes
//                                                 +-> (select queries: two stages)
//
// N_q queries, S tokens of all levels, D = 256 wide.

#include "deformable-detr-inner.h"

#include <stdio.h>

enum { GROUPS = 32 };
static const float logit_eps = 1e-5f, norm_eps = 1e-5f, temperature = 10000;

// Of one picture for all of a batch.
static struct ww_tensor repeat(struct ww_tensor t, int n)
{
    t.n = n;
    t.step = 0;
    return t;
}

static struct ww_tensor linear(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w,
                               enum ww_activation_fn act)
{
    const struct ww_tensor y = ww_activation(g, x.n, w->c_out, 1, x.w);
    ww_pointwise(g, y, x, w, ww_conv_params(.act = act));
    return y;
}

static struct ww_tensor norm(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w)
{
    const struct ww_tensor y = ww_activation(g, x.n, x.c, 1, x.w);
    ww_layernorm(g, y, x, w, norm_eps);
    return y;
}

static void stage_reference(struct ww_cmd *g, struct ww_tensor reference, bool boxes,
                            const char *name)
{
    reference.c = boxes ? 4 : 2;
    ww_stage_rows(g, reference, "%s", name);
}

// §4.1 A.2 Tokens: the last maps of the backbone, and one more at half the size of the last.
static struct ww_tensor tokens(struct ww_cmd *g, const struct ww_detr *m, struct ww_tensor frame,
                               struct ww_pyramid *pyramid)
{
    const int width = m->shape.encoder.width, maps = ww_detr_maps(&m->shape);
    struct ww_tensor stage[WW_RESNET_STAGES], map[WW_MAX_LEVELS];
    ww_resnet(g, m->resnet, frame, stage, "resnet.");
    *pyramid = (struct ww_pyramid){.height = frame.h, .width = frame.w};
    for (int l = 0; l < m->shape.levels; l++) {
        ww_label(g, "level %d", l);
        const struct ww_tensor x = stage[l < maps ? WW_RESNET_STAGES - maps + l : WW_RESNET_STAGES - 1];
        const int h = l < maps ? x.h : ww_padded(x.h, 3, 1, 2);
        const int w = l < maps ? x.w : ww_padded(x.w, 3, 1, 2);
        map[l] = ww_activation(g, x.n, width, h, w);
        if (l < maps)
            ww_pointwise(g, map[l], x, &m->project[l], ww_conv_params(0));
        else
            ww_conv2d(g, map[l], x, &m->project[l],
                      ww_conv_params(.stride = 2, .padded = true, .pad = 1));
        ww_pyramid_add(pyramid, h, w);
    }
    const struct ww_tensor X = ww_activation(g, frame.n, width, 1, pyramid->tokens); // [D, S]
    for (int l = 0; l < m->shape.levels; l++) {
        ww_label(g, "level %d norm", l);
        ww_groupnorm(g, X, map[l], &m->project_norm[l], GROUPS, norm_eps, pyramid->first[l]);
        if (ww_keeps_stages(g)) {
            const struct ww_tensor alone = ww_activation(g, map[l].n, width, map[l].h, map[l].w);
            ww_groupnorm(g, alone, map[l], &m->project_norm[l], GROUPS, norm_eps, 0);
            ww_stage_map(g, alone, "level%d.features", l);
        }
    }
    ww_stage_rows(g, X, "enc.tokens");
    return X;
}

// §4.1 Encoder: tokens look at tokens.
static struct ww_tensor encode(struct ww_cmd *g, const struct ww_detr *m,
                               const struct ww_detr_pass *pass, struct ww_tensor X)
{
    for (int i = 0; i < m->shape.encoder_layers; i++) {
        const struct ww_detr_encoder_layer *l = &m->encoder[i];
        char name[32];
        snprintf(name, sizeof name, "enc.layer%d", i);
        ww_label(g, "encoder %d look", i);
        X = ww_look_at(g, &l->look, &m->shape.encoder,
                       &(struct ww_scene){.levels = pass->levels, .tokens = X},
                       &(struct ww_look_at){.query = ww_at_its_place(g, X, &pass->positions),
                                            .reference = pass->references,
                                            .residual = X,
                                            .norm = &l->look_norm,
                                            .stage = name,
                                            .detail = i == 0});
        ww_label(g, "encoder %d feed", i);
        X = ww_feed(g, &l->feed, X, WW_ACT_RELU, &l->feed_norm, norm_eps);
        ww_stage_rows(g, X, "enc.layer%d.out", i);
    }
    return X;
}

struct queries {
    struct ww_tensor position, content; // [D, N_q]
    struct ww_tensor reference;         // [4, N_q]
    bool boxes;                         // else points
};

// §4.1 One stage: queries are learned, and so is where they begin.
static struct queries learned(struct ww_cmd *g, const struct ww_detr *m, int n)
{
    const int D = m->shape.decoder.width;
    ww_label(g, "queries");
    const struct ww_tensor both = repeat(ww_stored_tensor(g, m->query.storage, m->query.first, 1, 2 * D,
                                                          1, m->shape.queries),
                                         n);
    const struct ww_tensor position = ww_channels(both, 0, D);
    return (struct queries){position, ww_channels(both, D, D),
                            linear(g, position, &m->point, WW_ACT_SIGMOID), false};
}

// A.4 Two stages: the tokens that look most like an object, and queries made of their boxes.
static struct queries selected(struct ww_cmd *g, const struct ww_detr *m,
                               const struct ww_detr_pass *pass, struct ww_tensor X)
{
    const struct ww_tensor none = {0};
    const int D = m->shape.decoder.width, Q = m->shape.queries, S = X.w;
    ww_label(g, "select");
    const struct ww_tensor valid = ww_activation(g, X.n, D, 1, S);
    ww_keep(g, valid, X, pass->kept);
    const struct ww_tensor om = norm(g, linear(g, valid, &m->select, WW_ACT_NONE), &m->select_norm);
    const struct ww_tensor score = linear(g, om, &m->select_score, WW_ACT_NONE); // [1, S]
    const struct ww_tensor top = ww_activation(g, X.n, 4, 1, Q);
    ww_topk(g, top, score);
    ww_stage_rows(g, pass->anchors, "select.anchors");
    ww_stage_rows(g, om, "select.memory");
    ww_stage_rows(g, score, "select.scores");
    ww_stage_rows(g, ww_channels(top, 0, 1), "select.topk");
    if (ww_keeps_stages(g))
        ww_stage_rows(g, ww_sum(g, ww_mlp(g, &m->select_box, om), pass->anchors), "select.box_logits");

    const struct ww_tensor chosen = ww_activation(g, X.n, D, 1, Q);
    const struct ww_tensor anchor = ww_activation(g, X.n, 4, 1, Q);
    const struct ww_tensor reference = ww_activation(g, X.n, 4, 1, Q);
    ww_gather(g, chosen, om, top);
    ww_gather(g, anchor, pass->anchors, top);
    ww_combine(g, reference, ww_mlp(g, &m->select_box, chosen), none, anchor, WW_ACT_SIGMOID);
    const struct ww_tensor code = ww_activation(g, X.n, 2 * D, 1, Q);
    ww_sinecode(g, code, reference,
                ww_sinecode_params(.numbers = D / 2, .temperature = temperature));
    ww_stage_rows(g, code, "select.code");
    const struct ww_tensor both =
        norm(g, linear(g, code, &m->transform, WW_ACT_NONE), &m->transform_norm);
    return (struct queries){ww_channels(both, 0, D), ww_channels(both, D, D), reference, true};
}

// §4.1 Decoder, A.4 refinement: each layer moves the boxes that the next begins with.
static void decode(struct ww_cmd *g, const struct ww_detr *m, struct ww_detr_pass *pass,
                   struct ww_tensor X, struct queries q)
{
    const int last = m->shape.decoder_layers - 1;
    struct ww_tensor x = q.content;
    for (int i = 0; i <= last; i++) {
        const struct ww_detr_decoder_layer *l = &m->decoder[i];
        char name[32];
        ww_label(g, "decoder %d self", i);
        x = ww_attend_self(g, &l->self, &m->shape.decoder, x, q.position, &l->self_norm);
        ww_stage_rows(g, x, "dec.layer%d.self", i);
        snprintf(name, sizeof name, "dec.layer%d", i);
        ww_label(g, "decoder %d look", i);
        x = ww_look_at(g, &l->look, &m->shape.decoder,
                       &(struct ww_scene){.levels = pass->levels, .tokens = X},
                       &(struct ww_look_at){.query = ww_sum(g, x, q.position),
                                            .reference = q.reference,
                                            .boxes = q.boxes,
                                            .residual = x,
                                            .norm = &l->look_norm,
                                            .stage = name,
                                            .detail = i == 0});
        ww_stage_rows(g, x, "dec.layer%d.image", i);
        ww_label(g, "decoder %d feed", i);
        x = ww_feed(g, &l->feed, x, WW_ACT_RELU, &l->feed_norm, norm_eps);
        ww_stage_rows(g, x, "dec.layer%d.out", i);
        if (m->shape.refine || i == last) {
            ww_label(g, "decoder %d boxes", i);
            const struct ww_tensor moved = i == last ? pass->boxes : ww_activation(g, x.n, 4, 1, x.w);
            ww_refine(g, moved, ww_mlp(g, &l->box, x), q.reference,
                      ww_refine_params(.eps = logit_eps, .points = !q.boxes));
            if (m->shape.refine) {
                q.reference = moved;
                q.boxes = true;
            }
        }
        snprintf(name, sizeof name, "dec.layer%d.reference", i);
        stage_reference(g, q.reference, q.boxes, name);
    }
    ww_label(g, "classes");
    ww_pointwise(g, pass->logits, x, &m->class, ww_conv_params(0));
}

struct ww_detr_pass ww_detr(struct ww_cmd *g, const struct ww_detr *m, struct ww_tensor frame)
{
    const int D = m->shape.encoder.width, n = frame.n;
    struct ww_detr_pass pass = {0};
    struct ww_tensor X = tokens(g, m, frame, &pass.pyramid);
    const int S = pass.pyramid.tokens;
    pass.levels = ww_upload_tensor(g, n, 4, 1, 2 * m->shape.levels);
    pass.references = ww_upload_tensor(g, n, 4, 1, S);
    pass.positions = ww_upload_positions(g, n, D, S, ww_pyramid_codes(&pass.pyramid));
    if (m->shape.two_stage) {
        pass.anchors = ww_upload_tensor(g, n, 4, 1, S);
        pass.kept = ww_upload_tensor(g, n, 4, 1, S);
    }
    pass.logits = ww_result_tensor(g, n, m->num_classes, 1, m->shape.queries);
    pass.boxes = ww_result_tensor(g, n, 4, 1, m->shape.queries);
    X = encode(g, m, &pass, X);
    const struct queries q = m->shape.two_stage ? selected(g, m, &pass, X) : learned(g, m, n);
    ww_stage_rows(g, q.position, "query.position");
    ww_stage_rows(g, q.content, "query.content");
    stage_reference(g, q.reference, q.boxes, "query.reference");
    decode(g, m, &pass, X, q);
    ww_stage_rows(g, pass.logits, "out.logits");
    ww_stage_rows(g, pass.boxes, "out.boxes");
    return pass;
}

static float *host(struct ww_plan *plan, struct ww_tensor t, int b)
{
    return (float *)ww_plan_host(plan, t) + 4 * (size_t)b * t.step;
}

const struct ww_level *ww_detr_levels(struct ww_plan *plan, const struct ww_detr_pass *pass, int b)
{
    return (const void *)host(plan, pass->levels, b);
}

void ww_detr_place(struct ww_plan *plan, const struct ww_detr *m, const struct ww_detr_pass *pass,
                   int b, int valid_h, int valid_w)
{
    struct ww_level *levels = (void *)host(plan, pass->levels, b);
    ww_pyramid_levels(&pass->pyramid, valid_h, valid_w, levels);
    ww_pyramid_references(&pass->pyramid, levels, host(plan, pass->references, b));
    ww_pyramid_positions(&pass->pyramid, levels,
                         &(struct ww_position_params){.width = m->shape.encoder.width,
                                                      .temperature = temperature,
                                                      .offset = -0.5f,
                                                      .level = m->level_embed},
                         host(plan, pass->positions.cells, b), host(plan, pass->positions.codes, b));
    if (m->shape.two_stage)
        ww_pyramid_anchors(&pass->pyramid, levels, host(plan, pass->anchors, b),
                           host(plan, pass->kept, b));
}
