// Grounding DINO. Liu, Zeng, Ren, Li, Zhang, Yang, Jiang, Li, Yang, Su, Zhu and Zhang, 2023,
// arXiv:2303.05499; "§" is a section of it. Weights: the first release's and the transformers library's.
//
//     picture -> Swin -> project -+-> enhancer -> select queries -> decoder -+-> score [N_q, N_T]
//     words   -> BERT -> project -+       +-----------+--------------+-------+-> box   [N_q, 4]
//
// N_T words, N_q queries, S tokens of all levels, D = 256 wide. What words alone decide is made once
// for each text: BERT's states and, of the first fusion, all that does not need the picture.

#include "grounding-dino-inner.h"
#include "kernels/words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 32 };
static const float text_temperature = 10000, box_temperature = 10000;

static struct ww_tensor linear(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w)
{
    const struct ww_tensor y = ww_like(g, x, w->c_out);
    ww_pointwise(g, y, x, w, ww_conv_params(0));
    return y;
}

static struct ww_tensor norm(struct ww_cmd *g, const struct ww_gdino *m, struct ww_tensor x,
                             const struct ww_filter *w)
{
    const struct ww_tensor y = ww_like(g, x, x.c);
    ww_layernorm(g, y, x, w, m->shape.encoder.eps);
    return y;
}

// norm(residual + x w)
static struct ww_tensor add_and_norm(struct ww_cmd *g, const struct ww_gdino *m, struct ww_tensor x,
                                     const struct ww_filter *w, struct ww_tensor residual,
                                     const struct ww_filter *by)
{
    const struct ww_tensor sum = ww_like(g, x, w->c_out);
    ww_pointwise(g, sum, x, w, ww_conv_params(.residual = residual));
    return norm(g, m, sum, by);
}

// Words -------------------------------------------------------------------------------------------

void ww_gdino_divide(struct ww_gdino_text *text, const int32_t ends[WW_GDINO_ENDS])
{
    for (int i = 0; i < text->num; i++) {
        text->position[i] = 0;
        text->block[i] = i;
    }
    int before = 0;
    for (int i = 0; i < text->num; i++) {
        bool end = false;
        for (int e = 0; e < WW_GDINO_ENDS; e++)
            end |= text->ids[i] == ends[e];
        if (!end)
            continue;
        for (int k = before + 1; k <= i && i > 0 && i + 1 < text->num; k++) {
            text->position[k] = k - before - 1;
            text->block[k] = before + 1;
        }
        before = i;
    }
}

// §3.4: a phrase sees itself alone. [words that are seen][1][words that see]; padding sees itself.
static void fill_mask(const struct ww_gdino_text *text, int words, float *to)
{
    const struct ww_tensor lie = {.n = 1, .c = words, .h = 1, .w = words};
    for (int j = 0; j < words; j++)
        for (int i = 0; i < words; i++) {
            const bool both = i < text->num && j < text->num;
            const bool sees = both ? text->block[i] == text->block[j] : i == j;
            to[ww_at(lie, 0, j, 0, i)] = sees ? 0 : -INFINITY;
        }
}

// What a fusion needs of normed words t: keys and values as weights of products.
static void fold(struct ww_cmd *g, const struct ww_gdino *m, const struct ww_gdino_fusion *w,
                 struct ww_tensor t, struct ww_tensor keys, struct ww_tensor values)
{
    const int heads = m->shape.side_heads;
    ww_as_weights(g, keys, linear(g, t, &w->key),
                  ww_as_weights_params(.heads = heads, .turned = true, .bias = linear(g, t, &w->lift)));
    ww_as_weights(g, values, linear(g, t, &w->value), ww_as_weights_params(.heads = heads));
}

static int key_texels(const struct ww_gdino *m, int words)
{
    return ww_as_weights_texels(words, m->shape.encoder.width, m->shape.side_heads, true);
}

static int value_texels(const struct ww_gdino *m, int words)
{
    return ww_as_weights_texels(words, m->shape.encoder.width, m->shape.side_heads, false);
}

