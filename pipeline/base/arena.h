// arena.h: memory that goes with its owner. An object makes one arena, takes everything it needs
// from it, and frees all of it with one call, so that no early return can leak.
//
// All memory comes zeroed and aligned for any type. There is no failure to handle: where the host
// has no memory left, the process aborts with a line that says how much was asked for. Sizes that
// come from a file are to be checked against that file before they get here. Thread-safety: one
// thread at a time.

#pragma once

#include <stddef.h>
#include <watchword/error.h>

struct ww_arena;

struct ww_arena *ww_arena_create(void);
void ww_arena_destroy(struct ww_arena **arena);

// `bytes` may be 0: the result is then a pointer that nothing may be written to.
void *ww_arena_alloc(struct ww_arena *arena, size_t bytes);
void *ww_arena_alloc_array(struct ww_arena *arena, size_t count, size_t bytes_each);

#define ww_new(arena, type) ((type *)ww_arena_alloc((arena), sizeof(type)))
#define ww_new_array(arena, type, count)                                                           \
    ((type *)ww_arena_alloc_array((arena), (count), sizeof(type)))

// NULL stays NULL.
char *ww_arena_strdup(struct ww_arena *arena, const char *text);
char *ww_arena_strndup(struct ww_arena *arena, const char *text, size_t size);
char *ww_arena_printf(struct ww_arena *arena, const char *fmt, ...) WW_PRINTF(2, 3);

// Bytes taken from the system so far.
size_t ww_arena_bytes(const struct ww_arena *arena);
