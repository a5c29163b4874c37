// pipeline.h: compute pipelines, made once for each shader and set of specialisation constants.

#pragma once

#include "cmd.h"

// Push constants: the engine's part comes first. `out` are addresses, `in` texels from the start of
// the storage that the binding views.
struct ww_header {
    uint64_t out[WW_MAX_OUTPUTS];
    uint32_t in[WW_MAX_INPUTS];
};
#define WW_HEADER_BYTES 40
_Static_assert(sizeof(struct ww_header) == WW_HEADER_BYTES, "shaders/ww.glsl has the same");

struct ww_shader {
    const char *variant; // "quads", "subgroup": for benchmarks
    const uint32_t *code, *halves; // `halves`: the same, for operands that are stored as halves
    size_t code_bytes, halves_bytes;
    // The variant that takes its place where the first input and the first output are stored as halves, on a
    // device that computes with them; 0: none.
    int in_halves;
};

struct ww_pipelines *ww_pipelines_create(void);
void ww_pipelines_destroy(struct ww_device *device, struct ww_pipelines **pipelines);

// What a pipeline is made of.
struct ww_pipeline_key {
    const struct ww_shader *shader;
    uint32_t spec[WW_MAX_SPEC];
    int num_spec;
    uint32_t halves; // inputs and outputs that are stored as halves, a bit each, inputs first
};
bool ww_pipeline_same(const struct ww_pipeline_key *a, const struct ww_pipeline_key *b);

// Those that were made: VK_NULL_HANDLE if this one was not; and one more, which is the device's from then on.
VkPipeline ww_pipeline_find(const struct ww_device *device, const struct ww_pipeline_key *key);
void ww_pipeline_keep(struct ww_device *device, const struct ww_pipeline_key *key, VkPipeline pipeline);
// Makes one, which is the caller's. Any thread.
VkResult ww_pipeline_make(const struct ww_device *device, const struct ww_pipeline_key *key, VkPipeline *out);

// Writes a set of the layout that all kernels share: the parameter block, and what a launch reads, as each
// view.
void ww_write_set(const struct ww_device *device, VkDescriptorSet set, VkBuffer params, uint64_t param_bytes,
                  const struct ww_storage *const in[WW_MAX_INPUTS], uint32_t halves);