struct ww_gdino_reading ww_gdino_read(struct ww_cmd *g, const struct ww_gdino *m, int words)
{
    const int D = m->shape.encoder.width;
    struct ww_gdino_reading r = {.words = words};
    r.ids = ww_upload_tensor(g, 1, 3, 1, words);
    r.mask = ww_upload_tensor(g, 1, words, 1, words);
    r.states = ww_result_tensor(g, 1, D, 1, words);
    r.keys = ww_result_tensor(g, 1, 4, 1, key_texels(m, words));
    r.values = ww_result_tensor(g, 1, 4, 1, value_texels(m, words));
    const struct ww_tensor x =
        ww_bert(g, m->bert, &(struct ww_bert_text){.ids = r.ids, .mask = r.mask});
    ww_label(g, "words");
    const struct ww_tensor T = linear(g, x, &m->words_project);
    ww_stage_rows(g, T, "text.projected");
    ww_layernorm(g, r.states, T, &m->encoder[0].fusion.words_norm, m->shape.encoder.eps);
    fold(g, m, &m->encoder[0].fusion, r.states, r.keys, r.values);
    return r;
}

static size_t host_bytes(struct ww_tensor t)
{
    return (size_t)t.step * 16;
}

static float *copy_out(struct ww_plan *plan, struct ww_tensor t, float *to)
{
    to = to ? to : malloc(host_bytes(t));
    if (!to)
        abort();
    memcpy(to, ww_plan_host(plan, t), host_bytes(t));
    return to;
}

bool ww_gdino_listen(struct ww_plan *plan, const struct ww_gdino_reading *r,
                     const struct ww_gdino_text *text, struct ww_gdino_words *out,
                     struct ww_error *err)
{
    float *ids = ww_plan_host(plan, r->ids);
    for (int i = 0; i < r->words; i++, ids += 4) {
        ids[0] = i < text->num ? (float)text->ids[i] : 0;
        ids[1] = i < text->num ? (float)text->position[i] : 0;
        ids[2] = 0;
    }
    fill_mask(text, r->words, ww_plan_host(plan, r->mask));
    if (!ww_plan_run(plan, 1, err))
        return false;
    out->text = *text;
    out->words = r->words;
    out->states = copy_out(plan, r->states, out->states);
    out->keys = copy_out(plan, r->keys, out->keys);
    out->values = copy_out(plan, r->values, out->values);
    return true;
}

void ww_gdino_forget(struct ww_gdino_words *words)
{
    free(words->states);
    free(words->keys);
    free(words->values);
    *words = (struct ww_gdino_words){0};
}

// Picture -----------------------------------------------------------------------------------------

// §3.1 Tokens: the maps of the backbone, and one more at half the size of the last.
struct ww_tensor ww_gdino_tokens(struct ww_cmd *g, const struct ww_gdino *m,
                                 const struct ww_tensor maps[WW_GDINO_MAPS], struct ww_pyramid *pyramid)
{
    const int D = m->shape.encoder.width, n = maps[0].n;
    struct ww_tensor map[WW_MAX_LEVELS];
    for (int l = 0; l < m->shape.levels; l++) {
        ww_label(g, "level %d", l);
        const bool more = l >= WW_GDINO_MAPS;
        const struct ww_tensor x = maps[more ? WW_GDINO_MAPS - 1 : l];
        map[l] = ww_activation_as(g, x, n, D, more ? ww_padded(x.h, 3, 1, 2) : x.h,
                                  more ? ww_padded(x.w, 3, 1, 2) : x.w);
        if (more)
            ww_conv2d(g, map[l], x, &m->project[l],
                      ww_conv_params(.stride = 2, .padded = true, .pad = 1));
        else
            ww_pointwise(g, map[l], x, &m->project[l], ww_conv_params(0));
        ww_pyramid_add(pyramid, map[l].h, map[l].w);
    }
    const struct ww_tensor X = ww_activation_as(g, map[0], n, D, 1, pyramid->tokens); // [D, S]
    const float eps = 1e-5f;
    for (int l = 0; l < m->shape.levels; l++) {
        ww_label(g, "level %d norm", l);
        ww_groupnorm(g, X, map[l], &m->project_norm[l], GROUPS, eps, pyramid->first[l]);
        if (ww_keeps_stages(g)) {
            const struct ww_tensor alone = ww_activation(g, n, D, map[l].h, map[l].w);
            ww_groupnorm(g, alone, map[l], &m->project_norm[l], GROUPS, eps, 0);
            ww_stage_map(g, alone, "level%d.features", l);
        }
    }
    ww_stage_rows(g, X, "enc.tokens");
    return X;
}

