// y[i] = sum over t of w[i][t] x[lo_i + t], w a triangle of width 2 max(in / out, 1) around the middle of i
//
// Pillow's resize, bit by bit: sums of whole numbers, each weight rounded to 2^-22, levels clamped and
// rounded to 8 bits after rows and after columns. Bound by the fetches of bytes.

#include "resample.h"
#include "check-inner.h"
#include "resample.comp.h"
#include "resample_rows.comp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ONE 4194304 // 2^22

struct rows {
    uint32_t w, h, ow, quads, stride0, stride1, plane1, plane2;
    struct ww_colours colours;
};
struct columns {
    uint32_t h, w, oh, ow, valid_h, quads;
    float gain[3], lift[3];
};

// Tables ------------------------------------------------------------------------------------------

struct taps {
    int first, count;
    double middle, reach;
};

static struct taps taps_of(int in, int out, int i)
{
    const double scale = (double)in / out, reach = fmax(scale, 1), middle = (i + 0.5) * scale;
    const int lo = (int)(middle - reach + 0.5), hi = (int)(middle + reach + 0.5);
    const int first = lo > 0 ? lo : 0;
    return (struct taps){first, (hi < in ? hi : in) - first, middle, reach};
}

static int quads_of(int in, int out)
{
    int most = 1;
    for (int i = 0; i < out; i++) {
        const int count = taps_of(in, out, i).count;
        most = count > most ? count : most;
    }
    return (most + 3) / 4;
}

static void fill(uint32_t *to, int in, int out)
{
    const int quads = quads_of(in, out);
    memset(to, 0, 16 * (size_t)(1 + quads) * (size_t)out);
    for (int i = 0; i < out; i++, to += 4 * (1 + quads)) {
        const struct taps t = taps_of(in, out, i);
        double sum = 0;
        for (int k = 0; k < t.count; k++)
            sum += fmax(0, 1 - fabs((t.first + k - t.middle + 0.5) / t.reach));
        to[0] = (uint32_t)t.first;
        for (int k = 0; k < t.count; k++) {
            const double w = fmax(0, 1 - fabs((t.first + k - t.middle + 0.5) / t.reach));
            to[4 + k] = (uint32_t)(0.5 + w / sum * ONE);
        }
    }
}

struct ww_resampling ww_resampling(struct ww_cmd *g, int in_w, int in_h, int out_w, int out_h)
{
    ww_expect(g, in_w > 0 && in_h > 0 && out_w > 0 && out_h > 0);
    struct ww_resampling r = {in_w, in_h, out_w, out_h, {0}, {0}};
    if (!ww_cmd_sound(g))
        return r;
    r.columns = ww_upload_tensor(g, 1, 4, out_w, 1 + quads_of(in_w, out_w));
    r.rows = ww_upload_tensor(g, 1, 4, out_h, 1 + quads_of(in_h, out_h));
    return r;
}

void ww_resampling_fill(struct ww_plan *plan, const struct ww_resampling *r)
{
    fill(ww_plan_host(plan, r->columns), r->in_w, r->out_w);
    fill(ww_plan_host(plan, r->rows), r->in_h, r->out_h);
}

// Launches ----------------------------------------------------------------------------------------

static struct ww_tensor resize_rows(struct ww_cmd *g, struct ww_tensor picture,
                                    const struct ww_resampling *r,
                                    const struct ww_resample_params *p)
{
    const struct ww_packing packing = ww_packing(p->format, r->in_w, r->in_h);
    ww_expect(g, (uint64_t)picture.step * 16 >= packing.bytes);
    const struct ww_tensor y =
        ww_some(p->between) ? p->between : ww_activation(g, 1, 3, r->in_h, r->out_w);
    ww_expect(g, y.n == 1 && y.c == 3 && y.h == r->in_h && y.w == r->out_w);
    const struct rows push = {(uint32_t)r->in_w,
                              (uint32_t)r->in_h,
                              (uint32_t)r->out_w,
                              (uint32_t)r->columns.w - 1,
                              packing.stride[0],
                              packing.stride[1],
                              packing.plane[1],
                              p->format == WW_FORMAT_NV12 ? packing.plane[1] + 1 : packing.plane[2],
                              ww_colours(p->matrix, p->range)};
    ww_launch(g, &ww_kernel_resample_rows,
              &(struct ww_launch_params){.out = {y},
                                         .in = {picture, r->columns},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8, p->format},
                                         .num_spec = 2,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(y.w, 8), (uint32_t)y.h, 1}});
    return y;
}

