// convert.h: a checkpoint in another format, or with weights of another type.

#pragma once

#include <stdint.h>
#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_convert_params {
    const char *type; // "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k",
                      // "q5_k", "q6_k"; NULL: each tensor as it is
    // Told now and then how many of all bytes are written; false stops. May be NULL.
    bool (*progress)(void *opaque, uint64_t done_bytes, uint64_t all_bytes);
    void *opaque;
};
#define ww_convert_params(...) (&(struct ww_convert_params){__VA_ARGS__})

struct ww_conversion {
    uint64_t num_tensors, bytes; // of data
    uint64_t num_widened;        // that became F32: vectors, and rows that are no whole blocks
};

// Reads a file or directory in any format that models come in, and writes `out`: GGUF or safetensors,
// by its ending. The same input makes the same bytes. From GGUF to GGUF all keys about the model go
// along, and general.file_type is what the new file is of. To GGUF from a directory with a config.json:
// a model by itself, with the keys, names and order of rows that llama.cpp reads for LLaMA's
// architecture, and its tokenizer (SentencePiece or byte-level BPE); vectors are F32. Where a tokenizer
// follows rules that GGUF cannot say, warnings name them: SentencePiece's mark in front of the text
// alone ('legacy' false), tokens that take blanks beside them along. From elsewhere there are no keys,
// and tensors keep their names: such a file holds weights, but is no model by itself. The file takes its
// name when it is complete and on the disk; what has the name before is replaced then.
//
// False: WW_E_FILE (cannot be read or written, or a tensor that the format cannot hold), WW_E_CONFIG
// (type or ending is not known), WW_E_UNSUPPORTED (blocks in safetensors; a directory of another
// architecture, or with a tokenizer or positions that GGUF cannot say), WW_E_STOPPED.
WW_API bool ww_convert(const char *in, const char *out, const struct ww_convert_params *params,
                       struct ww_conversion *conversion, struct ww_error *err);

#ifdef __cplusplus
}
#endif