// Enhancer ----------------------------------------------------------------------------------------

// §3.2: tokens of the picture X and words T read each other. Residuals go to what is normed.
static void fuse(struct ww_cmd *g, const struct ww_gdino *m, const struct ww_gdino_pass *pass, int i,
                 struct ww_tensor *X, struct ww_tensor *T)
{
    const struct ww_gdino_fusion *w = &m->encoder[i].fusion;
    const int heads = m->shape.side_heads, words = pass->words, n = X->n;
    struct ww_tensor t = pass->states, keys = pass->keys, values = pass->values;
    if (i > 0) {
        ww_label(g, "encoder %d words", i);
        t = norm(g, m, *T, &w->words_norm);
        keys = ww_activation(g, n, 4, 1, key_texels(m, words));
        values = ww_activation(g, n, 4, 1, value_texels(m, words));
        fold(g, m, w, t, keys, values);
    }
    ww_label(g, "encoder %d fusion", i);
    const struct ww_tensor none = {0}, v = norm(g, m, *X, &w->picture_norm);
    const struct ww_tensor z = ww_activation(g, n, heads * words, 1, v.w), shares = ww_like(g, z, z.c);
    ww_product(g, z, v, keys, none);
    const struct ww_tensor tops = ww_activation(g, n, z.c, 1, 1);
    ww_tops(g, tops, z, pass->shown);
    ww_both_ways(g, z, shares, z, tops, pass->shown, pass->lengths, heads);

    ww_label(g, "encoder %d to picture", i);
    *X = ww_like(g, v, v.c);
    ww_product(g, *X, z, values, v);
    ww_label(g, "encoder %d to words", i);
    const struct ww_tensor seen = ww_like(g, t, heads * v.c);
    ww_pool(g, seen, shares, v, heads);
    *T = ww_like(g, t, t.c);
    ww_pointwise(g, *T, seen, &w->out, ww_conv_params(.residual = t));
    ww_stage_rows(g, *X, "enc.layer%d.fusion.vision", i);
    ww_stage_rows(g, *T, "enc.layer%d.fusion.text", i);
}

// Words among themselves, phrase by phrase.
static struct ww_tensor read_words(struct ww_cmd *g, const struct ww_gdino *m,
                                   const struct ww_gdino_pass *pass, int i, struct ww_tensor T)
{
    const struct ww_gdino_encoder_layer *l = &m->encoder[i];
    ww_label(g, "encoder %d words self", i);
    const struct ww_tensor qk = linear(g, ww_sum(g, T, pass->code), &l->words_self.qk);
    const struct ww_tensor v = linear(g, T, &l->words_self.v), context = ww_like(g, T, T.c);
    ww_attention(g, context, ww_channels(qk, 0, T.c), ww_channels(qk, T.c, T.c), v,
                 ww_attention_params(.heads = m->shape.side_heads, .mask = pass->mask));
    T = add_and_norm(g, m, context, &l->words_self.out, T, &l->words_self_norm);
    T = ww_feed(g, &l->words_feed, T, WW_ACT_RELU, &l->words_feed_norm, m->shape.encoder.eps);
    ww_stage_rows(g, T, "enc.layer%d.text", i);
    return T;
}

