#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[c][piece] = the largest x[c][r] of the shown rows r of a piece. A team of eight lanes is a piece
// of a quad of channels.
layout(constant_id = 1) const bool SHOWN = false; // else all rows are

PUSH(uint rows; uint piece; uint x_step; uint s_step; uint y_step; uint pieces;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // shown

void main()
{
    const uint lane = gl_LocalInvocationID.x & 7, batch = gl_WorkGroupID.z, q = gl_WorkGroupID.y;
    const uint r0 = gl_WorkGroupID.x * push.piece, r1 = min(r0 + push.piece, push.rows);
    vec4 top = vec4(-3.402823466e38);
    for (uint r = r0 + lane; r < r1; r += TEAM) {
        const vec4 x = quad0(batch * push.x_step + q * push.rows + r);
        if (!SHOWN || quad1(batch * push.s_step + r).x != 0.0)
            top = max(top, x);
    }
    UNROLL for (uint i = 1; i < 8; i *= 2)
        top = max(top, vec4(subgroupShuffleXor(top.x, i), subgroupShuffleXor(top.y, i),
                            subgroupShuffleXor(top.z, i), subgroupShuffleXor(top.w, i)));
    if (gl_LocalInvocationID.x == 0)
        store(0, batch * push.y_step + q * push.pieces + gl_WorkGroupID.x, top);
}
