#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"
#include "pointwise.glsl"

// y[p][n] = act(b[n] + sum over ky, kx, k of x[S p + D (ky, kx) - pad][k] w[ky][kx][k][n])
//
// Any window, stride and dilation. A lane is TM pixels of a row, LX apart, times TN quads of outputs.
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
    const uint x0 = gl_WorkGroupID.x % push.strips * LX * TM + lane, y = gl_WorkGroupID.y;
    const uint n0 = gl_WorkGroupID.x / push.strips * TN;
    vec4 acc[TM * TN];
    UNROLL for (int n = 0; n < TN; n++) {
        const vec4 bias = quad1(min(n0 + n, push.N - 1));
        UNROLL for (int m = 0; m < TM; m++)
            acc[m * TN + n] = bias;
    }
    uint w_at = push.N + 4 * n0 + (lane & 7);
    for (uint tap = 0; tap < push.KH * push.KW; tap++) {
        const int iy = int(y * push.SY + tap / push.KW * push.DY) - int(push.pad_y);
        const int dx = int(tap % push.KW * push.DX) - int(push.pad_x);
        const bool row = iy >= 0 && iy < int(push.H);
        uint x_at = batch * push.x_step + uint(iy) * push.W;
        for (uint q = 0; q < push.Q; q++) {
            vec4 a[TM];
            UNROLL for (int m = 0; m < TM; m++) {
                const int ix = int((x0 + m * LX) * push.SX) + dx;
                a[m] = quad_or_zero0(row && ix >= 0 && ix < int(push.W), x_at + ix);
            }
            x_at += push.H * push.W;
            UNROLL for (int h = 0; h < TN_HALF; h++) {
                const vec4 w = quad1(w_at + 8 * h);
                ACCUMULATE(IN_PAIRS, acc, TM, TN, 2 * h, w, a)
            }
            w_at += 4 * push.N;
        }
    }
    UNROLL for (int n = 0; n < TN; n++)
        UNROLL for (int m = 0; m < TM; m++) {
            const uint x = x0 + m * LX;
            if (x < push.OW && n0 + n < push.N)
                store(0, batch * push.y_step + ((n0 + n) * push.OH + y) * push.OW + x,
                      activate(ACT, acc[m * TN + n]));
        }
}
