#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"
#include "pointwise.glsl"

// y = act(b + w pointwise (dw_act(x depthwise))) + r: what lies between is never stored.
//
// A lane is TM rows of one column times TN quads of outputs; for each quad of channels it makes the
// TM window sums and spends them at once on all its outputs.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int K = 3;
layout(constant_id = 3) const int S = 1;
layout(constant_id = 4) const int ROWS = 6;
layout(constant_id = 5) const int FETCHES = 2;
layout(constant_id = 6) const uint DW_ACT = 0;
layout(constant_id = 7) const int TN = 4;
layout(constant_id = 8) const int TN_HALF = 2;
layout(constant_id = 9) const uint ACT = 0;
layout(constant_id = 10) const bool SCALED = false;
layout(constant_id = 11) const bool RESIDUAL = false;
layout(constant_id = 12) const int PAD = 1;

PUSH(uint H; uint W; uint OH; uint OW; uint x_step; uint y_step; uint Q; uint N;
     uint r_step; uint s_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // depthwise w
INPUT_QUADS(2) // r
INPUT_QUADS(3) // s
INPUT_QUADS(4) // pointwise w: N texels of bias, then [Q][N][4]
#include "depthwise.glsl"
#include "warm.glsl"

void main()
{
    const uint strips = (push.OH + TM - 1) / TM;
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint n0 = gl_WorkGroupID.y / strips * TN, y0 = gl_WorkGroupID.y % strips * TM;
    vec4 acc[TM * TN];
    UNROLL for (int n = 0; n < TN; n++) {
        const uint last = min(n0 + n, push.N - 1);
        const vec4 bias = quad4(last);
        UNROLL for (int m = 0; m < TM; m++) {
            acc[m * TN + n] =
                bias + warm(batch * push.y_step + (last * push.OH + y0 + m) * push.OW + x);
            if (RESIDUAL && ACT == 0) // between the stores each would wait for memory
                acc[m * TN + n] +=
                    quad2(batch * push.r_step + (last * push.OH + y0 + m) * push.OW + x);
        }
    }
    uint w_at = push.N + 4 * n0 + (gl_LocalInvocationID.x & 7);
    for (uint q = 0; q < push.Q; q++) {
        const vec4 scale = SCALED ? quad3(batch * push.s_step + q) : vec4(1);
        vec4 a[TM];
        DEPTHWISE(a, quad_or_zero0, batch * push.x_step + q * push.H * push.W, quad1,
                  q * FETCHES * 8, scale)
        UNROLL for (int h = 0; h < TN_HALF; h++) {
            const vec4 w = quad4(w_at + 8 * h);
            ACCUMULATE(IN_PAIRS, acc, TM, TN, 2 * h, w, a)
        }
        w_at += 4 * push.N;
    }
    UNROLL for (int n = 0; n < TN; n++)
        UNROLL for (int m = 0; m < TM; m++)
            if (x < push.OW && y0 + m < push.OH && n0 + n < push.N) {
                const uint to = ((n0 + n) * push.OH + y0 + m) * push.OW + x;
                vec4 y = activate(ACT, acc[m * TN + n]);
                if (RESIDUAL && ACT != 0)
                    y += quad2(batch * push.r_step + to);
                store(0, batch * push.y_step + to, y);
            }
}
