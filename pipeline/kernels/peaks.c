// Cells that equal the largest of their 3x3 neighbours in their channel and are at least `floor`.
//
// They are appended in no order: whoever reads the list sorts it, by score and then by cell, so that
// results do not depend on timing.

#include "kernels.h"
#include "peaks.comp.h"

#include <string.h>

#define ROWS 4

struct push {
    uint32_t h, w, c, cap, floor_at;
};

void ww_peaks(struct ww_cmd *g, struct ww_tensor list, struct ww_tensor x, struct ww_tensor side,
              int floor_at)
{
    ww_expect(g, x.n == 1 && side.n == 1 && side.c <= 4 && side.h == x.h && side.w == x.w);
    ww_expect(g, list.n == 1 && list.c == 4 && list.h == 1 && list.w >= 3);
    const struct push push = {(uint32_t)x.h, (uint32_t)x.w, (uint32_t)x.c,
                              (uint32_t)(list.w - 1) / 2, (uint32_t)floor_at};
    ww_launch(g, &ww_kernel_peaks,
              &(struct ww_launch_params){
                  .out = {list},
                  .in = {x, side},
                  .push = &push,
                  .push_bytes = sizeof push,
                  .spec = (const uint32_t[]){8, ROWS, ROWS + 2},
                  .num_spec = 3,
                  .lanes = WW_LANES_X,
                  .groups = {ww_div_up(x.w, 8), ww_div_up(x.h, ROWS) * (uint32_t)ww_quads(x), 1}});
}

static bool is_peak(const float *in, struct ww_tensor x, int c, int cy, int cx)
{
    const float v = in[ww_at(x, 0, c, cy, cx)];
    for (int y = cy - 1; y <= cy + 1; y++)
        for (int k = cx - 1; k <= cx + 1; k++)
            if (y >= 0 && y < x.h && k >= 0 && k < x.w && in[ww_at(x, 0, c, y, k)] > v)
                return false;
    return true;
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor x = a->in[0];
    const struct push *push = a->push;
    const float least = ((const float *)a->params)[4 * push->floor_at];
    uint32_t count;
    memcpy(&count, a->o[0], sizeof count);
    for (int c = 0; c < x.c; c++)
        for (int y = 0; y < x.h; y++)
            for (int k = 0; k < x.w; k++) {
                const float v = a->i[0][ww_at(x, 0, c, y, k)];
                if (v < least || !is_peak(a->i[0], x, c, y, k))
                    continue;
                if (count < push->cap) {
                    float *entry = a->o[0] + 4 * (1 + 2 * count);
                    memcpy(entry, (float[]){(float)c, (float)y, (float)k, v}, 16);
                    for (int i = 0; i < 4; i++)
                        entry[4 + i] = a->i[1][ww_at(a->in[1], 0, i, y, k)];
                }
                count++;
            }
    memcpy(a->o[0], &count, sizeof count);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int h = size[0], w = size[1], c = size[2];
    ((float *)ww_try_params(t))[0] = (float)size[3] / 1000;
    ww_peaks(ww_try_cmd(t), ww_try_count(t, 0), ww_try_in(t, 1, c, h, w), ww_try_in(t, 1, 4, h, w),
             0);
}

// height, width, channels, floor in thousandths: the list must not overflow, or chance decides
static const int sizes[][8] = {{1, 1, 1, 0}, {7, 9, 3, 0}, {33, 20, 5, 2000}, {128, 128, 80, 998}, {0}};

const struct ww_kernel ww_kernel_peaks = {
    .name = "peaks",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_peaks, "strip")},
    .num_shaders = 1,
    .reference = reference,
    .exact = true,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