static void enhance(struct ww_cmd *g, const struct ww_gdino *m, const struct ww_gdino_pass *pass,
                    struct ww_tensor *X, struct ww_tensor *T)
{
    for (int i = 0; i < m->shape.encoder_layers; i++) {
        const struct ww_gdino_encoder_layer *l = &m->encoder[i];
        char name[32];
        snprintf(name, sizeof name, "enc.layer%d", i);
        fuse(g, m, pass, i, X, T);
        *T = read_words(g, m, pass, i, *T);
        ww_label(g, "encoder %d look", i);
        *X = ww_look_at(g, &l->look, &m->shape.encoder,
                        &(struct ww_scene){.levels = pass->levels, .tokens = *X},
                        &(struct ww_look_at){.query = ww_at_its_place(g, *X, &pass->positions),
                                             .reference = pass->references,
                                             .residual = *X,
                                             .norm = &l->look_norm,
                                             .stage = name,
                                             .detail = i == 0});
        ww_label(g, "encoder %d feed", i);
        *X = ww_feed(g, &l->feed, *X, WW_ACT_RELU, &l->feed_norm, m->shape.encoder.eps);
        ww_stage_rows(g, *X, "enc.layer%d.vision", i);
    }
}

// Queries -----------------------------------------------------------------------------------------

// §3.3: the tokens that are likest to any word, best first. Returns their boxes; `score` is of words T.
static struct ww_tensor select_queries(struct ww_cmd *g, const struct ww_gdino *m,
                                       const struct ww_gdino_pass *pass, struct ww_tensor X,
                                       struct ww_tensor score)
{
    const struct ww_tensor none = {0};
    const int D = m->shape.decoder.width, Q = m->shape.queries;
    ww_label(g, "select");
    const struct ww_tensor valid = ww_like(g, X, D);
    ww_keep(g, valid, X, pass->kept);
    const struct ww_tensor selected = ww_activation(g, X.n, D, 1, X.w);
    ww_pointwise(g, selected, valid, &m->select, ww_conv_params(0));
    const struct ww_tensor om = norm(g, m, selected, &m->select_norm);
    const struct ww_tensor likeness = ww_like(g, om, pass->words), best = ww_like(g, om, 1);
    ww_product(g, likeness, om, score, none);
    ww_best(g, best, likeness, pass->lengths);
    const struct ww_tensor top = ww_activation(g, X.n, 4, 1, Q);
    ww_topk(g, top, best);
    ww_stage_rows(g, pass->anchors, "select.anchors");
    ww_stage_rows(g, om, "select.memory");
    ww_stage_rows(g, best, "select.scores");
    ww_stage_rows(g, ww_channels(top, 0, 1), "select.topk");
    if (ww_keeps_stages(g))
        ww_stage_rows(g, ww_sum(g, ww_mlp(g, &m->select_box, om), pass->anchors), "select.box_logits");

    const struct ww_tensor chosen = ww_like(g, top, D), anchor = ww_like(g, top, 4);
    const struct ww_tensor reference = ww_like(g, top, 4);
    ww_gather(g, chosen, om, top);
    ww_gather(g, anchor, pass->anchors, top);
    ww_combine(g, reference, ww_mlp(g, &m->select_box, chosen), none, anchor, WW_ACT_SIGMOID);
    ww_stage_rows(g, reference, "select.reference");
    return reference;
}

// Decoder -----------------------------------------------------------------------------------------

// The position of queries: their boxes in the padded picture, as sines.
static struct ww_tensor place_of(struct ww_cmd *g, const struct ww_gdino *m,
                                 const struct ww_gdino_pass *pass, struct ww_tensor reference)
{
    const struct ww_tensor code = ww_like(g, reference, 2 * m->shape.decoder.width);
    ww_sinecode(g, code, reference,
                ww_sinecode_params(.numbers = m->shape.decoder.width / 2,
                                   .temperature = box_temperature, .y_first = true,
                                   .levels = pass->levels));
    return ww_mlp(g, &m->place, code);
}

static struct ww_tensor ask_words(struct ww_cmd *g, const struct ww_gdino *m,
                                  const struct ww_gdino_pass *pass,
                                  const struct ww_gdino_decoder_layer *l, struct ww_tensor x,
                                  struct ww_tensor position, struct ww_tensor T)
{
    const struct ww_tensor q = linear(g, ww_sum(g, x, position), &l->words.q);
    const struct ww_tensor kv = linear(g, T, &l->words.kv), context = ww_like(g, x, x.c);
    ww_attention(g, context, q, ww_channels(kv, 0, x.c), ww_channels(kv, x.c, x.c),
                 ww_attention_params(.heads = m->shape.decoder.heads, .lengths = pass->lengths));
    return add_and_norm(g, m, context, &l->words.out, x, &l->words_norm);
}

