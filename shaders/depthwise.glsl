// One quad of channels through a depthwise convolution, for TM rows of a column:
//
//     a[m] = act(b + sum over ky, kx of x[S (y0 + m) + ky - PAD][S x + kx - PAD] w[ky][kx])
//
// A row that is fetched serves every output row it reaches, and a fetched column every lane: a team
// fetches the 8 S columns under its outputs and once the four on either side of them (the halo), and
// hands them round by shuffles, which cost a tenth of a fetch. Weights of a quad are 8 FETCHES texels:
// the taps, then the bias; eight lanes fetch eight of them.
//
// Needs: K, S (1 or 2), PAD, TM, ROWS = S (TM - 1) + K, FETCHES = ceil((K K + 1) / 8), DW_ACT.

// Column d of a lane's window; d counts from S times the lane's own column.
vec4 column(vec4 own[S], vec4 halo, int d)
{
    const uint team = gl_SubgroupInvocationID & ~7u;
    const int c = S * int(gl_SubgroupInvocationID & 7) + d, part = d & (S - 1);
    if (d == part)
        return own[part];
    const vec4 inside = subgroupShuffle(own[part], team | uint((c >> (S - 1)) & 7));
    const vec4 outside = subgroupShuffle(halo, team | uint((c + 4) & 7));
    return c >= 0 && c < 8 * S ? inside : outside;
}

#define DEPTHWISE(a, QUAD_X, x_base, QUAD_W, w_base, scale)                                        \
    {                                                                                              \
        vec4 fetched[FETCHES];                                                                     \
        UNROLL for (int f = 0; f < FETCHES; f++)                                                   \
            fetched[f] = QUAD_W((w_base) + f * 8 + (gl_LocalInvocationID.x & 7));                  \
        const vec4 bias = subgroupShuffle(fetched[K * K / 8], K * K % 8);                          \
        UNROLL for (int m = 0; m < TM; m++)                                                        \
            a[m] = bias;                                                                           \
        const int ix = S * int(x), i = int(gl_LocalInvocationID.x & 7);                            \
        const int beside = S * (int(x) - i) + (i < 4 ? i - 4 : 8 * S + i - 4);                     \
        UNROLL for (int r = 0; r < ROWS; r++) {                                                    \
            const int iy = S * int(y0) + r - PAD;                                                  \
            const bool row = iy >= 0 && iy < int(push.H);                                          \
            const uint first = (x_base) + iy * push.W;                                             \
            vec4 own[S];                                                                           \
            UNROLL for (int s = 0; s < S; s++)                                                     \
                own[s] = QUAD_X(row && ix + s < int(push.W), first + ix + s) * (scale);            \
            const vec4 halo =                                                                      \
                QUAD_X(row && beside >= 0 && beside < int(push.W), first + beside) * (scale);      \
            UNROLL for (int kx = 0; kx < K; kx++) {                                                \
                const vec4 v = column(own, halo, kx - PAD);                                        \
                UNROLL for (int m = 0; m < TM; m++) {                                              \
                    const int ky = r - m * S;                                                      \
                    if (ky >= 0 && ky < K)                                                         \
                        a[m] += v * subgroupShuffle(fetched[(ky * K + kx) / 8], (ky * K + kx) % 8);\
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        UNROLL for (int m = 0; m < TM; m++)                                                        \
            a[m] = activate(DW_ACT, a[m]);                                                         \
    }
