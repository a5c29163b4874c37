// llama-inner.h: what llama.c, llama-load.c and llama-session.c share.

#pragma once

#include "llama.h"

struct llama_layer {
    struct ww_filter attn_norm, ffn_norm;
    struct ww_linear qkv[3]; // one matrix where the three are of one type
    int num_qkv;
    struct ww_linear output, gate_up, down;
};

struct ww_llama {
    struct ww_llama_shape shape;
    struct llama_layer *layers;
    struct ww_linear embed, head;
    struct ww_filter norm;
    struct ww_storage **storages;
    int num_storages;
};

struct llama_inputs {
    struct ww_tensor rows, picks, turns, given;
    struct ww_storage *const *cache; // of each layer: keys, then values
    int slots, ring; // of all sequences, of each
    bool half;       // of the cache
};
struct llama_outputs {
    struct ww_tensor hidden, logits; // of the picked rows
};
struct llama_outputs ww_llama_forward(struct ww_cmd *g, const struct ww_llama *m,
                                      const struct llama_inputs *in);
