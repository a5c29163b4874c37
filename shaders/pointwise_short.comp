#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"
#include "pointwise.glsl"

// As pointwise.comp, for few input channels: a pixel's are fetched once, all Q quads of them, and
// stay in registers while the lane walks over all outputs, two quads at a time.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int Q = 6;
layout(constant_id = 3) const uint ACT = 0;
layout(constant_id = 4) const bool SCALED = false;
layout(constant_id = 5) const bool RESIDUAL = false;
layout(constant_id = 6) const bool FIRST = false; // the residual comes before the activation

PUSH(uint pixels; uint Q_; uint N; uint x_step; uint y_step; uint r_step; uint s_step; uint pairs;
     uint w_step; uint w_tile; uint w_quad; uint block; uint x_plane; uint y_plane;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // w: N texels of bias, then [Q][N][4] or, by tiles, [N / 4][Q][4][4]
INPUT_QUADS(2) // r
INPUT_QUADS(3) // s
#include "warm.glsl"

void main()
{
    const uint lane = gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint p0 = gl_WorkGroupID.x * LX * TM + lane;
    const uint w_at = batch * push.w_step;
    vec4 x[Q][TM];
    UNROLL for (int q = 0; q < Q; q++)
        UNROLL for (int m = 0; m < TM; m++)
            x[q][m] = quad0(batch * push.x_step + q * push.x_plane +
                            min(p0 + m * LX, push.pixels - 1));
    if (SCALED)
        UNROLL for (int q = 0; q < Q; q++) {
            const vec4 s = quad3(batch * push.s_step + q);
            UNROLL for (int m = 0; m < TM; m++)
                x[q][m] *= s;
        }
    const uint first = gl_WorkGroupID.y * push.pairs * 2;
    const uint last = min(first + push.pairs * 2, push.N);
    for (uint n0 = first; n0 < last; n0 += 2) {
        vec4 acc[TM * 2];
        const vec4 b0 = quad1(w_at + n0), b1 = quad1(w_at + n0 + 1);
        UNROLL for (int m = 0; m < TM; m++) {
            const uint to = batch * push.y_step + n0 * push.y_plane + p0 + m * LX;
            acc[2 * m] = b0 + warm(to);
            acc[2 * m + 1] = b1 + warm(to + push.y_plane);
            if (FIRST) { // between the stores each would wait for memory
                const uint at = batch * push.r_step + min(p0 + m * LX, push.pixels - 1);
                acc[2 * m] += quad2(at + n0 * push.y_plane);
                acc[2 * m + 1] += quad2(at + min(n0 + 1, push.N - 1) * push.y_plane);
            }
        }
        UNROLL for (int q = 0; q < Q; q++) {
            const vec4 w = quad1(w_at + push.N + n0 / 4 * push.w_tile + n0 % 4 * 4 + q * push.w_quad +
                                 (lane & 7));
            ACCUMULATE(IN_PAIRS, acc, TM, 2, 0, w, x[q])
        }
        UNROLL for (int n = 0; n < 2; n++)
            UNROLL for (int m = 0; m < TM; m++) {
                const uint p = p0 + m * LX;
                if (p < push.pixels && n0 + n < push.N) {
                    const uint to = (n0 + n) * push.y_plane + p;
                    vec4 y = activate(ACT, acc[2 * m + n]);
                    if (RESIDUAL)
                        y += quad2(batch * push.r_step + to);
                    store(0, batch * push.y_step + to, y);
                }
            }
    }
}
