// faulty.h: an engine on a device whose calls fail when told to, and a picture to show it.

#pragma once

#include "check.h"
#include "layer.h"

#include <dlfcn.h>
#include <watchword/watch.h>

enum { W = 96, H = 64, BYTES = W * H * 3 };
static uint8_t pixels[BYTES];
static struct faults *faults;

// The `at`th call of that kind fails from now on, and if `lasting` all after it; 0: none.
static void strike(enum fault kind, int at, bool lasting)
{
    for (int i = 0; i < NUM_FAULTS; i++)
        faults->calls[i] = faults->at[i] = 0;
    faults->struck = 0;
    faults->lasting = lasting;
    faults->at[kind] = at;
}

static const struct ww_result *look(struct ww_watch *watch, struct ww_error *err)
{
    const struct ww_frame frame = {
        .format = WW_FORMAT_RGB, .width = W, .height = H, .plane = {pixels}, .stride = {W * 3}};
    *err = (struct ww_error){0};
    return ww_watch_look(watch, &frame, err);
}

// Drivers are unloaded here again and again, so what they leak has no name to suppress it by, and a
// hanging device keeps all it has: Vulkan's objects are counted instead.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

// NULL: what is wrong was told. Skips the test where no call can fail.
static struct ww_engine *open_faulty_engine(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *path = getenv("WATCHWORD_FAULTS");
    void *layer = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    faults = layer ? dlsym(layer, FAULTS_SYMBOL) : NULL;
    if (!faults)
        check_skip("no layer in $WATCHWORD_FAULTS that makes calls fail");
    for (int i = 0; i < BYTES; i++)
        pixels[i] = (uint8_t)((unsigned)i * 2654435761u >> 24);

    struct ww_error err = {0};
    struct ww_engine *engine = ww_engine_open(NULL, &err);
    struct ww_device_info info = {0};
    if (CHECK(engine != NULL))
        ww_engine_device(engine, &info);
    if (!strcmp(info.kind, "reference"))
        check_skip("no Vulkan device");
    return CHECK_CMP(faults->objects, >, 0) ? engine : NULL; // or the layer is not in between
}
