#include "pyramid.h"

#include <math.h>
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

// The code of cell `i` of `valid` along an axis as one of `num` codes, half of a position's numbers; of padding,
// -1, that of zero. `more`: the level's part of that half, or NULL.
static void encode(const struct ww_position_params *params, int i, int valid, const float *more, int num, float *to)
{
    const int half = params->width / 2;
    const int number = i + 1 < valid ? i + 1 : valid;
    const float t =
        i < 0 ? 0 : ((float)number + params->offset) / ((float)valid + 1e-6f) * two_pi;
    for (int k = 0; k < half; k += 2) {
        const float angle = t / powf(params->temperature, (float)k / (float)half);
        float *at = to + 4 * (size_t)(k / 4) * (size_t)num + k % 4;
        at[0] = sinf(angle) + (more ? more[k] : 0);
        at[1] = cosf(angle) + (more ? more[k + 1] : 0);
    }
}

int ww_pyramid_codes(const struct ww_pyramid *p)
{
    int num = 0;
    for (int l = 0; l < p->num_levels; l++)
        num += p->h[l] + p->w[l] + 2;
    return num;
}

// A level's codes are those of its rows, its columns, and of zero as a row and as a column: cells beyond the
// valid of one axis have a code of the other axis that nobody reads, that of zero.
void ww_pyramid_positions(const struct ww_pyramid *p, const struct ww_level *levels,
                          const struct ww_position_params *params, float *cells, float *codes)
{
    const int num = ww_pyramid_codes(p), half = params->width / 2;
    int first = 0;
    for (int l = 0; l < p->num_levels; l++) {
        const int H = p->h[l], W = p->w[l];
        const int valid_h = (int)levels[l].valid_h, valid_w = (int)levels[l].valid_w;
        const int columns = first + H, zero = columns + W;
        const float *more[2] = {0};
        for (int k = 0; params->level && k < 2; k++)
            more[k] = params->level + l * params->width + k * half;
        for (int y = 0; y < H; y++)
            encode(params, y, valid_h, more[0], num, codes + 4 * (first + y));
        for (int x = 0; x < W; x++)
            encode(params, x, valid_w, more[1], num, codes + 4 * (columns + x));
        for (int k = 0; k < 2; k++)
            encode(params, -1, 1, more[k], num, codes + 4 * (zero + k));
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++, cells += 4) {
                cells[0] = (float)(x < valid_w ? first + y : zero);
                cells[1] = (float)(y < valid_h ? columns + x : zero + 1);
                cells[2] = cells[3] = 0;
            }
        first = zero + 2;
    }
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
