// weights.h: a checkpoint as it lies on disk: named tensors in mapped files, whatever their format.
//
// Files are hostile input: every name, shape and offset is checked when a file is opened, so that
// what `find` hands out lies inside the map. What no check at opening can rule out is that somebody
// makes the file shorter while it is in use: then touching `data` past the new end is a SIGBUS.
// Loaders therefore copy through ww_weights_copy, which reads and reports; replacing a file by
// renaming another over its name is safe in any case. Thread-safety: an opened checkpoint is read
// only, any thread may use it.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

// What safetensors knows, and then the blocks of GGUF. Rare ones can be carried and copied, but no
// model here computes with them.
enum ww_type {
    WW_F32, WW_F16, WW_BF16, WW_I32, WW_I64, WW_I8, WW_U8, WW_I16, WW_U16, WW_BOOL, WW_F64,
    WW_U32, WW_U64, WW_C64, WW_F8_E4M3, WW_F8_E5M2, WW_F8_E8M0, WW_F8_E4M3FNUZ, WW_F8_E5M2FNUZ,
    WW_F6_E2M3, WW_F6_E3M2, WW_F4,
    // Elements in blocks that never span two rows.
    WW_Q4_0, WW_Q4_1, WW_Q5_0, WW_Q5_1, WW_Q8_0, // of 32
    WW_Q2_K, WW_Q3_K, WW_Q4_K, WW_Q5_K, WW_Q6_K, // of 256
    WW_IQ4_NL, WW_IQ4_XS,                        // of 32, of 256; levels from a table
    WW_NUM_TYPES
};

// "F32", "Q4_K", ... as safetensors and GGUF write them; NULL outside the range.
const char *ww_type_name(enum ww_type type);
// Bits of one element, and bytes: 0 for the types of which an element has no whole bits, or bytes.
size_t ww_type_bits(enum ww_type type);
size_t ww_type_bytes(enum ww_type type);
// Elements and bytes of a block; 1 element where there are none (and 0 bytes for those smaller).
size_t ww_type_block(enum ww_type type);
size_t ww_type_block_bytes(enum ww_type type);

#define WW_MAX_RANK 8

struct ww_weight {
    const char *name; // NUL-terminated, owned by the checkpoint
    enum ww_type type;
    int rank;
    int64_t dim[WW_MAX_RANK]; // row-major, last is fastest: GGUF's own order, turned around
    const void *data;         // little endian; aligned to nothing; mapped, read when touched
    size_t bytes;
    // A view of a PyTorch tensor whose elements do not lie end to end has no `data`, and `bytes` is
    // what ww_weights_copy gathers.
    const int64_t *stride; // in elements, `rank` of them; NULL: end to end
    uint64_t place;        // of its first element in file number `file`
    int file;
};

struct ww_weights;

// Maps a checkpoint: a file, or the one that lies in a directory. Formats are told apart by what is
// in a file: safetensors, GGUF 2 and 3, PyTorch's zip archives (pickle read as data), and each of
// them in parts: model.safetensors.index.json, pytorch_model.bin.index.json, x-00001-of-00003.gguf.
//
// Errors are WW_E_FILE, and name the file, the tensor and the field, or WW_E_MEMORY. Stricter than
// the formats: at most 8 dimensions; no NUL in a name; no name twice; in a safetensors header no
// fields but the three and no whole number beyond 2^53; in GGUF no array of arrays, no boolean but 0
// and 1, no alignment above 1 MiB; in a PyTorch archive nothing compressed, no call but those of a
// fixed list, none of which is executed, nothing nested deeper than 16, no name above 1000 bytes, no view
// larger than the file and all of them together no larger than four. Checksums of archives are not checked.
//
// A PyTorch tensor is named by the way to it through dicts and lists: "model/backbone.0.weight".
struct ww_weights *ww_weights_open(const char *path, struct ww_error *err);
void ww_weights_close(struct ww_weights **weights);

// NULL if there is none. Names are compared byte by byte.
const struct ww_weight *ww_weights_find(const struct ww_weights *weights, const char *name);
size_t ww_weights_count(const struct ww_weights *weights);
const struct ww_weight *ww_weights_at(const struct ww_weights *weights, size_t index); // by name

// The same, but a missing tensor, another rank or other dimensions are an error that says what was
// found: ww_weights_need(weights, "head.bias", err, 1, 80). After `err`: the rank, then that many
// dimensions, of which -1 takes any but 0.
#define ww_weights_need(weights, name, err, ...)                                                   \
    ww_weights_need_shape((weights), (name), (err), (const int64_t[]){__VA_ARGS__})
const struct ww_weight *ww_weights_need_shape(const struct ww_weights *weights, const char *name,
                                              struct ww_error *err, const int64_t *rank_and_dims);

// Copies `bytes` bytes of a tensor from byte `offset` on, both whole elements. False: WW_E_FILE, the
// file cannot be read or has become shorter; `to` may be filled in part.
bool ww_weights_copy(const struct ww_weights *weights, const struct ww_weight *weight,
                     size_t offset, size_t bytes, void *to, struct ww_error *err);

// Element `i` of a F32, F16 or BF16 tensor, widened exactly, subnormals, infinities and NaN too.
// And one from memory: `at` points to the element.
float ww_weight_float(const struct ww_weight *weight, size_t i);
float ww_type_float(enum ww_type type, const void *at);

// The path it was opened from, and the sha256 in lower-case hex (64 digits and NUL) of its file, or
// of all its files end to end, read anew by each call; "" if it cannot be read any more.
const char *ww_weights_path(const struct ww_weights *weights);
void ww_weights_digest(const struct ww_weights *weights, char hex[65]);

// Its files, the same for each of them; ww_weight.file counts them from 0.
int ww_weights_num_files(const struct ww_weights *weights);
const char *ww_weights_file_path(const struct ww_weights *weights, int file);
size_t ww_weights_file_bytes(const struct ww_weights *weights, int file);
void ww_weights_file_digest(const struct ww_weights *weights, int file, char hex[65]);
// "safetensors", "GGUF" or "PyTorch".
const char *ww_weights_format(const struct ww_weights *weights);

// Writes tensors as one safetensors file: `begin`, `add` for each (copied), `end`. The same tensors
// make the same bytes, whatever the order they were added in: wider types first, then by name, so
// that every element is aligned to its size. Used by traces.
struct ww_weights_writer;
struct ww_weights_writer *ww_weights_write_begin(void);
void ww_weights_write_add(struct ww_weights_writer *writer, const char *name, enum ww_type type,
                          int rank, const int64_t *dim, const void *data);
// Writes under a temporary name beside `path`, which it then takes: a reader sees the whole file or
// none. Frees the writer in any case. An empty path: only frees. WW_E_FILE: cannot be written, or
// two tensors have one name.
bool ww_weights_write_end(struct ww_weights_writer **writer, const char *path,
                          struct ww_error *err);
