// y[r] = the row of a matrix that rows[r] names: where a language model begins. Memory bound.

#include "tokens.h"
#include "lookup.comp.h"

#include <string.h>

struct push {
    uint32_t rows, blocks, last;
};

void ww_lookup(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor rows, const struct ww_linear *m,
               struct ww_tensor given)
{
    ww_expect(g, rows.w == y.w && y.c == m->k && y.n == 1 && y.h == 1);
    ww_expect(g, !ww_some(given) || ww_same_shape(given, y));
    ww_expect(g, ww_linear_takes(m->type));
    if (!ww_cmd_sound(g))
        return;
    const struct ww_layout l = ww_linear_layout(m->type);
    const struct push push = {(uint32_t)y.w, (uint32_t)m->k / WW_TILE, (uint32_t)m->n - 1};
    const bool few = y.w <= WW_FEW_ROWS;
    ww_launch(g, &ww_kernel_lookup,
              &(struct ww_launch_params){
                  .out = {y},
                  .in = {rows, ww_stored_tensor(g, m->storage, m->first, 1, 4, 1, (int)ww_linear_texels(m)),
                         given},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, l.kind, l.inputs, l.high, l.scale, (uint32_t)l.offset,
                                             l.fetches, WW_TILE / l.inputs, ww_some(given)},
                  .num_spec = 9,
                  .groups = {few ? 1 : WW_STRIP / 8, push.blocks, few ? 1 : ww_div_up(y.w, WW_STRIP)},
                  .batched = !few});
}

static enum ww_type type_of(const uint32_t *spec)
{
    for (int type = 0; type < WW_NUM_TYPES; type++) {
        const struct ww_layout l = ww_linear_layout((enum ww_type)type);
        if (l.texels && l.kind == spec[1] && l.high == spec[3] && l.scale == spec[4] &&
            l.offset == (int32_t)spec[5])
            return (enum ww_type)type;
    }
    return WW_F32;
}

static void reference(const struct ww_args *a)
{
    const struct push *push = a->push;
    const enum ww_type type = type_of(a->spec);
    for (uint32_t r = 0; r < push->rows && r < (uint32_t)a->batch * WW_STRIP; r++) {
        const uint32_t named = ((const uint32_t *)a->i[0])[4 * r];
        const uint32_t id = named < push->last ? named : push->last;
        for (uint32_t block = 0; block < push->blocks; block++) {
            float w[4][WW_TILE];
            ww_linear_record(type, a->i[1] + 4 * ww_linear_texel(type, push->blocks, id / 4, block), w);
            for (uint32_t i = 0; i < WW_TILE; i++) {
                const size_t at = 4 * ((size_t)(block * 8 + i / 4) * push->rows + r) + i % 4;
                a->o[0][at] = a->i[2] && named == WW_GIVEN ? a->i[2][at] : w[id % 4][i];
            }
        }
    }
}

static void attempt(struct ww_try *t, const int *size)
{
    const struct ww_linear m = ww_try_matrix(t, (enum ww_type)size[3], size[1], size[2], false);
    ww_lookup(ww_try_cmd(t), ww_try_out(t, 1, size[1], 1, size[0]),
              ww_try_positions(t, size[0], size[2]), &m,
              size[4] ? ww_try_in(t, 1, size[1], 1, size[0]) : (struct ww_tensor){0});
}

// rows, inputs, outputs, type, given
static const int sizes[][8] = {{1, 32, 32, WW_F32, 0},   {7, 64, 96, WW_F16, 1},
                               {9, 64, 96, WW_BF16, 0},  {33, 96, 64, WW_Q8_0, 1},
                               {5, 64, 64, WW_Q4_0, 0},  {5, 64, 64, WW_Q4_1, 0},
                               {5, 64, 64, WW_Q5_0, 0},  {5, 64, 64, WW_Q5_1, 0},
                               {5, 256, 64, WW_Q4_K, 0}, {5, 256, 64, WW_Q5_K, 0},
                               {5, 512, 64, WW_Q6_K, 0}, {256, 576, 512, WW_Q8_0, 0},
                               {0}};

const struct ww_kernel ww_kernel_lookup = {
    .name = "lookup",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_lookup, "row")},
    .num_shaders = 1,
    .view = {WW_VIEW_U32X4, WW_VIEW_U32X4},
    .reference = reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0, // bit for bit
};
