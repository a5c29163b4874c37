// shortage.h: a host that runs out of memory when it is told to, for a program that is linked with
// --wrap of malloc, realloc, ww_room_for and ww_storage_create. calloc is left alone: that is how what
// is small and ours is made, which aborts by design.

#pragma once

#include <cjson/cJSON.h>

#include "base/room.h"
#include "check.h"
#include "vk/memory.h"

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__real_ww_room_for(size_t count, size_t bytes, struct ww_error *err);
void *__wrap_ww_room_for(size_t count, size_t bytes, struct ww_error *err);
struct ww_storage *__real_ww_storage_create(struct ww_device *device, uint64_t bytes,
                                            enum ww_placement placement, struct ww_error *err);
struct ww_storage *__wrap_ww_storage_create(struct ww_device *device, uint64_t bytes,
                                            enum ww_placement placement, struct ww_error *err);

enum { SHORT_OF_TEXT = 1, SHORT_OF_LISTS = 2, SHORT_OF_NUMBERS = 4, SHORT_OF_DEVICE = 8, SHORT_OF_ALL = 15 };

static struct {
    bool on;
    int of;       // malloc, realloc, ww_room_for, ww_storage_create
    bool once;    // there is memory again after the first that failed
    long allowed; // allocations that work before one fails
    long calls;   // so far
} shortage;

static bool is_short(int of)
{
    if (!shortage.on || !(shortage.of & of))
        return false;
    const long call = shortage.calls++;
    return shortage.once ? call == shortage.allowed : call >= shortage.allowed;
}

void *__wrap_malloc(size_t bytes)
{
    return is_short(SHORT_OF_TEXT) ? NULL : __real_malloc(bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return is_short(SHORT_OF_LISTS) ? NULL : __real_realloc(old, bytes);
}

void *__wrap_ww_room_for(size_t count, size_t bytes, struct ww_error *err)
{
    if (!is_short(SHORT_OF_NUMBERS))
        return __real_ww_room_for(count, bytes, err);
    ww_fail(err, WW_E_MEMORY, "no memory left on this host for %zu times %zu bytes", count, bytes);
    return NULL;
}

struct ww_storage *__wrap_ww_storage_create(struct ww_device *device, uint64_t bytes,
                                            enum ww_placement placement, struct ww_error *err)
{
    if (!is_short(SHORT_OF_DEVICE))
        return __real_ww_storage_create(device, bytes, placement, err);
    ww_fail(err, WW_E_MEMORY, "no memory left on this host for a storage of %.1f MB", (double)bytes / 1e6);
    return NULL;
}

static void shortage_of_json(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = __wrap_malloc, .free_fn = free});
}

// Whether an attempt that may use `allowed` allocations got through, and if not, whether it says why.
struct outcome {
    bool worked, sound;
};
static struct outcome with_memory_for(long allowed, int of, bool once,
                                      bool (*attempt)(const void *what, struct ww_error *err),
                                      const void *what)
{
    struct ww_error err = {0};
    shortage.on = true;
    shortage.of = of;
    shortage.once = once;
    shortage.allowed = allowed;
    shortage.calls = 0;
    const bool worked = attempt(what, &err);
    shortage.on = false;
    return (struct outcome){worked, worked || (CHECK_CMP(err.code, ==, WW_E_MEMORY) &&
                                               CHECK_HAS(err.text, "no memory left on this host"))};
}