void ww_resample(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor picture,
                 const struct ww_resampling *r, const struct ww_resample_params *p)
{
    ww_expect(g, y.n == 1 && y.c == 3 && y.w >= r->out_w && y.h >= r->out_h);
    if (!ww_cmd_sound(g))
        return;
    const struct ww_tensor x = resize_rows(g, picture, r, p);
    const struct columns push = {(uint32_t)x.h,
                                 (uint32_t)x.w,
                                 (uint32_t)y.h,
                                 (uint32_t)y.w,
                                 (uint32_t)r->out_h,
                                 (uint32_t)r->rows.w - 1,
                                 {p->gain[0], p->gain[1], p->gain[2]},
                                 {p->lift[0], p->lift[1], p->lift[2]}};
    ww_launch(g, &ww_kernel_resample,
              &(struct ww_launch_params){.out = {y},
                                         .in = {x, r->rows},
                                         .push = &push,
                                         .push_bytes = sizeof push,
                                         .spec = (const uint32_t[]){8},
                                         .num_spec = 1,
                                         .lanes = WW_LANES_X,
                                         .groups = {ww_div_up(y.w, 8), (uint32_t)y.h, 1}});
}

// References --------------------------------------------------------------------------------------

static int level(int64_t sum)
{
    const int64_t l = (sum + ONE / 2) / ONE;
    return l < 255 ? (int)l : 255;
}

// R'G'B' of one pixel; `format` alone says how it lies.
static void colour(const struct rows *p, enum ww_format format, const uint8_t *data, int x, int y,
                   int rgb[3])
{
    const uint8_t *row = data + (size_t)y * p->stride0;
    if (format == WW_FORMAT_NV12 || format == WW_FORMAT_I420) {
        const size_t chroma =
            (size_t)(y / 2) * p->stride1 + (size_t)(x / 2 * (format == WW_FORMAT_NV12 ? 2 : 1));
        const struct ww_colours *c = &p->colours;
        const float u = (float)(data[p->plane1 + chroma] - 128);
        const float v = (float)(data[p->plane2 + chroma] - 128);
        const float luma = (float)row[x] * c->y_gain + c->y_lift;
        const float out[3] = {luma + c->r_v * v, luma + c->g_u * u + c->g_v * v, luma + c->b_u * u};
        for (int i = 0; i < 3; i++)
            rgb[i] = (int)(fminf(fmaxf(out[i], 0), 255) + 0.5f);
        return;
    }
    const bool gray = format == WW_FORMAT_GRAY8;
    const bool turned = format == WW_FORMAT_BGR || format == WW_FORMAT_BGRA;
    const int pixel = gray ? 1 : format == WW_FORMAT_RGB || format == WW_FORMAT_BGR ? 3 : 4;
    for (int i = 0; i < 3; i++)
        rgb[i] = row[x * pixel + (gray ? 0 : turned ? 2 - i : i)];
}

static void rows_reference(const struct ww_args *a)
{
    const struct rows *p = a->push;
    const uint32_t *table = (const uint32_t *)a->i[1];
    for (int y = 0; y < (int)p->h; y++)
        for (int x = 0; x < (int)p->ow; x++) {
            const uint32_t *entry = table + (size_t)x * 4 * (1 + p->quads);
            int64_t sum[3] = {0};
            for (int k = 0; k < (int)p->quads * 4; k++) {
                int rgb[3];
                const int at = (int)entry[0] + k;
                colour(p, (enum ww_format)a->spec[1], (const uint8_t *)a->i[0],
                       at < (int)p->w ? at : (int)p->w - 1, y, rgb);
                for (int i = 0; i < 3; i++)
                    sum[i] += (int64_t)entry[4 + k] * rgb[i];
            }
            float *out = a->o[0] + 4 * ((size_t)y * p->ow + (size_t)x);
            for (int i = 0; i < 3; i++)
                out[i] = (float)level(sum[i]);
            out[3] = 0;
        }
}

