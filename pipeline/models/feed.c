#include "feed.h"

// What the middle of a feed forward takes at most: what a processor's cache keeps; on a card what is enough
// rows for all its cores also where few outputs come of them.
enum { MIDDLE_BYTES = 8 << 20, CARD_MIDDLE_BYTES = 32 << 20 };
enum { ROWS_STEP = 256 }; // eight strips of pixels share weights

struct ww_tensor ww_feed_forward(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *inner,
                                 enum ww_activation_fn act, const struct ww_filter *outer,
                                 struct ww_tensor residual)
{
    const struct ww_tensor y = ww_like(g, x, outer->c_out);
    const int rows = x.h * x.w, row_bytes = (int)ww_div_up(inner->c_out, 4) * ww_texel_bytes(g, x);
    const int fit = (ww_for_card(g) ? CARD_MIDDLE_BYTES : MIDDLE_BYTES) / row_bytes / ROWS_STEP * ROWS_STEP;
    const int each = fit < ROWS_STEP ? ROWS_STEP : fit;
    if (rows <= each) {
        const struct ww_tensor middle = ww_like(g, x, inner->c_out);
        ww_pointwise(g, middle, x, inner, ww_conv_params(.act = act));
        ww_pointwise(g, y, middle, outer, ww_conv_params(.residual = residual));
        return y;
    }
    // Two in turn: what comes next need not wait until the last one was read.
    struct ww_tensor middle[2];
    for (int i = 0; i < 2; i++)
        middle[i] = ww_activation_as(g, x, x.n, inner->c_out, 1, each);
    for (int from = 0, i = 0; from < rows; from += each, i ^= 1) {
        if (rows - from < each)
            middle[i] = ww_activation_as(g, x, x.n, inner->c_out, 1, rows - from);
        ww_pointwise(g, middle[i], x, inner, ww_conv_params(.act = act, .from = from));
        ww_pointwise(g, y, middle[i], outer, ww_conv_params(.residual = residual, .from = from));
    }
    return y;
}
