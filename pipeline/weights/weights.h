// weights.h: a checkpoint as it lies on disk: named tensors in mapped files.
//
// Files are hostile input: every name, shape and offset is checked when a file is opened, so that
// what `find` hands out lies inside the map. Thread-safety: an opened checkpoint is read only, any
// thread may use it.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

enum ww_type {
    WW_F32, WW_F16, WW_BF16, WW_I32, WW_I64, WW_I8, WW_U8, WW_I16, WW_U16, WW_BOOL, WW_F64,
    WW_NUM_TYPES // quantised block types come with GGUF
};

// "F32", "F16", ... as safetensors writes them; NULL outside the range.
const char *ww_type_name(enum ww_type type);
// Bytes of one element.
size_t ww_type_bytes(enum ww_type type);

#define WW_MAX_RANK 8

struct ww_weight {
    const char *name; // NUL-terminated, owned by the checkpoint
    enum ww_type type;
    int rank;
    int64_t dim[WW_MAX_RANK]; // row-major, last is fastest
    const void *data;         // little endian; aligned to nothing
    size_t bytes;
};

struct ww_weights;

// Maps one .safetensors file. Errors are WW_E_FILE and name the file, the tensor and the field.
struct ww_weights *ww_weights_open(const char *path, struct ww_error *err);
void ww_weights_close(struct ww_weights **weights);

// NULL if there is none. Names are compared byte by byte.
const struct ww_weight *ww_weights_find(const struct ww_weights *weights, const char *name);
size_t ww_weights_count(const struct ww_weights *weights);
const struct ww_weight *ww_weights_at(const struct ww_weights *weights, size_t index); // by name

// The same, but a missing tensor, another rank or other dimensions are an error that says what was
// found. `rank` dims follow; -1 takes any.
const struct ww_weight *ww_weights_need(const struct ww_weights *weights, const char *name,
                                        struct ww_error *err, int rank, ...);

// Element `i` of a F32, F16 or BF16 tensor, widened exactly.
float ww_weight_float(const struct ww_weight *weight, size_t i);

// The path it was opened from, and the sha256 of the file in lower-case hex (64 digits and NUL).
const char *ww_weights_path(const struct ww_weights *weights);
void ww_weights_digest(const struct ww_weights *weights, char hex[65]);

// Writes float32 tensors as one safetensors file: `begin`, `add` for each (copied), `end`, which
// sorts by name, writes under a temporary name and renames. Used by traces.
struct ww_weights_writer;
struct ww_weights_writer *ww_weights_write_begin(void);
void ww_weights_write_add(struct ww_weights_writer *writer, const char *name, enum ww_type type,
                          int rank, const int64_t *dim, const void *data);
// Frees the writer in any case. An empty path: only frees.
bool ww_weights_write_end(struct ww_weights_writer **writer, const char *path,
                          struct ww_error *err);
