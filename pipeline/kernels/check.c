#include "check.h"
#include "check-inner.h"
#include "base/clock.h"
#include "base/room.h"
#include "filter.h"
#include "vk/recording.h"
#include "weights/blocks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PIECES 16
#define LIST_CAP   4096
#define HALF_ERROR 1e-3f // of what is stored as a half: a driver may cut off instead of rounding
#define HALF_SUM_ERROR 4e-3f // of what is summed up as halves, 16 at a time, and then cut to a few by an activation
enum { NOBODY = -1, EVERYBODY = -2 };
#define UNWRITTEN  -777.0f // where a kernel writes nothing; no measure of what it writes elsewhere

struct ww_try {
    struct ww_device *device;
    struct ww_cmd *g;
    uint32_t random;
    float tolerance;
    float params[WW_PARAM_BYTES / 4];
    struct ww_storage *storage[MAX_PIECES];
    int num_storages;
    struct ww_tensor out[2 * WW_MAX_OUTPUTS];
    struct ww_storage *out_storage[2 * WW_MAX_OUTPUTS];
    int num_out;
    int num_operands, refused; // the operand that is none; NOBODY, or EVERYBODY
    int batch; // of the replay; 0: of the first output
    bool list; // the output is a list: a count, then entries in any order
    struct ww_error error;
};

struct ww_cmd *ww_try_cmd(struct ww_try *t)
{
    return t->g;
}

uint32_t ww_try_random(struct ww_try *t)
{
    t->random = t->random * 1664525u + 1013904223u;
    return t->random >> 8;
}

static float number(struct ww_try *t)
{
    return (float)ww_try_random(t) / (float)(1 << 23) - 1;
}

void *ww_try_params(struct ww_try *t)
{
    return t->params;
}

void ww_try_tolerance(struct ww_try *t, float tolerance)
{
    t->tolerance = tolerance;
}

static struct ww_storage *new_storage(struct ww_try *t, const void *data, uint64_t bytes)
{
    struct ww_storage *s =
        t->num_storages < MAX_PIECES
            ? ww_storage_create(t->device, bytes + 64, WW_PLACE_DEVICE, &t->error)
            : NULL;
    static const float zero[16];
    if (!s || !ww_storage_write(t->device, s, 0, zero, sizeof zero, &t->error) ||
        !ww_storage_write(t->device, s, 64, data, bytes, &t->error))
        ww_expect(t->g, !"room for an operand");
    else
        t->storage[t->num_storages++] = s;
    return s;
}

void ww_try_batch(struct ww_try *t, int n)
{
    t->batch = n;
}

static int batch_of(const struct ww_try *t)
{
    return t->batch ? t->batch : t->num_out ? t->out[0].n : 1;
}

struct ww_device *ww_try_device(struct ww_try *t)
{
    return t->device;
}

struct ww_storage *ww_try_storage(struct ww_try *t, const void *data, uint64_t bytes)
{
    return new_storage(t, data, bytes);
}

struct ww_tensor ww_try_stored(struct ww_try *t, struct ww_storage *s, int n, int c, int h, int w)
{
    const int operand = t->num_operands++;
    if (!ww_expect(t->g, s && t->refused != operand && t->refused != EVERYBODY))
        return (struct ww_tensor){0};
    return ww_stored_tensor(t->g, s, 4, n, c, h, w);
}

// A tensor of its own storage; `fill` says whether it starts as random numbers or as a pattern that
// shows what was not written.
static struct ww_tensor tensor(struct ww_try *t, bool fill, int n, int c, int h, int w)
{
    const struct ww_tensor shape = {.n = n, .c = c, .h = h, .w = w,
                                    .step = (uint32_t)((c + 3) / 4 * h * w)};
    const size_t floats = (size_t)n * shape.step * 4;
    float *data = malloc(floats * sizeof *data);
    if (!data)
        abort();
    for (size_t i = 0; i < floats; i++)
        data[i] = fill ? 0 : UNWRITTEN;
    for (int b = 0; fill && b < n; b++)
        for (int i = 0; i < c; i++)
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++)
                    data[ww_at(shape, b, i, y, x)] = number(t);
    struct ww_storage *s = new_storage(t, data, floats * sizeof *data);
    free(data);
    return ww_try_stored(t, s, n, c, h, w);
}

struct ww_tensor ww_try_in(struct ww_try *t, int n, int c, int h, int w)
{
    return tensor(t, true, n, c, h, w);
}

struct ww_tensor ww_try_out(struct ww_try *t, int n, int c, int h, int w)
{
    t->out[t->num_out] = tensor(t, false, n, c, h, w);
    t->out_storage[t->num_out] = t->storage[t->num_storages - 1];
    return t->out[t->num_out++];
}

