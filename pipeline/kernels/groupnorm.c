// y[c] = (x[c] - mean) / sqrt(variance + eps) gain[c] + lift[c], over a group of channels and all pixels
//
// Group normalisation (Wu and He, 2018, arXiv:1803.08494); the variance is the population's. Two
// launches: moments of pieces of the picture, each in two passes about its own mean, then the pieces
// joined (Chan, Golub and LeVeque, 1979) and applied. Memory bound: every number is read three times,
// of which two from the cache.

#include "detr.h"
#include "groupnorm.comp.h"
#include "moments.comp.h"

#include <math.h>
#include <stddef.h>

#define PIECES    8    // of a picture, if it is large enough
#define MIN_PIECE 128  // pixels
#define MAX_TURNS 8192 // of the loops over a piece
#define ROWS      16   // pixels of a lane that normalises

struct moments {
    uint32_t pixels, channels, groups, pieces, piece, x_step, y_step;
};
struct norm {
    uint32_t pixels, channels, groups, pieces, x_step, m_step, y_step, rows, at;
    float eps;
};

static struct ww_tensor moments_of(struct ww_cmd *g, struct ww_tensor x, int groups)
{
    const int pixels = x.h * x.w, quads = x.c / groups / 4 + 2;
    int piece = (int)ww_div_up(pixels, PIECES);
    piece = piece < MIN_PIECE ? MIN_PIECE : piece;
    if (piece / 8 * quads > MAX_TURNS)
        piece = MAX_TURNS / quads * 8;
    const int pieces = (int)ww_div_up(pixels, piece);
    const struct ww_tensor y = ww_activation(g, x.n, 4, groups, pieces);
    const struct moments push = {(uint32_t)pixels, (uint32_t)x.c, (uint32_t)groups, (uint32_t)pieces,
                                 (uint32_t)piece,  x.step,        y.step};
    ww_launch(g, &ww_kernel_moments,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .groups = {push.pieces, push.groups, (uint32_t)x.n},
                                         .batched = true});
    return y;
}

void ww_groupnorm(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, int groups, float eps, int at)
{
    ww_expect(g, groups > 0 && x.c % groups == 0 && w->c_in == x.c);
    ww_expect(g, groups > 0 && x.c / groups / 4 + 2 <= MAX_TURNS); // a pixel of a group is one turn of a loop
    ww_expect(g, y.n == x.n && y.c == x.c && at >= 0 && at + x.h * x.w <= y.h * y.w);
    if (!ww_cmd_sound(g))
        return;
    const struct ww_tensor m = moments_of(g, x, groups);
    const struct norm push = {(uint32_t)(x.h * x.w), (uint32_t)x.c, (uint32_t)groups, (uint32_t)m.w,
                              x.step,                m.step,        y.step,
                              (uint32_t)(y.h * y.w), (uint32_t)at,  eps};
    ww_launch(g, &ww_kernel_groupnorm,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, ww_filter_tensor(g, w), m},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, ROWS, x.c / groups % 4 == 0},
                  .num_spec = 3,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(x.h * x.w, 8 * ROWS), (uint32_t)ww_quads(x), (uint32_t)x.n},
                  .batched = true});
}

// Mean and squares about it, of one piece of one group.
static void measure(const struct ww_args *a, int b, int group, int piece, float *out)
{
    const struct moments *push = a->push;
    const struct ww_tensor x = a->in[0];
    const int size = x.c / (int)push->groups, first = piece * (int)push->piece;
    const int end = first + (int)push->piece < x.h * x.w ? first + (int)push->piece : x.h * x.w;
    double sum = 0, squares = 0;
    for (int c = group * size; c < (group + 1) * size; c++)
        for (int p = first; p < end; p++)
            sum += (double)a->i[0][ww_at(x, b, c, 0, p)];
    const double mean = sum / size / (end - first);
    for (int c = group * size; c < (group + 1) * size; c++)
        for (int p = first; p < end; p++)
            squares += pow((double)a->i[0][ww_at(x, b, c, 0, p)] - mean, 2);
    out[0] = (float)(size * (end - first));
    out[1] = (float)mean;
    out[2] = (float)squares;
    out[3] = 0;
}

static void moments_reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0];
    for (int b = 0; b < a->batch; b++)
        for (int group = 0; group < y.h; group++)
            for (int piece = 0; piece < y.w; piece++)
                measure(a, b, group, piece, a->o[0] + ww_at(y, b, 0, group, piece));
}

static void norm_reference(const struct ww_args *a)
{
    const struct norm *push = a->push;
    const struct ww_tensor x = a->in[0], m = a->in[2];
    for (int b = 0; b < a->batch; b++)
        for (int c = 0; c < x.c; c++) {
            const int group = c / (x.c / (int)push->groups);
            double count = 0, sum = 0, squares = 0;
            for (int i = 0; i < m.w; i++) {
                const float *piece = a->i[2] + ww_at(m, b, 0, group, i);
                count += (double)piece[0];
                sum += (double)piece[0] * (double)piece[1];
            }
            const double mean = sum / count;
            for (int i = 0; i < m.w; i++) {
                const float *piece = a->i[2] + ww_at(m, b, 0, group, i);
                squares += (double)piece[2] + (double)piece[0] * pow((double)piece[1] - mean, 2);
            }
            const double scale = 1 / sqrt(squares / count + (double)push->eps);
            const float *w = a->i[1] + (size_t)(c / 4) * 8 + c % 4;
            for (int p = 0; p < (int)push->pixels; p++)
                a->o[0][ww_at(a->out[0], b, c, 0, (int)push->at + p)] =
                    (float)(((double)a->i[0][ww_at(x, b, c, 0, p)] - mean) * scale * (double)w[0] +
                            (double)w[4]);
        }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], c = size[3];
    const struct ww_filter norm = ww_try_norm(t, c);
    ww_groupnorm(ww_try_cmd(t), ww_try_out(t, n, c, h, w), ww_try_in(t, n, c, h, w), &norm, size[4],
                 1e-5f, 0);
}

// batch, height, width, channels, groups
static const int sizes[][8] = {{1, 1, 3, 4, 1},    {2, 5, 7, 64, 32},  {1, 9, 3, 12, 4},
                               {3, 1, 2, 10, 2},   {1, 11, 13, 6, 1},  {2, 37, 41, 24, 3},
                               {1, 100, 167, 256, 32}, {0}};

const struct ww_kernel ww_kernel_moments = {
    .name = "moments",
    .exact = true,
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_moments, "team")},
    .num_shaders = 1,
    .reference = moments_reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f,
};

const struct ww_kernel ww_kernel_groupnorm = {
    .name = "groupnorm",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_groupnorm, "pixels")},
    .num_shaders = 1,
    .reference = norm_reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f,
};
