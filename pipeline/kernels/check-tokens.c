// Operands of the kernels in tokens.h, for attempts.

#include "tokens.h"
#include "check-inner.h"
#include "weights/blocks.h"

#include <stdlib.h>
#include <string.h>

// Where halves lie in a block: scales must be finite, and not large.
static void tame(enum ww_type type, uint8_t *block)
{
    const size_t at = type == WW_Q6_K ? 208 : 0;
    const bool two = type == WW_Q4_1 || type == WW_Q5_1 || type == WW_Q4_K || type == WW_Q5_K;
    for (size_t i = at; i < at + (two ? 4u : 2u); i += 2)
        block[i + 1] = (uint8_t)((block[i + 1] & 0x83) | 0x24); // 2^-6 to 2^-5
    if (type == WW_F16)
        block[1] = (uint8_t)((block[1] & 0x83) | 0x38); // 1/2 to 1
    if (type == WW_BF16 || type == WW_F32) {
        const size_t last = type == WW_F32 ? 3 : 1;
        block[last] = (uint8_t)((block[last] & 0x80) | 0x3f);
        block[last - 1] &= 0x7f;
    }
}

struct rows {
    struct ww_try *t;
    enum ww_type type;
    size_t blocks;
};

static int random_row(void *opaque, int output, void *to, struct ww_error *err)
{
    struct rows *r = opaque;
    const size_t bytes = ww_type_block_bytes(r->type);
    (void)output;
    (void)err;
    for (size_t b = 0; b < r->blocks; b++) {
        uint8_t *block = (uint8_t *)to + b * bytes;
        for (size_t i = 0; i < bytes; i++)
            block[i] = (uint8_t)ww_try_random(r->t);
        tame(r->type, block);
    }
    return 1;
}

struct ww_linear ww_try_matrix(struct ww_try *t, enum ww_type type, int k, int n, bool gated)
{
    struct ww_linear m = {.type = type, .k = k, .n = n, .gated = gated, .first = 4};
    struct rows rows = {t, type, (size_t)k / ww_type_block(type)};
    const size_t bytes = ww_linear_texels(&m) * 16;
    void *zero = calloc(1, bytes);
    if (!zero)
        abort();
    m.storage = ww_try_storage(t, zero, bytes);
    free(zero);
    struct ww_error err = {0};
    ww_expect(ww_try_cmd(t), m.storage && ww_linear_write(ww_try_device(t), &m, k, random_row, &rows, &err));
    return m;
}

struct ww_filter ww_try_row(struct ww_try *t, int c)
{
    return ww_try_rows(t, 1, c);
}

static struct ww_tensor keep(struct ww_try *t, const void *data, int c, int w)
{
    struct ww_storage *s = ww_try_storage(t, data, (uint64_t)c * (uint64_t)w * 4);
    return ww_try_stored(t, s, 1, c, 1, w);
}

struct ww_tensor ww_try_zeros(struct ww_try *t, int c, int w)
{
    void *zero = calloc((size_t)c * (size_t)w, 4);
    if (!zero)
        abort();
    const struct ww_tensor tensor = keep(t, zero, c, w);
    free(zero);
    return tensor;
}

struct ww_tensor ww_try_halves(struct ww_try *t, int c, int w)
{
    const size_t num = (size_t)c * (size_t)w;
    uint16_t *data = calloc(num, sizeof *data);
    if (!data)
        abort();
    for (size_t i = 0; i < num; i++)
        data[i] = ww_half((float)(ww_try_random(t) % 4096) / 2048 - 1);
    const struct ww_tensor tensor = keep(t, data, c / 2, w);
    free(data);
    return tensor;
}

struct ww_tensor ww_try_positions(struct ww_try *t, int rows, int slots)
{
    uint32_t *data = calloc((size_t)rows, 16);
    if (!data)
        abort();
    for (int r = 0; r < rows; r++) {
        const uint32_t at = (uint32_t)((slots - 1 - rows > 0 ? slots - 1 - rows : 0) + r) % (uint32_t)slots;
        memcpy(data + 4 * r, (uint32_t[]){r % 3 == 2 ? WW_GIVEN : at, at, at, 0}, 16);
    }
    struct ww_storage *s = ww_try_storage(t, data, 16 * (size_t)rows);
    ww_try_strips(t, rows);
    free(data);
    return ww_try_stored(t, s, 1, 4, 1, rows);
}

void ww_try_strips(struct ww_try *t, int rows)
{
    ww_try_batch(t, (int)ww_div_up(rows, WW_STRIP));
}
