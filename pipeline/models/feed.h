// feed.h: the feed forward half of a transformer's layer.

#pragma once

#include "kernels/kernels.h"

// residual + outer(act(inner(x))), of x's size. Of many rows the middle, which is several times as wide, is
// made and used up some rows at a time, 8 MB of it and twice, for each of the batch: it stays in the cache,
// and memory does not grow with the rows.
struct ww_tensor ww_feed_forward(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *inner,
                                 enum ww_activation_fn act, const struct ww_filter *outer,
                                 struct ww_tensor residual);
