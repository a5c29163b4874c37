// llama.h: a decoder of LLaMA's architecture, and stretches of text going through it.
//
// A session has room for several sequences of tokens, each with its keys and values on the device. A
// run takes either a stretch of one sequence or one token each of several: so a sequence may join
// while others are being continued. Nothing is allocated by a run. All calls come on the engine's
// thread.

#pragma once

#include "kernels/tokens.h"
#include "rope.h"

struct ww_llama_shape {
    int vocabulary, hidden, layers, heads, kv_heads, head, inner; // head: its width
    int context;                                                  // positions it was trained on
    float eps;
    struct ww_rope rope;
    bool tied;             // the head's weights are the embedding's
};

struct ww_llama;
struct ww_llama_session;

// `path`: a directory with config.json and weights, or a GGUF file. WW_E_FILE names file and field.
struct ww_llama *ww_llama_load(struct ww_device *device, const char *path, struct ww_error *err);
void ww_llama_unload(struct ww_device *device, struct ww_llama **model);
const struct ww_llama_shape *ww_llama_shape(const struct ww_llama *model);

// What the config.json of a directory says. Errors as above; WW_E_UNSUPPORTED: another architecture.
bool ww_llama_read_config(const char *dir, struct ww_llama_shape *shape, struct ww_error *err);

struct ww_llama_params {
    int sequences;  // 1 to 8; 0: 1
    int context;    // positions of each; 0: what the model was trained on, at most 4096
    int stretch;    // most rows of one run; 0: 256
    bool given;     // rows may bring embeddings instead of tokens
    // Positions go on beyond `context`, up to those the model was trained on, at most 131072: the oldest but for the first
    // WW_SINKS, on which much attention rests (Xiao et al., 2023, arXiv:2309.17453), make room.
    bool slides;
    // Keys and values in half precision, in half the memory; heads are multiples of 8 wide then, and the
    // stage of keys is not kept.
    bool half_cache;
    bool keep_stages;
};
#define WW_SINKS 4
#define ww_llama_params(...) (&(struct ww_llama_params){__VA_ARGS__})

// Borrows the model.
struct ww_llama_session *ww_llama_open(struct ww_device *device, const struct ww_llama *model,
                                       const struct ww_llama_params *params, struct ww_error *err);
void ww_llama_close(struct ww_device *device, struct ww_llama_session **session);

struct ww_llama_row {
    uint32_t token;
    const float *given; // `hidden` numbers in its place; NULL: none
    int sequence, position;
    bool picked;        // logits and hidden state are wanted; at most `sequences` of a run
};

// Runs rows: any number of one sequence at rising positions, at most `stretch`, or one each of several.
// Everything before a row's position must have been run; past the context, one row of a sequence at a time.
// WW_E_TEXT: past the context, or no such token.
bool ww_llama_run(struct ww_llama_session *session, const struct ww_llama_row *rows, int num_rows,
                  struct ww_error *err);
// Of the last run's picked row `i`: [vocabulary], and [hidden] after the final norm.
void ww_llama_logits(struct ww_llama_session *session, int i, float *out);
void ww_llama_hidden(struct ww_llama_session *session, int i, float *out);

// The plan of long stretches, for stages: "layer.2.q_rope"; queries and keys have the pairs that turn
// together side by side.
struct ww_plan *ww_llama_plan(struct ww_llama_session *session);
int ww_llama_context(const struct ww_llama_session *session);
int ww_llama_positions(const struct ww_llama_session *session); // of a sequence; `context`, or more if it slides
