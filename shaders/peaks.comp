#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "params.glsl"

// Cells that are the largest of their 3x3 neighbours in their channel, and at least `floor`
// (params.at[push.floor_at].x): appended in no order to a list, each with the four numbers of `side`
// at its cell. Output texel 0: how many there are (they may be more than fit); then for each two texels:
// channel, row, column, score; side. A lane is TM rows of one column.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int ROWS = 6;
const int K = 3, S = 1, PAD = 1;

PUSH(uint H; uint W; uint C; uint cap; uint floor_at;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // side
#include "window.glsl"

void main()
{
    const uint strips = (push.H + TM - 1) / TM;
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y / strips, y0 = gl_WorkGroupID.y % strips * TM;
    const float least = params.at[push.floor_at].x;
    vec4 centre[ROWS], largest[ROWS];
    // Outside the map are zeros, which would win if all scores were negative; scores are not.
    WINDOW(quad_or_zero0, q * push.H * push.W)
    UNROLL for (int r = 0; r < ROWS; r++) {
        centre[r] = own[r][0];
        largest[r] = max(centre[r], max(column(own, halo, r, -1), column(own, halo, r, 1)));
    }
    uint found = 0; // a bit for each of TM x 4
    UNROLL for (int m = 0; m < TM; m++) {
        const vec4 top = max(largest[m], max(largest[m + 1], largest[m + 2]));
        const vec4 v = centre[m + 1];
        UNROLL for (int k = 0; k < 4; k++)
            if (v[k] == top[k] && v[k] >= least && x < push.W && y0 + m < push.H &&
                q * 4 + k < push.C)
                found |= 1u << (4 * m + k);
    }
    uint slot = 0;
    if (found != 0)
        slot = atomicAdd(Words(out_[0]).at[0], bitCount(found));
    // One place that stores: software Vulkan goes through each, wanted or not.
    for (; found != 0; found &= found - 1, slot++)
        if (slot < push.cap) {
            const int bit = findLSB(found), m = bit / 4, k = bit % 4;
            const uint at = (y0 + m) * push.W + x;
            store(0, 1 + 2 * slot, vec4(q * 4 + k, y0 + m, x, quad0(q * push.H * push.W + at)[k]));
            store(0, 2 + 2 * slot, quad1(at));
        }
}
