// Frames on their way into a batch: what a device cannot read is refused with a sentence, not read as black.

#include "devices.h"
#include "models/inlet.h"

enum { SIDE = 32 };

static void check_frame(struct ww_device *device, struct ww_plan *into, struct ww_tensor input, int w, int h,
                        bool fits)
{
    struct ww_error err = {0};
    struct ww_preprocessor pre;
    struct ww_inlet inlet;
    const struct ww_look_params params = {
        .format = WW_FORMAT_RGB, .width = w, .height = h, .input_width = SIDE, .input_height = SIDE};
    check_about("%dx%d on %s", w, h, device->info.name);
    const uint64_t before = device->bytes;
    CHECK(ww_preprocessor_parse(NULL, &pre, &err));
    CHECK_CMP(ww_inlet_open(&inlet, device, &pre, &params, into, input, &err), ==, fits);
    if (!fits) {
        CHECK_CMP(err.code, ==, WW_E_MEMORY);
        CHECK_HAS(err.text, "reads pictures of at most");
    }
    ww_inlet_close(device, &inlet);
    CHECK_CMP(device->bytes, ==, before);
}

static void check(struct ww_device *device, void *opaque)
{
    struct ww_error err = {0};
    const struct ww_tensor none = {0};
    (void)opaque;
    struct ww_cmd *g = ww_cmd_create(device);
    const struct ww_tensor input = ww_input_tensor(g, 1, 3, SIDE, SIDE);
    ww_combine(g, ww_result_tensor(g, 1, 3, SIDE, SIDE), input, none, none, WW_ACT_NONE);
    struct ww_plan *into = ww_plan_create(g, &err);
    ww_cmd_destroy(&g);
    if (CHECK(into != NULL)) {
        const uint32_t reach = device->profile.max_texels;
        device->profile.max_texels = 3000; // words of a picture, texels of anything else
        check_frame(device, into, input, 60, 50, true);
        check_frame(device, into, input, 70, 60, false);
        device->profile.max_texels = reach;
        check_frame(device, into, input, 70, 60, true);
    }
    ww_plan_destroy(&into);
}

int main(void)
{
    check_devices(check, NULL);
    return check_done();
}
