// y[i] = sum over j of softmax_j(scale q[i].k[j] + bias[i][j] + mask[i][j]) v[j] in a window, head by head
//
// Attention in shifted windows (Liu et al., 2021, arXiv:2103.14030, §3.2) in one pass over the keys, as
// attention.c; the mask is -100 between tokens of different regions. Compute bound: a window of T tokens
// takes 4 T T D flops a head of D numbers and reads 3 T D, keys and values once for each group of queries.

#include "swin.h"
#include "base/room.h"
#include "windows.comp.h"

#include <math.h>
#include <stdlib.h>

#define MAX_QUADS 16 // 64 numbers of a head
#define MAX_R     8  // queries of a lane
#define MAX_RD    56 // R D: quads of queries that a lane holds, and as many of outputs
#define MAX_LANES 256 // of a workgroup

struct push {
    uint32_t h, w, columns, rows, strips, heads, shift;
    float scale;
    uint32_t q_step, k_step, v_step, y_step;
};

// Queries of a lane: as many as fit, but no more than make the last group a full one.
static int queries_of(int tokens, int quads)
{
    const int eights = (int)ww_div_up(tokens, 8), room = MAX_RD / quads;
    const int groups = (int)ww_div_up(eights, room < MAX_R ? room : MAX_R);
    return (int)ww_div_up(eights, groups);
}

// Keys that come at a time: as many as a team fetches, or one less where the last would else be few.
static int chunk_of(int tokens)
{
    return tokens % 8 && tokens % 7 == 0 ? 7 : 8;
}

// Rows of the bias: eight for each chunk of keys.
static int rows_of(int tokens)
{
    return 8 * (int)ww_div_up(tokens, chunk_of(tokens));
}

static int row_of(int tokens, int key)
{
    return key / chunk_of(tokens) * 8 + key % chunk_of(tokens);
}

void ww_windows(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor q, struct ww_tensor k,
                struct ww_tensor v, const struct ww_windows_params *params)
{
    const int heads = params->heads, side = params->window, tokens = side * side;
    ww_expect(g, heads > 0 && side > 0 && params->shift >= 0 && params->shift < side);
    if (!ww_cmd_sound(g))
        return;
    const int D = y.c / heads / 4;
    if (!ww_expect(g, y.c == 4 * D * heads && D > 0 && D <= MAX_QUADS))
        return;
    ww_expect(g, ww_same_shape(q, k) && ww_same_shape(q, v) && q.n == y.n && q.c == y.c);
    ww_expect(g, q.h == 1 && q.w == y.h * y.w + 1);
    ww_expect(g, params->bias.n == 1 && params->bias.c == rows_of(tokens) && params->bias.h == heads &&
                     params->bias.w == tokens);
    // A card has lanes for all queries of a window, and registers for one of each.
    const int all = 8 * (int)ww_div_up(tokens, 8), lanes = !ww_for_card(g) ? 8 : all < MAX_LANES ? all : MAX_LANES;
    const int R = ww_for_card(g) ? 1 : queries_of(tokens, D), chunk = chunk_of(tokens);
    const uint32_t strips = ww_div_up(tokens, lanes * R);
    const struct push push = {(uint32_t)y.h,
                              (uint32_t)y.w,
                              ww_div_up(y.w, side),
                              ww_div_up(y.h, side),
                              strips,
                              (uint32_t)heads,
                              (uint32_t)params->shift,
                              1 / sqrtf(4 * (float)D),
                              q.step,
                              k.step,
                              v.step,
                              y.step};
    const uint32_t spec[] = {(uint32_t)lanes, (uint32_t)R, (uint32_t)D, (uint32_t)(R * D), (uint32_t)side,
                             params->shift > 0, (uint32_t)chunk};
    ww_launch(g, &ww_kernel_windows,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {q, k, v, params->bias},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = spec,
                  .num_spec = 7,
                  .groups = {push.columns * strips, push.rows * (uint32_t)heads, (uint32_t)y.n},
                  .batched = true,
                  .macs = 2.0 * push.columns * push.rows * tokens * tokens * y.c});
}

// Token t of a window: its pixel and its region.
struct token {
    int pixel, region;
};

static struct token token_of(const struct push *push, int side, int row, int column, int t)
{
    const int h = (int)push->h, w = (int)push->w, shift = (int)push->shift;
    const int ty = t / side, tx = t % side;
    const int y = (row * side + ty + shift) % ((int)push->rows * side);
    const int x = (column * side + tx + shift) % ((int)push->columns * side);
    const bool below = row + 1 == (int)push->rows && ty >= side - shift;
    const bool right = column + 1 == (int)push->columns && tx >= side - shift;
    return (struct token){y < h && x < w ? y * w + x : h * w, 2 * below + right};
}

