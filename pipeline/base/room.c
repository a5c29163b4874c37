#include "room.h"

void *ww_room_for(size_t count, size_t bytes, struct ww_error *err)
{
    void *data = calloc(count ? count : 1, bytes ? bytes : 1);
    if (!data)
        ww_fail(err, WW_E_MEMORY, "no memory left on this host for %zu times %zu bytes", count, bytes);
    return data;
}
