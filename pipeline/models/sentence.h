// sentence.h: sentences as unit vectors, near to each other where they mean nearly the same.
//
// Sentence-BERT (Reimers and Gurevych, 2019, arXiv:1908.10084): BERT, the mean over all tokens, and
// length 1. The cosine of two sentences is then the sum of products.

#pragma once

#include "bert.h"

#define WW_SENTENCE_MAX_WIDTH 1024

// A text as the model's tokenizer cut it, its first and last special tokens included; what is longer
// than the model reads is cut.
struct ww_token_ids {
    const int32_t *ids;
    int num_ids;
};

struct ww_sentences;

// Loads a directory as the sentence-transformers library writes it: config.json, model.safetensors,
// 1_Pooling/config.json, sentence_bert_config.json (absent: 512 tokens, or as many as there are
// positions). WW_E_FILE, WW_E_UNSUPPORTED (another model, or pooling other than the mean),
// WW_E_MEMORY.
struct ww_sentences *ww_sentences_load(struct ww_device *device, const char *dir,
                                       struct ww_error *err);
void ww_sentences_destroy(struct ww_sentences **sentences);
int ww_sentences_width(const struct ww_sentences *sentences); // numbers of a vector

// Writes a vector for each text to `out`, [num][width]; blocks. The first short text records a plan,
// which later ones find: one then costs a forward pass and nothing else. WW_E_TEXT: a text has no
// tokens, or a token that the model does not have.
bool ww_sentences_embed(struct ww_sentences *sentences, const struct ww_token_ids *texts, int num,
                        float *out, struct ww_error *err);
