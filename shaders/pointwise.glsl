// The inner product that convolutions share: acc[m][n] += sum over 4 channels a[m] w[n].
//
// Lanes are pixels. Weights are the same for all of them, so the eight lanes of a team fetch eight
// texels at once, w[q][n..n+1][0..3], and hand them round by shuffles with constant lanes, which
// cost one instruction each; a texel is 4 outputs of one input channel.

// w: texel of weight [q][n][0]; its lane's share of a fetch of two output quads. The order decides
// what stays in registers: an accumulator is taken up once for its four products. Where accumulators
// are few, one sum after the other is faster; where they spill, pairs are.
#define ONE_BY_ONE(y, a, b, c, d) (((y + a) + b) + c) + d
#define IN_PAIRS(y, a, b, c, d)   y + ((a + b) + (c + d))
#define ACCUMULATE(SUM, acc, TM, TN, n, wv, a)                                                     \
    UNROLL for (int i = 0; i < 2; i++)                                                             \
        UNROLL for (int c = 0; c < 4; c++) {                                                       \
            const float w0 = subgroupShuffle(wv[c], 4 * i), w1 = subgroupShuffle(wv[c], 4 * i + 1);\
            const float w2 = subgroupShuffle(wv[c], 4 * i + 2);                                    \
            const float w3 = subgroupShuffle(wv[c], 4 * i + 3);                                    \
            UNROLL for (int m = 0; m < TM; m++)                                                    \
                acc[m * TN + n + i][c] = SUM(acc[m * TN + n + i][c], w0 * a[m][0], w1 * a[m][1],   \
                                             w2 * a[m][2], w3 * a[m][3]);                          \
        }
