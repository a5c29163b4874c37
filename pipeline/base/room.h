// room.h: small things that a program cannot go on without.

#pragma once

#include <stdlib.h>

// Zeros, never NULL: without memory the program ends.
static inline void *ww_room(size_t count, size_t bytes)
{
    void *data = calloc(count ? count : 1, bytes);
    if (!data)
        abort();
    return data;
}
