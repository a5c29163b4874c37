// device.h: one Vulkan device, or the scalar reference in its place.
//
// Thread-safety: unsafe; the engine's thread owns it. ww_device_profile is constant after opening.

#pragma once

#include <stdint.h>
#include <vulkan/vulkan.h>
#include <watchword/engine.h>

// What shaders are chosen by. All zero on the reference.
struct ww_profile {
    bool reference; // no Vulkan: kernels run their scalar references
    bool software;  // VK_PHYSICAL_DEVICE_TYPE_CPU: texel fetches, no shared memory, no barriers
    bool card;      // kernels as cards want them: shared memory, whole subgroups, few registers a lane
    bool half_sums;        // shaderFloat16: halves are added and multiplied as such
    uint32_t subgroup;     // lanes, 8 to 128
    uint32_t max_texels;   // of one texel buffer view
    double piece_macs;     // multiply-adds between two pauses of a plan: some 50 ms, on a card 5
    uint64_t max_alloc;    // bytes of one allocation
    float timestamp_ns;    // of one tick; 0: no timestamps
};

struct ww_device {
    struct ww_profile profile;
    struct ww_device_info info;
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice vk;
    VkQueue queue;
    uint32_t queue_family;
    VkCommandPool pool;
    VkPipelineCache cache;
    VkDescriptorSetLayout set_layout; // the same for every kernel, see WW_BINDINGS
    VkPipelineLayout layout;
    VkPhysicalDeviceMemoryProperties memory;
    struct ww_pipelines *pipelines; // every pipeline made so far
    bool halves;                    // models store as halves what may be: ww_half_activation
    bool lost;                      // VK_ERROR_DEVICE_LOST was seen; only closing is left
    bool twin_hangs; // ww_device_twin's: the instance is still in use
    bool hangs; // a wait failed, so it may still use what it was given: nothing is freed
    uint64_t bytes;                 // allocated now
    uint64_t pipelines_created;
    void (*activity)(void *opaque, const char *text); // tells people what takes time; may be NULL
    void *activity_opaque;
    // Between two pieces of a plan: may replay other plans, and nothing else. May be NULL.
    void (*pause)(void *opaque);
    void *pause_opaque;
};

// Opens by index, by a part of the name, or "reference"; see ww_engine_params.device.
struct ww_device *ww_device_open(const char *wanted, struct ww_error *err);
void ww_device_close(struct ww_device **device);
// Another logical device of the same physical one, to be closed before it. Not for the reference. Any thread.
struct ww_device *ww_device_twin(const struct ww_device *device, struct ww_error *err);

// "VK_ERROR_DEVICE_LOST" and so on.
const char *ww_vk_result(VkResult result);

// Turns a failed call into an error: out of memory is WW_E_MEMORY, all else WW_E_DEVICE; marks the
// device lost where it was. Returns false.
bool ww_vk_fail(struct ww_device *device, struct ww_error *err, VkResult result, const char *call);

// What a wait for submitted work came to. A device that is lost has let go of what it was given; after
// any other failure, be it for want of memory, it may still be at work on it: it is lost and hangs, and
// that is WW_E_DEVICE. False but for VK_SUCCESS.
bool ww_vk_waited(struct ww_device *device, struct ww_error *err, VkResult result, const char *call);

// Calls, and on failure fills `err` and jumps to `fail`.
#define VK_TRY(device, err, call)                                                                  \
    do {                                                                                           \
        const VkResult result_ = (call);                                                           \
        if (result_ != VK_SUCCESS) {                                                               \
            ww_vk_fail(device, err, result_, #call);                                               \
            goto fail;                                                                             \
        }                                                                                          \
    } while (0)
