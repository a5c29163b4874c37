// filter.h: packing weights into the order that kernels fetch them in.
//
// A bank gathers the packed weights of a model, then moves them to the device as few storages.

#pragma once

#include "kernels.h"

struct ww_bank;

struct ww_bank *ww_bank_create(void);
void ww_bank_destroy(struct ww_bank **bank);
// Whether linear layers and rows packed from now on may be stored as halves, where the device is asked to
// (ww_device.halves). Not at first.
void ww_bank_allow_halves(struct ww_bank *bank, bool allow);

// Each packs `w` (HWIO for k x k [k][k][c_in][c_out]; depthwise [k][k][c]) and `bias` (NULL: zeros)
// and returns a filter whose storage ww_bank_upload fills in later: so `filter` must stay where it is.
// Where this host has no memory for one, it is the upload that fails, with WW_E_MEMORY.
//
// pointwise and conv2d: N texels of bias, then for each tap and input quad N x 4 texels, each the
// weights of one input channel for four outputs; N = ceil(c_out / 4).
void ww_pack_conv(struct ww_bank *bank, struct ww_filter *filter, int k, int c_in, int c_out,
                  const float *w, const float *bias);
// pointwise alone, for products with many outputs: N texels of bias, then for each tile of four output quads
// and each input quad 16 texels. A group reads its tile as one stream, whose next lines the processor
// knows; [Q][N] it must look for in another page for every input quad.
void ww_pack_linear(struct ww_bank *bank, struct ww_filter *filter, int c_in, int c_out, const float *w,
                    const float *bias);
// depthwise: for each quad k k texels of taps and one of bias, filled up to a multiple of 8.
void ww_pack_depthwise(struct ww_bank *bank, struct ww_filter *filter, int k, int c, const float *w,
                       const float *bias);
// A plain tensor [c][h][w] of one quad or more, for operands that are no filter.
void ww_pack_image(struct ww_bank *bank, struct ww_filter *filter, int c, int h, int w,
                   const float *hwc);
// layernorm: gain [c] and lift [c], a quad of each in turn.
void ww_pack_norm(struct ww_bank *bank, struct ww_filter *filter, int c, const float *gain,
                  const float *lift);
// embed: rows to look up, each of c numbers. c_in is the number of rows, c_out is c.
void ww_pack_rows(struct ww_bank *bank, struct ww_filter *filter, int rows, int c,
                  const float *data);

// Texels of a filter or of an activation that is one, by tiles, of Q input and N output quads.
static inline int ww_tiled_texels(int Q, int N)
{
    return N + (N + 3) / 4 * 16 * Q;
}
// And of its weight of input i and output o, which is the texel's component o % 4.
static inline size_t ww_tiled_at(int Q, int N, int i, int o)
{
    return (size_t)N + ((size_t)(o / 16) * (size_t)Q + (size_t)(i / 4)) * 16 +
           (size_t)(o % 16 / 4 * 4 + i % 4);
}

// Texels of one depthwise quad.
static inline int ww_depthwise_texels(int k)
{
    return (k * k + 1 + 7) / 8 * 8;
}

// Moves everything to the device and sets every filter's storage. The storages belong to the caller:
// up to `max`, their number in `num`.
bool ww_bank_upload(struct ww_bank *bank, struct ww_device *device, struct ww_storage **storages,
                    int max, int *num, struct ww_error *err);
