#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// Each row of a picture in R'G'B', whole numbers 0..255, resized along the row. YUV is converted pixel by
// pixel, with the chroma that is nearest.
//
// The picture is packed: rows padded to whole words, planes one after the other.
layout(constant_id = 1) const uint FORMAT = 0; // enum ww_format

PUSH(uint W; uint H; uint OW; uint quads; uint stride0; uint stride1; uint plane1; uint plane2;
     float y_gain; float y_lift; float r_v; float g_u; float g_v; float b_u;)
INPUT_WORDS(0) // picture
#include "resample.glsl"

const uint NV12 = 0, I420 = 1, RGB = 2, BGR = 3, RGBA = 4, BGRA = 5, GRAY8 = 6;

int byte_at(uint at)
{
    return int(word0(at >> 2) >> (at & 3) * 8 & 0xff);
}

ivec3 colour(uint x, uint y)
{
    if (FORMAT == GRAY8)
        return ivec3(byte_at(y * push.stride0 + x));
    if (FORMAT == NV12 || FORMAT == I420) {
        const uint chroma = y / 2 * push.stride1 + x / 2 * (FORMAT == NV12 ? 2 : 1);
        const float luma = float(byte_at(y * push.stride0 + x)) * push.y_gain + push.y_lift;
        const float u = float(byte_at(push.plane1 + chroma) - 128);
        const float v = float(byte_at(push.plane2 + chroma) - 128);
        const vec3 rgb = vec3(luma + push.r_v * v, luma + push.g_u * u + push.g_v * v,
                              luma + push.b_u * u);
        return ivec3(clamp(rgb, 0.0, 255.0) + 0.5);
    }
    const uint at = y * push.stride0 + x * (FORMAT == RGB || FORMAT == BGR ? 3 : 4);
    const ivec3 c = ivec3(byte_at(at), byte_at(at + 1), byte_at(at + 2));
    return FORMAT == BGR || FORMAT == BGRA ? c.bgr : c;
}

void main()
{
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, y = gl_WorkGroupID.y;
    const uint at = min(x, push.OW - 1) * (1 + push.quads);
    const uint first = bits1(at).x;
    ivec3 sum = ivec3(HALF);
    for (uint i = 0; i < push.quads; i++) {
        const ivec4 weight = ivec4(bits1(at + 1 + i));
        UNROLL for (int k = 0; k < 4; k++)
            sum += weight[k] * colour(min(first + 4 * i + k, push.W - 1), y);
    }
    if (x < push.OW)
        store(0, y * push.OW + x, vec4(vec3(level(sum)), 0));
}
