// One quad of channels through a depthwise convolution, for TM rows of a column:
//
//     a[m] = act(b + sum over ky, kx of x[S (y0 + m) + ky - pad][S x + kx - pad] w[ky][kx])
//
// A row that is fetched serves every output row it reaches. Weights of a quad are PAD texels: the
// taps, then the bias; eight lanes fetch eight of them.
//
// Needs: K, S, TM, ROWS = S (TM - 1) + K, FETCHES = ceil((K K + 1) / 8), PAD = 8 FETCHES, DW_ACT.

#define DEPTHWISE(a, QUAD_X, x_base, QUAD_W, w_base, scale)                                        \
    {                                                                                              \
        vec4 fetched[FETCHES];                                                                     \
        UNROLL for (int f = 0; f < FETCHES; f++)                                                   \
            fetched[f] = QUAD_W((w_base) + f * 8 + (gl_LocalInvocationID.x & 7));                  \
        const vec4 bias = subgroupShuffle(fetched[K * K / 8], K * K % 8);                          \
        UNROLL for (int m = 0; m < TM; m++)                                                        \
            a[m] = bias;                                                                           \
        UNROLL for (int r = 0; r < ROWS; r++) {                                                    \
            const int iy = int(S * y0 + r) - int(push.pad);                                        \
            const bool row = iy >= 0 && iy < int(push.H);                                          \
            UNROLL for (int kx = 0; kx < K; kx++) {                                                \
                const int ix = int(S * x) + kx - int(push.pad);                                    \
                const vec4 v = QUAD_X(row && ix >= 0 && ix < int(push.W),                          \
                                      (x_base) + iy * push.W + ix) * (scale);                      \
                UNROLL for (int m = 0; m < TM; m++) {                                              \
                    const int ky = r - m * int(S);                                                 \
                    if (ky >= 0 && ky < K)                                                         \
                        a[m] += v * subgroupShuffle(fetched[(ky * K + kx) / 8], (ky * K + kx) % 8);\
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        UNROLL for (int m = 0; m < TM; m++)                                                        \
            a[m] = activate(DW_ACT, a[m]);                                                         \
    }
