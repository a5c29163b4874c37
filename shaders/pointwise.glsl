// The inner product that convolutions share: acc[m][n] += sum over 4 channels a[m] w[n].
//
// Lanes are pixels. Weights are the same for all of them, so the eight lanes of a team fetch eight
// texels at once, w[q][n..n+1][0..3], and hand them round by shuffles with constant lanes, which
// cost one instruction each; a texel is 4 outputs of one input channel.

// w: texel of weight [q][n][0]; its lane's share of a fetch of two output quads.
#define ACCUMULATE(acc, TM, TN, n, wv, a)                                                          \
    UNROLL for (int k = 0; k < 4; k++) {                                                           \
        const vec4 w0 = subgroupShuffle(wv, k), w1 = subgroupShuffle(wv, k + 4);                   \
        UNROLL for (int m = 0; m < TM; m++) {                                                      \
            acc[m * TN + n] += w0 * a[m][k];                                                       \
            acc[m * TN + n + 1] += w1 * a[m][k];                                                   \
        }                                                                                          \
    }
