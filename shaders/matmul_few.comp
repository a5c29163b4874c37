#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "matrix.glsl"

// As matmul.comp for ROWS rows, at most 8: a lane is one quad of outputs in each of TILES tiles (of pairs of
// a gate and what it opens), so that it streams through its weights and shares nothing. Inputs are fetched by
// eight lanes and handed round. The norm before costs nothing here: inputs times gain go in, and the
// root of the mean square, found on the way, divides what comes out.
layout(constant_id = 7) const int ROWS = 1;
layout(constant_id = 8) const int TILES = 1; // gated: even
layout(constant_id = 9) const uint END = 0;
layout(constant_id = 10) const bool NORM = false;
layout(constant_id = 11) const int TEXELS = 4; // T, as a trip count
#include "linear.glsl"

float sum_of_team(float v)
{
    float sum = 0;
    UNROLL for (int l = 0; l < 8; l++)
        sum += subgroupShuffle(v, l);
    return sum;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x, team = lane & 7;
    const uint tile = (gl_WorkGroupID.x * (LX / 8) + lane / 8) * TILES;
    vec4 acc[TILES * ROWS];
    float squares[ROWS];
    UNROLL for (int i = 0; i < TILES * ROWS; i++)
        acc[i] = vec4(0);
    UNROLL for (int r = 0; r < ROWS; r++)
        squares[r] = 0;
    uint base[TILES];
    UNROLL for (int i = 0; i < TILES; i++)
        base[i] = (tile + i) * push.blocks * P * BESIDE + team;
    for (uint block = 0; block < push.blocks; block++) {
        vec4 x[ROWS], xs[ROWS];
        float sum[2 * ROWS]; // of the inputs of each sixteen
        vec4 gain = vec4(1);
        if (NORM)
            gain = quad3(block * 8 + team);
        UNROLL for (int r = 0; r < ROWS; r++) {
            x[r] = quad0((block * 8 + team) * push.rows + r);
            if (NORM) {
                squares[r] += dot(x[r], x[r]);
                x[r] *= gain;
            }
            if (SCALE != 0 && (SCALE != 1 || OFFSET != 0)) {
                const float s = x[r].x + x[r].y + x[r].z + x[r].w;
                sum[2 * r] = 0;
                sum[2 * r + 1] = 0;
                UNROLL for (int l = 0; l < 4; l++) {
                    sum[2 * r] += subgroupShuffle(s, l);
                    sum[2 * r + 1] += subgroupShuffle(s, l + 4);
                }
            }
            // Nibbles are not shifted down: what they are too large by, inputs are made smaller by.
            xs[r] = KIND == 4 && HIGH == 0
                        ? x[r] * vec4(1, 1.0 / 16, 1.0 / 256, 1.0 / 4096) : x[r];
        }
        UNROLL for (int i = 0; i < TILES; i++) {
            vec4 part[2 * ROWS];
            UNROLL for (int r = 0; r < 2 * ROWS; r++)
                part[r] = vec4(0);
            uvec4 more = uvec4(0);
            UNROLL for (int t = 0; t < TEXELS; t++) {
                const uvec4 w = bits1(base[i] + BESIDE * t);
                if (HIGH == 1 && t == 0)
                    more = bits1(base[i] + BESIDE * T);
                if (HIGH == 2 && (t & 1) == 0)
                    more = bits1(base[i] + BESIDE * (T + t / 2));
                UNROLL for (int e = 0; e < E; e++) {
                    const int k = t * E + e;
                    vec4 q;
                    if (KIND == 4 && HIGH == 0)
                        q = vec4(ivec4((e < 4 ? w : w >> 16) & (15u << (4 * (e & 3)))));
                    else if (HIGH != 0)
                        q = vec4(ivec4(((w >> (4 * e)) & 15u) | high(more, t, e)));
                    else
                        q = number(w, e);
                    UNROLL for (int r = 0; r < ROWS; r++)
                        part[2 * r + (SCALE == 4 ? k / 16 : 0)] +=
                            q * subgroupShuffle(xs[r][k & 3], k / 4);
                }
            }
            vec4 d = vec4(1), d1 = vec4(1), least = vec4(0);
            if (SCALE != 0) {
                const uvec4 s = bits1(base[i] + BESIDE * (T + HIGH));
                d = SCALE < 3 ? lower(s) : uintBitsToFloat(s);
                if (SCALE == 2)
                    least = upper(s);
                if (SCALE > 2) {
                    const vec4 next = uintBitsToFloat(bits1(base[i] + BESIDE * (T + HIGH + 1)));
                    if (SCALE == 3)
                        least = next;
                    else
                        d1 = next;
                }
            }
            UNROLL for (int r = 0; r < ROWS; r++) {
                if (SCALE == 0)
                    acc[i * ROWS + r] += part[2 * r];
                else if (SCALE == 1 && OFFSET == 0)
                    acc[i * ROWS + r] += part[2 * r] * d;
                else if (SCALE == 1)
                    acc[i * ROWS + r] += (part[2 * r] + float(OFFSET) * (sum[2 * r] + sum[2 * r + 1])) * d;
                else if (SCALE == 4)
                    acc[i * ROWS + r] += (part[2 * r] + float(OFFSET) * sum[2 * r]) * d +
                                         (part[2 * r + 1] + float(OFFSET) * sum[2 * r + 1]) * d1;
                else
                    acc[i * ROWS + r] += part[2 * r] * d + least * (sum[2 * r] + sum[2 * r + 1]);
            }
            base[i] += BESIDE * P;
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++) {
        float factor = 1;
        if (NORM)
            factor = inversesqrt(sum_of_team(squares[r]) * push.inverse_width + push.eps);
        if (END == GATED) {
            UNROLL for (int i = 0; i < TILES; i += 2)
                put((tile + i) / 2 * 8 + team, r, acc[i * ROWS + r] * factor,
                    acc[min(i + 1, TILES - 1) * ROWS + r] * factor);
        } else {
            UNROLL for (int i = 0; i < TILES; i++)
                put((tile + i) * 8 + team, r, acc[i * ROWS + r] * factor, vec4(0));
        }
    }
}