static void move_boxes(struct ww_cmd *g, const struct ww_gdino *m, struct ww_tensor to,
                       struct ww_tensor x, struct ww_tensor from)
{
    const bool original = m->layout == WW_GDINO_ORIGINAL;
    ww_refine(g, to, ww_mlp(g, &m->box, x), from,
              ww_refine_params(.eps = original ? 1e-3f : 1e-5f, .inner = !original));
}

// Words before the picture: so were the released weights trained, unlike the paper's figure. The last
// boxes are those that entered the last layer, moved by its normed state.
static void decode(struct ww_cmd *g, const struct ww_gdino *m, const struct ww_gdino_pass *pass,
                   struct ww_tensor X, struct ww_tensor T, struct ww_tensor score,
                   struct ww_tensor reference)
{
    const struct ww_tensor none = {0};
    const int last = m->shape.decoder_layers - 1, D = m->shape.decoder.width;
    struct ww_tensor x = ww_stored_tensor(g, m->query.storage, m->query.first, 1, D, 1, m->shape.queries);
    x.n = X.n; // the same for all of the batch
    x.step = 0;
    for (int i = 0; i <= last; i++) {
        const struct ww_gdino_decoder_layer *l = &m->decoder[i];
        char name[32];
        snprintf(name, sizeof name, "dec.layer%d", i);
        ww_label(g, "decoder %d self", i);
        const struct ww_tensor position = place_of(g, m, pass, reference);
        ww_stage_rows(g, position, "%s.query_pos", name);
        x = ww_attend_self(g, &l->self, &m->shape.decoder, x, position, &l->self_norm);
        ww_stage_rows(g, x, "%s.self", name);
        ww_label(g, "decoder %d words", i);
        x = ask_words(g, m, pass, l, x, position, T);
        ww_stage_rows(g, x, "%s.text", name);
        ww_label(g, "decoder %d look", i);
        x = ww_look_at(g, &l->look, &m->shape.decoder,
                       &(struct ww_scene){.levels = pass->levels, .tokens = X},
                       &(struct ww_look_at){.query = ww_sum(g, x, position),
                                            .reference = reference,
                                            .boxes = true,
                                            .residual = x,
                                            .norm = &l->look_norm,
                                            .stage = name,
                                            .detail = i == 0});
        ww_stage_rows(g, x, "%s.image", name);
        ww_label(g, "decoder %d feed", i);
        x = ww_feed(g, &l->feed, x, WW_ACT_RELU, &l->feed_norm, m->shape.decoder.eps);
        ww_stage_rows(g, x, "%s.out", name);
        if (ww_keeps_stages(g))
            ww_stage_rows(g, norm(g, m, x, &m->norm), "%s.norm", name);
        if (i < last || ww_keeps_stages(g)) {
            const struct ww_tensor moved = ww_like(g, x, 4);
            move_boxes(g, m, moved, x, reference);
            ww_stage_rows(g, moved, "%s.reference", name);
            reference = i < last ? moved : reference;
        }
    }
    ww_label(g, "heads");
    x = norm(g, m, x, &m->norm);
    move_boxes(g, m, pass->boxes, x, reference);
    ww_product(g, pass->logits, x, score, none);
}

