// Weights as pipeline/kernels/matrix.h packs them: a record is 32 inputs of a quad of outputs, and its
// texels are BESIDE apart.

layout(constant_id = 1) const uint KIND = 0;    // a texel's numbers: F32, F16, BF16, bytes, nibbles
layout(constant_id = 2) const int E = 1;        // inputs of a texel
layout(constant_id = 3) const int HIGH = 0;     // further bits of a number, and texels of them
layout(constant_id = 4) const uint SCALE = 0;   // none; half d; halves d, m; d, m; d of each 16
layout(constant_id = 5) const int OFFSET = 0;   // d (q + OFFSET)
layout(constant_id = 6) const int FETCHES = 8;  // of eight texels, for two quads
const uint BESIDE = 8;
const uint T = 32 / E;                          // texels of numbers
const uint P = T + HIGH + (SCALE == 0 ? 0 : SCALE < 3 ? 1 : 2);

#define INPUT_BITS(i)                                                                              \
    layout(binding = 2 + 3 * i, rgba32ui) readonly uniform uimageBuffer bits_##i;                  \
    uvec4 bits##i(uint at) { return imageLoad(bits_##i, int(in_[i] + at)); }

// Number `e` of a texel, for its four outputs, before scales.
vec4 number(uvec4 t, int e)
{
    if (KIND == 0)
        return uintBitsToFloat(t);
    if (KIND == 1)
        return e == 0 ? vec4(unpackHalf2x16(t.x).x, unpackHalf2x16(t.y).x, unpackHalf2x16(t.z).x,
                             unpackHalf2x16(t.w).x)
                      : vec4(unpackHalf2x16(t.x).y, unpackHalf2x16(t.y).y, unpackHalf2x16(t.z).y,
                             unpackHalf2x16(t.w).y);
    if (KIND == 2)
        return uintBitsToFloat(e == 0 ? t << 16 : t & 0xffff0000u);
    if (KIND == 3)
        return vec4(ivec4(t << (24 - 8 * e)) >> 24);
    return vec4(ivec4((t >> (4 * e)) & 15u));
}

// The bits beyond four of input `e` of 8 at texel t of the record, in place.
uvec4 high(uvec4 h, uint t, int e)
{
    return HIGH == 1 ? ((h >> (8 * t + e)) & 1u) << 4 : ((h >> (16 * (t & 1) + 2 * e)) & 3u) << 4;
}

// d and m of a texel of halves.
vec4 lower(uvec4 t)
{
    return vec4(unpackHalf2x16(t.x).x, unpackHalf2x16(t.y).x, unpackHalf2x16(t.z).x,
                unpackHalf2x16(t.w).x);
}
vec4 upper(uvec4 t)
{
    return vec4(unpackHalf2x16(t.x).y, unpackHalf2x16(t.y).y, unpackHalf2x16(t.z).y,
                unpackHalf2x16(t.w).y);
}