struct ww_tensor ww_try_count(struct ww_try *t, int entries)
{
    t->list = true;
    const struct ww_tensor out = ww_try_out(t, 1, 4, 1, 1 + 2 * (entries ? entries : LIST_CAP));
    const uint32_t zero = 0;
    ww_storage_write(t->device, t->out_storage[0], 64, &zero, sizeof zero, &t->error);
    return out;
}

struct ww_tensor ww_try_bytes(struct ww_try *t, uint32_t bytes)
{
    const uint32_t texels = (bytes + 15) / 16;
    uint8_t *data = malloc(texels * 16);
    if (!data)
        abort();
    for (uint32_t i = 0; i < texels * 16; i++)
        data[i] = (uint8_t)(ww_try_random(t) >> 8);
    struct ww_storage *s = new_storage(t, data, texels * 16);
    free(data);
    return ww_try_stored(t, s, 1, 4, 1, (int)texels);
}

struct ww_tensor ww_try_whole(struct ww_try *t, int n, int c, int h, int w, int below)
{
    const struct ww_tensor shape = {.n = n, .c = c, .h = h, .w = w,
                                    .step = (uint32_t)((c + 3) / 4 * h * w)};
    const size_t floats = (size_t)n * shape.step * 4;
    float *data = calloc(floats, sizeof *data);
    if (!data)
        abort();
    for (int b = 0; b < n; b++)
        for (int i = 0; i < c; i++)
            for (int p = 0; p < h * w; p++)
                data[ww_at(shape, b, i, 0, p)] = (float)(ww_try_random(t) % (uint32_t)below);
    struct ww_storage *s = new_storage(t, data, floats * sizeof *data);
    free(data);
    return ww_try_stored(t, s, n, c, h, w);
}

static float *numbers(struct ww_try *t, size_t num)
{
    float *list = malloc(num * sizeof *list);
    if (!list)
        abort();
    for (size_t i = 0; i < num; i++)
        list[i] = number(t);
    return list;
}

// Moves the bank's one filter to the device.
static void settle(struct ww_try *t, struct ww_bank *bank)
{
    int made = 0;
    if (!ww_bank_upload(bank, t->device, &t->storage[t->num_storages],
                        MAX_PIECES - t->num_storages, &made, &t->error))
        ww_expect(t->g, !"room for a filter");
    t->num_storages += made;
    ww_bank_destroy(&bank);
}

enum kind { CONV, LINEAR, WINDOW };

static struct ww_filter filter(struct ww_try *t, int k, int c_in, int c_out, enum kind kind)
{
    const size_t num = (size_t)(k * k) * (size_t)c_in * (size_t)(kind == WINDOW ? 1 : c_out);
    float *w = numbers(t, num + (size_t)c_out);
    struct ww_filter f;
    struct ww_bank *bank = ww_bank_create();
    if (kind == WINDOW)
        ww_pack_depthwise(bank, &f, k, c_in, w, w + num);
    else if (kind == LINEAR)
        ww_pack_linear(bank, &f, c_in, c_out, w, w + num);
    else
        ww_pack_conv(bank, &f, k, c_in, c_out, w, w + num);
    settle(t, bank);
    free(w);
    return f;
}

struct ww_filter ww_try_norm(struct ww_try *t, int c)
{
    float *w = numbers(t, 2 * (size_t)c);
    struct ww_filter f;
    struct ww_bank *bank = ww_bank_create();
    ww_pack_norm(bank, &f, c, w, w + c);
    settle(t, bank);
    free(w);
    return f;
}

struct ww_filter ww_try_rows(struct ww_try *t, int rows, int c)
{
    float *w = numbers(t, (size_t)rows * (size_t)c);
    struct ww_filter f;
    struct ww_bank *bank = ww_bank_create();
    ww_pack_rows(bank, &f, rows, c, w);
    settle(t, bank);
    free(w);
    return f;
}

struct ww_filter ww_try_conv(struct ww_try *t, int k, int c_in, int c_out)
{
    return filter(t, k, c_in, c_out, CONV);
}

struct ww_filter ww_try_linear(struct ww_try *t, int c_in, int c_out)
{
    return filter(t, 1, c_in, c_out, LINEAR);
}

struct ww_filter ww_try_window(struct ww_try *t, int k, int c)
{
    return filter(t, k, c, c, WINDOW);
}

static void finish(struct ww_try *t)
{
    for (int i = 0; i < t->num_storages; i++)
        ww_storage_destroy(t->device, &t->storage[i]);
    ww_cmd_destroy(&t->g);
}

