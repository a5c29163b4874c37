// Times Grounding DINO alone: bench-grounding DIRECTORY HEIGHT WIDTH PHRASES [RUNS | - | =]
//
// DIRECTORY is what random-grounding-dino writes, PHRASES are separated by semicolons. Prints how much of
// the device's memory is held, and for what; without RUNS where the time goes, stage by stage and
// kernel by kernel, launches timed alone; with RUNS the fastest of as many whole looks; with - one look
// for each line that comes, as grounding-dino-peer asks for them; with = nothing more than one look. For that
// script, what was found goes to DIRECTORY/found.safetensors: the tokens, of each query logits and box and,
// with =, which place of the picture it came from.

#include "models/grounding-dino-hall.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_PHRASES = 64, MAX_ROWS = 256 };

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct bench {
    const struct ww_family *family;
    struct ww_device *device;
    void *model;
    struct ww_words words;
    struct ww_gdino_hall *hall;
    struct ww_gdino_seat *seat;
    struct ww_frame frame;
    uint8_t *pixels;
    uint64_t weights_bytes;
};

// A picture that grounding-dino-peer makes, too: [height][width][3].
static void draw(struct bench *b, int w, int h)
{
    b->pixels = malloc((size_t)w * (size_t)h * 3);
    if (!b->pixels)
        abort();
    for (int p = 0; p < w * h; p++)
        for (int c = 0; c < 3; c++)
            b->pixels[3 * p + c] = (uint8_t)((p % w * (c + 2) + p / w * 3 + p % 101) % 256);
    b->frame = (struct ww_frame){.format = WW_FORMAT_RGB,
                                 .width = w,
                                 .height = h,
                                 .plane = {b->pixels},
                                 .stride = {3 * w}};
}

static bool open_all(struct bench *b, const char *directory, int h, int w, char *text,
                     bool stages, struct ww_error *err)
{
    const char *phrases[MAX_PHRASES];
    int num = 0;
    for (char *at = NULL, *one = strtok_r(text, ";", &at); one && num < MAX_PHRASES;
         one = strtok_r(NULL, ";", &at))
        phrases[num++] = one + strspn(one, " ");
    struct ww_model_info info;
    b->family = &ww_family_grounding_dino;
    b->device = ww_device_open(getenv("WATCHWORD_DEVICE"), err);
    struct ww_json *config = b->device ? ww_family_config(directory, err) : NULL;
    b->model = config ? b->family->load(b->device, directory, config, NULL, &info, err) : NULL;
    ww_json_free(&config);
    if (!b->model || !b->family->understand(b->model, WW_TASK_GROUND, phrases, num, &b->words, err))
        return false;
    b->weights_bytes = b->device->bytes;
    draw(b, w, h);
    const struct ww_look_params look = {.task = WW_TASK_GROUND,
                                        .format = b->frame.format,
                                        .width = w,
                                        .height = h,
                                        .input_width = w,
                                        .input_height = h,
                                        .keep_stages = stages};
    struct ww_hall_params hall = {.room = 1, .keep_stages = stages};
    if (!b->family->measure(b->model, &look, &b->words, false, &hall.extent, err))
        return false;
    b->hall = b->family->open(b->device, b->model, &hall, err);
    b->seat = b->hall ? b->family->sit(b->hall, &look, &b->words, err) : NULL;
    return b->seat != NULL;
}

static bool look(struct bench *b, double *seconds, double *spent, struct ww_error *err)
{
    struct ww_findings *found = calloc(1, sizeof *found);
    if (!found)
        abort();
    const double begin = now(CLOCK_MONOTONIC), used = now(CLOCK_PROCESS_CPUTIME_ID);
    const struct ww_look one = {.seat = b->seat, .frame = &b->frame, .threshold = 0.35f, .out = found};
    const bool ok = b->family->look(b->hall, &one, 1, err);
    *seconds = now(CLOCK_MONOTONIC) - begin;
    *spent = now(CLOCK_PROCESS_CPUTIME_ID) - used;
    free(found);
    return ok;
}

