// grounding-dino-inner.h: the weights, for the files that load them and the one that computes.

#pragma once

#include "grounding-dino.h"

#define WW_GDINO_MAX_LAYERS   24
#define WW_GDINO_MAX_STORAGES 16

// Attention both ways between tokens v of the picture and words t, of heads h, as checkpoints have it:
//     z = (Q v + a) . (K t + b) / sqrt(width),
//     out_v = O_v softmax_t(z) (V_t t),  out_t = O_t softmax_v(z) (V_v v)
// and as it is computed, for words are few: what meets a word is folded onto it,
//     z = v . key(t) + lift(t),  out_v = softmax_t(z) value(t),  out_t = out(softmax_v(z) v).
struct ww_gdino_fusion {
    struct ww_filter picture_norm, words_norm;
    struct ww_filter key, lift, value; // of words, [heads width] and [heads]
    struct ww_filter out;              // from [heads width]
};

struct ww_gdino_encoder_layer {
    struct ww_gdino_fusion fusion;
    struct ww_attending words_self;
    struct ww_feeding words_feed;
    struct ww_filter words_self_norm, words_feed_norm;
    struct ww_looking look;
    struct ww_feeding feed;
    struct ww_filter look_norm, feed_norm;
};

// Attention of rows to words: keys and values side by side, they read the same rows.
struct ww_gdino_asking {
    struct ww_filter q, kv, out;
};

struct ww_gdino_decoder_layer {
    struct ww_attending self;
    struct ww_gdino_asking words;
    struct ww_looking look;
    struct ww_feeding feed;
    struct ww_filter self_norm, words_norm, look_norm, feed_norm;
};

struct ww_gdino {
    struct ww_gdino_shape shape;
    enum ww_gdino_layout layout;
    struct ww_storage *storage[WW_GDINO_MAX_STORAGES];
    int num_storages;
    struct ww_bert *bert;
    struct ww_filter words_project;
    struct ww_filter project[WW_MAX_LEVELS], project_norm[WW_MAX_LEVELS];
    float *level_embed; // [levels][width]
    struct ww_gdino_encoder_layer encoder[WW_GDINO_MAX_LAYERS];
    struct ww_filter select, select_norm;
    struct ww_mlp select_box;
    struct ww_filter query; // contents, by rank
    struct ww_mlp place;    // of a box's code
    struct ww_gdino_decoder_layer decoder[WW_GDINO_MAX_LAYERS];
    struct ww_filter norm;
    struct ww_mlp box; // one for all layers
};
