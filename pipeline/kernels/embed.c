// y[p] = word[id[p][0]] + position[id[p][1]] + type[id[p][2]]
//
// What a row of text is at the start: three rows of three tables, added. Memory bound.

#include "filter.h"
#include "embed.comp.h"

struct push {
    uint32_t pixels, q, id_step, y_step, rows[3];
};

void ww_embed(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor ids,
              const struct ww_filter *word, const struct ww_filter *position,
              const struct ww_filter *type)
{
    ww_expect(g, ids.n == y.n && ids.h == y.h && ids.w == y.w && ids.c == 3);
    ww_expect(g, word->c_out == y.c && position->c_out == y.c && type->c_out == y.c);
    const struct push push = {
        (uint32_t)(y.h * y.w), (uint32_t)ww_quads(y), ids.step, y.step,
        {(uint32_t)word->c_in, (uint32_t)position->c_in, (uint32_t)type->c_in}};
    ww_launch(g, &ww_kernel_embed,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {ids, ww_filter_tensor(g, word), ww_filter_tensor(g, position),
                         ww_filter_tensor(g, type)},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8},
                  .num_spec = 1,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.h * y.w, 8), (uint32_t)ww_quads(y), (uint32_t)y.n},
                  .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], ids = a->in[0];
    const struct push *push = a->push;
    for (int b = 0; b < a->batch; b++)
        for (int i = 0; i < y.h * y.w; i++)
            for (int c = 0; c < y.c; c++) {
                float sum = 0;
                for (int k = 0; k < 3; k++) {
                    // The shader's conversion cuts, and takes what is negative for 0.
                    const float given = a->i[0][ww_at(ids, b, k, 0, i)];
                    uint32_t id = given > 0 ? (uint32_t)given : 0;
                    id = id < push->rows[k] ? id : push->rows[k] - 1;
                    sum += a->i[1 + k][((size_t)id * push->q) * 4 + (size_t)c];
                }
                a->o[0][ww_at(y, b, c, 0, i)] = sum;
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], c = size[2], words = size[3];
    const struct ww_filter word = ww_try_rows(t, words, c), position = ww_try_rows(t, rows, c),
                           type = ww_try_rows(t, 2, c);
    const struct ww_tensor ids = ww_try_whole(t, n, 3, 1, rows, words < 2 * rows ? words : rows);
    ww_embed(ww_try_cmd(t), ww_try_out(t, n, c, 1, rows), ids, &word, &position, &type);
}

// batch, rows, channels, words
static const int sizes[][8] = {{1, 1, 1, 1}, {2, 9, 7, 33}, {3, 17, 48, 5}, {1, 256, 384, 1000},
                               {0}};

const struct ww_kernel ww_kernel_embed = {
    .name = "embed",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_embed, "token")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-7f,
};
