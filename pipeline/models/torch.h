// torch.h: loading the layers that transformers are made of, by the names and in the order that
// PyTorch keeps them in. Names are given as a format and what goes into it.

#pragma once

#include <stdarg.h>
#include <stdio.h>

#include "layers.h"

// In a function that ends in `fmt, ...`: the name of a module, as printf makes it, into the array `name`.
#define WW_NAME_FROM(name, fmt)                                                                    \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, fmt);                                                                       \
        vsnprintf(name, sizeof name, fmt, args);                                                   \
        va_end(args);                                                                              \
    } while (0)

// y = x w' + b: NAME.weight [c_out][c_in], NAME.bias [c_out].
void ww_load_linear(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out, const char *fmt,
                    ...) WW_PRINTF(5, 6);
// One without a bias.
void ww_load_product(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out, const char *fmt, ...)
    WW_PRINTF(5, 6);
// Several such layers of the same input side by side, as one whose outputs are theirs in turn:
// NAME followed by each of `parts`, [c_out][c_in] each.
void ww_load_linears(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out,
                     const char *const *parts, int num_parts, const char *fmt, ...) WW_PRINTF(7, 8);
// A layer whose outputs come in groups, each of which is to begin a number of `room` channels after the
// one before: NAME.weight [groups each][c_in]. What is between is zero.
void ww_load_spread(struct ww_loader *l, struct ww_filter *f, int c_in, int groups, int each,
                    int room, const char *fmt, ...) WW_PRINTF(7, 8);
// A convolution over k x k: NAME.weight [c_out][c_in][k][k], NAME.bias [c_out].
void ww_load_conv2d(struct ww_loader *l, struct ww_filter *f, int k, int c_in, int c_out,
                    const char *fmt, ...) WW_PRINTF(6, 7);
// One without a bias and the batch normalisation after it, folded into one: CONV.weight; NORM.weight,
// .bias, .running_mean, .running_var [c_out].
void ww_load_conv_norm(struct ww_loader *l, struct ww_filter *f, int k, int c_in, int c_out,
                       float eps, const char *conv, const char *norm);
// A layer norm's gain and lift: NAME.weight and NAME.bias [c], which early checkpoints call gamma
// and beta.
void ww_load_norm(struct ww_loader *l, struct ww_filter *f, int c, const char *fmt, ...)
    WW_PRINTF(4, 5);
// A table of rows to look up: NAME.weight [rows][c].
void ww_load_rows(struct ww_loader *l, struct ww_filter *f, int rows, int c, const char *fmt, ...)
    WW_PRINTF(5, 6);
