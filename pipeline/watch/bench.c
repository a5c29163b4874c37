#include "hall.h"
#include "kernels/check.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/bench.h>

enum { MAX_RUNS = 2000 };

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void set_times(struct ww_bench_row *row, double *ms, int num)
{
    qsort(ms, (size_t)num, sizeof *ms, by_value);
    row->min_ms = ms[0];
    row->median_ms = num % 2 ? ms[num / 2] : (ms[num / 2 - 1] + ms[num / 2]) / 2;
    row->p99_ms = ms[(int)ceil(num * 0.99) - 1];
}

// What the device does at best, of arithmetic and of memory, by kernels made of little else.
static bool measure_limits(struct ww_device *device, struct ww_bench_limits *limits,
                           struct ww_error *err)
{
    static const int product[8] = {1, 64, 64, 512, 512}, sum[8] = {1, 512, 512, 64, 0, 1};
    double ms[64];
    struct ww_launch_info info[4];
    int num = ww_time_kernel(device, &ww_kernel_pointwise, product, 0.3, ms, 64, info, err);
    if (num < 0)
        return false;
    qsort(ms, (size_t)num, sizeof *ms, by_value);
    limits->gflops = 2 * info[0].macs / ms[0] * 1e-6;
    num = ww_time_kernel(device, &ww_kernel_combine, sum, 0.3, ms, 64, info, err);
    if (num < 0)
        return false;
    qsort(ms, (size_t)num, sizeof *ms, by_value);
    limits->gbytes = (double)info[0].bytes / ms[0] * 1e-6;
    return true;
}

static double limit_ms(const struct ww_bench_limits *limits, const struct ww_bench_row *row)
{
    return fmax(row->gflop / limits->gflops, row->gbyte / limits->gbytes) * 1e3;
}

struct kernels_bench {
    const char *filter;
    double seconds;
    struct ww_bench_limits *limits;
    void (*each)(void *opaque, const struct ww_bench_row *row);
    void *opaque;
    struct ww_error *err;
    bool ok;
};

static void describe_size(const int *size, char *out, size_t bytes)
{
    int last = 7;
    while (last > 0 && size[last] == 0)
        last--;
    out[0] = '\0';
    for (int i = 0; i <= last; i++)
        snprintf(out + strlen(out), bytes - strlen(out), "%s%d", i ? " " : "", size[i]);
}

static bool bench_kernel(struct ww_device *device, struct kernels_bench *b,
                         const struct ww_kernel *kernel)
{
    const int(*size)[8] = kernel->sizes;
    while (memcmp(size[1], (int[8]){0}, sizeof *size))
        size++; // the last is timed
    double *ms = calloc(MAX_RUNS, sizeof *ms);
    if (!ms)
        abort();
    struct ww_launch_info info[4];
    const int num = ww_time_kernel(device, kernel, *size, b->seconds, ms, MAX_RUNS, info, b->err);
    if (num > 0) {
        char text[64];
        describe_size(*size, text, sizeof text);
        struct ww_bench_row row = {.name = kernel->name,
                                   .variant = info[0].variant,
                                   .size = text,
                                   .gflop = 2e-9 * info[0].macs,
                                   .gbyte = 1e-9 * (double)info[0].bytes};
        set_times(&row, ms, num);
        row.limit_ms = limit_ms(b->limits, &row);
        b->each(b->opaque, &row);
    }
    free(ms);
    return num > 0;
}

static void kernels_job(struct ww_engine *engine, void *opaque)
{
    struct kernels_bench *b = opaque;
    struct ww_device *device = ww_engine_need_device(engine, b->err);
    b->ok = device && measure_limits(device, b->limits, b->err);
    for (int i = 0; b->ok && ww_kernels[i]; i++)
        if (!b->filter || !fnmatch(b->filter, ww_kernels[i]->name, 0))
            b->ok = bench_kernel(device, b, ww_kernels[i]);
}

bool ww_bench_kernels(struct ww_engine *engine, const char *filter, double seconds_each,
                      struct ww_bench_limits *limits,
                      void (*each)(void *opaque, const struct ww_bench_row *row), void *opaque,
                      struct ww_error *err)
{
    struct kernels_bench b = {filter, seconds_each, limits, each, opaque, err, false};
    ww_engine_do(engine, kernels_job, &b);
    return b.ok;
}

struct model_bench {
    const struct ww_bench_model_params *params;
    struct ww_bench_row *total;
    struct ww_bench_limits *limits;
    void (*each)(void *opaque, const struct ww_bench_row *row);
    void *opaque;
    struct ww_error *err;
    bool ok;
};

// A picture that is no constant and needs no file: I420, what cameras deliver.
static struct ww_frame synthetic(int w, int h, uint8_t **memory)
{
    const size_t luma = (size_t)w * (size_t)h, chroma = (size_t)((w + 1) / 2) * (size_t)((h + 1) / 2);
    *memory = malloc(luma + 2 * chroma);
    if (!*memory)
        abort();
    uint32_t random = 1;
    for (size_t i = 0; i < luma + 2 * chroma; i++) {
        random = random * 1664525u + 1013904223u;
        (*memory)[i] = (uint8_t)(random >> 24);
    }
    return (struct ww_frame){.format = WW_FORMAT_I420,
                             .width = w,
                             .height = h,
                             .plane = {*memory, *memory + luma, *memory + luma + chroma},
                             .stride = {w, (w + 1) / 2, (w + 1) / 2}};
}