struct ww_gdino_pass ww_gdino(struct ww_cmd *g, const struct ww_gdino *m, struct ww_tensor X,
                              const struct ww_pyramid *pyramid, int words)
{
    const int D = m->shape.encoder.width, n = X.n, S = pyramid->tokens;
    struct ww_gdino_pass pass = {
        .pyramid = *pyramid,
        .words = words,
        .levels = ww_upload_tensor(g, n, 4, 1, 2 * m->shape.levels),
        .references = ww_upload_tensor(g, n, 4, 1, S),
        .positions = ww_upload_positions(g, n, D, S, ww_pyramid_codes(pyramid)),
        .anchors = ww_upload_tensor(g, n, 4, 1, S),
        .kept = ww_upload_tensor(g, n, 4, 1, S),
        .shown = ww_upload_tensor(g, n, 1, 1, S),
        .lengths = ww_upload_tensor(g, 1, 1, 1, n),
        .mask = ww_upload_tensor(g, n, words, 1, words),
        .code = ww_upload_tensor(g, n, D, 1, words),
        .states = ww_upload_tensor(g, n, D, 1, words),
        .keys = ww_upload_tensor(g, n, 4, 1, key_texels(m, words)),
        .values = ww_upload_tensor(g, n, 4, 1, value_texels(m, words)),
        .logits = ww_result_tensor(g, n, words, 1, m->shape.queries),
        .boxes = ww_result_tensor(g, n, 4, 1, m->shape.queries),
    };
    ww_stage_rows(g, pass.code, "enc.text_position");
    struct ww_tensor T = {0}; // [D, N_T]
    enhance(g, m, &pass, &X, &T);
    const struct ww_tensor score = ww_activation(g, n, 4, 1, ww_as_weights_texels(words, D, 1, true));
    ww_as_weights(g, score, T, ww_as_weights_params(.heads = 1, .turned = true));
    const struct ww_tensor reference = select_queries(g, m, &pass, X, score);
    decode(g, m, &pass, X, T, score, reference);
    return pass;
}

// Uploads -----------------------------------------------------------------------------------------

static float *host(struct ww_plan *plan, struct ww_tensor t, int b)
{
    return (float *)ww_plan_host(plan, t) + 4 * (size_t)b * t.step;
}

const struct ww_level *ww_gdino_levels(struct ww_plan *plan, const struct ww_gdino_pass *pass, int b)
{
    return (const void *)host(plan, pass->levels, b);
}

void ww_gdino_place(struct ww_plan *plan, const struct ww_gdino *m, const struct ww_gdino_pass *pass,
                    int b, int valid_h, int valid_w)
{
    const struct ww_pyramid *p = &pass->pyramid;
    struct ww_level *levels = (void *)host(plan, pass->levels, b);
    ww_pyramid_levels(p, valid_h, valid_w, levels);
    ww_pyramid_references(p, levels, host(plan, pass->references, b));
    ww_pyramid_positions(p, levels,
                         &(struct ww_position_params){.width = m->shape.encoder.width,
                                                      .temperature = m->shape.temperature,
                                                      .level = m->level_embed},
                         host(plan, pass->positions.cells, b), host(plan, pass->positions.codes, b));
    ww_pyramid_anchors(p, levels, host(plan, pass->anchors, b), host(plan, pass->kept, b));
    float *shown = host(plan, pass->shown, b);
    for (int l = 0; l < p->num_levels; l++)
        for (int i = 0; i < p->h[l] * p->w[l]; i++, shown += 4)
            *shown = (float)(i / p->w[l]) < levels[l].valid_h && (float)(i % p->w[l]) < levels[l].valid_w;
}

// The place of a word in its phrase, as sines.
static void fill_code(const struct ww_gdino_text *text, int words, int width, float *to)
{
    const struct ww_tensor lie = {.n = 1, .c = width, .h = 1, .w = words};
    for (int k = 0; k < width; k += 2) {
        const float wave = powf(text_temperature, (float)k / (float)width);
        for (int i = 0; i < words; i++) {
            const int position = i < text->num ? text->position[i] : 0;
            const float angle = (float)position * 6.283185307179586f / wave; // PyTorch's precision
            to[ww_at(lie, 0, k, 0, i)] = sinf(angle);
            to[ww_at(lie, 0, k + 1, 0, i)] = cosf(angle);
        }
    }
}

void ww_gdino_say(struct ww_plan *plan, const struct ww_gdino *m, const struct ww_gdino_pass *pass,
                  int b, const struct ww_gdino_words *words)
{
    ((float *)ww_plan_host(plan, pass->lengths))[4 * b] = (float)words->text.num;
    fill_mask(&words->text, pass->words, host(plan, pass->mask, b));
    fill_code(&words->text, pass->words, m->shape.encoder.width, host(plan, pass->code, b));
    memcpy(host(plan, pass->states, b), words->states, host_bytes(pass->states));
    memcpy(host(plan, pass->keys, b), words->keys, host_bytes(pass->keys));
    memcpy(host(plan, pass->values, b), words->values, host_bytes(pass->values));
}
