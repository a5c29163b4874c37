#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"
#include "pointwise.glsl"

// y[p][n] = act(b[n] + sum over k of x[p][k] s[k] w[k][n]) + r[p][n]
//
// A lane is TM pixels, LX apart, times TN quads of outputs; any number of input channels, Q quads.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int TN = 4;
layout(constant_id = 3) const uint ACT = 0;
layout(constant_id = 4) const bool SCALED = false;
layout(constant_id = 5) const bool RESIDUAL = false;
layout(constant_id = 6) const bool FIRST = false; // the residual comes before the activation
layout(constant_id = 7) const int TN_HALF = 2;
layout(constant_id = 8) const bool WARM = false;

PUSH(uint pixels; uint Q; uint N; uint x_step; uint y_step; uint r_step; uint s_step; uint pairs;
     uint w_step; uint w_tile; uint w_quad; uint block; uint x_plane; uint y_plane;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // w: N texels of bias, then [Q][N][4] or, by tiles, [N / 4][Q][4][4]
INPUT_QUADS(2) // r
INPUT_QUADS(3) // s
#include "warm.glsl"

void main()
{
    const uint lane = gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    // Strips of a block take turns, so that one tile of weights serves them all.
    const uint strip = gl_WorkGroupID.y * push.block + gl_WorkGroupID.x % push.block;
    const uint p0 = strip * LX * TM + lane, n0 = gl_WorkGroupID.x / push.block * TN;
    const uint w0_at = batch * push.w_step;
    vec4 acc[TM * TN];
    UNROLL for (int n = 0; n < TN; n++) {
        const uint last = min(n0 + n, push.N - 1);
        const vec4 bias = quad1(w0_at + last);
        UNROLL for (int m = 0; m < TM; m++) {
            acc[m * TN + n] = bias;
            if (WARM)
                acc[m * TN + n] += warm(batch * push.y_step + last * push.y_plane + p0 + m * LX);
            if (FIRST) // between the stores each would wait for memory
                acc[m * TN + n] += quad2(batch * push.r_step + last * push.y_plane +
                                         min(p0 + m * LX, push.pixels - 1));
        }
    }
    uint at[TM];
    UNROLL for (int m = 0; m < TM; m++)
        at[m] = batch * push.x_step + min(p0 + m * LX, push.pixels - 1);
    uint w_at = w0_at + push.N + n0 / 4 * push.w_tile + n0 % 4 * 4 + (lane & 7);
    const uint Q = strip * LX * TM < push.pixels ? push.Q : 0; // the last block may have strips too many
    for (uint q = 0; q < Q; q++) {
        vec4 a[TM];
        UNROLL for (int m = 0; m < TM; m++) {
            a[m] = quad0(at[m]);
            at[m] += push.x_plane;
        }
        if (SCALED) {
            const vec4 s = quad3(batch * push.s_step + q);
            UNROLL for (int m = 0; m < TM; m++)
                a[m] *= s;
        }
        UNROLL for (int h = 0; h < TN_HALF; h++) {
            const vec4 w = quad1(w_at + 8 * h);
            ACCUMULATE(ONE_BY_ONE, acc, TM, TN, 2 * h, w, a)
        }
        w_at += push.w_quad;
    }
    UNROLL for (int n = 0; n < TN; n++)
        UNROLL for (int m = 0; m < TM; m++) {
            const uint p = p0 + m * LX;
            if (p < push.pixels && n0 + n < push.N) {
                const uint to = (n0 + n) * push.y_plane + p;
                vec4 y = activate(ACT, acc[m * TN + n]);
                if (RESIDUAL)
                    y += quad2(batch * push.r_step + to);
                store(0, batch * push.y_step + to, y);
            }
        }
}
