#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[i][c] = the sum of all pieces' sums over the sum of their totals: see pool.comp.
PUSH(uint words; uint pieces; uint Q; uint p_step; uint t_step; uint y_step;)
INPUT_QUADS(0) // sums [heads Q][pieces][words]
INPUT_QUADS(1) // totals [heads][pieces][words]

void main()
{
    const uint i = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint q = gl_WorkGroupID.y, at = min(i, push.words - 1);
    vec4 sum = vec4(0);
    float total = 0;
    for (uint p = 0; p < push.pieces; p++) {
        sum += quad0(batch * push.p_step + (q * push.pieces + p) * push.words + at);
        total += quad1(batch * push.t_step + (q / push.Q * push.pieces + p) * push.words + at).x;
    }
    if (i < push.words)
        store(0, batch * push.y_step + q * push.words + i, total > 0.0 ? sum / total : vec4(0));
}