// Whether a tensor's every use would be allowed if it were stored as halves.
static bool may_be_halves(const struct recording *r, int id)
{
    const struct memory *m = &r->memory[id];
    bool used = false;
    for (int other = 1; other < r->num_memory; other++)
        if (m->storage && other != id && r->memory[other].storage == m->storage)
            return false; // shares its storage, with what may have to stay
    for (int i = 0; i < r->num_launches; i++) {
        const struct launch *l = &r->launches[i];
        for (int o = 0; o < WW_MAX_OUTPUTS; o++)
            if (l->out[o].id == id) {
                used = true;
                if (l->kernel->exact)
                    return false;
            }
        for (int k = 0; k < WW_MAX_INPUTS; k++)
            if (l->in[k].id == id) {
                used = true;
                if (l->kernel->view[k] != WW_VIEW_F32X4)
                    return false;
            }
    }
    return used;
}

// Stores what is there as halves; on the reference, as what halves can hold.
static void to_halves(struct ww_try *t, const struct memory *m)
{
    const size_t num = (size_t)m->texels * 4;
    float *values = ww_room(num, sizeof *values);
    uint16_t *halves = ww_room(num, sizeof *halves);
    const uint64_t offset = (uint64_t)m->base * UNIT_BYTES;
    ww_storage_read(t->device, m->storage, offset, values, num * sizeof *values, &t->error);
    ww_encode(WW_F16, values, num, halves);
    ww_decode(WW_F16, halves, num, values);
    const bool reference = t->device->profile.reference;
    ww_storage_write(t->device, m->storage, offset, reference ? (void *)values : halves,
                     num * (reference ? sizeof *values : sizeof *halves), &t->error);
    free(values);
    free(halves);
}

// Turns a recorded attempt into one whose operands are halves, wherever they may be.
static void halve(struct ww_try *t)
{
    struct recording *r = &t->g->recording;
    for (int id = 1; id < r->num_memory; id++) {
        struct memory *m = &r->memory[id];
        if (!may_be_halves(r, id))
            continue;
        if (m->kind == MEMORY_STORED)
            to_halves(t, m);
        m->halves = !t->device->profile.reference;
    }
}

// Records the attempt and makes a plan of it.
static struct ww_plan *start(struct ww_try *t, struct ww_device *device, const struct ww_kernel *kernel,
                             const int *size, bool halves, int refused, struct ww_error *err)
{
    *t = (struct ww_try){
        .device = device, .random = 1, .tolerance = kernel->tolerance, .refused = refused};
    t->g = ww_cmd_create(device);
    kernel->attempt(t, size);
    if (halves && !t->error.code && ww_cmd_sound(t->g))
        halve(t);
    struct ww_plan *plan = NULL;
    if (t->error.code)
        ww_fail(err, t->error.code, "%s", t->error.text);
    else
        plan = ww_plan_create(t->g, err);
    if (plan)
        memcpy(ww_plan_params(plan), t->params, sizeof t->params);
    return plan;
}

static bool read_out(struct ww_plan *plan, struct ww_try *t, int i, size_t floats, float *to,
                     struct ww_error *err)
{
    if (!ww_plan_has_halves(plan, t->out[i]))
        return ww_storage_read(t->device, t->out_storage[i], 64, to, floats * sizeof *to, err);
    uint16_t *halves = ww_room(floats, sizeof *halves);
    const bool ok =
        ww_storage_read(t->device, t->out_storage[i], 64, halves, floats * sizeof *halves, err);
    if (ok)
        ww_decode(WW_F16, halves, floats, to);
    free(halves);
    return ok;
}

// What the attempt's outputs hold after one replay: all floats of all outputs. NULL on failure.
static float *run(struct ww_try *t, struct ww_device *device, const struct ww_kernel *kernel,
                  const int *size, bool halves, size_t *num, struct ww_error *err)
{
    struct ww_plan *plan = start(t, device, kernel, size, halves, NOBODY, err);
    float *all = NULL;
    *num = 0;
    bool ok = plan && ww_plan_run(plan, batch_of(t), err);
    for (int i = 0; ok && i < t->num_out; i++) {
        const size_t floats = (size_t)t->out[i].n * t->out[i].step * 4;
        all = realloc(all, (*num + floats) * sizeof *all);
        if (!all)
            abort();
        ok = read_out(plan, t, i, floats, all + *num, err);
        *num += floats;
    }
    ww_plan_destroy(&plan);
    finish(t);
    if (ok)
        return all;
    free(all);
    return NULL;
}

