// memory.h: device memory that tensors lie in.
//
// A storage is one buffer, its memory and the texel views that shaders read it through. A model's
// weights are spread over as many storages as the device's limits ask for; activations of a plan
// share one. Stores go by address, so no binding range limits a tensor.

#pragma once

#include "device.h"

// How a kernel's operand is bound. Offsets in a launch are in texels of its kind. Where four floats are
// asked for, a tensor of halves is bound instead.
enum ww_view {
    WW_VIEW_F32X4,
    WW_VIEW_U32X4,
    WW_VIEW_U32,
    WW_NUM_BOUND, // have bindings of their own
    WW_VIEW_F16X4 = WW_NUM_BOUND,
    WW_NUM_VIEWS
};
#define WW_TEXEL_BYTES(view) ((view) == WW_VIEW_U32 ? 4 : (view) == WW_VIEW_F16X4 ? 8 : 16)

enum ww_placement {
    WW_PLACE_DEVICE, // fastest for the device
    WW_PLACE_UPLOAD, // written by the host, read by the device
    WW_PLACE_READBACK, // written by the device, read by the host
};

struct ww_storage {
    uint64_t bytes;
    void *map;        // NULL unless the host can see it; always there on the reference
    uint64_t address; // of byte 0, for shaders
    VkBuffer buffer;
    VkDeviceMemory memory;
    VkBufferView view[WW_NUM_VIEWS];
};

// `bytes` is rounded up to a texel. WW_E_MEMORY says how much was asked for and how much was in use.
struct ww_storage *ww_storage_create(struct ww_device *device, uint64_t bytes,
                                     enum ww_placement placement, struct ww_error *err);
void ww_storage_destroy(struct ww_device *device, struct ww_storage **storage);

// The most one storage can hold on this device.
uint64_t ww_storage_limit(const struct ww_device *device);

// Copies into a storage that the host may not see, through a staging buffer; blocks.
bool ww_storage_write(struct ww_device *device, struct ww_storage *storage, uint64_t offset,
                      const void *data, uint64_t bytes, struct ww_error *err);
bool ww_storage_read(struct ww_device *device, struct ww_storage *storage, uint64_t offset,
                     void *data, uint64_t bytes, struct ww_error *err);
