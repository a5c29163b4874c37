// engine.h: a device and the one thread that uses it.
//
// An engine is shared by everybody in the process who names the same device: elements, streams and
// models live side by side on it. Thread-safety: all calls may come from any thread.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_engine;

struct ww_engine_params {
    // Index as `ww_device_list` numbers them, or part of a name in any case; "reference" is the
    // scalar CPU device, slow and exact. NULL or "": $WATCHWORD_DEVICE, or else the first GPU, or
    // else software Vulkan.
    const char *device;
};
#define ww_engine_params(...) (&(struct ww_engine_params){__VA_ARGS__})

// Opens the device, or shares it when this process has it open. The thread starts with the first
// opener and ends with the last ww_engine_close. WW_E_DEVICE: no such device (the text lists those
// there are), no Vulkan driver (the text names the package), or the driver lacks something.
WW_API struct ww_engine *ww_engine_open(const struct ww_engine_params *params,
                                        struct ww_error *err);
WW_API void ww_engine_close(struct ww_engine **engine);

// What the engine is doing right now, for people: "loading nano", "compiling kernels, 12 of 31",
// "ready". Never blocks.
WW_API void ww_engine_activity(struct ww_engine *engine, char *text, size_t size);

struct ww_device_info {
    char name[256];   // as the driver says, or "reference"
    char driver[256]; // driver's own name and version
    char kind[32];    // "discrete", "integrated", "virtual", "software", "reference"
    char missing[256]; // what it lacks for watchword; "" if usable
    uint64_t memory_bytes;
};

// Fills up to `max` devices; returns how many there are. The reference is the last. 0 and `err` only
// if Vulkan itself is broken; no driver at all leaves just the reference.
WW_API int ww_device_list(struct ww_device_info *out, int max, struct ww_error *err);

// The device that an engine has.
WW_API void ww_engine_device(struct ww_engine *engine, struct ww_device_info *out);

// Counters since the engine was opened. `pipelines_created` and `host_allocations` stand still
// after the first frame of each watch: a test holds them to it.
struct ww_engine_stats {
    uint64_t inferences;         // frames looked at
    uint64_t passes;             // in so many passes of a network, each of one or several frames
    uint64_t pipelines_created;  // compute pipelines compiled
    uint64_t plans_recorded;     // forward passes recorded for a size
    uint64_t device_bytes;       // allocated on the device now
    uint64_t device_losses;      // times the device was lost and reopened
    int64_t silent_ns;           // since the work at hand last got on; 0: there is none
};
WW_API void ww_engine_stats(struct ww_engine *engine, struct ww_engine_stats *out);

#ifdef __cplusplus
}
#endif
