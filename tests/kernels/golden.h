// golden.h: kernels against PyTorch's operators in float64, on every device: what the programs share.
//
// A golden set is a JSON file, an object a case with its attributes and the tolerance of each output,
// and its tensors CASE.NAME in PyTorch's layouts. A program has a function for each operator that
// records the case, replays it and compares.

#pragma once

#include "devices.h"
#include "base/json.h"
#include "kernels/filter.h"
#include "weights/weights.h"

enum { MAX_UPLOADS = 8 };

// One case, recorded: what to upload before the replay, and where the results are.
struct trial {
    struct ww_device *device;
    const struct ww_weights *data;
    const struct ww_json *attributes;
    const char *name;
    struct ww_cmd *g;
    struct ww_plan *plan;
    struct {
        struct ww_tensor tensor;
        float *data;
    } upload[MAX_UPLOADS];
    int num_uploads;
    struct ww_storage *storage[4];
    int num_storages;
};

static inline const struct ww_weight *tensor_of(const struct trial *t, const char *part)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", t->name, part);
    return ww_weights_find(t->data, name);
}

static inline double number(const struct trial *t, const char *field)
{
    double x = 0;
    bool flag = false;
    if (!ww_json_number(ww_json_get(t->attributes, field), &x) &&
        ww_json_bool(ww_json_get(t->attributes, field), &flag))
        x = flag;
    return x;
}

static inline int64_t whole(const struct ww_weight *w, size_t i)
{
    int64_t x;
    memcpy(&x, (const char *)w->data + 8 * i, sizeof x);
    return x;
}

static inline float *uploaded(struct trial *t, struct ww_tensor *tensor, int n, int c, int h, int w)
{
    *tensor = ww_upload_tensor(t->g, n, c, h, w);
    float *data = calloc((size_t)n * tensor->step * 4, sizeof *data);
    if (!data || t->num_uploads == MAX_UPLOADS)
        abort();
    t->upload[t->num_uploads].tensor = *tensor;
    return t->upload[t->num_uploads++].data = data;
}

// A golden map [n][c][h][w], or [n][c] with h = w = 1.
static inline struct ww_tensor map(struct trial *t, const struct ww_weight *from)
{
    const int n = (int)from->dim[0], c = (int)from->dim[1];
    const int h = from->rank > 2 ? (int)from->dim[2] : 1, w = from->rank > 3 ? (int)from->dim[3] : 1;
    struct ww_tensor x;
    float *to = uploaded(t, &x, n, c, h, w);
    for (size_t i = 0; i < (size_t)(n * c * h * w); i++) {
        const int p = (int)i % (h * w), channel = (int)i / (h * w) % c;
        to[ww_at(x, (int)i / (h * w * c), channel, 0, p)] = ww_weight_float(from, i);
    }
    return x;
}

static inline bool replay(struct trial *t)
{
    struct ww_error err = {0};
    const int n = t->upload[0].tensor.n;
    t->plan = ww_plan_create(t->g, &err);
    for (int i = 0; t->plan && i < t->num_uploads; i++) {
        const struct ww_tensor x = t->upload[i].tensor;
        memcpy(ww_plan_host(t->plan, x), t->upload[i].data, (size_t)x.n * x.step * 16);
    }
    if (CHECK(t->plan && ww_plan_run(t->plan, n, &err)))
        return true;
    printf("%s\n", err.text);
    return false;
}

// Element i of the golden output, and what is ours for it.
static inline void compare(struct trial *t, const char *part, const float *got, size_t count)
{
    const struct ww_weight *want = tensor_of(t, part);
    double tolerance = 0, worst = 0;
    ww_json_number(ww_json_get(ww_json_get(t->attributes, "outputs"), part), &tolerance);
    size_t all = 1;
    for (int d = 0; d < want->rank; d++)
        all *= (size_t)want->dim[d];
    CHECK_CMP(all, ==, count);
    for (size_t i = 0; i < count && i < all; i++) {
        const double e = want->type == WW_I64 ? (double)whole(want, i)
                                              : (double)ww_weight_float(want, i);
        const double d = fabs((double)got[i] - e);
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    CHECK_CMP(worst, <=, tolerance);
}

// A result as PyTorch has it: maps [n][c][h][w], or rows [n][rows][c].
static inline void compare_tensor(struct trial *t, const char *part, struct ww_tensor y, bool rows)
{
    const float *from = ww_plan_host(t->plan, y);
    const int pixels = y.h * y.w;
    float *got = malloc(sizeof *got * (size_t)(y.n * y.c * pixels)), *to = got;
    if (!got)
        abort();
    for (int n = 0; n < y.n; n++)
        for (int i = 0; i < y.c * pixels; i++)
            *to++ = rows ? from[ww_at(y, n, i % y.c, 0, i / y.c)]
                         : from[ww_at(y, n, i / pixels, 0, i % pixels)];
    compare(t, part, got, (size_t)(y.n * y.c * pixels));
    free(got);
}

// The cases --------------------------------------------------------------------------------------

struct operation {
    const char *op;
    void (*run)(struct trial *t);
};

struct golden_set {
    const struct ww_weights *data;
    const struct ww_json *cases;
    const struct operation *operations;
};

static inline void check_device(struct ww_device *device, void *opaque)
{
    const struct golden_set *set = opaque;
    const struct operation *const operations = set->operations;
    for (const struct ww_json *c = ww_json_first(set->cases); c; c = ww_json_next(c)) {
        struct trial t = {.device = device, .data = set->data, .attributes = c,
                          .name = ww_json_name(c)};
        const char *op = ww_json_string(ww_json_get(c, "op"));
        int known = 0;
        check_about("%s on %s", t.name, device->info.name);
        t.g = ww_cmd_create(device);
        for (size_t i = 0; operations[i].op; i++)
            if (!strcmp(operations[i].op, op)) {
                operations[i].run(&t);
                known++;
            }
        CHECK_CMP(known, ==, 1);
        ww_plan_destroy(&t.plan);
        ww_cmd_destroy(&t.g);
        for (int i = 0; i < t.num_uploads; i++)
            free(t.upload[i].data);
        for (int i = 0; i < t.num_storages; i++)
            ww_storage_destroy(device, &t.storage[i]);
    }
}

static inline char *path_of(const char *set, const char *ending)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/tests/kernels/golden/%s.%s", getenv("WATCHWORD_SOURCE"), set,
             ending);
    return path;
}

// Every case of tests/kernels/golden/SET.json and .safetensors on every device, the reference first.
static inline int check_golden(const char *set, const struct operation *operations)
{
    struct ww_error err = {0};
    struct ww_weights *data = ww_weights_open(path_of(set, "safetensors"), &err);
    struct ww_json *cases = ww_json_load(path_of(set, "json"), 1 << 20, NULL, &err);
    check_about("golden set");
    if (!CHECK(data && cases)) {
        printf("%s\n", err.text);
        return check_done();
    }
    check_devices(check_device, &(struct golden_set){data, cases, operations});
    ww_json_free(&cases);
    ww_weights_close(&data);
    return check_done();
}
