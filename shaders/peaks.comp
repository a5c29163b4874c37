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

PUSH(uint H; uint W; uint C; uint cap; uint floor_at;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // side

void main()
{
    const uint strips = (push.H + TM - 1) / TM;
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y / strips, y0 = gl_WorkGroupID.y % strips * TM;
    const float least = params.at[push.floor_at].x;
    vec4 centre[ROWS], largest[ROWS];
    UNROLL for (int r = 0; r < ROWS; r++) {
        const int y = int(y0) + r - 1;
        const bool row = y >= 0 && y < int(push.H) && x < push.W;
        const uint at = (q * push.H + uint(y)) * push.W + x;
        // Outside the map counts as itself, so that it never wins: a texel of zeros would, if all
        // scores were negative; scores are not.
        centre[r] = quad_or_zero0(row, at);
        largest[r] = max(centre[r], max(quad_or_zero0(row && x > 0, at - 1),
                                        quad_or_zero0(row && x + 1 < push.W, at + 1)));
    }
    uint found[TM];
    uint count = 0;
    UNROLL for (int m = 0; m < TM; m++) {
        const vec4 top = max(largest[m], max(largest[m + 1], largest[m + 2]));
        const vec4 v = centre[m + 1];
        found[m] = 0;
        UNROLL for (int k = 0; k < 4; k++)
            if (v[k] == top[k] && v[k] >= least && x < push.W && y0 + m < push.H &&
                q * 4 + k < push.C) {
                found[m] |= 1u << k;
                count++;
            }
    }
    if (count > 0) {
        uint slot = atomicAdd(Words(out_[0]).at[0], count);
        UNROLL for (int m = 0; m < TM; m++)
            UNROLL for (int k = 0; k < 4; k++)
                if ((found[m] & (1u << k)) != 0) {
                    if (slot < push.cap) {
                        store(0, 1 + 2 * slot, vec4(q * 4 + k, y0 + m, x, centre[m + 1][k]));
                        store(0, 2 + 2 * slot, quad1((y0 + m) * push.W + x));
                    }
                    slot++;
                }
    }
}
