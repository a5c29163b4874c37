// llama-gguf.h: what a GGUF file says about a language model of LLaMA's architecture, from a directory
// as the transformers library writes it.

#pragma once

#include "weights/write.h"

struct ww_llama_gguf;

// `dir`: config.json, weights, and a tokenizer that GGUF has a kind for. WW_E_UNSUPPORTED: another
// architecture, another kind of tokenizer, or positions scaled as GGUF cannot say.
struct ww_llama_gguf *ww_llama_gguf_open(const char *dir, struct ww_error *err);
void ww_llama_gguf_close(struct ww_llama_gguf **gguf);
const struct ww_gguf_dress *ww_llama_gguf_dress(const struct ww_llama_gguf *gguf);
