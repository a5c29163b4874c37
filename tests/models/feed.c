// The feed forward half in pieces: as many rows at a time as 8 MB of its middle are, as it is stored; and what
// comes out is what a sum in double precision says.

#include "devices.h"
#include "kernels/filter.h"
#include "models/feed.h"

enum { C = 8, INNER = 8190, LEFT = 70, MAX_STORAGES = 4 };

static float w[2][C * INNER], bias[2][INNER];
static uint32_t seed;

static float draw(float size)
{
    seed = seed * 1664525 + 1013904223;
    return size * ((float)(seed >> 8) / (float)(1 << 23) - 1);
}

struct feed {
    struct ww_filter inner, outer;
    struct ww_storage *storage[MAX_STORAGES];
    int num_storages;
    struct ww_tensor x, y;
    struct ww_plan *plan;
};

static bool record(struct ww_device *device, struct feed *f, int rows, struct ww_error *err)
{
    const struct ww_tensor none = {0};
    struct ww_cmd *g = ww_cmd_create(device);
    f->x = ww_upload_tensor(g, 1, C, 1, rows);
    f->y = ww_result_tensor(g, 1, C, 1, rows);
    const struct ww_tensor x = ww_half_activation(g, 1, C, 1, rows);
    ww_combine(g, x, f->x, none, none, WW_ACT_NONE);
    CHECK_CMP(ww_texel_bytes(g, x), ==, device->halves ? 8 : 16);
    const struct ww_tensor y = ww_feed_forward(g, x, &f->inner, WW_ACT_RELU, &f->outer, x);
    ww_combine(g, f->y, y, none, none, WW_ACT_NONE);
    f->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return f->plan != NULL;
}

static double outcome(const float *x, int rows, int r, int o)
{
    const struct ww_tensor lie = {.n = 1, .c = C, .h = 1, .w = rows};
    double sum = (double)bias[1][o] + (double)x[ww_at(lie, 0, o, 0, r)];
    for (int k = 0; k < INNER; k++) {
        double middle = (double)bias[0][k];
        for (int i = 0; i < C; i++)
            middle += (double)x[ww_at(lie, 0, i, 0, r)] * (double)w[0][i * INNER + k];
        sum += fmax(middle, 0) * (double)w[1][k * C + o];
    }
    return sum;
}

// `rows` in so many pieces, which are two launches each.
static void check_pieces(struct ww_device *device, struct feed *f, int rows, int pieces)
{
    struct ww_error err = {0};
    check_about("%d rows on %s%s", rows, device->info.name, device->halves ? ", halves" : "");
    if (!CHECK(record(device, f, rows, &err))) {
        printf("%s\n", err.text);
        return;
    }
    CHECK_CMP(ww_plan_num_launches(f->plan), ==, 2 + 2 * pieces);
    float *x = ww_plan_host(f->plan, f->x);
    for (int i = 0; i < C * rows; i++)
        x[i] = draw(1);
    if (CHECK(ww_plan_run(f->plan, 1, &err))) {
        const float *y = ww_plan_host(f->plan, f->y);
        double worst = 0;
        for (int r = 0; r < rows; r += r < rows - 3 ? 17 : 1) // every piece, and the last rows
            for (int o = 0; o < C; o++)
                worst = fmax(worst, fabs((double)y[ww_at(f->y, 0, o, 0, r)] - outcome(x, rows, r, o)));
        // Sums of 8190 numbers around 0.01 in float32; halves have 11 bits, of numbers up to 4.
        CHECK_CMP(worst, <=, device->halves ? 1e-2 : 1e-4);
    }
    ww_plan_destroy(&f->plan);
}

static void check(struct ww_device *device, void *opaque)
{
    struct feed f = {0};
    struct ww_error err = {0};
    struct ww_bank *bank = ww_bank_create();
    (void)opaque;
    device->profile.card = false; // whose pieces are larger
    ww_pack_linear(bank, &f.inner, C, INNER, w[0], bias[0]);
    ww_pack_linear(bank, &f.outer, INNER, C, w[1], bias[1]);
    const bool ok = ww_bank_upload(bank, device, f.storage, MAX_STORAGES, &f.num_storages, &err);
    ww_bank_destroy(&bank);
    if (CHECK(ok)) { // 8190 numbers are 32 kB of a row, or 16
        check_pieces(device, &f, 256, 1);
        check_pieces(device, &f, 512 + LEFT, 3);
        device->halves = !device->profile.reference;
        check_pieces(device, &f, 512, device->halves ? 1 : 2);
        check_pieces(device, &f, 512 + LEFT, device->halves ? 2 : 3);
        device->halves = false;
    }
    for (int i = 0; i < f.num_storages; i++)
        ww_storage_destroy(device, &f.storage[i]);
}

int main(void)
{
    for (int i = 0; i < C * INNER; i++) {
        w[0][i] = draw(0.5f);
        w[1][i] = draw(0.02f);
    }
    for (int i = 0; i < INNER; i++)
        bias[0][i] = bias[1][i] = draw(0.1f);
    check_devices(check, NULL);
    return check_done();
}
