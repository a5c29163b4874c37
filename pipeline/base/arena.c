#include "arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT   _Alignof(max_align_t)
#define BLOCK_BYTES 16384 // room of a usual block; what is larger than a quarter gets its own

struct block {
    struct block *next;
    size_t used, room; // bytes of `data`
    max_align_t data[];
};

// Blocks form a list with the one that is being filled in front.
struct ww_arena {
    struct block *blocks;
    size_t bytes;
};

static _Noreturn void exhausted(size_t bytes)
{
    fprintf(stderr, "watchword: error: no memory left on this host for %zu bytes\n", bytes);
    abort();
}

static struct block *add_block(struct ww_arena *arena, size_t room)
{
    if (room > PTRDIFF_MAX - sizeof(struct block))
        exhausted(room);
    struct block *block = calloc(1, sizeof(*block) + room);
    if (!block)
        exhausted(room);
    block->room = room;
    arena->bytes += sizeof(*block) + room;
    return block;
}

struct ww_arena *ww_arena_create(void)
{
    struct ww_arena *arena = calloc(1, sizeof(*arena));
    if (!arena)
        exhausted(sizeof(*arena));
    return arena;
}

void ww_arena_destroy(struct ww_arena **pointer)
{
    if (!pointer || !*pointer)
        return;
    struct ww_arena *arena = *pointer;
    *pointer = NULL; // first: the pointer may itself lie in the arena
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

void *ww_arena_alloc(struct ww_arena *arena, size_t bytes)
{
    if (bytes > PTRDIFF_MAX - ALIGNMENT)
        exhausted(bytes);
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *first = arena->blocks;
    if (!first || bytes > first->room - first->used) {
        struct block *block;
        if (first && bytes > BLOCK_BYTES / 4) {
            block = add_block(arena, bytes); // behind the first, which goes on being filled
            block->next = first->next;
            first->next = block;
        } else {
            block = add_block(arena, bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES);
            block->next = first;
            arena->blocks = block;
        }
        first = block;
    }
    void *memory = (char *)first->data + first->used;
    first->used += bytes;
    return memory;
}

void *ww_arena_alloc_array(struct ww_arena *arena, size_t count, size_t bytes_each)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, bytes_each, &bytes))
        exhausted(SIZE_MAX);
    return ww_arena_alloc(arena, bytes);
}

char *ww_arena_strndup(struct ww_arena *arena, const char *text, size_t size)
{
    if (!text)
        return NULL;
    char *copy = ww_arena_alloc(arena, size + 1);
    memcpy(copy, text, size);
    return copy;
}

char *ww_arena_strdup(struct ww_arena *arena, const char *text)
{
    return text ? ww_arena_strndup(arena, text, strlen(text)) : NULL;
}

char *ww_arena_printf(struct ww_arena *arena, const char *fmt, ...)
{
    char small[256]; // most texts fit, and are formatted once
    va_list args;
    va_start(args, fmt);
    const int length = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    if (length < (int)sizeof(small))
        return ww_arena_strndup(arena, small, length < 0 ? 0 : (size_t)length);
    char *text = ww_arena_alloc(arena, (size_t)length + 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)length + 1, fmt, args);
    va_end(args);
    return text;
}

size_t ww_arena_bytes(const struct ww_arena *arena)
{
    return arena->bytes;
}
