// room.h: memory that is freed one by one.

#pragma once

#include <stdlib.h>
#include <watchword/error.h>

// Of small things that a program cannot go on without: zeros, never NULL; without memory the program ends.
static inline void *ww_room(size_t count, size_t bytes)
{
    void *data = calloc(count ? count : 1, bytes);
    if (!data)
        abort();
    return data;
}

// Of things as large as a file says: zeros, or NULL and WW_E_MEMORY.
void *ww_room_for(size_t count, size_t bytes, struct ww_error *err);
