#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define STAGING_BYTES (16u << 20)

uint64_t ww_storage_limit(const struct ww_device *device)
{
    const uint64_t reach = (uint64_t)device->profile.max_texels * (device->halves ? 8 : 16);
    const uint64_t limit = reach < device->profile.max_alloc ? reach : device->profile.max_alloc;
    return limit < (1ull << 30) ? limit : 1ull << 30;
}

// The memory type that fits `bits` and serves the placement best. -1: none.
static int choose_type(const struct ww_device *device, uint32_t bits, enum ww_placement placement)
{
    const VkMemoryPropertyFlags visible =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkMemoryPropertyFlags must = placement == WW_PLACE_DEVICE ? 0 : visible;
    const VkMemoryPropertyFlags like =
        placement == WW_PLACE_DEVICE     ? VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
        : placement == WW_PLACE_READBACK ? VK_MEMORY_PROPERTY_HOST_CACHED_BIT
                                         : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    int fallback = -1;
    for (uint32_t i = 0; i < device->memory.memoryTypeCount; i++) {
        const VkMemoryPropertyFlags flags = device->memory.memoryTypes[i].propertyFlags;
        if (!(bits & (1u << i)) || (flags & must) != must)
            continue;
        if (flags & like)
            return (int)i;
        if (fallback < 0)
            fallback = (int)i;
    }
    return fallback;
}

static bool create_views(struct ww_device *device, struct ww_storage *s, struct ww_error *err)
{
    static const VkFormat format[WW_NUM_VIEWS] = {VK_FORMAT_R32G32B32A32_SFLOAT,
                                                  VK_FORMAT_R32G32B32A32_UINT, VK_FORMAT_R32_UINT,
                                                  VK_FORMAT_R16G16B16A16_SFLOAT};
    for (int i = 0; i < WW_NUM_VIEWS; i++) {
        // A view of single words reaches a quarter as far, only pictures are read that way; one of halves
        // half as far.
        uint64_t range = (uint64_t)device->profile.max_texels * (uint64_t)WW_TEXEL_BYTES(i);
        range = range < s->bytes ? range : s->bytes;
        const VkBufferViewCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                             .buffer = s->buffer,
                                             .format = format[i],
                                             .range = range};
        VK_TRY(device, err, vkCreateBufferView(device->vk, &info, NULL, &s->view[i]));
    }
    return true;
fail:
    return false;
}

static bool create_buffer(struct ww_device *device, struct ww_storage *s,
                          enum ww_placement placement, struct ww_error *err)
{
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = s->bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_TEXEL_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_BUFFER_BIT |
                 VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT};
    VK_TRY(device, err, vkCreateBuffer(device->vk, &info, NULL, &s->buffer));
    VkMemoryRequirements need;
    vkGetBufferMemoryRequirements(device->vk, s->buffer, &need);
    const int type = choose_type(device, need.memoryTypeBits, placement);
    if (type < 0)
        return ww_fail(err, WW_E_DEVICE, "the device has no memory that the host can reach");
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkMemoryAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                           .pNext = &flags,
                                           .allocationSize = need.size,
                                           .memoryTypeIndex = (uint32_t)type};
    VK_TRY(device, err, vkAllocateMemory(device->vk, &allocate, NULL, &s->memory));
    VK_TRY(device, err, vkBindBufferMemory(device->vk, s->buffer, s->memory, 0));
    const VkMemoryPropertyFlags visible =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    if ((device->memory.memoryTypes[type].propertyFlags & visible) == visible)
        VK_TRY(device, err, vkMapMemory(device->vk, s->memory, 0, VK_WHOLE_SIZE, 0, &s->map));
    s->address = vkGetBufferDeviceAddress(
        device->vk, &(VkBufferDeviceAddressInfo){
                        .sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = s->buffer});
    return create_views(device, s, err);
fail:
    return false;
}