static void report_layers(struct model_bench *b, const struct ww_launch_info *info, int num)
{
    for (int i = 0; i < num; i++) {
        struct ww_bench_row row = {.name = info[i].label,
                                   .variant = info[i].variant,
                                   .size = info[i].kernel,
                                   .gflop = 2e-9 * info[i].macs,
                                   .gbyte = 1e-9 * (double)info[i].bytes};
        row.median_ms = row.min_ms = row.p99_ms = (double)info[i].time_ns * 1e-6;
        row.limit_ms = limit_ms(b->limits, &row);
        b->each(b->opaque, &row);
        b->total->gflop += row.gflop;
        b->total->gbyte += row.gbyte;
        b->total->limit_ms += row.limit_ms;
    }
}

static bool time_hall(struct model_bench *b, const struct ww_family *family, void *hall,
                      const struct ww_look *looks, int num_looks)
{
    const int runs = b->params->runs > 0 ? b->params->runs : 30;
    double *ms = calloc((size_t)runs, sizeof *ms);
    if (!ms)
        abort();
    bool ok = family->look(hall, looks, num_looks, b->err); // caches warm
    for (int i = 0; ok && i < runs; i++) {
        const int64_t begin = ww_now_ns();
        ok = family->look(hall, looks, num_looks, b->err);
        ms[i] = (double)(ww_now_ns() - begin) * 1e-6;
    }
    if (ok)
        set_times(b->total, ms, runs);
    free(ms);
    for (int i = 0; ok && family->plan(hall, i); i++) {
        struct ww_plan *plan = family->plan(hall, i);
        const int num = ww_plan_num_launches(plan);
        struct ww_launch_info *info = calloc((size_t)num + 1, sizeof *info);
        if (!info)
            abort();
        ok = ww_plan_time_launches(plan, 5, info, b->err);
        if (ok)
            report_layers(b, info, num);
        free(info);
    }
    return ok;
}

static void model_job(struct ww_engine *engine, void *opaque)
{
    struct model_bench *b = opaque;
    const struct ww_bench_model_params *p = b->params;
    struct loaded *loaded = ww_engine_load(engine, p->model, b->err);
    struct ww_words *words = calloc(1, sizeof *words);
    if (!words)
        abort();
    words->revision = 1;
    uint8_t *memory = NULL;
    const int num = p->batch ? p->batch : 1;
    struct ww_findings *findings = calloc((size_t)num, sizeof *findings);
    struct ww_look_params params[WW_MAX_BATCH];
    struct ww_look looks[WW_MAX_BATCH];
    const struct ww_words *all[WW_MAX_BATCH];
    void *seats[WW_MAX_BATCH], *hall = NULL;
    if (!findings)
        abort();
    const int w = p->input_width ? p->input_width : 512, h = p->input_height ? p->input_height : 384;
    if (!loaded || !ww_engine_reload(engine, loaded, b->err) ||
        !measure_limits(engine->device, b->limits, b->err) ||
        !loaded->family->understand(loaded->model, p->task, p->phrases, p->num_phrases, words, b->err))
        goto out;
    const struct ww_frame frame = synthetic(w * 3 / 2, h * 3 / 2, &memory);
    for (int i = 0; i < num; i++) {
        all[i] = words;
        params[i] = ww_look_for(p->task, &frame);
        params[i].input_width = w;
        params[i].input_height = h;
    }
    hall = ww_hall_open(engine, loaded, params, all, num, seats, b->err);
    for (int i = 0; hall && i < num; i++)
        looks[i] = (struct ww_look){
            .seat = seats[i], .frame = &frame, .threshold = 0.35f, .out = &findings[i]};
    b->ok = hall && time_hall(b, loaded->family, hall, looks, num);
out:
    if (hall)
        ww_hall_close(engine, loaded, hall, seats, num);
    free(findings);
    free(memory);
    ww_words_free(&words);
    ww_engine_unload(engine, loaded);
}

bool ww_bench_model(struct ww_engine *engine, const struct ww_bench_model_params *params,
                    struct ww_bench_row *total, struct ww_bench_limits *limits,
                    void (*each)(void *opaque, const struct ww_bench_row *row), void *opaque,
                    struct ww_error *err)
{
    *total = (struct ww_bench_row){.name = params->model, .variant = "", .size = ""};
    if (params->batch < 0 || params->batch > WW_MAX_BATCH)
        return ww_fail(err, WW_E_CONFIG, "a batch of %d: must be from 1 to %d", params->batch, WW_MAX_BATCH);
    struct model_bench b = {params, total, limits, each, opaque, err, false};
    ww_engine_do(engine, model_job, &b);
    return b.ok;
}
