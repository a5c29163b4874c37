// What every kernel has: the push constants' header, the operands, the store.
//
// Inputs are read through texel buffers and outputs written by address: software Vulkan fetches
// texels in straight-line code (three times as fast as a storage buffer), and an address has no
// binding range. Two 64-bit stores take it a third less time than four of 32 bits.
// Offsets count texels from the start of the storage, whose texel 0 is zero and never written: it
// is what lies outside a picture.
// Push constants are copied where main begins: read in a loop, software Vulkan gathers them for each
// lane in every turn.

#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_ARB_gpu_shader_int64 : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

#ifdef HALVES // operands may be stored as halves: a bit each, six inputs, then outputs
layout(constant_id = 31) const uint HALF_OPERANDS = 0;
#endif

#define UNROLL [[unroll]]
#define TEAM   8 // lanes that fetch together and shuffle: the smallest subgroup we run on

layout(local_size_x_id = 0) in; // constant 0, LX: lanes of a workgroup, a multiple of 8
layout(constant_id = 0) const uint LX = 8;

layout(buffer_reference, std430, buffer_reference_align = 16) writeonly buffer Quads { u64vec2 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) writeonly buffer Halves { uint64_t at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint at[]; };

#ifdef HALVES
#define STORE_HALVES                                                                               \
    if ((HALF_OPERANDS >> (6 + output_) & 1) != 0) {                                               \
        v = clamp(v, vec4(-65504), vec4(65504)); /* beyond is infinity, and then nothing is found */ \
        Halves(out_[output_]).at[at] = packUint2x32(uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)));\
        return;                                                                                    \
    }
#else
#define STORE_HALVES
#endif

#define PUSH(fields)                                                                               \
    struct Args { fields };                                                                        \
    layout(push_constant) uniform Push { uint64_t out_[2]; uint in_[6]; Args args; } pushed;       \
    uint64_t out_[2] = pushed.out_;                                                                \
    uint in_[6] = pushed.in_;                                                                      \
    Args push = pushed.args;                                                                       \
    void store(uint output_, uint at, vec4 v)                                                      \
    {                                                                                              \
        STORE_HALVES                                                                               \
        Quads(out_[output_]).at[at] = u64vec2(packUint2x32(floatBitsToUint(v.xy)),                 \
                                              packUint2x32(floatBitsToUint(v.zw)));                \
    }

#ifdef HALVES
#define INPUT_QUADS(i)                                                                             \
    layout(binding = 1 + 3 * i, rgba32f) readonly uniform imageBuffer quads##i;                    \
    layout(binding = 1 + 3 * i, rgba16f) readonly uniform imageBuffer halves##i;                   \
    vec4 load##i(int at)                                                                           \
    {                                                                                              \
        vec4 v;                                                                                    \
        if ((HALF_OPERANDS >> i & 1) != 0)                                                         \
            v = imageLoad(halves##i, at);                                                          \
        else                                                                                       \
            v = imageLoad(quads##i, at);                                                           \
        return v;                                                                                  \
    }                                                                                              \
    vec4 quad##i(uint at) { return load##i(int(in_[i] + at)); }                                    \
    vec4 quad_or_zero##i(bool inside, uint at) { return load##i(inside ? int(in_[i] + at) : 0); }
#else
#define INPUT_QUADS(i)                                                                             \
    layout(binding = 1 + 3 * i, rgba32f) readonly uniform imageBuffer quads##i;                    \
    vec4 quad##i(uint at) { return imageLoad(quads##i, int(in_[i] + at)); }                        \
    vec4 quad_or_zero##i(bool inside, uint at)                                                     \
    { return imageLoad(quads##i, inside ? int(in_[i] + at) : 0); }
#endif
#define INPUT_WORDS(i)                                                                             \
    layout(binding = 3 + 3 * i, r32ui) readonly uniform uimageBuffer words##i;                     \
    uint word##i(uint at) { return imageLoad(words##i, int(in_[i] + at)).x; }
