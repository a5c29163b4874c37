#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// Of a group of channels and a piece of the pixels: how many numbers, their mean, and the sum of
// squares about it. A team of eight lanes is a piece of a group.
PUSH(uint pixels; uint channels; uint groups; uint pieces; uint piece; uint x_step; uint y_step;)
INPUT_QUADS(0)

// 1 for the channels of a quad that belong to the group.
vec4 ours(uint quad, uint first, uint end)
{
    const uvec4 c = 4 * quad + uvec4(0, 1, 2, 3);
    return vec4(greaterThanEqual(c, uvec4(first))) * vec4(lessThan(c, uvec4(end)));
}

float total(vec4 v)
{
    float sum = (v.x + v.y) + (v.z + v.w);
    sum += subgroupShuffleXor(sum, 1);
    sum += subgroupShuffleXor(sum, 2);
    return sum + subgroupShuffleXor(sum, 4);
}

void main()
{
    const uint lane = gl_LocalInvocationID.x & 7, batch = gl_WorkGroupID.z;
    const uint group = gl_WorkGroupID.y, size = push.channels / push.groups;
    const uint first = group * size, end = first + size;
    const uint p0 = gl_WorkGroupID.x * push.piece, p1 = min(p0 + push.piece, push.pixels);
    const float count = float((p1 - p0) * size);
    vec4 sum = vec4(0);
    for (uint q = first / 4; q < (end + 3) / 4; q++) {
        vec4 part = vec4(0);
        for (uint p = p0 + lane; p < p1; p += TEAM)
            part += quad0(batch * push.x_step + q * push.pixels + p);
        sum += part * ours(q, first, end);
    }
    const float mean = total(sum) / count;
    vec4 squares = vec4(0);
    for (uint q = first / 4; q < (end + 3) / 4; q++) {
        vec4 part = vec4(0);
        for (uint p = p0 + lane; p < p1; p += TEAM) {
            const vec4 d = quad0(batch * push.x_step + q * push.pixels + p) - mean;
            part += d * d;
        }
        squares += part * ours(q, first, end);
    }
    const float about = total(squares);
    if (gl_LocalInvocationID.x == 0)
        store(0, batch * push.y_step + group * push.pieces + gl_WorkGroupID.x,
              vec4(count, mean, about, 0));
}
