// meta.h: what a GGUF file says about its model, key by key.
//
// Everything was checked when the file was opened, and lies in memory of the checkpoint's own: it
// cannot change or vanish with the file, and lives until ww_weights_close. Arrays are left as they
// are in the file and read element by element, so that a vocabulary of 100,000 tokens costs eight
// bytes a token beside its text. Thread-safety: as the checkpoint, any thread may read.

#pragma once

#include "weights.h"

// Bytes of the file: not NUL-terminated, may hold NULs, and may not be UTF-8.
struct ww_text {
    const char *at;
    size_t bytes;
};

enum ww_meta_type { // GGUF's own numbers
    WW_META_U8, WW_META_I8, WW_META_U16, WW_META_I16, WW_META_U32, WW_META_I32, WW_META_F32,
    WW_META_BOOL, WW_META_STRING, WW_META_ARRAY, WW_META_U64, WW_META_I64, WW_META_F64,
    WW_NUM_META_TYPES
};

struct ww_meta {
    const char *key;
    enum ww_meta_type type; // of an array: of its elements
    bool is_array;
    size_t count;          // elements; 1 if it is no array
    const char *at;        // the first one, little endian; strings:
    const uint64_t *begin; // where in `header` the length of each stands, 8 bytes before its text
    const char *header;
};

// NULL if there is none, as in every format but GGUF.
const struct ww_meta *ww_weights_meta(const struct ww_weights *weights, const char *key);
size_t ww_weights_num_metas(const struct ww_weights *weights);
const struct ww_meta *ww_weights_meta_at(const struct ww_weights *weights, size_t i); // by key

// Element `i` < count (0 where it is no array) as what you ask for. False, and `out` as it was, if
// it is of another kind: integers of all widths are one kind (but for a U64 beyond INT64_MAX), an
// integer is a real, too, and nothing else is anything else. `meta` may be NULL: false.
bool ww_meta_integer(const struct ww_meta *meta, size_t i, int64_t *out);
bool ww_meta_real(const struct ww_meta *meta, size_t i, double *out);
bool ww_meta_bool(const struct ww_meta *meta, size_t i, bool *out);
bool ww_meta_text(const struct ww_meta *meta, size_t i, struct ww_text *out);

// "an array of strings", for sentences.
const char *ww_meta_kind(const struct ww_meta *meta);

// The same for a key that must be there if `needed`, be no array, and lie in a range; where it is
// not there and need not, `out` keeps its value. False: WW_E_FILE names the file, the key, what was
// found and what is allowed.
bool ww_weights_integer(const struct ww_weights *weights, const char *key, bool needed, int64_t min,
                        int64_t max, int64_t *out, struct ww_error *err);
bool ww_weights_real(const struct ww_weights *weights, const char *key, bool needed, double min,
                     double max, double *out, struct ww_error *err);
bool ww_weights_bool(const struct ww_weights *weights, const char *key, bool needed, bool *out,
                     struct ww_error *err);
bool ww_weights_text(const struct ww_weights *weights, const char *key, bool needed,
                     struct ww_text *out, struct ww_error *err);
// An array whose elements are strings, integers or reals (`kind` WW_META_STRING, WW_META_I64 or
// WW_META_F64) in `out`, or NULL there if it need not be.
bool ww_weights_array(const struct ww_weights *weights, const char *key, bool needed,
                      enum ww_meta_type kind, const struct ww_meta **out, struct ww_error *err);