static int by_entry(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

// Puts a list into an order that does not depend on chance.
static void sort_list(float *list, size_t num)
{
    uint32_t count;
    memcpy(&count, list, sizeof count);
    const size_t cap = (num / 4 - 1) / 2;
    if (count > cap)
        return;
    qsort(list + 4, count, 32, by_entry);
    list[0] = (float)count;
}

static void describe(const struct ww_try *t, size_t index, float got, float want, char *out,
                     size_t size)
{
    int o = 0;
    while (o + 1 < t->num_out && index >= (size_t)t->out[o].n * t->out[o].step * 4)
        index -= (size_t)t->out[o].n * t->out[o].step * 4, o++;
    const struct ww_tensor y = t->out[o];
    const size_t lane = index % 4, texel = index / 4 % y.step, n = index / 4 / y.step;
    const size_t pixels = (size_t)y.h * (size_t)y.w;
    snprintf(out, size, "output %d [%zu][%zu][%zu][%zu]: %g, expected %g", o, n,
             texel / pixels * 4 + lane, texel % pixels / (size_t)y.w, texel % (size_t)y.w, got,
             want);
}

static bool sums_halves(const struct ww_device *device, const struct ww_kernel *kernel)
{
    bool can = false;
    for (int i = 0; i < kernel->num_shaders; i++)
        can |= kernel->shaders[i].in_halves > 0;
    return can && device->profile.card && device->profile.half_sums;
}

bool ww_check_kernel(struct ww_device *device, struct ww_device *reference,
                     const struct ww_kernel *kernel, const int *size, bool halves, struct ww_check *out,
                     struct ww_error *err)
{
    struct ww_try t;
    size_t num, num_expected;
    float *expected = run(&t, reference, kernel, size, halves, &num_expected, err);
    float *got = expected ? run(&t, device, kernel, size, halves, &num, err) : NULL;
    *out = (struct ww_check){.tolerance = t.tolerance + (halves ? HALF_ERROR : 0) +
                                          (halves && sums_halves(device, kernel) ? HALF_SUM_ERROR : 0)};
    if (!got || num != num_expected) {
        free(expected);
        free(got);
        return false;
    }
    if (t.list) {
        sort_list(got, num);
        sort_list(expected, num);
    }
    double largest = 1e-30, worst = -1;
    size_t at = 0, first = 0;
    for (int o = 0; o < t.num_out; o++) {
        const struct ww_tensor y = t.out[o];
        for (size_t i = 0; i < (size_t)y.n * y.step * 4; i++) {
            // Lanes past the last channel are nobody's.
            const size_t c = i / 4 % y.step / ((size_t)y.h * (size_t)y.w) * 4 + i % 4;
            if (c >= (size_t)y.c || (t.list && i > 0 && i / 8 > (size_t)expected[0]))
                continue;
            const double e = expected[first + i], d = fabs(got[first + i] - e);
            if (expected[first + i] != UNWRITTEN)
                largest = fmax(largest, fabs(e));
            if (!(d <= worst)) { // also a NaN
                worst = isnan(d) ? INFINITY : d;
                at = first + i;
            }
        }
        first += (size_t)y.n * y.step * 4;
    }
    out->worst = worst / largest;
    out->ok = out->worst <= out->tolerance;
    describe(&t, at, got[at], expected[at], out->where, sizeof out->where);
    free(expected);
    free(got);
    return true;
}

int ww_check_refusals(struct ww_device *device, const struct ww_kernel *kernel, const int *size)
{
    int num = EVERYBODY + 1;
    for (int refused = EVERYBODY; refused < num; refused = refused == EVERYBODY ? 0 : refused + 1) {
        struct ww_try t;
        struct ww_error err = {0};
        struct ww_plan *plan = start(&t, device, kernel, size, false, refused, &err);
        const bool marked = !plan && err.code == WW_E_UNSUPPORTED;
        num = t.num_operands;
        ww_plan_destroy(&plan);
        finish(&t);
        if (!marked)
            return -1;
    }
    return num;
}

static double now_ms(void)
{
    return (double)ww_now_ns() * 1e-6;
}

int ww_time_kernel(struct ww_device *device, const struct ww_kernel *kernel, const int *size,
                   double seconds, double *times_ms, int max, struct ww_launch_info *info,
                   struct ww_error *err)
{
    struct ww_try t;
    struct ww_plan *plan = start(&t, device, kernel, size, false, NOBODY, err);
    int num = plan && ww_plan_time_launches(plan, 1, info, err) ? 0 : -1;
    const double end = now_ms() + seconds * 1e3;
    while (num >= 0 && num < max && (num < 5 || now_ms() < end)) {
        const double begin = now_ms();
        if (ww_plan_run(plan, batch_of(&t), err))
            times_ms[num++] = now_ms() - begin;
        else
            num = -1;
    }
    ww_plan_destroy(&plan);
    finish(&t);
    return num;
}
