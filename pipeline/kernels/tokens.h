// tokens.h: the kernels of a language model. Tensors are rows of tokens, [1][c / 4][1][rows][4],
// their channels filled up to a multiple of 32 with zeros.
//
// Up to 8 rows (a token each of so many sequences) and more rows (a stretch of a prompt) are worked on
// differently. Of more rows a replay takes whole strips: the plan's batch counts them.

#pragma once

#include "filter.h"
#include "matrix.h"

#define WW_FEW_ROWS 8
#define WW_STRIP    32

// `turns` and `rows` of a turning say what shaders/linear.glsl reads.
void ww_matmul(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, const struct ww_linear *m,
               const struct ww_matmul_params *params);
#define ww_matmul_params(...) (&(struct ww_matmul_params){__VA_ARGS__})

// y[r] = the row of the matrix that rows[r].x names, or given[r] where it is WW_GIVEN.
#define WW_GIVEN UINT32_MAX
void ww_lookup(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor rows, const struct ww_linear *m,
               struct ww_tensor given);

// y[r] = x[from] gain / sqrt(mean(x[from]^2) + eps); from = r, or picks[r].x. `width` channels count.
void ww_rmsnorm(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, const struct ww_filter *gain,
                int width, float eps, struct ww_tensor picks);

// y[r] = attention of row r's queries over its sequence's cached keys and values, up to its position; of a
// sequence that has gone round its ring of slots, over all of these, in whatever order they lie.
// All rows of a strip are of one sequence; of few rows each may be of another.
struct ww_causal_params {
    struct ww_tensor rows, cache;
    int heads, kv_heads, head; // and the width of a head
    int keys;                  // channels of the cache that are keys; values follow
    int ring;                  // slots of a sequence; 0: more than it has positions
    bool half;                 // the cache is of halves, as struct ww_turning has them
};
void ww_causal(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor q,
               const struct ww_causal_params *params);

// For attempts: a random matrix; a row of gains; rows of tokens at distinct positions below `slots`,
// all of one sequence that fills the cache.
struct ww_linear ww_try_matrix(struct ww_try *t, enum ww_type type, int k, int n, bool gated);
struct ww_filter ww_try_row(struct ww_try *t, int c);
struct ww_tensor ww_try_zeros(struct ww_try *t, int c, int w); // kept between launches
struct ww_tensor ww_try_halves(struct ww_try *t, int c, int w); // in [-1, 1], as in a cache
struct ww_tensor ww_try_positions(struct ww_try *t, int rows, int slots);
void ww_try_strips(struct ww_try *t, int rows); // all of them are to be worked on

extern const struct ww_kernel ww_kernel_matmul, ww_kernel_lookup, ww_kernel_rmsnorm,
    ww_kernel_causal;