struct ww_storage *ww_storage_create(struct ww_device *device, uint64_t bytes,
                                     enum ww_placement placement, struct ww_error *err)
{
    struct ww_storage *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->bytes = bytes ? (bytes + 63) / 64 * 64 : 64;
    if (device->profile.reference) {
        s->map = calloc(1, s->bytes);
        s->address = (uint64_t)(uintptr_t)s->map;
        if (!s->map)
            ww_fail(err, WW_E_MEMORY, "no memory for %.1f MB", (double)bytes / 1e6);
    } else if (!create_buffer(device, s, placement, err)) {
        ww_within(err, "%.1f MB for tensors, beside %.1f MB in use", (double)bytes / 1e6,
                  (double)device->bytes / 1e6);
        device->bytes += s->bytes; // taken back below
        ww_storage_destroy(device, &s);
        return NULL;
    }
    if (!s->map && device->profile.reference) {
        free(s);
        return NULL;
    }
    device->bytes += s->bytes;
    return s;
}

void ww_storage_destroy(struct ww_device *device, struct ww_storage **pointer)
{
    struct ww_storage *s = *pointer;
    if (!s)
        return;
    if (!device->hangs)
        device->bytes -= s->bytes;
    if (device->profile.reference) {
        free(s->map);
    } else if (!device->hangs) {
        for (int i = 0; i < WW_NUM_VIEWS; i++)
            vkDestroyBufferView(device->vk, s->view[i], NULL);
        vkDestroyBuffer(device->vk, s->buffer, NULL);
        vkFreeMemory(device->vk, s->memory, NULL);
    }
    free(s);
    *pointer = NULL;
}

// Copies between two storages and waits. For setting up, not for frames.
static bool copy(struct ww_device *device, struct ww_storage *to, uint64_t to_offset,
                 struct ww_storage *from, uint64_t from_offset, uint64_t bytes,
                 struct ww_error *err)
{
    VkCommandBuffer buffer = VK_NULL_HANDLE;
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = device->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1};
    VK_TRY(device, err, vkAllocateCommandBuffers(device->vk, &allocate, &buffer));
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    VK_TRY(device, err, vkBeginCommandBuffer(buffer, &begin));
    const VkBufferCopy region = {.srcOffset = from_offset, .dstOffset = to_offset, .size = bytes};
    vkCmdCopyBuffer(buffer, from->buffer, to->buffer, 1, &region);
    VK_TRY(device, err, vkEndCommandBuffer(buffer));
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                 .commandBufferCount = 1,
                                 .pCommandBuffers = &buffer};
    VK_TRY(device, err, vkQueueSubmit(device->queue, 1, &submit, VK_NULL_HANDLE));
    if (!ww_vk_waited(device, err, vkQueueWaitIdle(device->queue), "vkQueueWaitIdle"))
        goto fail;
    vkFreeCommandBuffers(device->vk, device->pool, 1, &buffer);
    return true;
fail:
    if (buffer && !device->hangs)
        vkFreeCommandBuffers(device->vk, device->pool, 1, &buffer);
    return false;
}

// Moves `bytes` in pieces through a host-visible storage, one way or the other.
static bool stage(struct ww_device *device, struct ww_storage *s, uint64_t offset, void *data,
                  uint64_t bytes, bool write, struct ww_error *err)
{
    const uint64_t piece = bytes < STAGING_BYTES ? bytes : STAGING_BYTES;
    struct ww_storage *staging = ww_storage_create(
        device, piece, write ? WW_PLACE_UPLOAD : WW_PLACE_READBACK, err);
    bool ok = staging != NULL;
    for (uint64_t done = 0; ok && done < bytes; done += piece) {
        const uint64_t now = bytes - done < piece ? bytes - done : piece;
        if (write) {
            memcpy(staging->map, (const char *)data + done, now);
            ok = copy(device, s, offset + done, staging, 0, now, err);
        } else {
            ok = copy(device, staging, 0, s, offset + done, now, err);
            memcpy((char *)data + done, staging->map, now);
        }
    }
    ww_storage_destroy(device, &staging);
    return ok;
}

bool ww_storage_write(struct ww_device *device, struct ww_storage *s, uint64_t offset,
                      const void *data, uint64_t bytes, struct ww_error *err)
{
    if (!s->map)
        return stage(device, s, offset, (void *)(uintptr_t)data, bytes, true, err);
    memcpy((char *)s->map + offset, data, bytes);
    return true;
}

bool ww_storage_read(struct ww_device *device, struct ww_storage *s, uint64_t offset, void *data,
                     uint64_t bytes, struct ww_error *err)
{
    if (!s->map)
        return stage(device, s, offset, data, bytes, false, err);
    memcpy(data, (const char *)s->map + offset, bytes);
    return true;
}
