#include "filter.h"

#include "base/room.h"
#include "weights/blocks.h"

#include <stdlib.h>
#include <string.h>

struct piece {
    struct ww_filter *filter;
    float *texels;
    bool may_be_halves;
};

struct ww_bank {
    struct piece *pieces;
    int num, cap;
    bool halves; // what is packed now may be
    size_t lacks; // bytes that this host had not; 0: it had all
};

struct ww_bank *ww_bank_create(void)
{
    struct ww_bank *bank = calloc(1, sizeof *bank);
    if (!bank)
        abort();
    return bank;
}

void ww_bank_destroy(struct ww_bank **pointer)
{
    struct ww_bank *bank = *pointer;
    if (!bank)
        return;
    for (int i = 0; i < bank->num; i++)
        free(bank->pieces[i].texels);
    free(bank->pieces);
    free(bank);
    *pointer = NULL;
}

// Room for `texels`, zeroed, or NULL, which the upload reports. Eight more lie behind: a team's fetch may
// reach past the last output.
static float *add(struct ww_bank *bank, struct ww_filter *filter, size_t texels, bool may_be_halves)
{
    if (bank->num == bank->cap) {
        const int cap = bank->cap ? 2 * bank->cap : 64;
        struct piece *grown = realloc(bank->pieces, sizeof *grown * (size_t)cap);
        if (!grown) {
            bank->lacks = sizeof *grown * (size_t)cap;
            return NULL;
        }
        bank->pieces = grown;
        bank->cap = cap;
    }
    filter->texels = (uint32_t)texels + 8;
    float *room = ww_room_for(filter->texels, 16, NULL);
    if (!room) {
        bank->lacks = 16 * (size_t)filter->texels;
        return NULL;
    }
    bank->pieces[bank->num++] = (struct piece){filter, room, may_be_halves};
    return room;
}

void ww_bank_allow_halves(struct ww_bank *bank, bool allow)
{
    bank->halves = allow;
}

void ww_pack_conv(struct ww_bank *bank, struct ww_filter *filter, int k, int c_in, int c_out,
                  const float *w, const float *bias)
{
    const int N = (c_out + 3) / 4, Q = (c_in + 3) / 4;
    *filter = (struct ww_filter){.k = k, .c_in = c_in, .c_out = c_out};
    float *to = add(bank, filter, (size_t)N + (size_t)(k * k * Q) * (size_t)N * 4, false);
    if (!to)
        return;
    for (int o = 0; bias && o < c_out; o++)
        to[o] = bias[o];
    to += 4 * N;
    for (int tap = 0; tap < k * k; tap++)
        for (int i = 0; i < c_in; i++)
            for (int o = 0; o < c_out; o++)
                to[(((size_t)(tap * Q + i / 4) * (size_t)N + (size_t)(o / 4)) * 4 + (size_t)(i % 4)) * 4 +
                   (size_t)(o % 4)] = w[((size_t)tap * (size_t)c_in + (size_t)i) * (size_t)c_out + (size_t)o];
}

void ww_pack_linear(struct ww_bank *bank, struct ww_filter *filter, int c_in, int c_out, const float *w,
                    const float *bias)
{
    const int N = (c_out + 3) / 4, Q = (c_in + 3) / 4;
    *filter = (struct ww_filter){.k = 1, .c_in = c_in, .c_out = c_out, .tiled = true};
    float *to = add(bank, filter, (size_t)ww_tiled_texels(Q, N), bank->halves);
    if (!to)
        return;
    for (int o = 0; bias && o < c_out; o++)
        to[o] = bias[o];
    for (int i = 0; i < c_in; i++)
        for (int o = 0; o < c_out; o++)
            to[4 * ww_tiled_at(Q, N, i, o) + (size_t)(o % 4)] = *w++;
}

void ww_pack_depthwise(struct ww_bank *bank, struct ww_filter *filter, int k, int c, const float *w,
                       const float *bias)
{
    const int Q = (c + 3) / 4, pad = ww_depthwise_texels(k);
    *filter = (struct ww_filter){.k = k, .c_in = c, .c_out = c};
    float *to = add(bank, filter, (size_t)Q * (size_t)pad, false);
    if (!to)
        return;
    for (int i = 0; i < c; i++) {
        float *quad = to + (size_t)(i / 4 * pad) * 4 + i % 4;
        for (int tap = 0; tap < k * k; tap++)
            quad[4 * tap] = w[tap * c + i];
        quad[4 * k * k] = bias ? bias[i] : 0;
    }
}

