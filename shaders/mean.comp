#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[c] = mean over all pixels of x[c]. A team of eight lanes is a quad of channels.
PUSH(uint pixels; uint x_step; uint y_step;)
INPUT_QUADS(0)

void main()
{
    const uint lane = gl_LocalInvocationID.x & 7, q = gl_WorkGroupID.x, batch = gl_WorkGroupID.z;
    const uint at = batch * push.x_step + q * push.pixels;
    vec4 part[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
    for (uint p = lane; p < push.pixels; p += 4 * TEAM)
        UNROLL for (uint k = 0; k < 4; k++)
            part[k] += quad_or_zero0(p + k * TEAM < push.pixels, at + p + k * TEAM);
    vec4 sum = (part[0] + part[1]) + (part[2] + part[3]);
    sum += subgroupShuffleXor(sum, 1);
    sum += subgroupShuffleXor(sum, 2);
    sum += subgroupShuffleXor(sum, 4);
    if (gl_LocalInvocationID.x == 0)
        store(0, batch * push.y_step + q, sum / float(push.pixels));
}
