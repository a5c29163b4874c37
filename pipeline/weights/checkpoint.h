// checkpoint.h: what the readers of the formats fill in.

#pragma once

#include "weights.h"

struct ww_arena;
struct ww_json;
struct ww_meta;

// One file, open and mapped. `map` is NULL as long as nothing needed it.
struct ww_weights_file {
    const char *path;
    int fd;
    const char *map;
    size_t bytes;
};

// Invariants, from the end of ww_weights_open on: tensors are sorted by name, none has the name of
// another, and data + bytes of each (of a view: every element) lies within the map of its file.
struct ww_weights {
    struct ww_arena *arena;
    const char *path, *format;
    struct ww_weights_file *files;
    int num_files;
    struct ww_weight *tensors;
    size_t num_tensors, room;
    // GGUF: the header, and what is known of it.
    char *header;
    uint64_t *strings;     // of all arrays: where in the header each begins, at its length
    struct ww_meta *metas; // sorted by key
    size_t num_metas;
};

// Reads exactly `bytes` from `offset` on.
bool ww_file_read(const struct ww_weights_file *file, uint64_t offset, void *to, size_t bytes,
                  struct ww_error *err);
// Maps a file that is not empty; an empty one stays without a map.
bool ww_file_map(struct ww_weights_file *file, struct ww_error *err);

// Makes room for that many tensors more, which the caller then writes behind the last and counts.
bool ww_weights_reserve(struct ww_weights *w, size_t count, struct ww_error *err);

uint64_t ww_little(const void *at, int bytes);

// The readers. Each adds the tensors of file number `file`; the caller adds the path to an error.
bool ww_read_safetensors(struct ww_weights *w, int file, struct ww_error *err);
bool ww_read_gguf(struct ww_weights *w, int file, struct ww_error *err);
bool ww_read_torch(struct ww_weights *w, int file, struct ww_error *err);

// Finds the files of a checkpoint (shards.c): a file is itself, a directory or an index the files
// that it leads to. `index` is the index that says what is in which, or NULL.
struct ww_parts {
    const char **paths; // the arena's
    int num_paths;
    struct ww_json *index; // the caller frees it
    const char *index_path;
};
bool ww_find_parts(struct ww_arena *arena, const char *path, struct ww_parts *parts,
                   struct ww_error *err);
// Holds the tensors against the index, and drops those that it does not name.
bool ww_check_index(struct ww_weights *w, const struct ww_parts *parts, struct ww_error *err);
