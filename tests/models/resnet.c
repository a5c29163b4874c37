// Residual networks against torchvision's, block by block, on every device: bottlenecks, basic blocks,
// and a last stage that is dilated.

#include "devices.h"
#include "base/json.h"
#include "models/resnet.h"

static char *path_of(const char *net, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/tests/models/resnet/%s/%s", getenv("WATCHWORD_SOURCE"), net, name);
    return path;
}

struct net {
    struct ww_weights *weights, *stages;
    struct ww_json *tolerances;
    struct ww_resnet *resnet;
    struct ww_storage *storage[4];
    int num_storages;
    struct ww_plan *plan;
    struct ww_tensor pixels;
};

static bool load(struct ww_device *device, struct net *n, bool dilated, struct ww_error *err)
{
    struct ww_loader l = {.weights = n->weights, .bank = ww_bank_create(), .err = err};
    n->resnet = ww_resnet_load(&l, "", dilated);
    const bool ok = n->resnet && ww_bank_upload(l.bank, device, n->storage, 4, &n->num_storages, err);
    ww_bank_destroy(&l.bank);
    return ok;
}

static bool record(struct ww_device *device, struct net *n, struct ww_error *err)
{
    const struct ww_weight *pixels = ww_weights_find(n->stages, "pixels");
    struct ww_tensor out[WW_RESNET_STAGES];
    struct ww_cmd *g = ww_cmd_create(device);
    ww_keep_stages(g, true);
    n->pixels = ww_upload_tensor(g, 1, 3, (int)pixels->dim[2], (int)pixels->dim[3]);
    ww_resnet(g, n->resnet, n->pixels, out, "");
    n->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    if (!n->plan)
        return false;
    float *to = ww_plan_host(n->plan, n->pixels);
    const int plane = n->pixels.h * n->pixels.w;
    for (int i = 0; i < 3 * plane; i++)
        to[ww_at(n->pixels, 0, i / plane, 0, i % plane)] = ww_weight_float(pixels, (size_t)i);
    return ww_plan_run(n->plan, 1, err);
}

// Returns the largest difference as a share of what is tolerated.
static double compare(struct net *n, int stage, const struct ww_weight *want, double tolerance)
{
    struct ww_tensor y;
    struct ww_error err = {0};
    ww_plan_stage(n->plan, stage, &y);
    const size_t channels = (size_t)y.c, pixels = (size_t)y.h * (size_t)y.w;
    float *got = malloc(sizeof *got * channels * pixels);
    if (!CHECK(got && want->bytes == 4 * channels * pixels &&
               ww_plan_read_stage(n->plan, stage, got, &err))) {
        free(got);
        return HUGE_VAL;
    }
    double worst = 0;
    for (size_t i = 0; i < channels * pixels; i++) {
        const double d = fabs((double)got[i % pixels * channels + i / pixels] -
                              (double)ww_weight_float(want, i));
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    free(got);
    return worst / tolerance;
}

static void check_net(struct ww_device *device, const char *name)
{
    struct ww_error err = {0};
    struct net n = {0};
    check_about("%s on %s", name, device->info.name);
    n.weights = ww_weights_open(path_of(name, "resnet.pth"), &err);
    n.stages = ww_weights_open(path_of(name, "stages.safetensors"), &err);
    n.tolerances = ww_json_load(path_of(name, "stages.json"), 1 << 16, NULL, &err);
    int seen = 0;
    if (CHECK(n.weights && n.stages && n.tolerances) &&
        CHECK(load(device, &n, !strcmp(name, "dilated"), &err)) && CHECK(record(device, &n, &err)))
        for (int i = 0; i < ww_plan_num_stages(n.plan); i++) {
            struct ww_tensor shape;
            const char *stage = ww_plan_stage(n.plan, i, &shape);
            double tolerance;
            const struct ww_weight *want = ww_weights_find(n.stages, stage);
            if (!want || !ww_json_number(ww_json_get(n.tolerances, stage), &tolerance))
                continue;
            check_about("%s %s on %s", name, stage, device->info.name);
            CHECK_CMP(compare(&n, i, want, tolerance), <=, 1.0);
            seen++;
        }
    CHECK_CMP(seen, >=, 5);
    if (err.code)
        printf("%s\n", err.text);
    ww_plan_destroy(&n.plan);
    for (int i = 0; i < n.num_storages; i++)
        ww_storage_destroy(device, &n.storage[i]);
    ww_resnet_destroy(&n.resnet);
    ww_json_free(&n.tolerances);
    ww_weights_close(&n.stages);
    ww_weights_close(&n.weights);
}

static void check_nets(struct ww_device *device, void *opaque)
{
    (void)opaque;
    check_net(device, "bottleneck");
    check_net(device, "dilated");
    check_net(device, "basic");
}

int main(void)
{
    check_devices(check_nets, NULL);
    return check_done();
}
