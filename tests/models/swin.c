// The Swin backbone of a small Grounding DINO against the transformers library's, block by block, on
// every device, from both layouts of its weights; a batch against its pictures alone; and sizes that
// no golden set has, down to one pixel, on each device against the scalar reference.

#include "devices.h"
#include "base/json.h"
#include "models/swin.h"

static char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/tests/models/%s", getenv("WATCHWORD_SOURCE"), name);
    return path;
}

struct golden {
    struct ww_weights *stages;
    struct ww_json *tolerances;
    const struct ww_json *config; // of the backbone
};

struct net {
    struct ww_swin *swin;
    struct ww_storage *storage[4];
    int num_storages;
};

static bool load(struct ww_device *device, struct net *n, const struct ww_weights *weights,
                 const char *prefix, const struct ww_swin_shape *shape, struct ww_error *err)
{
    struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = err};
    n->swin = ww_swin_load(&l, prefix, shape);
    const bool ok = n->swin && ww_bank_upload(l.bank, device, n->storage, 4, &n->num_storages, err);
    ww_bank_destroy(&l.bank);
    return ok;
}

static void unload(struct ww_device *device, struct net *n)
{
    for (int i = 0; i < n->num_storages; i++)
        ww_storage_destroy(device, &n->storage[i]);
    ww_swin_destroy(&n->swin);
}

struct run {
    struct ww_plan *plan;
    struct ww_tensor pixels;
};

static bool record(struct ww_device *device, const struct net *n, int batch, int h, int w,
                   struct run *run, struct ww_error *err)
{
    struct ww_tensor out[WW_SWIN_STAGES];
    struct ww_cmd *g = ww_cmd_create(device);
    ww_keep_stages(g, true);
    run->pixels = ww_upload_tensor(g, batch, 3, h, w);
    ww_swin(g, n->swin, run->pixels, out, "swin.");
    run->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return run->plan != NULL;
}

// Picture `first` of a golden batch and those after it.
static void fill(const struct run *run, const struct ww_weight *pixels, int first)
{
    const struct ww_tensor x = run->pixels;
    const int plane = x.h * x.w;
    float *to = ww_plan_host(run->plan, x);
    for (int i = 0; i < x.n * 3 * plane; i++)
        to[ww_at(x, i / (3 * plane), i / plane % 3, 0, i % plane)] =
            ww_weight_float(pixels, (size_t)(first * 3 * plane + i));
}

static float *stage_of(struct ww_plan *plan, int i, struct ww_tensor *shape, size_t *count)
{
    struct ww_error err = {0};
    ww_plan_stage(plan, i, shape);
    *count = (size_t)shape->n * (size_t)shape->h * (size_t)shape->w * (size_t)shape->c;
    float *data = malloc(sizeof *data * *count);
    if (!CHECK(data && ww_plan_read_stage(plan, i, data, &err)))
        abort();
    return data;
}

