// One quad of channels through a depthwise convolution, for TM rows of a column:
//
//     a[m] = act(b + sum over ky, kx of x[S (y0 + m) + ky - PAD][S x + kx - PAD] w[ky][kx])
//
// Weights of a quad are 8 FETCHES texels: the taps, then the bias; eight lanes fetch eight of them. A
// scale of the channel is applied to them, who are fewer than what the window sees.
//
// Needs, beside what window.glsl does: FETCHES = ceil((K K + 1) / 8), DW_ACT.

#include "window.glsl"

// What the window sees, own and halo, through the weights.
#define WEIGH(a, own, halo, QUAD_W, w_base, scale)                                                 \
    {                                                                                              \
        vec4 fetched[FETCHES];                                                                     \
        UNROLL for (int f = 0; f < FETCHES; f++)                                                   \
            fetched[f] = QUAD_W((w_base) + f * 8 + (gl_LocalInvocationID.x & 7));                  \
        const vec4 bias = subgroupShuffle(fetched[K * K / 8], K * K % 8);                          \
        UNROLL for (int m = 0; m < TM; m++)                                                        \
            a[m] = bias;                                                                           \
        UNROLL for (int f = 0; f < FETCHES; f++)                                                   \
            fetched[f] *= (scale);                                                                 \
        UNROLL for (int r = 0; r < ROWS; r++)                                                      \
            UNROLL for (int kx = 0; kx < K; kx++) {                                                \
                const vec4 v = column(own, halo, r, kx - PAD);                                     \
                UNROLL for (int m = 0; m < TM; m++) {                                              \
                    const int ky = r - m * S;                                                      \
                    if (ky >= 0 && ky < K)                                                         \
                        a[m] += v * subgroupShuffle(fetched[(ky * K + kx) / 8], (ky * K + kx) % 8);\
                }                                                                                  \
            }                                                                                      \
        UNROLL for (int m = 0; m < TM; m++)                                                        \
            a[m] = activate(DW_ACT, a[m]);                                                         \
    }

#define DEPTHWISE(a, QUAD_X, x_base, QUAD_W, w_base, scale)                                        \
    {                                                                                              \
        WINDOW(QUAD_X, x_base)                                                                     \
        WEIGH(a, own, halo, QUAD_W, w_base, scale)                                                 \
    }