// Launches whose labels differ by numbers alone, of one kernel.
struct row {
    char label[48];
    const char *kernel, *variant;
    double ns, macs, bytes;
    int count;
};

static void without_numbers(const char *label, char to[48])
{
    for (bool before = false; *label; label++) {
        const bool digit = isdigit((unsigned char)*label);
        if (!digit || !before)
            *to++ = digit ? '#' : *label;
        before = digit;
    }
    *to = '\0';
}

static bool report(struct bench *b, struct ww_error *err)
{
    struct ww_plan *plan = b->hall->plan;
    const int num = ww_plan_num_launches(plan);
    struct ww_launch_info *info = calloc((size_t)num, sizeof *info);
    struct row *rows = calloc(MAX_ROWS, sizeof *rows);
    if (!info || !rows)
        abort();
    const bool ok = ww_plan_time_launches(plan, 1, info, err);
    double ns = 0, macs = 0;
    int num_rows = 0;
    for (int i = 0; ok && i < num; i++) {
        char label[48] = "";
        int r = 0;
        without_numbers(info[i].label, label);
        while (r < num_rows && (strcmp(rows[r].label, label) || rows[r].kernel != info[i].kernel ||
                                rows[r].variant != info[i].variant))
            r++;
        if (r == num_rows && num_rows + 1 < MAX_ROWS) {
            num_rows++;
            memcpy(rows[r].label, label, sizeof label);
            rows[r].kernel = info[i].kernel;
            rows[r].variant = info[i].variant;
        }
        rows[r].ns += (double)info[i].time_ns;
        rows[r].macs += info[i].macs;
        rows[r].bytes += (double)info[i].bytes;
        rows[r].count++;
        ns += (double)info[i].time_ns;
        macs += info[i].macs;
    }
    for (int r = 0; r < num_rows; r++)
        printf("%-28s %-13s %-8s %4d x %10.2f ms %5.1f %% %7.1f GFLOP/s %6.2f GB/s\n", rows[r].label,
               rows[r].kernel, rows[r].variant, rows[r].count, rows[r].ns * 1e-6, 100 * rows[r].ns / ns,
               2 * rows[r].macs / rows[r].ns, rows[r].bytes / rows[r].ns);
    if (ok)
        printf("%d launches, alone: %.2f s, %.0f GFLOP, %.1f GFLOP/s\n", num, ns * 1e-9, 2e-9 * macs,
               2 * macs / ns);
    free(rows);
    free(info);
    return ok;
}

static void tell_memory(const struct bench *b)
{
    const struct ww_plan *plan = b->hall->plan;
    const double held = (double)b->device->bytes, weights = (double)b->weights_bytes;
    const double live = (double)ww_plan_live_bytes(plan);
    printf("%s: %.0f MB held; weights %.0f, activations %.0f, of which %.0f at once at most; "
           "held / (weights + those at once) = %.2f\n",
           b->device->info.name, held / 1e6, weights / 1e6, (double)ww_plan_bytes(plan) / 1e6, live / 1e6,
           held / (weights + live));
}

// What one query each was made of, best first. NULL unless stages were kept.
static float *read_order(const struct bench *b, int queries, struct ww_error *err)
{
    struct ww_plan *plan = b->hall->plan;
    struct ww_tensor lie;
    float *order = NULL;
    for (int i = 0; i < ww_plan_num_stages(plan); i++)
        if (!strcmp(ww_plan_stage(plan, i, &lie), "select.topk") && lie.w == queries) {
            order = calloc((size_t)queries, sizeof *order);
            if (!order)
                abort();
            if (!ww_plan_read_stage(plan, i, order, err))
                order[0] = -1;
        }
    return order;
}

