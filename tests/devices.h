// devices.h: every device there is, for tests that hold each against the same numbers.

#pragma once

#include "check.h"
#include "vk/device.h"

// Calls `check` for the reference, and then for every Vulkan device that has what we need.
static inline void check_devices(void (*check)(struct ww_device *device, void *opaque), void *opaque)
{
    struct ww_error err = {0};
    struct ww_device_info info[16];
    const int count = ww_device_list(info, 16, &err);
    for (int i = -1; i < count && i < 16; i++) {
        char name[16] = "reference";
        if (i >= 0)
            snprintf(name, sizeof name, "%d", i);
        if (i >= 0 && (info[i].missing[0] || !strcmp(info[i].kind, "reference")))
            continue;
        struct ww_device *device = ww_device_open(name, &err);
        check_about("device %s", name);
        if (CHECK(device != NULL))
            check(device, opaque);
        else
            printf("%s\n", err.text);
        ww_device_close(&device);
    }
}
