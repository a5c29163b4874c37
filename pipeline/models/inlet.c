#include "inlet.h"
#include "picture.h"

// Room for rows that are resized already: what lies behind the input in that arena is not in use yet. An
// arena of its own, where that is too little.
static struct ww_tensor between(struct ww_cmd *g, const struct ww_inlet *inlet, struct ww_plan *into,
                                struct ww_tensor input)
{
    struct ww_storage *arena = ww_plan_arena(into);
    const uint64_t first = (uint64_t)ww_plan_texel(into, input) + (uint64_t)input.step * (uint64_t)input.n;
    const uint64_t texels = (uint64_t)inlet->params.height * (uint64_t)inlet->w;
    return (first + texels) * 16 <= arena->bytes
               ? ww_stored_tensor(g, arena, (uint32_t)first, 1, 3, inlet->params.height, inlet->w)
               : ww_activation(g, 1, 3, inlet->params.height, inlet->w);
}

static bool record(struct ww_inlet *inlet, struct ww_device *device, const struct ww_preprocessor *pre,
                   struct ww_plan *into, struct ww_tensor input, struct ww_error *err)
{
    const struct ww_look_params *look = &inlet->params;
    const struct ww_packing packing = ww_packing(look->format, look->width, look->height);
    struct ww_cmd *g = ww_cmd_create(device);
    ww_label(g, "prepare");
    const struct ww_tensor packed =
        ww_stored_tensor(g, inlet->packed, 4, 1, 4, 1, (int)((packing.bytes + 15) / 16));
    inlet->resampling = ww_resampling(g, look->width, look->height, inlet->w, inlet->h);
    const struct ww_tensor scratch = between(g, inlet, into, input);
    for (int b = 0; b < input.n; b++) {
        ww_part(g);
        const struct ww_tensor place =
            ww_stored_tensor(g, ww_plan_arena(into), ww_plan_texel(into, input) + (uint32_t)b * input.step,
                             1, 3, input.h, input.w);
        ww_resample(g, place, packed, &inlet->resampling,
                    ww_resample_params(.format = look->format, .matrix = look->matrix,
                                       .range = look->range,
                                       .gain = {pre->gain[0], pre->gain[1], pre->gain[2]},
                                       .lift = {pre->lift[0], pre->lift[1], pre->lift[2]},
                                       .between = scratch));
    }
    inlet->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    if (inlet->plan)
        ww_resampling_fill(inlet->plan, &inlet->resampling);
    return inlet->plan != NULL;
}

bool ww_inlet_open(struct ww_inlet *inlet, struct ww_device *device, const struct ww_preprocessor *pre,
                   const struct ww_look_params *params, struct ww_plan *into, struct ww_tensor input,
                   struct ww_error *err)
{
    *inlet = (struct ww_inlet){.params = *params};
    inlet->packed = ww_picture_storage(device, params, err);
    return inlet->packed && ww_preprocessor_size(pre, params, &inlet->w, &inlet->h, err) &&
           record(inlet, device, pre, into, input, err);
}

void ww_inlet_close(struct ww_device *device, struct ww_inlet *inlet)
{
    ww_plan_destroy(&inlet->plan);
    ww_storage_destroy(device, &inlet->packed);
}

bool ww_inlet_put(struct ww_inlet *inlet, const struct ww_frame *frame, int place, struct ww_error *err)
{
    ww_picture_pack(frame, (char *)inlet->packed->map + 64);
    return ww_plan_run_part(inlet->plan, place, err);
}