static bool write_found(const struct bench *b, const char *directory, struct ww_error *err)
{
    const struct ww_gdino_hall *s = b->hall;
    const struct ww_gdino_text *text = &b->seat->prompt->captions[0].text;
    const struct ww_tensor lie = s->pass.logits;
    const float *from = ww_plan_host(s->plan, lie), *box = ww_plan_host(s->plan, s->pass.boxes);
    const size_t all = (size_t)lie.w * (size_t)text->num;
    float *ids = calloc((size_t)text->num, sizeof *ids), *logits = calloc(all, sizeof *logits);
    float *boxes = calloc((size_t)lie.w * 4, sizeof *boxes);
    if (!ids || !logits || !boxes)
        abort();
    for (int i = 0; i < text->num; i++)
        ids[i] = (float)text->ids[i];
    for (int q = 0; q < lie.w; q++) {
        for (int i = 0; i < text->num; i++)
            logits[q * text->num + i] = from[ww_at(lie, 0, i, 0, q)];
        memcpy(boxes + 4 * q, box + ww_at(s->pass.boxes, 0, 0, 0, q), 4 * sizeof *boxes);
    }
    struct ww_weights_writer *writer = ww_weights_write_begin();
    ww_weights_write_add(writer, "ids", WW_F32, 1, (const int64_t[]){text->num}, ids);
    ww_weights_write_add(writer, "logits", WW_F32, 2, (const int64_t[]){lie.w, text->num}, logits);
    ww_weights_write_add(writer, "boxes", WW_F32, 2, (const int64_t[]){lie.w, 4}, boxes);
    float *order = read_order(b, lie.w, err);
    if (order)
        ww_weights_write_add(writer, "order", WW_F32, 1, (const int64_t[]){lie.w}, order);
    free(order);
    free(ids);
    free(logits);
    free(boxes);
    char path[4096];
    snprintf(path, sizeof path, "%s/found.safetensors", directory);
    return ww_weights_write_end(&writer, path, err);
}

// One look a line.
static bool serve(struct bench *b, struct ww_error *err)
{
    char line[16];
    double seconds, spent;
    bool ok = true;
    while (ok && fgets(line, sizeof line, stdin)) {
        ok = look(b, &seconds, &spent, err);
        printf("%.3f %.3f\n", seconds, spent);
        fflush(stdout);
    }
    return ok;
}

int main(int argc, char **argv)
{
    struct ww_error err = {0};
    struct bench b = {0};
    if (argc < 5) {
        fprintf(stderr, "usage: bench-grounding DIRECTORY HEIGHT WIDTH PHRASES [RUNS | - | =]\n");
        return 2;
    }
    const bool serves = argc > 5 && !strcmp(argv[5], "-"), stages = argc > 5 && !strcmp(argv[5], "=");
    const int runs = argc > 5 && !serves && !stages ? atoi(argv[5]) : 0;
    double seconds, spent, best = HUGE_VAL, least = HUGE_VAL;
    bool ok = open_all(&b, argv[1], atoi(argv[2]), atoi(argv[3]), argv[4], stages, &err) &&
              look(&b, &seconds, &spent, &err) && write_found(&b, argv[1], &err);
    if (ok)
        tell_memory(&b);
    fflush(stdout);
    ok = ok && (!serves || serve(&b, &err)) && (argc > 5 || report(&b, &err));
    for (int i = 0; ok && i < runs; i++) {
        ok = look(&b, &seconds, &spent, &err);
        best = fmin(best, seconds);
        least = fmin(least, spent);
    }
    if (ok && runs > 0)
        printf("%.3f s a picture, processor time %.3f s, best of %d\n", best, least, runs);
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    for (int i = 0; i < b.words.num_phrases && b.words.phrases; i++)
        free(b.words.phrases[i]);
    free(b.words.phrases);
    free(b.words.targets);
    if (b.device) {
        if (b.seat)
            b.family->rise(b.seat);
        b.family->close(b.device, b.hall);
        b.family->unload(b.device, b.model);
    }
    free(b.pixels);
    ww_device_close(&b.device);
    return ok ? 0 : 1;
}
