// recording.h: what a recording holds, for cmd.c, which fills it, and plan.c, which replays it.

#pragma once

#include "kernels/kernel.h"

enum memory_kind { MEMORY_NONE, MEMORY_ARENA, MEMORY_RESULT, MEMORY_UPLOAD, MEMORY_STORED };

// What a tensor's id stands for.
struct memory {
    enum memory_kind kind;
    uint64_t texels;            // of its own: 16 bytes, or 8 if they are halves
    bool halves;
    struct ww_storage *storage; // given for MEMORY_STORED, else the plan's own
    uint32_t base;              // unit in that storage at which `first` counts from; placed by the plan
    int born, dies;             // first and last launch that touches it; -1: none
    bool kept;                  // alive to the end: a stage
};

struct launch {
    const struct ww_kernel *kernel;
    struct ww_tensor out[WW_MAX_OUTPUTS], in[WW_MAX_INPUTS];
    uint8_t push[WW_PUSH_BYTES];
    int push_bytes;
    struct ww_pipeline_key key; // its shader is NULL on the reference, its halves are known to the plan
    uint32_t groups[3];
    bool batched;
    bool barrier; // one goes before it
    double macs;
    char label[48];
    VkPipeline pipeline;
    VkDescriptorSet set;
};

struct stage {
    char name[64];
    enum ww_stage_kind kind;
    struct ww_tensor tensor;
};

struct part {
    int first_launch, first_piece;
};

struct recording {
    struct part *parts; // of the first nothing is said: it begins with the recording
    int num_parts, cap_parts;
    struct memory *memory; // [0] is no tensor
    int num_memory, cap_memory;
    struct launch *launches;
    int num_launches, cap_launches;
    struct stage *stages;
    int num_stages, cap_stages;
};

// Grows `*list` for one more element and returns the new one, zeroed.
void *ww_append(void *list, int *num, int *cap, size_t bytes);
#define WW_APPEND(r, what) ww_append(&(r)->what, &(r)->num_##what, &(r)->cap_##what, sizeof *(r)->what)

// Bytes that a launch touches of one operand.
struct span {
    const struct ww_storage *storage;
    uint64_t begin, end;
};

// Memory is placed in units of 16 bytes, whatever its texels are.
#define UNIT_BYTES 16u
static inline uint64_t units(const struct memory *m)
{
    return m->halves ? (m->texels + 1) / 2 : m->texels;
}
static inline uint32_t texel_bytes(const struct memory *m)
{
    return m->halves ? 8 : 16;
}

// place.c. Gives every arena tensor its place; returns the arena's units.
uint64_t ww_place_arena(struct recording *r);
// Units of the largest set of arena tensors that one launch finds alive.
uint64_t ww_place_live(const struct recording *r);
// Tensors of a kind one after the other; returns their units.
uint64_t ww_place_stack(struct recording *r, enum memory_kind kind);
// After storages are known: marks each launch that must wait for one before it.
void ww_place_barriers(struct recording *r);
struct span ww_span(const struct recording *r, struct ww_tensor t);

struct ww_cmd {
    struct ww_device *device;
    struct recording recording;
    struct ww_error error; // the first mark
    char label[48];
    bool keep_stages;
};
