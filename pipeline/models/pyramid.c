#include "pyramid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float two_pi = 6.283185307179586f;

void ww_pyramid_add(struct ww_pyramid *p, int h, int w)
{
    const int l = p->num_levels++;
    p->h[l] = h;
    p->w[l] = w;
    p->first[l] = p->tokens;
    p->tokens += h * w;
}

// Of `cells` that share `size` px, those whose nearest pixel is one of the first `valid`.
static int count_valid(int cells, int size, int valid)
{
    const float scale = (float)size / (float)cells; // PyTorch's precision
    int count = 0;
    for (int i = 0; i < cells; i++) {
        const int at = (int)floorf((float)i * scale);
        count += (at < size - 1 ? at : size - 1) < valid;
    }
    return count;
}

void ww_pyramid_levels(const struct ww_pyramid *p, int valid_h, int valid_w, struct ww_level *to)
{
    for (int l = 0; l < p->num_levels; l++) {
        const int h = count_valid(p->h[l], p->height, valid_h);
        const int w = count_valid(p->w[l], p->width, valid_w);
        to[l] = (struct ww_level){.w = (float)p->w[l],
                                  .h = (float)p->h[l],
                                  .first = (float)p->first[l],
                                  .valid_w = (float)w,
                                  .valid_h = (float)h,
                                  .share_w = (float)w / (float)p->w[l],
                                  .share_h = (float)h / (float)p->h[l]};
    }
}

void ww_pyramid_references(const struct ww_pyramid *p, const struct ww_level *levels, float *to)
{
    for (int l = 0; l < p->num_levels; l++)
        for (int y = 0; y < p->h[l]; y++)
            for (int x = 0; x < p->w[l]; x++, to += 4) {
                to[0] = ((float)x + 0.5f) / (levels[l].share_w * levels[l].w);
                to[1] = ((float)y + 0.5f) / (levels[l].share_h * levels[l].h);
                to[2] = to[3] = 0;
            }
}

// The code of cell `i` of `valid` along an axis, `half` numbers; of padding: that of zero.
static void encode(const struct ww_position_params *params, int i, int valid, float *to)
{
    const int half = params->width / 2;
    const int number = i + 1 < valid ? i + 1 : valid;
    const float t =
        i < 0 ? 0 : ((float)number + params->offset) / ((float)valid + 1e-6f) * two_pi;
    for (int k = 0; k < half; k += 2) {
        const float angle = t / powf(params->temperature, (float)k / (float)half);
        to[k] = sinf(angle);
        to[k + 1] = cosf(angle);
    }
}

// One level's rows and columns are encoded once each: cells beyond the valid of one axis have a code
// of the other axis that nobody reads, that of zero.
static void encode_level(const struct ww_pyramid *p, int l, const struct ww_level *level,
                         const struct ww_position_params *params, float *to)
{
    const int half = params->width / 2, H = p->h[l], W = p->w[l];
    const int valid_h = (int)level->valid_h, valid_w = (int)level->valid_w;
    float *rows = malloc(sizeof *rows * (size_t)(H + W + 1) * (size_t)half);
    if (!rows)
        abort();
    float *columns = rows + (size_t)H * (size_t)half, *zero = columns + (size_t)W * (size_t)half;
    for (int y = 0; y < H; y++)
        encode(params, y, valid_h, rows + (size_t)y * (size_t)half);
    for (int x = 0; x < W; x++)
        encode(params, x, valid_w, columns + (size_t)x * (size_t)half);
    encode(params, -1, 1, zero);
    for (int c = 0; c < params->width; c++) {
        const float more = params->level ? params->level[l * params->width + c] : 0;
        float *out = to + 4 * ((size_t)(c / 4) * (size_t)p->tokens + (size_t)p->first[l]) + c % 4;
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++, out += 4) {
                const float *row = x < valid_w ? rows + (size_t)y * (size_t)half : zero;
                const float *column = y < valid_h ? columns + (size_t)x * (size_t)half : zero;
                *out = (c < half ? row[c] : column[c - half]) + more;
            }
    }
    free(rows);
}

void ww_pyramid_positions(const struct ww_pyramid *p, const struct ww_level *levels,
                          const struct ww_position_params *params, float *to)
{
    for (int l = 0; l < p->num_levels; l++)
        encode_level(p, l, &levels[l], params, to);
}

void ww_pyramid_anchors(const struct ww_pyramid *p, const struct ww_level *levels, float *to,
                        float *kept)
{
    for (int l = 0; l < p->num_levels; l++) {
        const float side = 0.05f * (float)(1 << l);
        for (int y = 0; y < p->h[l]; y++)
            for (int x = 0; x < p->w[l]; x++, to += 4, kept += 4) {
                const float box[4] = {((float)x + 0.5f) / levels[l].valid_w,
                                      ((float)y + 0.5f) / levels[l].valid_h, side, side};
                bool valid = (float)x < levels[l].valid_w && (float)y < levels[l].valid_h;
                for (int i = 0; i < 4; i++)
                    valid &= box[i] > 0.01f && box[i] < 0.99f;
                for (int i = 0; i < 4; i++)
                    to[i] = valid ? logf(box[i] / (1 - box[i])) : INFINITY;
                memcpy(kept, (float[]){valid, 0, 0, 0}, 16);
            }
    }
}
