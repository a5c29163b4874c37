// MoveNet's decoding of one person: the centre, then for each keypoint the cell whose score divided by
// its distance from where the centre expects it is largest.
//
//     c = argmax(centre prior);  e_k = c + regress_k(c)
//     s_k(p) = heat_k(p) / (|p - e_k| + 1.7998046875);  p_k = argmax s_k
//     y = p_k + offset_k(p_k), heat_k(p_k)
//
// Of equals the first cell wins, and of what are no numbers the first of all.

#include "kernels.h"
#include "check-inner.h"
#include "keypoints.comp.h"

#include <math.h>
#include <stdlib.h>

#define NUM_KEYPOINTS 17

struct push {
    uint32_t h, w, heat_step, regress_step, centre_step, offset_step, y_step;
};

void ww_keypoints(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor heat,
                  struct ww_tensor regress, struct ww_tensor centre, struct ww_tensor offset,
                  struct ww_tensor prior)
{
    ww_expect(g, heat.c == NUM_KEYPOINTS && regress.c == 2 * NUM_KEYPOINTS);
    ww_expect(g, offset.c == 2 * NUM_KEYPOINTS && centre.c == 1);
    ww_expect(g, y.n == heat.n && y.c == 4 && y.h == 1 && y.w == NUM_KEYPOINTS);
    ww_expect(g, prior.h == heat.h && prior.w == heat.w);
    const struct push push = {(uint32_t)heat.h, (uint32_t)heat.w, heat.step, regress.step,
                              centre.step,      offset.step,      y.step};
    ww_launch(g, &ww_kernel_keypoints,
              &(struct ww_launch_params){.out = {y},
                                         .in = {heat, regress, centre, offset, prior},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .groups = {NUM_KEYPOINTS, 1, (uint32_t)heat.n},
                                         .batched = true});
}

static void reference(const struct ww_args *a)
{
    const struct ww_tensor heat = a->in[0], regress = a->in[1], centre = a->in[2], offset = a->in[3];
    for (int b = 0; b < a->batch; b++) {
        float best = -1;
        int cy = 0, cx = 0;
        for (int y = 0; y < heat.h; y++)
            for (int x = 0; x < heat.w; x++) {
                const float s = a->i[2][ww_at(centre, b, 0, y, x)] * a->i[4][ww_at(a->in[4], 0, 0, y, x)];
                if (s > best) {
                    best = s;
                    cy = y;
                    cx = x;
                }
            }
        for (int k = 0; k < NUM_KEYPOINTS; k++) {
            const float ey = (float)cy + a->i[1][ww_at(regress, b, 2 * k, cy, cx)];
            const float ex = (float)cx + a->i[1][ww_at(regress, b, 2 * k + 1, cy, cx)];
            int ky = 0, kx = 0;
            best = -1;
            for (int y = 0; y < heat.h; y++)
                for (int x = 0; x < heat.w; x++) {
                    const float dy = (float)y - ey, dx = (float)x - ex;
                    const float s = a->i[0][ww_at(heat, b, k, y, x)] /
                                    (sqrtf(dy * dy + dx * dx) + 1.7998046875f);
                    if (s > best) {
                        best = s;
                        ky = y;
                        kx = x;
                    }
                }
            float *out = &a->o[0][ww_at(a->out[0], b, 0, 0, k)];
            out[0] = (float)ky + a->i[3][ww_at(offset, b, 2 * k, ky, kx)];
            out[1] = (float)kx + a->i[3][ww_at(offset, b, 2 * k + 1, ky, kx)];
            out[2] = a->i[0][ww_at(heat, b, k, ky, kx)];
            out[3] = (float)(ky * heat.w + kx);
        }
    }
}

// A map of a network that has lost its numbers.
static struct ww_tensor try_no_numbers(struct ww_try *t, int n, int h, int w)
{
    const size_t num = (size_t)(n * h * w) * 4;
    float *data = malloc(num * sizeof *data);
    if (!data)
        abort();
    for (size_t i = 0; i < num; i++)
        data[i] = NAN;
    struct ww_storage *s = ww_try_storage(t, data, num * sizeof *data);
    free(data);
    return ww_try_stored(t, s, n, 1, h, w);
}

static void attempt(struct ww_try *t, const int *size)
{
    const int n = size[0], h = size[1], w = size[2];
    ww_keypoints(ww_try_cmd(t), ww_try_out(t, n, 4, 1, NUM_KEYPOINTS),
                 ww_try_in(t, n, NUM_KEYPOINTS, h, w), ww_try_in(t, n, 2 * NUM_KEYPOINTS, h, w),
                 size[3] ? try_no_numbers(t, n, h, w) : ww_try_in(t, n, 1, h, w),
                 ww_try_in(t, n, 2 * NUM_KEYPOINTS, h, w),
                 ww_try_in(t, 1, 1, h, w));
}

// batch, height, width, no centre is a number
static const int sizes[][8] = {{1, 1, 1, 0}, {3, 7, 9, 0}, {2, 7, 9, 1}, {2, 48, 48, 0}, {0}};

const struct ww_kernel ww_kernel_keypoints = {
    .name = "keypoints",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_keypoints, "team")},
    .num_shaders = 1,
    .reference = reference,
    .exact = true,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 1e-6f,
};