void ww_pack_image(struct ww_bank *bank, struct ww_filter *filter, int c, int h, int w,
                   const float *hwc)
{
    const struct ww_tensor t = {.n = 1, .c = c, .h = h, .w = w};
    *filter = (struct ww_filter){.k = 1, .c_in = c, .c_out = c};
    float *to = add(bank, filter, (size_t)ww_quads(t) * (size_t)h * (size_t)w, false);
    if (!to)
        return;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int i = 0; i < c; i++)
                to[ww_at(t, 0, i, y, x)] = *hwc++;
}

void ww_pack_norm(struct ww_bank *bank, struct ww_filter *filter, int c, const float *gain,
                  const float *lift)
{
    *filter = (struct ww_filter){.k = 1, .c_in = c, .c_out = c};
    float *to = add(bank, filter, ((size_t)c + 3) / 4 * 2, false);
    if (!to)
        return;
    for (int i = 0; i < c; i++) {
        to[i / 4 * 8 + i % 4] = gain[i];
        to[i / 4 * 8 + 4 + i % 4] = lift[i];
    }
}

void ww_pack_rows(struct ww_bank *bank, struct ww_filter *filter, int rows, int c,
                  const float *data)
{
    const size_t width = ((size_t)c + 3) / 4 * 4;
    *filter = (struct ww_filter){.k = 1, .c_in = rows, .c_out = c};
    float *to = add(bank, filter, (size_t)rows * width / 4, bank->halves);
    if (!to)
        return;
    for (int r = 0; r < rows; r++)
        memcpy(to + (size_t)r * width, data + (size_t)r * (size_t)c, sizeof *data * (size_t)c);
}

// Texels of floats that a piece takes on the device.
static uint64_t room_of(const struct piece *p)
{
    return p->filter->halves ? (p->filter->texels + 1) / 2 : p->filter->texels;
}

static bool write(struct ww_device *device, const struct piece *p, struct ww_error *err)
{
    const uint64_t first = (uint64_t)p->filter->first * 16, num = (uint64_t)p->filter->texels * 4;
    if (!p->filter->halves)
        return ww_storage_write(device, p->filter->storage, first, p->texels, num * sizeof *p->texels, err);
    uint16_t *halves = ww_room_for(num, sizeof *halves, err);
    if (halves)
        ww_encode(WW_F16, p->texels, num, halves);
    const bool ok = halves && ww_storage_write(device, p->filter->storage, first, halves,
                                               num * sizeof *halves, err);
    free(halves);
    return ok;
}

// Pieces go into storages in order; a new one begins where the next piece would not fit.
bool ww_bank_upload(struct ww_bank *bank, struct ww_device *device, struct ww_storage **storages,
                    int max, int *num, struct ww_error *err)
{
    const uint64_t limit = ww_storage_limit(device) / 16;
    *num = 0;
    if (bank->lacks)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for %zu bytes of weights", bank->lacks);
    for (int i = 0; i < bank->num; i++)
        bank->pieces[i].filter->halves = bank->pieces[i].may_be_halves && device->halves;
    for (int i = 0; i < bank->num;) {
        uint64_t texels = 4; // texel 0 of every storage is zero
        int end = i;
        for (; end < bank->num && texels + room_of(&bank->pieces[end]) <= limit; end++) {
            bank->pieces[end].filter->first = (uint32_t)texels;
            texels += room_of(&bank->pieces[end]);
        }
        if (end == i)
            return ww_fail(err, WW_E_MEMORY, "a weight of %.1f MB exceeds this device's limit",
                           (double)room_of(&bank->pieces[i]) * 16e-6);
        if (*num == max)
            return ww_fail(err, WW_E_MEMORY, "the weights need more than %d allocations", max);
        struct ww_storage *s = ww_storage_create(device, texels * 16, WW_PLACE_DEVICE, err);
        if (!s)
            return false;
        storages[(*num)++] = s;
        static const float zero[16];
        if (!ww_storage_write(device, s, 0, zero, sizeof zero, err))
            return false;
        for (; i < end; i++) {
            bank->pieces[i].filter->storage = s;
            if (!write(device, &bank->pieces[i], err))
                return false;
        }
    }
    return true;
}
