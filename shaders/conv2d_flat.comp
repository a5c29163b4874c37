#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"
#include "pointwise.glsl"

// As conv2d.comp, but pixels are counted through the whole picture, not row by row: no lane idles at the
// end of a short row. Where a window begins costs a division for each tap, which many channels pay for.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int TN = 4;
layout(constant_id = 3) const int TN_HALF = 2;
layout(constant_id = 4) const uint ACT = 0;

PUSH(uint H; uint W; uint OH; uint OW; uint Q; uint N; uint x_step; uint y_step;
     uint KH; uint KW; uint SY; uint SX; uint DY; uint DX; uint pad_y; uint pad_x; uint strips;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // w: N texels of bias, then [KH][KW][Q][N][4]

void main()
{
    const uint lane = gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint p0 = gl_WorkGroupID.y * LX * TM + lane, n0 = gl_WorkGroupID.x * TN;
    const uint pixels = push.OH * push.OW, plane = push.H * push.W;
    vec4 acc[TM * TN];
    UNROLL for (int n = 0; n < TN; n++) {
        const vec4 bias = quad1(min(n0 + n, push.N - 1));
        UNROLL for (int m = 0; m < TM; m++)
            acc[m * TN + n] = bias;
    }
    ivec2 from[TM]; // the first cell of a window
    UNROLL for (int m = 0; m < TM; m++) {
        const uint p = min(p0 + m * LX, pixels - 1), y = p / push.OW;
        from[m] = ivec2((p - y * push.OW) * push.SX, y * push.SY) - ivec2(push.pad_x, push.pad_y);
    }
    uint w_at = push.N + 4 * n0 + (lane & 7);
    for (uint tap = 0; tap < push.KH * push.KW; tap++) {
        const ivec2 d = ivec2(tap % push.KW * push.DX, tap / push.KW * push.DY);
        uint at[TM];
        bool inside[TM];
        UNROLL for (int m = 0; m < TM; m++) {
            const ivec2 c = from[m] + d;
            inside[m] = c.x >= 0 && c.x < int(push.W) && c.y >= 0 && c.y < int(push.H);
            at[m] = batch * push.x_step + uint(c.y) * push.W + uint(c.x);
        }
        for (uint q = 0; q < push.Q; q++) {
            vec4 a[TM];
            UNROLL for (int m = 0; m < TM; m++) {
                a[m] = quad_or_zero0(inside[m], at[m]);
                at[m] += plane;
            }
            UNROLL for (int h = 0; h < TN_HALF; h++) {
                const vec4 w = quad1(w_at + 8 * h);
                ACCUMULATE(IN_PAIRS, acc, TM, TN, 2 * h, w, a)
            }
            w_at += 4 * push.N;
        }
    }
    UNROLL for (int n = 0; n < TN; n++)
        UNROLL for (int m = 0; m < TM; m++) {
            const uint p = p0 + m * LX;
            if (p < pixels && n0 + n < push.N)
                store(0, batch * push.y_step + (n0 + n) * pixels + p, activate(ACT, acc[m * TN + n]));
        }
}
