// bench.h: how fast is this device, and where does the time go?

#pragma once

#include <watchword/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

// One timed thing: a kernel at one size, or a layer of a model.
struct ww_bench_row {
    const char *name;    // "conv_point", "row 12 expand 24>72"
    const char *variant; // which shader was chosen
    const char *size;    // in words
    double median_ms, min_ms, p99_ms;
    double gflop, gbyte; // useful work: multiply-adds x 2; bytes that must move at least once
    double limit_ms;     // what the device's measured limits allow for that work
};

struct ww_bench_limits {
    double gflops, gbytes; // per second, measured on this device just now
};

// Calls `each` for every kernel at its timed size. `filter`: glob over kernel names, NULL: all.
WW_API bool ww_bench_kernels(struct ww_engine *engine, const char *filter, double seconds_each,
                             struct ww_bench_limits *limits,
                             void (*each)(void *opaque, const struct ww_bench_row *row),
                             void *opaque, struct ww_error *err);

// Times whole forward passes on a synthetic picture, then once layer by layer. `total` is the whole.
// `phrases` narrows the classes as in a watch.
struct ww_bench_model_params {
    const char *model;
    enum ww_task task;
    int input_width, input_height; // 0: the model's default for 4:3
    const char *const *phrases;
    int num_phrases;
    int runs; // 0: 30
    int batch; // pictures in one pass; 0: 1
};
WW_API bool ww_bench_model(struct ww_engine *engine, const struct ww_bench_model_params *params,
                           struct ww_bench_row *total, struct ww_bench_limits *limits,
                           void (*each)(void *opaque, const struct ww_bench_row *row),
                           void *opaque, struct ww_error *err);

#ifdef __cplusplus
}
#endif
