#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[i][c] = sum over the tokens s of a piece of e[s][i] x[s][c], and the sums of e, head by head.
//
// A team is a tile of two quads of e's channels and two of x's; its lanes share the tokens, eight
// next to each other at a time, and are summed at the end.
PUSH(uint tokens; uint piece; uint pieces; uint e_quads; uint head_quads; uint x_quads; uint e_step;
     uint x_step; uint y_step; uint t_step;)
INPUT_QUADS(0) // e [heads, words / 4][tokens]
INPUT_QUADS(1) // x [x_quads][tokens]

vec4 total(vec4 v)
{
    UNROLL for (uint i = 1; i < 8; i *= 2)
        v += vec4(subgroupShuffleXor(v.x, i), subgroupShuffleXor(v.y, i),
                  subgroupShuffleXor(v.z, i), subgroupShuffleXor(v.w, i));
    return v;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x & 7, batch = gl_WorkGroupID.z;
    const uint across = (push.x_quads + 1) / 2;
    const uint e0 = gl_WorkGroupID.y / across * 2, x0 = gl_WorkGroupID.y % across * 2;
    const uint s0 = gl_WorkGroupID.x * push.piece, s1 = min(s0 + push.piece, push.tokens);
    const uint e_at = batch * push.e_step + e0 * push.tokens, x_at = batch * push.x_step + x0 * push.tokens;
    // A tile that is not whole does its last quad twice.
    const uint e_next = e0 + 1 < push.e_quads ? push.tokens : 0;
    const uint x_next = x0 + 1 < push.x_quads ? push.tokens : 0;
    vec4 acc[16], sum[2] = {vec4(0), vec4(0)}; // acc [quad of e][its number][quad of x]
    UNROLL for (int i = 0; i < 16; i++)
        acc[i] = vec4(0);
    for (uint s = s0 + lane; s < s1; s += TEAM) {
        const vec4 e[2] = {quad0(e_at + s), quad0(e_at + s + e_next)};
        const vec4 x[2] = {quad1(x_at + s), quad1(x_at + s + x_next)};
        UNROLL for (int i = 0; i < 2; i++) {
            sum[i] += e[i];
            UNROLL for (int k = 0; k < 4; k++)
                UNROLL for (int j = 0; j < 2; j++)
                    acc[8 * i + 2 * k + j] += e[i][k] * x[j];
        }
    }
    UNROLL for (int i = 0; i < 2; i++) {
        const uint quad = min(e0 + i, push.e_quads - 1), words = 4 * push.head_quads;
        const uint head = quad / push.head_quads, word = quad % push.head_quads * 4;
        const vec4 sums = total(sum[i]);
        UNROLL for (int k = 0; k < 4; k++) {
            UNROLL for (int j = 0; j < 2; j++) {
                const uint c = head * push.x_quads + min(x0 + j, push.x_quads - 1);
                const vec4 y = total(acc[8 * i + 2 * k + j]);
                if (gl_LocalInvocationID.x == 0)
                    store(0, batch * push.y_step + (c * push.pieces + gl_WorkGroupID.x) * words +
                             word + k, y);
            }
            if (gl_LocalInvocationID.x == 0 && x0 == 0)
                store(1, batch * push.t_step + (head * push.pieces + gl_WorkGroupID.x) * words +
                         word + k, vec4(sums[k], 0, 0, 0));
        }
    }
}