struct view {
    const struct ww_args *a;
    int batch, head, width, tokens;
    const struct token *at;
    double *p; // room for the tokens
};

static void attend(const struct view *s, int i)
{
    const struct ww_args *a = s->a;
    const struct push *push = a->push;
    const int first = s->head * s->width;
    double most = -HUGE_VAL, sum = 0;
    for (int j = 0; j < s->tokens; j++) {
        double score = 0;
        for (int c = first; c < first + s->width; c++)
            score += (double)a->i[0][ww_at(a->in[0], s->batch, c, 0, s->at[i].pixel)] *
                     a->i[1][ww_at(a->in[1], s->batch, c, 0, s->at[j].pixel)];
        s->p[j] = score * (double)push->scale + a->i[3][ww_at(a->in[3], 0, row_of(s->tokens, j), s->head, i)] -
                  (s->at[i].region == s->at[j].region ? 0 : 100);
        most = fmax(most, s->p[j]);
    }
    for (int j = 0; j < s->tokens; j++)
        sum += s->p[j] = exp(s->p[j] - most);
    for (int c = first; c < first + s->width; c++) {
        double o = 0;
        for (int j = 0; j < s->tokens; j++)
            o += s->p[j] * a->i[2][ww_at(a->in[2], s->batch, c, 0, s->at[j].pixel)];
        a->o[0][ww_at(a->out[0], s->batch, c, 0, s->at[i].pixel)] = (float)(o / sum);
    }
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const int heads = (int)push->heads, side = (int)a->spec[4], tokens = side * side;
    struct token *at = malloc(sizeof *at * (size_t)tokens);
    double *p = malloc(sizeof *p * (size_t)tokens);
    if (!at || !p)
        abort();
    for (int window = 0; window < (int)(push->rows * push->columns); window++) {
        for (int t = 0; t < tokens; t++)
            at[t] = token_of(push, side, window / (int)push->columns, window % (int)push->columns, t);
        for (int b = 0; b < a->batch; b++)
            for (int head = 0; head < heads; head++)
                for (int i = 0; i < tokens; i++)
                    if (at[i].pixel < (int)(push->h * push->w))
                        attend(&(struct view){a, b, head, a->out[0].c / heads, tokens, at, p}, i);
    }
    free(at);
    free(p);
}

bool ww_pack_window_bias(struct ww_bank *bank, struct ww_filter *filter, int window, int heads,
                         const float *table, struct ww_error *err)
{
    const int tokens = window * window, rows = rows_of(tokens), reach = 2 * window - 1;
    float *bias = ww_room_for((size_t)heads * (size_t)tokens * (size_t)rows, sizeof *bias, err), *to = bias;
    if (!bias)
        return false;
    for (int head = 0; head < heads; head++)
        for (int i = 0; i < tokens; i++, to += rows)
            for (int j = 0; j < tokens; j++) {
                const int dy = i / window - j / window + window - 1;
                const int dx = i % window - j % window + window - 1;
                to[row_of(tokens, j)] = table[(dy * reach + dx) * heads + head];
            }
    ww_pack_image(bank, filter, rows, heads, tokens, bias);
    free(bias);
    return true;
}

struct ww_tensor ww_window_bias(struct ww_cmd *g, const struct ww_filter *f, int window, int heads)
{
    return ww_stored_tensor(g, f->storage, f->first, 1, rows_of(window * window), heads,
                            window * window);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2], heads = size[3], c = heads * size[4];
    const int window = size[5], tokens = window * window;
    const struct ww_tensor qkv = ww_try_in(t, n, 3 * c, 1, h * w + 1);
    ww_windows(ww_try_cmd(t), ww_try_out(t, n, c, h, w), ww_channels(qkv, 0, c),
               ww_channels(qkv, c, c), ww_channels(qkv, 2 * c, c),
               ww_windows_params(.heads = heads, .window = window, .shift = size[6],
                                 .bias = ww_try_in(t, 1, rows_of(tokens), heads, tokens)));
}

// batch, height, width, heads, width of a head, window, shift; the last is a block of Swin-T's first
// stage at 800 x 1066
static const int sizes[][8] = {{1, 1, 1, 1, 4, 1, 0},    {1, 1, 1, 2, 8, 7, 3},
                               {2, 9, 16, 5, 4, 5, 2},   {1, 3, 17, 3, 16, 4, 0},
                               {1, 7, 14, 1, 64, 7, 3},  {2, 11, 13, 3, 32, 7, 3},
                               {1, 15, 14, 2, 32, 12, 6}, {1, 8, 9, 1, 12, 3, 2},
                               {1, 200, 267, 3, 32, 7, 3}, {0}};

const struct ww_kernel ww_kernel_windows = {
    .name = "windows",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_windows, "flash")},
    .num_shaders = 1,
    .for_cards = true,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 4e-6f, // as attention's
};