// The largest difference of [n][h][w][c] from what PyTorch has: rows, or a map [n][c][h][w].
static double difference(const float *got, struct ww_tensor t, bool map, const struct ww_weight *want)
{
    const size_t pixels = (size_t)t.h * (size_t)t.w, c = (size_t)t.c, one = pixels * c;
    double worst = 0;
    for (size_t i = 0; i < (size_t)t.n * one; i++) {
        const size_t at = i / one * one + (map ? i % c * pixels + i % one / c : i % one);
        const double d = fabs((double)got[i] - (double)ww_weight_float(want, at));
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    return worst;
}

static void compare(const struct golden *golden, const char *name, struct ww_plan *plan, int least)
{
    int held = 0;
    double closest = 0;
    char where[64] = "";
    for (int i = 0; i < ww_plan_num_stages(plan); i++) {
        struct ww_tensor t;
        size_t count;
        char full[96];
        double tolerance;
        const char *stage = ww_plan_stage(plan, i, &t);
        snprintf(full, sizeof full, "%s.%s", name, stage);
        const struct ww_weight *want = ww_weights_find(golden->stages, full);
        if (!want || !ww_json_number(ww_json_get(golden->tolerances, full), &tolerance))
            continue;
        float *got = stage_of(plan, i, &t, &count);
        check_about("%s", full);
        if (CHECK_CMP(want->bytes, ==, sizeof *got * count)) {
            const double share =
                difference(got, t, ww_plan_stage_kind(plan, i) == WW_STAGE_MAP, want) / tolerance;
            held += CHECK_CMP(share, <=, 1.0);
            if (share > closest) {
                closest = share;
                snprintf(where, sizeof where, "%s", stage);
            }
        }
        free(got);
    }
    printf("  %-12s %d stages in tolerance, closest to its own %s (%.2f)\n", name, held, where, closest);
    CHECK_CMP(held, >=, least);
}

static void check_case(struct ww_device *device, const struct net *n, const struct golden *golden,
                       const char *name, int least)
{
    struct ww_error err = {0};
    struct run run = {0};
    char pixels_name[64];
    snprintf(pixels_name, sizeof pixels_name, "%s.pixels", name);
    const struct ww_weight *pixels = ww_weights_find(golden->stages, pixels_name);
    check_about("%s on %s", name, device->info.name);
    if (CHECK(pixels != NULL) &&
        CHECK(record(device, n, (int)pixels->dim[0], (int)pixels->dim[2], (int)pixels->dim[3], &run,
                     &err))) {
        fill(&run, pixels, 0);
        if (CHECK(ww_plan_run(run.plan, run.pixels.n, &err)))
            compare(golden, name, run.plan, least);
    }
    if (err.code)
        printf("%s\n", err.text);
    ww_plan_destroy(&run.plan);
}

// The second picture of a batch is what it is alone, to the last bit.
static void check_alone(struct ww_device *device, const struct net *n, const struct golden *golden)
{
    struct ww_error err = {0};
    struct run two = {0}, one = {0};
    const struct ww_weight *pixels = ww_weights_find(golden->stages, "b-batch.pixels");
    const int h = (int)pixels->dim[2], w = (int)pixels->dim[3];
    check_about("a batch and alone on %s", device->info.name);
    if (!CHECK(record(device, n, 2, h, w, &two, &err) && record(device, n, 1, h, w, &one, &err)))
        return;
    fill(&two, pixels, 0);
    fill(&one, pixels, 1);
    CHECK(ww_plan_run(two.plan, 2, &err) && ww_plan_run(one.plan, 1, &err));
    int differ = 0;
    for (int i = 0; i < ww_plan_num_stages(one.plan); i++) {
        struct ww_tensor t;
        size_t both, half;
        float *a = stage_of(two.plan, i, &t, &both), *b = stage_of(one.plan, i, &t, &half);
        for (size_t k = 0; k < half; k++)
            differ += a[both - half + k] != b[k];
        free(a);
        free(b);
    }
    CHECK_CMP(differ, ==, 0);
    ww_plan_destroy(&two.plan);
    ww_plan_destroy(&one.plan);
}

static const int odd_sizes[][2] = {{1, 1}, {5, 3}, {29, 28}, {1, 130}, {57, 31}, {113, 2}};
enum { NUM_SIZES = sizeof odd_sizes / sizeof *odd_sizes };
static float *expected[NUM_SIZES]; // of the reference, which comes first: the last stage's output

static void check_size(struct ww_device *device, const struct net *n, int size)
{
    struct ww_error err = {0};
    struct run run = {0};
    const int h = odd_sizes[size][0], w = odd_sizes[size][1];
    check_about("%d x %d on %s", h, w, device->info.name);
    if (!CHECK(record(device, n, 1, h, w, &run, &err))) {
        printf("%s\n", err.text);
        return;
    }
    float *to = ww_plan_host(run.plan, run.pixels);
    for (int i = 0; i < 3 * h * w; i++)
        to[ww_at(run.pixels, 0, i % 3, 0, i / 3)] = sinf((float)i);
    CHECK(ww_plan_run(run.plan, 1, &err));
    struct ww_tensor t;
    size_t count;
    float *got = stage_of(run.plan, ww_plan_num_stages(run.plan) - 1, &t, &count);
    CHECK_CMP(t.h, ==, (h + 31) / 32);
    CHECK_CMP(t.w, ==, (w + 31) / 32);
    double worst = 0;
    for (size_t i = 0; expected[size] && i < count; i++) {
        const double d = fabs((double)got[i] - (double)expected[size][i]);
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    CHECK_CMP(worst, <=, 2e-5); // as the golden set's feature3
    if (expected[size])
        free(got);
    else
        expected[size] = got;
    ww_plan_destroy(&run.plan);
}

static void check_layout(struct ww_device *device, const struct golden *golden, const char *file,
                         const char *prefix)
{
    struct ww_error err = {0};
    struct net n = {0};
    struct ww_swin_shape found, said;
    printf("%s on %s\n", file, device->info.name);
    struct ww_weights *weights = ww_weights_open(path_of(file), &err);
    check_about("%s", file);
    if (CHECK(weights && ww_swin_find_shape(weights, prefix, &found, &err) &&
              ww_swin_read_shape(golden->config, &said, &err))) {
        CHECK(!memcmp(&found, &said, sizeof found)); // tensors and configuration are of one mind
        if (CHECK(load(device, &n, weights, prefix, &found, &err))) {
            check_case(device, &n, golden, "a-single", 16);
            check_case(device, &n, golden, "b-batch", 8);
            check_case(device, &n, golden, "c-categories", 8);
            check_case(device, &n, golden, "d-panorama", 8);
            check_alone(device, &n, golden);
            for (int i = 0; i < NUM_SIZES; i++)
                check_size(device, &n, i);
        }
    }
    if (err.code)
        printf("%s\n", err.text);
    unload(device, &n);
    ww_weights_close(&weights);
}

#define LIBRARY "model.backbone.conv_encoder.model."
#define RELEASE "model/module.backbone.0."

static void check_layouts(struct ww_device *device, void *golden)
{
    check_layout(device, golden, "grounding-dino/model/model.safetensors", LIBRARY);
    check_layout(device, golden, "grounding-dino/model-original/groundingdino_tiny.pth", RELEASE);
}

// A configuration that is not ours to compute says so by its field's name.
static void check_configs(void)
{
    static const struct {
        const char *config, *told;
    } cases[] = {
        {"{}", NULL}, // Swin-T, all as the library has it
        {"{\"embed_dim\": 128, \"depths\": [2, 2, 18, 2], \"num_heads\": [4, 8, 16, 32], "
         "\"window_size\": 12, \"out_indices\": [2, 3, 4]}", NULL}, // Swin-B
        {"{\"embed_dim\": 98}", "98 channels"},
        {"{\"embed_dim\": 65536}", "embed_dim"},
        {"{\"embed_dim\": 16384, \"num_heads\": [256, 256, 256, 256]}", "at most 16384"},
        {"{\"window_size\": 0}", "window_size"},
        {"{\"window_size\": \"7\"}", "window_size"},
        {"{\"depths\": []}", "depths"},
        {"{\"depths\": [2, 2, 6, 2, 2]}", "depths"},
        {"{\"depths\": [2, 0, 6, 2]}", "depths"},
        {"{\"depths\": 2}", "depths"},
        {"{\"num_heads\": [3, 6]}", "num_heads"},
        {"{\"num_heads\": [5, 6, 12, 24]}", "5 heads"},
        {"{\"num_channels\": 4}", "num_channels"},
        {"{\"hidden_act\": \"relu\"}", "hidden_act"},
        {"{\"use_absolute_embeddings\": true}", "use_absolute_embeddings"},
        {"{\"qkv_bias\": false}", "qkv_bias"},
        {"{\"layer_norm_eps\": 2}", "layer_norm_eps"},
        {"{\"model_type\": \"resnet\"}", "'model_type' is 'resnet'"},
        {"{\"out_features\": [\"stage2\", \"stage3\", \"stage4\"]}", NULL},
        {"{\"out_features\": [\"stage5\"]}", "out_features"},
        {"{\"out_features\": [\"stem\"]}", "out_features"},
        {"{\"out_features\": [\"stage22\"]}", "out_features"},
        {"{\"out_features\": []}", "out_features"},
        {"{\"out_features\": \"stage2\"}", "out_features"},
        {"{\"out_indices\": [0, 5]}", "out_indices"},
        {"{\"out_indices\": [2, 5]}", "out_indices"},
        {"{\"out_indices\": []}", "out_indices"},
        {"{\"out_indices\": 3}", "out_indices"},
        {"{\"patch_size\": 64}", "patch_size"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ww_error err = {0};
        struct ww_swin_shape shape;
        struct ww_json *config = ww_json_parse(cases[i].config, strlen(cases[i].config), NULL, &err);
        check_about("%s", cases[i].config);
        if (!CHECK(config != NULL))
            continue;
        const bool ok = ww_swin_read_shape(config, &shape, &err);
        CHECK(ok == !cases[i].told);
        CHECK(ok || strstr(err.text, cases[i].told));
        ww_json_free(&config);
    }
}

// Weights that are not what the configuration says: the tensor is named.
static void check_mismatches(const struct golden *golden)
{
    struct ww_error err = {0};
    struct ww_weights *weights = ww_weights_open(path_of("grounding-dino/model/model.safetensors"), &err);
    struct ww_swin_shape right;
    check_about("mismatches");
    if (!CHECK(weights && ww_swin_read_shape(golden->config, &right, &err)))
        return;
    struct ww_swin_shape wrong[5];
    static const char *const told[5] = {"layers.2.blocks.3.", "relative_position_bias_table",
                                        "patch_embeddings.projection.weight",
                                        "relative_position_bias_table", "stage1.weight"};
    for (int i = 0; i < 5; i++)
        wrong[i] = right;
    wrong[0].depths[2] = 4;
    wrong[1].heads[1] = 3;
    wrong[2].patch = 2;
    wrong[3].window = 8;
    wrong[4].out[0] = true;
    for (int i = 0; i < 5; i++) {
        struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = &err};
        struct ww_swin *swin = ww_swin_load(&l, LIBRARY, &wrong[i]);
        check_about("mismatch %d: %s", i, err.text);
        CHECK(!swin && strstr(err.text, told[i]));
        ww_bank_destroy(&l.bank);
        ww_swin_destroy(&swin);
        err = (struct ww_error){0};
    }
    CHECK(!ww_swin_find_shape(weights, "elsewhere.", &right, &err));
    CHECK_HAS(err.text, "elsewhere.embeddings.patch_embeddings.projection.weight");
    ww_weights_close(&weights);
}

int main(void)
{
    struct ww_error err = {0};
    struct golden golden = {
        .stages = ww_weights_open(path_of("swin/stages.safetensors"), &err),
        .tolerances = ww_json_load(path_of("swin/stages.json"), 1 << 16, NULL, &err)};
    struct ww_json *model = ww_json_load(path_of("grounding-dino/model/config.json"), 1 << 16, NULL, &err);
    golden.config = ww_json_get(model, "backbone_config");
    check_configs();
    check_about("golden set");
    if (!CHECK(golden.stages && golden.tolerances && golden.config)) {
        printf("%s\n", err.text);
        return check_done();
    }
    check_mismatches(&golden);
    check_devices(check_layouts, &golden);
    for (int i = 0; i < NUM_SIZES; i++)
        free(expected[i]);
    ww_json_free(&model);
    ww_json_free(&golden.tolerances);
    ww_weights_close(&golden.stages);
    return check_done();
}
