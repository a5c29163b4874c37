// Times the Swin backbone alone: bench-swin DIRECTORY HEIGHT WIDTH [RUNS [BATCH]]
//
// DIRECTORY is what random-swin writes. Prints each kernel of each stage, launches timed alone (not with
// RUNS given), and the whole pass: the fastest, and how much of the processors it took. For swin-peer, which
// compares both with PyTorch's, the features of the first picture go to DIRECTORY/features.safetensors.

#include "kernels/kernels.h"
#include "models/swin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PREFIX "model.backbone.conv_encoder.model."

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Pixels that swin-peer makes, too.
static float pixel(int c, int p)
{
    return (float)((p * 31 + c * 17) % 257) / 64 - 2;
}

struct bench {
    struct ww_swin *swin;
    struct ww_storage *storage[8];
    int num_storages;
    struct ww_plan *plan;
    struct ww_tensor pixels, feature[WW_SWIN_STAGES];
};

static bool prepare(struct bench *b, struct ww_device *device, const char *directory, int n, int h, int w,
                    struct ww_error *err)
{
    char path[4096];
    struct ww_swin_shape shape;
    struct ww_weights *weights = ww_weights_open(directory, err);
    snprintf(path, sizeof path, "%s/config.json", directory);
    struct ww_json *config = ww_json_load(path, 1 << 16, NULL, err);
    if (!weights || !config || !ww_swin_read_shape(config, &shape, err))
        return false;
    struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = err};
    b->swin = ww_swin_load(&l, PREFIX, &shape);
    const bool ok = b->swin && ww_bank_upload(l.bank, device, b->storage, 8, &b->num_storages, err);
    ww_bank_destroy(&l.bank);
    ww_json_free(&config);
    ww_weights_close(&weights);
    if (!ok)
        return false;
    struct ww_cmd *g = ww_cmd_create(device);
    struct ww_tensor out[WW_SWIN_STAGES];
    b->pixels = ww_upload_tensor(g, n, 3, h, w);
    ww_swin(g, b->swin, b->pixels, out, "");
    for (int s = 0; s < WW_SWIN_STAGES; s++)
        if (ww_some(out[s])) {
            b->feature[s] = ww_result_tensor(g, n, out[s].c, out[s].h, out[s].w);
            ww_label(g, "read back");
            ww_combine(g, b->feature[s], out[s], (struct ww_tensor){0}, (struct ww_tensor){0}, WW_ACT_NONE);
        }
    b->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    if (!b->plan)
        return false;
    float *to = ww_plan_host(b->plan, b->pixels);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < h * w; p++)
                to[ww_at(b->pixels, i, c, 0, p)] = pixel(c, p);
    return true;
}

// One row for each kernel of each label: launches of the same label's first words are one stage.
static bool report(struct bench *b, struct ww_error *err)
{
    const int num = ww_plan_num_launches(b->plan);
    struct ww_launch_info *info = calloc((size_t)num, sizeof *info);
    if (!info || !ww_plan_time_launches(b->plan, 3, info, err))
        return false;
    for (int i = 0; i < num; i++) {
        if (!info[i].time_ns)
            continue;
        const int same = info[i].label[0] == 's' ? 7 : 48; // "stage 2"
        double ns = 0, macs = 0;
        int count = 0;
        for (int k = i; k < num; k++) {
            const char *a = strrchr(info[i].label, ' '), *e = strrchr(info[k].label, ' ');
            if (strncmp(info[k].label, info[i].label, (size_t)same) || strcmp(a ? a : "", e ? e : "") ||
                strcmp(info[k].kernel, info[i].kernel) || strcmp(info[k].variant, info[i].variant) ||
                info[k].macs != info[i].macs || !info[k].time_ns)
                continue;
            ns += (double)info[k].time_ns;
            macs += info[k].macs;
            count++;
            if (k > i)
                info[k].time_ns = 0;
        }
        printf("%-32s %-10s %-6s %3d x %8.2f ms %7.1f GFLOP/s %9.1f ms\n", info[i].label, info[i].kernel,
               info[i].variant, count, ns / count * 1e-6, 2 * macs / ns, ns * 1e-6);
    }
    free(info);
    return true;
}

static bool write_features(const struct bench *b, const char *directory, struct ww_error *err)
{
    struct ww_weights_writer *writer = ww_weights_write_begin();
    char path[4096], name[32];
    for (int s = 0; s < WW_SWIN_STAGES; s++) {
        const struct ww_tensor t = b->feature[s];
        if (!ww_some(t))
            continue;
        const float *from = ww_plan_host(b->plan, t);
        const int pixels = t.h * t.w;
        float *data = malloc(sizeof *data * (size_t)(t.c * pixels));
        if (!data)
            abort();
        for (int i = 0; i < t.c * pixels; i++)
            data[i] = from[ww_at(t, 0, i / pixels, 0, i % pixels)];
        snprintf(name, sizeof name, "feature%d", s);
        ww_weights_write_add(writer, name, WW_F32, 4, (const int64_t[]){1, t.c, t.h, t.w}, data);
        free(data);
    }
    snprintf(path, sizeof path, "%s/features.safetensors", directory);
    return ww_weights_write_end(&writer, path, err);
}

int main(int argc, char **argv)
{
    struct ww_error err = {0};
    struct bench b = {0};
    if (argc < 4) {
        fprintf(stderr, "usage: bench-swin DIRECTORY HEIGHT WIDTH [RUNS [BATCH]]\n");
        return 2;
    }
    const int runs = argc > 4 ? atoi(argv[4]) : 3, batch = argc > 5 ? atoi(argv[5]) : 1;
    struct ww_device *device = ww_device_open(getenv("WATCHWORD_DEVICE"), &err);
    bool ok = device && prepare(&b, device, argv[1], batch, atoi(argv[2]), atoi(argv[3]), &err) &&
              ww_plan_run(b.plan, batch, &err);
    if (ok && argc <= 4)
        ok = report(&b, &err);
    double best = HUGE_VAL, least = HUGE_VAL;
    for (int i = 0; ok && i < runs; i++) {
        const double begin = now(CLOCK_MONOTONIC), spent = now(CLOCK_PROCESS_CPUTIME_ID);
        ok = ww_plan_run(b.plan, batch, &err);
        best = fmin(best, now(CLOCK_MONOTONIC) - begin);
        least = fmin(least, now(CLOCK_PROCESS_CPUTIME_ID) - spent);
    }
    if (ok)
        printf("%s: %.3f s, processor time %.3f s, best of %d; activations %.0f MB\n", device->info.name,
               best, least, runs, (double)ww_plan_bytes(b.plan) / 1e6);
    ok = ok && write_features(&b, argv[1], &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    ww_plan_destroy(&b.plan);
    for (int i = 0; i < b.num_storages; i++)
        ww_storage_destroy(device, &b.storage[i]);
    ww_swin_destroy(&b.swin);
    ww_device_close(&device);
    return ok ? 0 : 1;
}
