// y[r][c] = x[r][c] + codes[cells[r][0]][c] for c < C / 2, else x[r][c] + codes[cells[r][1]][c - C / 2]
//
// The position of a token of a picture is the code of its row beside that of its column (Carion et al., 2020,
// arXiv:2005.12872): a few hundred codes tell it of all tokens, and stay in the cache. Memory bound.

#include "detr.h"
#include "positions.comp.h"

struct push {
    uint32_t rows, half, num_codes, x_step, y_step, cell_step, code_step;
};

void ww_positions(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor cells,
                  struct ww_tensor codes)
{
    ww_expect(g, y.c % 8 == 0 && codes.c == y.c / 2 && cells.c == 4 && cells.w == y.w);
    ww_expect(g, cells.n == y.n && codes.n == y.n && y.h == 1 && cells.h == 1 && codes.h == 1);
    ww_expect(g, !ww_some(x) || ww_same_shape(x, y));
    const struct push push = {(uint32_t)y.w, (uint32_t)ww_quads(codes), (uint32_t)codes.w, x.step, y.step,
                              cells.step, codes.step};
    ww_launch(g, &ww_kernel_positions,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {x, cells, codes},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, ww_some(x)},
                  .num_spec = 2,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(y.w, 8), (uint32_t)ww_quads(y), (uint32_t)y.n},
                  .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor y = a->out[0], codes = a->in[2];
    for (int b = 0; b < a->batch; b++)
        for (int r = 0; r < y.w; r++)
            for (int c = 0; c < y.c; c++) {
                const bool second = c >= codes.c;
                const float named = a->i[1][ww_at(a->in[1], b, second, 0, r)];
                const int code = named < (float)(codes.w - 1) ? (int)named : codes.w - 1;
                const float x = a->i[0] ? a->i[0][ww_at(a->in[0], b, c, 0, r)] : 0;
                a->o[0][ww_at(y, b, c, 0, r)] = x + a->i[2][ww_at(codes, b, c - second * codes.c, 0, code)];
            }
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], rows = size[1], c = size[2], codes = size[3];
    const struct ww_tensor none = {0};
    ww_positions(ww_try_cmd(t), ww_try_out(t, n, c, 1, rows), size[4] ? ww_try_in(t, n, c, 1, rows) : none,
                 ww_try_whole(t, n, 4, 1, rows, codes + 1), ww_try_in(t, n, c / 2, 1, codes));
}

// batch, tokens, channels, codes, added to something
static const int sizes[][8] = {{1, 1, 8, 1, 1}, {2, 19, 24, 7, 0}, {3, 70, 64, 23, 1}, {1, 22223, 256, 510, 1}, {0}};

const struct ww_kernel ww_kernel_positions = {
    .name = "positions",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_positions, "texel")},
    .num_shaders = 1,
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
