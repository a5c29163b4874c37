#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[i][c] = sum over the tokens s of a piece of e[s][i] x[s][c], and the sums of e, head by head.
//
// A lane is a quad of x's channels times TE quads of e's. Tokens come eight at a time: a lane fetches
// its own channels of all eight, and of e's quads those of one token, which are handed round.
layout(constant_id = 1) const int TE = 4;

PUSH(uint tokens; uint piece; uint pieces; uint e_quads; uint head_quads; uint x_quads; uint e_step;
     uint x_step; uint y_step; uint t_step;)
INPUT_QUADS(0) // e [heads, words / 4][tokens]
INPUT_QUADS(1) // x [x_quads][tokens]

float total(float v)
{
    v += subgroupShuffleXor(v, 1);
    v += subgroupShuffleXor(v, 2);
    return v + subgroupShuffleXor(v, 4);
}

void main()
{
    const uint lane = gl_LocalInvocationID.x & (TEAM - 1), batch = gl_WorkGroupID.z;
    // Tiles of e that read the same channels come one after the other.
    const uint tiles = (push.e_quads + TE - 1) / TE;
    const uint e0 = gl_WorkGroupID.x % tiles * TE, mine = gl_WorkGroupID.x / tiles * TEAM + lane;
    const uint s0 = gl_WorkGroupID.y * push.piece, s1 = min(s0 + push.piece, push.tokens);
    const uint x_at = batch * push.x_step + min(mine, push.x_quads - 1) * push.tokens;
    uint e_at[TE];
    vec4 acc[4 * TE], sum[TE]; // acc [quad of e][its number]
    UNROLL for (int t = 0; t < TE; t++) {
        e_at[t] = batch * push.e_step + min(e0 + t, push.e_quads - 1) * push.tokens + lane;
        sum[t] = vec4(0);
        UNROLL for (int k = 0; k < 4; k++)
            acc[4 * t + k] = vec4(0);
    }
    for (uint s = s0; s < s1; s += TEAM) {
        vec4 x[TEAM];
        UNROLL for (int j = 0; j < TEAM; j++)
            x[j] = quad1(x_at + min(s + j, s1 - 1)); // what lies behind counts for nothing
        UNROLL for (int t = 0; t < TE; t++) {
            const vec4 e = quad_or_zero0(s + lane < s1, e_at[t] + s);
            sum[t] += e;
            UNROLL for (int k = 0; k < 4; k++)
                UNROLL for (int c = 0; c < 4; c++) {
                    float y = acc[4 * t + k][c];
                    UNROLL for (int j = 0; j < TEAM; j++)
                        y += subgroupShuffle(e[k], j) * x[j][c];
                    acc[4 * t + k][c] = y;
                }
        }
    }
    UNROLL for (int t = 0; t < TE; t++) {
        const uint quad = e0 + t, words = 4 * push.head_quads;
        const uint head = quad / push.head_quads, word = quad % push.head_quads * 4;
        const vec4 sums = vec4(total(sum[t].x), total(sum[t].y), total(sum[t].z), total(sum[t].w));
        const uint y_at = batch * push.y_step +
                          ((head * push.x_quads + mine) * push.pieces + gl_WorkGroupID.y) * words + word;
        const uint t_at = batch * push.t_step + (head * push.pieces + gl_WorkGroupID.y) * words + word;
        UNROLL for (int k = 0; k < 4; k++) {
            if (quad < push.e_quads && mine < push.x_quads && gl_LocalInvocationID.x < TEAM)
                store(0, y_at + k, acc[4 * t + k]);
            if (quad < push.e_quads && mine == 0 && gl_LocalInvocationID.x == 0)
                store(1, t_at + k, vec4(sums[k], 0, 0, 0));
        }
    }
}
