// write.h: the headers of the files that a conversion writes. Tensors follow in the order given.

#pragma once

#include <stdio.h>
#include <watchword/convert.h>

#include "weights.h"

bool ww_safetensors_begin(FILE *out, const struct ww_weight *tensors, size_t count,
                          struct ww_error *err);

// What makes a GGUF file of weights that do not say it themselves a model: keys, names, more tensors.
struct ww_gguf_key {
    const char *key, *value; // value: the type's number and what follows it
    size_t bytes;            // of the value
};
struct ww_gguf_dress {
    const struct ww_gguf_key *keys; // by key; none that the writer adds by itself
    size_t num_keys;
    // A tensor's new name; NULL: it is left out. `head` not 0: the two halves of so many rows are laced
    // together, as llama.cpp turns positions. WW_E_UNSUPPORTED: there is no name for it.
    bool (*rename)(const struct ww_gguf_dress *dress, const struct ww_weight *from, const char **name,
                   int *head, struct ww_error *err);
    const struct ww_weight *more; // F32, with `data`
    size_t num_more;
};

// As a GGUF file has them: the lowest `bytes` of a number, lowest first; a text behind its length.
void ww_gguf_put(FILE *out, uint64_t value, int bytes);
void ww_gguf_put_text(FILE *out, const char *text, size_t bytes);
// With the keys of `w`, or those of `dress` if it is not NULL, but for those that belong to the old
// file, and with what the new one is of; `typed`: not what the old one says, for tensors were given
// another type. WW_E_FILE: GGUF cannot hold a tensor.
bool ww_gguf_begin(FILE *out, const struct ww_weights *w, const struct ww_gguf_dress *dress,
                   const struct ww_weight *tensors, size_t count, bool typed, struct ww_error *err);
// Zeros behind a tensor of that many bytes, up to where the next begins.
void ww_gguf_pad(FILE *out, size_t bytes);

// ww_convert, with `dress` for a GGUF file or NULL. Vectors of a dressed file are F32.
bool ww_convert_weights(const char *in, const char *out, const struct ww_convert_params *params,
                        const struct ww_gguf_dress *dress, struct ww_conversion *conversion,
                        struct ww_error *err);
