// Runs CenterNet's network alone, as the peers do: bench-centernet WEIGHTS SIZE PICTURE CLASSES
//
// From a picture of SIZE x SIZE R'G'B' bytes, read once, to the scores of the first CLASSES classes and the
// sizes: no colours, no resizing, no picking of peaks. Speaks as peers/worker.py does: "run N" is answered
// with the milliseconds of N runs as a JSON list, "heat FILE" writes the scores of one more, float32,
// height x width x CLASSES.

#include "base/clock.h"
#include "kernels/kernels.h"
#include "models/centernet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NETWORK, READ_BACK }; // parts of the recording

struct bench {
    struct ww_device *device;
    struct ww_weights *weights;
    struct ww_centernet *net;
    struct ww_class_head head;
    struct ww_plan *plan;
    struct ww_tensor frame, heat;
};

static bool prepare(struct bench *b, const char *weights, int size, int num_classes, struct ww_error *err)
{
    int classes[WW_CENTERNET_CLASSES];
    for (int c = 0; c < num_classes; c++)
        classes[c] = c;
    b->device = ww_device_open(getenv("WATCHWORD_DEVICE"), err);
    b->weights = b->device ? ww_weights_open(weights, err) : NULL;
    b->net = b->weights ? ww_centernet_load(b->device, b->weights, err) : NULL;
    if (!b->net || !ww_class_head_load(b->device, b->net, classes, num_classes, &b->head, err))
        return false;
    struct ww_cmd *g = ww_cmd_create(b->device);
    b->frame = ww_upload_tensor(g, 1, 3, size, size);
    ww_part(g);
    const struct ww_centernet_out out = ww_centernet(g, b->net, &b->head, b->frame);
    ww_part(g);
    b->heat = ww_result_tensor(g, 1, num_classes, out.heat.h, out.heat.w);
    ww_combine(g, b->heat, out.heat, (struct ww_tensor){0}, (struct ww_tensor){0}, WW_ACT_NONE);
    b->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return b->plan != NULL;
}

static bool read_picture(struct bench *b, const char *path)
{
    const size_t pixels = (size_t)b->frame.h * (size_t)b->frame.w;
    unsigned char *bytes = malloc(3 * pixels);
    FILE *f = fopen(path, "rb");
    const bool ok = bytes && f && fread(bytes, 3, pixels, f) == pixels;
    float *to = ww_plan_host(b->plan, b->frame);
    for (int y = 0; ok && y < b->frame.h; y++)
        for (int x = 0; x < b->frame.w; x++)
            for (int c = 0; c < 3; c++)
                to[ww_at(b->frame, 0, c, y, x)] = bytes[3 * (y * b->frame.w + x) + c];
    if (f)
        fclose(f);
    free(bytes);
    return ok;
}

static bool write_heat(const struct bench *b, const char *path)
{
    const struct ww_tensor heat = b->heat;
    const float *from = ww_plan_host(b->plan, heat);
    FILE *f = fopen(path, "wb");
    for (int y = 0; f && y < heat.h; y++)
        for (int x = 0; x < heat.w; x++)
            for (int c = 0; c < b->head.num_classes; c++)
                fwrite(&from[ww_at(heat, 0, c, y, x)], sizeof *from, 1, f);
    return f && fclose(f) == 0;
}

static bool answer(struct bench *b, char *line, struct ww_error *err)
{
    line[strcspn(line, "\n")] = '\0';
    if (!strncmp(line, "heat ", 5)) {
        if (!ww_plan_run_part(b->plan, NETWORK, err) || !ww_plan_run_part(b->plan, READ_BACK, err))
            return false;
        if (!write_heat(b, line + 5))
            return ww_fail(err, WW_E_FILE, "%s: cannot be written", line + 5);
        printf("true\n");
        return true;
    }
    const int runs = !strncmp(line, "run ", 4) ? atoi(line + 4) : 0;
    if (runs < 1)
        return ww_fail(err, WW_E_CONFIG, "'%s' is neither 'run N' nor 'heat FILE'", line);
    for (int i = 0; i < runs; i++) {
        const int64_t begin = ww_now_ns();
        if (!ww_plan_run_part(b->plan, NETWORK, err))
            return false;
        printf("%s%.3f", i ? ", " : "[", (double)(ww_now_ns() - begin) * 1e-6);
    }
    printf("]\n");
    return true;
}

int main(int argc, char **argv)
{
    struct ww_error err = {0};
    struct bench b = {0};
    const int size = argc == 5 ? atoi(argv[2]) : 0, num_classes = argc == 5 ? atoi(argv[4]) : 0;
    if (size < WW_CENTERNET_STEP || num_classes < 1 || num_classes > WW_CENTERNET_CLASSES) {
        fprintf(stderr, "usage: bench-centernet WEIGHTS SIZE PICTURE CLASSES\n");
        return 2;
    }
    bool ok = prepare(&b, argv[1], size, num_classes, &err);
    if (ok && !read_picture(&b, argv[3]))
        ok = ww_fail(&err, WW_E_FILE, "%s: not %d x %d pixels of three bytes", argv[3], size, size);
    ok = ok && ww_plan_run_part(b.plan, NETWORK, &err); // compiles what was not
    char line[4096];
    if (ok)
        printf("{\"ready\": \"%s\"}\n", b.device->info.name);
    fflush(stdout);
    while (ok && fgets(line, sizeof line, stdin)) {
        ok = answer(&b, line, &err);
        fflush(stdout);
    }
    if (!ok)
        fprintf(stderr, "bench-centernet: %s\n", err.text);
    if (b.plan)
        ww_plan_destroy(&b.plan);
    if (b.net) {
        ww_class_head_free(b.device, &b.head);
        ww_centernet_destroy(b.device, &b.net);
    }
    ww_weights_close(&b.weights);
    ww_device_close(&b.device);
    return !ok;
}