static void columns_reference(const struct ww_args *a)
{
    const struct columns *p = a->push;
    const uint32_t *table = (const uint32_t *)a->i[1];
    for (int y = 0; y < (int)p->oh; y++)
        for (int x = 0; x < (int)p->ow; x++) {
            float *out = a->o[0] + 4 * ((size_t)y * p->ow + (size_t)x);
            memset(out, 0, 16);
            if (y >= (int)p->valid_h || x >= (int)p->w)
                continue;
            const uint32_t *entry = table + (size_t)y * 4 * (1 + p->quads);
            for (int i = 0; i < 3; i++) {
                int64_t sum = 0;
                for (int k = 0; k < (int)p->quads * 4; k++) {
                    const int at = (int)entry[0] + k < (int)p->h ? (int)entry[0] + k : (int)p->h - 1;
                    sum += (int64_t)entry[4 + k] *
                           (int)a->i[0][4 * ((size_t)at * p->w + (size_t)x) + (size_t)i];
                }
                out[i] = (float)level(sum) * p->gain[i] + p->lift[i];
            }
        }
}

// A table is an upload tensor, which the checker does not fill: it goes to a storage of its own.
static struct ww_tensor try_table(struct ww_try *t, int in, int out)
{
    const int texels = (1 + quads_of(in, out)) * out;
    uint32_t *data = malloc(16 * (size_t)texels);
    if (!data)
        abort();
    fill(data, in, out);
    struct ww_storage *s = ww_try_storage(t, data, 16 * (uint64_t)texels);
    free(data);
    return ww_try_stored(t, s, 1, 4, out, 1 + quads_of(in, out));
}

static void attempt(struct ww_try *t, const int *size)
{
    const enum ww_format format = (enum ww_format)size[0];
    const int w = size[1], h = size[2], ow = size[3], oh = size[4];
    const bool yuv = format == WW_FORMAT_NV12 || format == WW_FORMAT_I420;
    ww_try_tolerance(t, yuv ? 5e-3f : 0); // a level, where the conversion rounds to another side
    const struct ww_resampling r = {w, h, ow, oh, try_table(t, w, ow), try_table(t, h, oh)};
    ww_resample(ww_try_cmd(t), ww_try_out(t, 1, 3, oh + size[5], ow + size[6]),
                ww_try_bytes(t, ww_packing(format, w, h).bytes), &r,
                ww_resample_params(.format = format, .matrix = (enum ww_matrix)(size[7] & 1),
                                   .range = (enum ww_range)(size[7] >> 1), .gain = {1, 1, 1}));
}

// format, picture w, h, tensor w, h without and with padding h, w, matrix + 2 range
static const int sizes[][8] = {{2, 1, 1, 1, 1, 0, 0, 0},   {2, 31, 29, 30, 31, 5, 9, 0},
                               {3, 200, 90, 32, 24, 0, 3, 0}, {4, 16, 16, 40, 50, 1, 0, 0},
                               {5, 21, 9, 21, 9, 0, 0, 0},   {6, 37, 41, 11, 13, 0, 0, 0},
                               {0, 65, 31, 16, 9, 0, 0, 2},  {1, 768, 576, 1066, 800, 0, 0, 1}, {0}};

const struct ww_kernel ww_kernel_resample_rows = {
    .name = "resample_rows",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_resample_rows, "rows")},
    .num_shaders = 1,
    .view = {WW_VIEW_U32, WW_VIEW_U32X4},
    .reference = rows_reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};

const struct ww_kernel ww_kernel_resample = {
    .name = "resample",
    .shaders = (const struct ww_shader[]){WW_SHADER(ww_spv_resample, "columns")},
    .num_shaders = 1,
    .view = {WW_VIEW_F32X4, WW_VIEW_U32X4},
    .reference = columns_reference,
    .attempt = attempt,
    .sizes = sizes,
    .tolerance = 0,
};
