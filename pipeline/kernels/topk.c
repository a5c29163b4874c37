// The k rows of the largest scores, best first, of equals the one of the smaller number
//
// A row's place is the number of rows that come before it: rows^2 comparisons, which is more than
// sorting takes and yet nothing beside a network (22,223 rows: 0.5 G whole-number comparisons), and
// runs on as many lanes as there are, the same way each time.

#include "detr.h"
#include "topk.comp.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 8 // of a lane

struct push {
    uint32_t rows, k, x_step, y_step;
};

void ww_topk(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x)
{
    ww_expect(g, x.n == y.n && x.h == 1 && y.h == 1 && y.c == 4 && y.w <= x.w);
    ww_expect(g, x.w <= 1 << 19); // loops of 65,535 turns at most
    const struct push push = {(uint32_t)x.w, (uint32_t)y.w, x.step, y.step};
    ww_launch(g, &ww_kernel_topk,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8, ROWS},
                                         .num_spec = 2,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(x.w, 8 * ROWS), 1, (uint32_t)x.n},
                                         .batched = true});
}

struct scored {
    int32_t key;
    int row;
};

static int32_t key(float score)
{
    const float plain = score + 0.0f; // -0 is 0
    int32_t bits;
    memcpy(&bits, &plain, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

static int by_place(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor x = a->in[0], y = a->out[0];
    struct scored *list = calloc((size_t)x.w, sizeof *list);
    if (!list)
        abort();
    for (int b = 0; b < a->batch; b++) {
        for (int r = 0; r < x.w; r++)
            list[r] = (struct scored){key(a->i[0][ww_at(x, b, 0, 0, r)]), r};
        qsort(list, (size_t)x.w, sizeof *list, by_place);
        for (int i = 0; i < y.w; i++) {
            float *out = a->o[0] + ww_at(y, b, 0, 0, i);
            out[0] = (float)list[i].row;
            out[1] = a->i[0][ww_at(x, b, 0, 0, list[i].row)];
            out[2] = out[3] = 0;
        }
    }
    free(list);
}

// Few different scores, so that most have equals.
static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], k = size[2];
    const struct ww_tensor y = ww_try_out(t, n, 4, 1, k);
    ww_topk(ww_try_cmd(t), y,
            size[3] ? ww_try_whole(t, n, 5, 1, rows, size[3]) : ww_try_in(t, n, 5, 1, rows));
}

// batch, rows, k, different scores: 0 as many as rows
static const int sizes[][8] = {{1, 1, 1, 0},    {2, 61, 7, 0},   {3, 33, 33, 0},
                               {1, 500, 40, 9}, {2, 131, 90, 1}, {1, 22223, 900, 0}, {0}};

const struct ww_kernel ww_kernel_topk = {
    .name = "topk",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_topk, "count")},
    .num_shaders = 1,
    .reference = reference,
    .exact = true,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
