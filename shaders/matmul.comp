#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "matrix.glsl"

// y[r][o] = end(sum over i of x[r][i] W[o][i])
//
// Many rows: a lane is TM rows, LX apart, times PAIRS pairs of output quads. Eight lanes fetch eight
// texels of weights, turn them into floats, an eighth of the work each, and hand them round.
layout(constant_id = 7) const int TM = 4;
layout(constant_id = 8) const int PAIRS = 2;
layout(constant_id = 9) const uint END = 0;
#include "linear.glsl"

void main()
{
    const uint lane = gl_LocalInvocationID.x, team = lane & 7;
    const uint r0 = gl_WorkGroupID.z * LX * TM + lane;
    // A gate's pair lies in one tile and what it opens at the same place of the next.
    const uint slices = END == GATED ? 4 : 4 / PAIRS;
    const uint tile = gl_WorkGroupID.x / slices * (END == GATED ? 2 : 1);
    const uint quad0_ = gl_WorkGroupID.x % slices * (END == GATED ? 2 : 2 * PAIRS);
    uint base[PAIRS], offset[FETCHES], scale[FETCHES];
    UNROLL for (int h = 0; h < PAIRS; h++)
        base[h] = END == GATED ? (tile + h) * push.blocks * P * BESIDE + quad0_
                               : tile * push.blocks * P * BESIDE + quad0_ + 2 * h;
    UNROLL for (int f = 0; f < FETCHES; f++) {
        const uint t = 8 * f + team;
        offset[f] = t / T + BESIDE * (t % T);
        scale[f] = t / T + BESIDE * T;
    }
    vec4 acc[PAIRS * 2 * TM];
    UNROLL for (int i = 0; i < PAIRS * 2 * TM; i++)
        acc[i] = vec4(0);
    for (uint block = 0; block < push.blocks; block++) {
        vec4 x[8 * TM];
        UNROLL for (int k = 0; k < 8; k++)
            UNROLL for (int m = 0; m < TM; m++)
                x[k * TM + m] = quad0((block * 8 + k) * push.rows + min(r0 + m * LX, push.rows - 1));
        UNROLL for (int h = 0; h < PAIRS; h++) {
            vec4 w[8];
            UNROLL for (int f = 0; f < FETCHES; f++) {
                const uvec4 t = bits1(base[h] + offset[f]);
                const uint i = (8 * f + team) % T;
                uvec4 more = uvec4(0), s = uvec4(0), s1 = uvec4(0);
                if (HIGH == 1)
                    more = bits1(base[h] + scale[f]);
                if (HIGH == 2)
                    more = bits1(base[h] + scale[f] + BESIDE * (i >> 1));
                if (SCALE != 0)
                    s = bits1(base[h] + scale[f] + BESIDE * (HIGH + (SCALE == 4 ? i >> 1 : 0)));
                if (SCALE == 3)
                    s1 = bits1(base[h] + scale[f] + BESIDE * (HIGH + 1));
                const vec4 d = SCALE < 3 ? lower(s) : uintBitsToFloat(s);
                const vec4 least = SCALE == 2 ? upper(s) : SCALE == 3 ? uintBitsToFloat(s1)
                                                                      : d * float(OFFSET);
                UNROLL for (int e = 0; e < E; e++) {
                    vec4 q = number(t, e);
                    if (HIGH != 0)
                        q += vec4(ivec4(high(more, i, e)));
                    w[f * E + e] = SCALE == 0 ? q : q * d + least;
                }
            }
            UNROLL for (int f = 0; f < FETCHES; f++)
                UNROLL for (int l = 0; l < 8; l++)
                    UNROLL for (int e = 0; e < E; e++) {
                        const int t = 8 * f + l, quad = t / int(T), k = t % int(T) * E + e;
                        const vec4 v = subgroupShuffle(w[f * E + e], l);
                        UNROLL for (int m = 0; m < TM; m++)
                            acc[(2 * h + quad) * TM + m] += v * x[k / 4 * TM + m][k % 4];
                    }
            base[h] += BESIDE * P;
        }
    }
    UNROLL for (int m = 0; m < TM; m++) {
        const uint r = r0 + m * LX;
        if (r < push.rows) {
            if (END == GATED) {
                UNROLL for (int i = 0; i < 2; i++)
                    put(tile * 4 + quad0_ + i, r, acc[i * TM + m], acc[(2 + i) * TM + m]);
            } else {
                UNROLL for (int i = 0; i < 2 * PAIRS; i++)
                    put(tile * 8 + quad0_ + i, r, acc[i * TM + m], vec4(0));
            }
        }
    }
}
