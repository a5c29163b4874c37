#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"
#include "pointwise.glsl"

// As conv2d.comp, for one quad of input channels and a small window: what TM rows of a column see is
// fetched once and stays in registers while the lane walks over all outputs, two quads at a time.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int K = 3;
layout(constant_id = 3) const int S = 1;
layout(constant_id = 4) const uint ACT = 0;
layout(constant_id = 5) const int ROWS = 6;
layout(constant_id = 6) const int PAD = 1;
layout(constant_id = 7) const int CHANNELS = 3;

PUSH(uint H; uint W; uint OH; uint OW; uint Q; uint N; uint x_step; uint y_step;
     uint KH; uint KW; uint SY; uint SX; uint DY; uint DX; uint pad_y; uint pad_x; uint strips;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // w: N texels of bias, then [K][K][N][4]
#include "window.glsl"
#include "warm.glsl"

void main()
{
    const uint lane = gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint x = gl_WorkGroupID.x * LX + lane, y0 = gl_WorkGroupID.y * TM;
    WINDOW(quad_or_zero0, batch * push.x_step)
    for (uint n0 = 0; n0 < push.N; n0 += 2) {
        vec4 acc[TM * 2];
        const vec4 b0 = quad1(n0), b1 = quad1(n0 + 1);
        UNROLL for (int m = 0; m < TM; m++) {
            const uint to = batch * push.y_step + (n0 * push.OH + y0 + m) * push.OW + x;
            acc[2 * m] = b0 + warm(to);
            acc[2 * m + 1] = b1 + warm(to + push.OH * push.OW);
        }
        UNROLL for (int ky = 0; ky < K; ky++)
            UNROLL for (int kx = 0; kx < K; kx++) {
                vec4 a[TM];
                UNROLL for (int m = 0; m < TM; m++) {
                    a[m] = column(own, halo, S * m + ky, kx - PAD);
                    if (CHANNELS == 3) // or a quarter of the work would be products with zero
                        a[m].w = 0;
                }
                const vec4 w = quad1(push.N + 4 * ((ky * K + kx) * push.N + n0) + (lane & 7));
                ACCUMULATE(IN_PAIRS, acc, TM, 2, 0, w, a)
            }
        UNROLL for (int n = 0; n < 2; n++)
            UNROLL for (int m = 0; m < TM; m++)
                if (x < push.OW && y0 + m < push.OH && n0 + n < push.N)
                    store(0, batch * push.y_step + ((n0 + n) * push.OH + y0 + m) * push.OW + x,
                          activate(ACT, acc[2 * m + n]));
    }
}
