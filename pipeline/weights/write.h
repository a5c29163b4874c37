// write.h: the headers of the files that a conversion writes. Tensors follow in the order given.

#pragma once

#include <stdio.h>

#include "weights.h"

bool ww_safetensors_begin(FILE *out, const struct ww_weight *tensors, size_t count,
                          struct ww_error *err);
// With the keys of `w`, if it has any, but for those that belong to its old file, and with what the new
// one is of; `typed`: not what the old one says, for tensors were given another type. WW_E_FILE: GGUF
// cannot hold a tensor.
bool ww_gguf_begin(FILE *out, const struct ww_weights *w, const struct ww_weight *tensors,
                   size_t count, bool typed, struct ww_error *err);
// Zeros behind a tensor of that many bytes, up to where the next begins.
void ww_gguf_pad(FILE *out, size_t bytes);
