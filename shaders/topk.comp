#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// The k rows of the largest scores, best first, of equals the one of the smaller number: a row's place
// is how many come before it. Every lane counts that for TM rows against all rows, handed round by
// shuffles; so nothing is sorted, and nothing depends on chance. Scores are compared as whole numbers,
// by which also what is no number has its place, and each place is taken once.
layout(constant_id = 1) const int TM = 8;

PUSH(uint rows; uint k; uint x_step; uint y_step;)
INPUT_QUADS(0) // x, of which the first channel counts

int key(float score)
{
    const int bits = floatBitsToInt(score + 0.0); // -0 is 0
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

void main()
{
    const uint lane = gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint i0 = gl_WorkGroupID.x * LX * TM + lane;
    const uint from = batch * push.x_step;
    int mine[TM], before[TM];
    UNROLL for (int m = 0; m < TM; m++) {
        mine[m] = key(quad0(from + min(i0 + m * LX, push.rows - 1)).x);
        before[m] = 0;
    }
    for (uint j0 = 0; j0 < push.rows; j0 += TEAM) {
        const uint j = j0 + (lane & 7);
        const int theirs = j < push.rows ? key(quad0(from + min(j, push.rows - 1)).x) : -0x7fffffff - 1;
        UNROLL for (int t = 0; t < 8; t++) {
            const int other = subgroupShuffle(theirs, t);
            UNROLL for (int m = 0; m < TM; m++)
                before[m] += int(other > mine[m] || (other == mine[m] && j0 + t < i0 + m * LX));
        }
    }
    UNROLL for (int m = 0; m < TM; m++)
        if (i0 + m * LX < push.rows && before[m] < int(push.k))
            store(0, batch * push.y_step + before[m],
                  vec4(i0 + m * LX, quad0(from + min(i0 + m * LX, push.rows - 1)).x, 0, 0));
}
