// zip.h: the directory of a zip archive whose members are read where they lie. PyTorch stores its
// members without compression, so a tensor is a part of the file and can be mapped; a compressed
// member is an error when it is wanted. Checksums are not checked: that would read every byte of a
// checkpoint that is mapped so that it need not be.

#pragma once

#include "checkpoint.h"

struct ww_zip_member {
    const char *name; // as the directory has it; never a path to write to
    int method;       // 0: stored
    bool is_encrypted;
    uint64_t header, bytes; // where its own header stands in the file, and its size
};

// Invariant: sorted by name, and no two members have one.
struct ww_zip {
    struct ww_zip_member *members;
    size_t num_members;
    uint64_t end; // where the directory starts: members end before
};

// Reads the directory; what it makes is the arena's. WW_E_FILE: no zip file, or a damaged one.
bool ww_zip_open(const struct ww_weights_file *file, struct ww_arena *arena, struct ww_zip *zip,
                 struct ww_error *err);

// NULL: there is none of that name.
const struct ww_zip_member *ww_zip_find(const struct ww_zip *zip, const char *name);

// Where the bytes of a stored member start. False: its own header contradicts the directory, it is
// compressed or encrypted, or lies outside.
bool ww_zip_place(const struct ww_weights_file *file, const struct ww_zip *zip,
                  const struct ww_zip_member *member, uint64_t *place, struct ww_error *err);
