// part.h: a file on its way. NAME.part grows beside where NAME will be, and NAME.part-of keeps what the
// server said of it, so that another run may go on where this one stopped. NAME appears whole, by a
// rename, when the bytes are on the disk.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

struct part {
    char name[200]; // of the file, without its folders
    int folder, fd;
    int64_t bytes; // that have arrived
    // What was said when it was begun:
    int64_t total;                // -1: nothing
    char etag[200], sha256[65];   // "": nothing
    // Of `bytes`, so many are known to be on the disk; what a machine wrote that went down without
    // warning may be a hole beyond them.
    int64_t synced;
};

// Opens the folder of `name` below `root`, makes it if need be, and follows no link there. -1: WW_E_FILE.
// `base` is the name in that folder.
int part_folder(int root, const char *name, const char **base, struct ww_error *err);

// Bytes on the disk, also where `bytes` says that they are not to be gone on with.
int64_t part_size(const struct part *part);

// What is there of it so far, or an empty one: all of it if the system has been up since then, or else
// what had been brought to the disk. WW_E_FILE. Close it also after a failure.
bool part_open(struct part *part, int root, const char *name, struct ww_error *err);
// Nothing has arrived, and this is what the server says now; `etag` and `sha256` may be "".
bool part_begin(struct part *part, int64_t total, const char *etag, const char *sha256,
                struct ww_error *err);
bool part_write(struct part *part, const void *data, size_t size, struct ww_error *err);
// Gives it its name.
bool part_finish(struct part *part, struct ww_error *err);
// Leaves nothing of it.
void part_discard(struct part *part);
// Leaves it as it is, for another day, on the disk.
void part_close(struct part *part);

// Free for us in that folder; INT64_MAX: the system does not tell.
int64_t free_bytes(int folder);

// The sha256 of an open file, in hex. False: it cannot be read, or a signal came.
bool digest_file(int fd, char hex[65], struct ww_error *err);
