#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// Each column of a picture in R'G'B', whole numbers 0..255, resized along the column; then times gain
// plus lift, colour by colour, and zero beyond the valid part.
PUSH(uint H; uint W; uint OH; uint OW; uint valid_h; uint quads; float gain0; float gain1;
     float gain2; float lift0; float lift1; float lift2;)
INPUT_QUADS(0) // [H][W]
#include "resample.glsl"

void main()
{
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, y = gl_WorkGroupID.y;
    const bool valid = x < push.W && y < push.valid_h;
    const uint at = min(y, push.valid_h - 1) * (1 + push.quads);
    const uint first = bits1(at).x, column = min(x, push.W - 1);
    ivec3 sum = ivec3(HALF);
    for (uint i = 0; i < push.quads; i++) {
        const ivec4 weight = ivec4(bits1(at + 1 + i));
        UNROLL for (int k = 0; k < 4; k++)
            sum += weight[k] * ivec3(quad0(min(first + 4 * i + k, push.H - 1) * push.W + column).xyz);
    }
    const vec3 v = vec3(level(sum)) * vec3(push.gain0, push.gain1, push.gain2) +
                   vec3(push.lift0, push.lift1, push.lift2);
    if (x < push.OW)
        store(0, y * push.OW + x, valid ? vec4(v, 0) : vec4(0));
}
