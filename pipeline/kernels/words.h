// words.h: the kernels by which pictures and words read each other (Grounding DINO): products of two
// activations, and the two softmaxes of one table of likeness.
//
// Rows of a picture are [n][c / 4][1][tokens][4], rows of words [n][c / 4][1][words][4], where `words` is
// a multiple of 4 and a text of the batch has as many as `lengths`, [1][1][1][n], says. A table of likeness
// is [n][heads words][1][tokens]: for each token of the picture, head by head, a number a word.

#pragma once

#include "detr.h"

// Rows x [n][heads width][1][words] as weights of ww_product, head by head.
//   turned: from `width` channels to heads words, w[c][h words + i] = x[i][h width + c], after which
//           comes bias[i][h], [n][heads][1][words], if given;
//   else:   from heads words to `width` channels, w[h words + i][c] = x[i][h width + c].
struct ww_as_weights_params {
    int heads;
    bool turned;
    struct ww_tensor bias;
};
#define ww_as_weights_params(...) (&(struct ww_as_weights_params){__VA_ARGS__})
void ww_as_weights(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                   const struct ww_as_weights_params *params);
// y is [n][4][1][so many].
int ww_as_weights_texels(int words, int width, int heads, bool turned);

// y = b + x w + residual, as ww_pointwise, where each of the batch has weights of its own that
// ww_as_weights made.
void ww_product(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor weights,
                struct ww_tensor residual);

// The largest of each channel of rows, of those that are `shown`, the first channel of [n][c][1][rows],
// if given: y [n][c][1][1].
void ww_tops(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor shown);

// Of a table of likeness z, both: each head's softmax over the words of its text, zero behind its
// end, and exp(z - top of that channel), zero where the token is not shown: a softmax over tokens but
// for its sum. Both have z's shape; `words` may be z.
void ww_both_ways(struct ww_cmd *g, struct ww_tensor words, struct ww_tensor tokens,
                  struct ww_tensor z, struct ww_tensor tops, struct ww_tensor shown,
                  struct ww_tensor lengths, int heads);

// y[i][h width + c] = sum over tokens s of e[s][h words + i] x[s][c] / the sum of e's channel:
// y [n][heads width][1][words], e from ww_both_ways, x [n][width][1][tokens].
void ww_pool(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor e, struct ww_tensor x, int heads);

// The largest of the first lengths[b] channels of each row: y [n][1][1][rows].
void ww_best(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor lengths);

extern const struct ww_kernel ww_kernel_asweights, ww_kernel_tops, ww_kernel_bothways, ww_kernel_pool,
    ww_kernel_pool_join, ww_kernel_best;
