// kernel.h: what a kernel is: shaders, and the scalar reference that judges them.
//
// The reference is the CPU device: it runs with the very same operands and push constants, in
// float32 storage with wider sums.

#pragma once

#include "vk/pipeline.h"

// One launch as a reference sees it. Data pointers are at the tensor's first texel.
struct ww_args {
    struct ww_tensor out[WW_MAX_OUTPUTS], in[WW_MAX_INPUTS];
    float *o[WW_MAX_OUTPUTS];
    const float *i[WW_MAX_INPUTS];
    const void *push;
    const uint32_t *spec;
    const void *params;
    int batch; // of this replay, for launches that are batched; else 1
};

struct ww_try;

struct ww_kernel {
    const char *name;
    const struct ww_shader *shaders; // by variant
    int num_shaders;
    enum ww_view view[WW_MAX_INPUTS]; // how the shader reads each input
    bool for_cards; // it has a way of its own for cards (ww_for_card)
    bool exact; // its outputs are no quads of numbers, or need all their bits: never halves
    void (*reference)(const struct ww_args *a);
    // Launches the kernel on random operands, for the checker; `size` is one of `sizes`.
    void (*attempt)(struct ww_try *t, const int *size);
    const int (*sizes)[8]; // ends with a row whose first is 0; the last row is timed
    float tolerance;       // largest |difference| / largest |expected|
};

// Every kernel, NULL at the end.
extern const struct ww_kernel *const ww_kernels[];

#define WW_SHADER(name, label, ...)                                                                \
    {                                                                                              \
        .variant = label, .code = name, .halves = name##_halves, .code_bytes = sizeof name,        \
        .halves_bytes = sizeof name##_halves, __VA_ARGS__                                          \
    }

// Element [n][c][y][x] in a tensor that begins at `data`.
static inline size_t ww_at(struct ww_tensor t, int n, int c, int y, int x)
{
    return 4 * ((size_t)n * t.step + ((size_t)(c / 4) * (size_t)t.h + (size_t)y) * (size_t)t.w +
                (size_t)x) +
           (size_t)(c % 4);
}

// For references: adds x times the weights of a quad of outputs, which lie side by side.
static inline void ww_add_quad(double sum[4], double x, const float *w)
{
    for (int i = 0; i < 4; i++)
        sum[i] += x * w[i];
}

static inline uint32_t ww_div_up(int a, int b)
{
    return (uint32_t)((a + b - 1) / b);
}

// Fused into the store of a kernel; the numbers are shaders/activation.glsl's, too.
enum ww_activation_fn {
    WW_ACT_NONE,
    WW_ACT_RELU,
    WW_ACT_RELU6,
    WW_ACT_HSWISH,   // x c relu6(x + 3), c = 1/6 rounded to half: what the nano weights were trained with
    WW_ACT_HSIGMOID, // relu6(x + 3) c
    WW_ACT_SIGMOID,
    WW_ACT_TIMES16,
    WW_ACT_GELU,       // x Phi(x), by the error function: BERT, Swin
    WW_ACT_GELU_TANH,  // the same, approximated by tanh
    WW_ACT_GELU_QUICK, // x sigmoid(1.702 x): CLIP
    WW_ACT_TANH,
};
float ww_activate(enum ww_activation_fn act, float x);

// The checker's side of an attempt: operands filled with random numbers, and the recording.
struct ww_cmd *ww_try_cmd(struct ww_try *t);
struct ww_tensor ww_try_in(struct ww_try *t, int n, int c, int h, int w);    // in [-1, 1]
struct ww_tensor ww_try_out(struct ww_try *t, int n, int c, int h, int w);
uint32_t ww_try_random(struct ww_try *t);
void *ww_try_params(struct ww_try *t); // the parameter block, to fill
void ww_try_tolerance(struct ww_try *t, float tolerance); // for this attempt alone
