#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"
#include "pointwise.glsl"

// y = b + w project (act(depthwise(act(expand(x))))) + r: the many channels between are never stored.
//
// A lane is TM rows of one column and all N quads of outputs. What its windows see of x, Q quads, is
// fetched once and stays in registers; then, one quad of the expanded channels after the other, it
// is expanded, goes through its window and is spent at once on all outputs.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int K = 3;
layout(constant_id = 3) const int S = 1;
layout(constant_id = 4) const uint ACT = 0;
layout(constant_id = 5) const int ROWS = 6;
layout(constant_id = 6) const int FETCHES = 2;
layout(constant_id = 7) const int PAD = 1;
layout(constant_id = 8) const int Q = 4;
layout(constant_id = 9) const int PAIRS = 2; // ceil(Q / 2)
layout(constant_id = 10) const int TN = 4;   // N, made even
layout(constant_id = 11) const int TN_HALF = 2;
layout(constant_id = 12) const bool RESIDUAL = false;
const uint DW_ACT = ACT;

PUSH(uint H; uint W; uint OH; uint OW; uint x_step; uint y_step; uint r_step; uint E; uint N;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // expand w: E texels of bias, then [Q][E][4]
INPUT_QUADS(2) // depthwise w
INPUT_QUADS(3) // project w: N texels of bias, then [E][N][4]
INPUT_QUADS(4) // r
#include "depthwise.glsl"

const int PLACES = ROWS * S + HALOS; // what is expanded: rows of the window, then their halo
#include "warm.glsl"

void main()
{
    const uint lane = gl_LocalInvocationID.x & 7, batch = gl_WorkGroupID.z;
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, y0 = gl_WorkGroupID.y * TM;
    vec4 seen[Q][PLACES];
    UNROLL for (int q = 0; q < Q; q++) {
        WINDOW(quad_or_zero0, batch * push.x_step + q * push.H * push.W)
        UNROLL for (int p = 0; p < ROWS * S; p++)
            seen[q][p] = own[p / S][p % S];
        UNROLL for (int p = 0; p < HALOS; p++)
            seen[q][ROWS * S + p] = halo[p];
    }
    vec4 acc[TM * TN];
    UNROLL for (int n = 0; n < TN; n++) {
        const uint last = min(n, push.N - 1);
        const vec4 bias = quad3(last);
        UNROLL for (int m = 0; m < TM; m++) {
            acc[m * TN + n] =
                bias + warm(batch * push.y_step + (last * push.OH + y0 + m) * push.OW + x);
            if (RESIDUAL) // between the stores each would wait for memory
                acc[m * TN + n] +=
                    quad4(batch * push.r_step + (last * push.OH + y0 + m) * push.OW + x);
        }
    }
    bool there[PLACES]; // in the picture: outside, the expanded channels are zero, too
    WINDOW_INSIDE(there)
    for (uint e = 0; e < push.E; e++) {
        vec4 w[PAIRS], wide[PLACES];
        UNROLL for (int h = 0; h < PAIRS; h++)
            w[h] = quad1(push.E + 4 * (min(2 * h + lane / 4, Q - 1) * push.E + e) + lane % 4);
        const vec4 bias = quad1(e);
        UNROLL for (int p = 0; p < PLACES; p++)
            wide[p] = bias;
        UNROLL for (int q = 0; q < Q; q++)
            UNROLL for (int c = 0; c < 4; c++) {
                const int from = q % 2 * 4;
                const float w0 = subgroupShuffle(w[q / 2][c], from);
                const float w1 = subgroupShuffle(w[q / 2][c], from + 1);
                const float w2 = subgroupShuffle(w[q / 2][c], from + 2);
                const float w3 = subgroupShuffle(w[q / 2][c], from + 3);
                UNROLL for (int p = 0; p < PLACES; p++)
                    wide[p][c] += (w0 * seen[q][p][0] + w1 * seen[q][p][1]) +
                                  (w2 * seen[q][p][2] + w3 * seen[q][p][3]);
            }
        vec4 own[ROWS][S], halo[HALOS];
        UNROLL for (int p = 0; p < ROWS * S; p++)
            own[p / S][p % S] = there[p] ? activate(ACT, wide[p]) : vec4(0);
        UNROLL for (int p = 0; p < HALOS; p++)
            halo[p] = there[ROWS * S + p] ? activate(ACT, wide[ROWS * S + p]) : vec4(0);
        vec4 a[TM];
        WEIGH(a, own, halo, quad2, e * FETCHES * 8, 1.0)
        UNROLL for (int h = 0; h < TN_HALF; h++) {
            const vec4 v = quad3(push.N + 4 * (e * push.N + 2 * h) + lane);
            ACCUMULATE(IN_PAIRS, acc, TM, TN, 2 * h, v, a)
        }
    }
    UNROLL for (int n = 0; n < TN; n++)
        UNROLL for (int m = 0; m < TM; m++)
            if (x < push.OW && y0 + m < push.OH && n < push.N)
                store(0, batch * push.y_step + (n * push.OH + y0 + m) * push.OW + x, acc[m * TN + n]);
}
