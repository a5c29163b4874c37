// Operands of the kernels in detr.h, for attempts.

#include "detr.h"
#include "check-inner.h"

#include <stdlib.h>

struct ww_tensor ww_try_levels(struct ww_try *t, int n, int levels, int h, int w, int *tokens)
{
    struct ww_level *data = calloc((size_t)(n * levels), sizeof *data);
    if (!data)
        abort();
    for (int b = 0; b < n; b++) {
        *tokens = 0;
        for (int l = 0, lh = h, lw = w; l < levels; l++, lh = (lh + 1) / 2, lw = (lw + 1) / 2) {
            const int vh = b % 2 ? (lh + 1) / 2 : lh, vw = b % 3 ? lw - lw / 3 : lw;
            data[b * levels + l] = (struct ww_level){
                .w = (float)lw,        .h = (float)lh,        .first = (float)*tokens,
                .valid_w = (float)vw,  .valid_h = (float)vh,  .share_w = (float)vw / (float)lw,
                .share_h = (float)vh / (float)lh};
            *tokens += lh * lw;
        }
    }
    struct ww_storage *s = ww_try_storage(t, data, sizeof *data * (size_t)(n * levels));
    free(data);
    return ww_try_stored(t, s, n, 4, 1, 2 * levels);
}
