// bert.h: BERT, an encoder of text: half of several models, and alone the reader of sentences.

#pragma once

#include "base/json.h"
#include "torch.h"

// What a configuration says, checked.
struct ww_bert_shape {
    int hidden, layers, heads, inner; // widths; `inner` between the two linear layers
    int words, positions, types;      // rows of the tables
    float eps;
    enum ww_activation_fn act;
};

// Reads config.json, or the part of a larger one that describes the text encoder. A field that is
// absent has the value that the transformers library gives it, for it leaves such fields out.
// WW_E_FILE names the field; WW_E_UNSUPPORTED: a kind of position or activation that is not here.
bool ww_bert_read_shape(const struct ww_json *config, struct ww_bert_shape *out,
                        struct ww_error *err);

struct ww_bert;

// `prefix` stands before every name: "", "bert.", "model.text_backbone."; NULL: "bert." if the
// checkpoint has such names, else "". The pooler is loaded if it is there.
struct ww_bert *ww_bert_load(struct ww_device *device, const struct ww_weights *weights,
                             const char *prefix, const struct ww_bert_shape *shape,
                             struct ww_error *err);
void ww_bert_destroy(struct ww_device *device, struct ww_bert **bert);
const struct ww_bert_shape *ww_bert_shape(const struct ww_bert *bert);

// One text a row, [1][..][texts][tokens].
struct ww_bert_text {
    struct ww_tensor ids;     // [1][3][texts][tokens]: word, position, type
    struct ww_tensor lengths; // [1][1][1][texts]: tokens of each, the rest is padding; none: all
    // Added to the scores, [1 or texts][tokens seen][1][tokens that see]; none: all see all.
    struct ww_tensor mask;
};
// The last layer's states, [1][hidden][texts][tokens]; what stands at padding is nobody's.
struct ww_tensor ww_bert(struct ww_cmd *g, const struct ww_bert *bert,
                         const struct ww_bert_text *text);
// tanh(linear(x)) of every token. Of use is the first of each text. No tensor where the checkpoint
// has no pooler.
struct ww_tensor ww_bert_pooler(struct ww_cmd *g, const struct ww_bert *bert, struct ww_tensor x);
