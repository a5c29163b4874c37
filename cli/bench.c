// watchword bench: how fast is this device, and where does the time go?

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/bench.h>
#include <watchword/json_text.h>

#include "cli.h"

static const struct manual manual = {
    .usage = "bench kernels [GLOB] [OPTIONS]\n"
             "bench MODEL [OPTIONS]",
    .about =
        "Times every kernel at its typical size, or whole forward passes of a model and then\n"
        "each of its layers: milliseconds, GFLOP/s, GB/s, and the share of what this device's\n"
        "measured limits allow for that work.",
    .examples = "  watchword bench nano\n"
                "  watchword bench nano --size 384x288 --phrases person --json\n"
                "  watchword bench kernels \"conv*\" --device llvmpipe",
    .min_args = 1,
    .max_args = 2,
};

struct session {
    const char *device, *task_name, *phrases;
    int size[2], runs, batch;
    double seconds;
    bool json;

    struct ww_bench_row *rows; // kept, for the JSON object opens with the whole
    char **texts;              // their strings
    int num_rows;
};

static char *keep(const char *text)
{
    char *copy = strdup(text ? text : "");
    if (!copy)
        abort();
    return copy;
}

static double share(const struct ww_bench_row *row)
{
    return row->limit_ms > 0 && row->median_ms > 0 ? row->limit_ms / row->median_ms : NAN;
}

static void print_head(void)
{
    printf("%-32s %-18s %-26s %9s %9s %9s %8s %8s %6s\n", "", "variant", "size", "median ms", "min",
           "p99", "GFLOP/s", "GB/s", "limit");
}

static void print_row(const struct ww_bench_row *row)
{
    const double seconds = row->median_ms / 1e3;
    printf("%-32s %-18s %-26s %9.3f %9.3f %9.3f %8.2f %8.2f", row->name,
           row->variant ? row->variant : "", row->size ? row->size : "", row->median_ms,
           row->min_ms, row->p99_ms, seconds > 0 ? row->gflop / seconds : 0,
           seconds > 0 ? row->gbyte / seconds : 0);
    if (isnan(share(row)))
        printf("\n");
    else
        printf(" %4.0f %%\n", 100 * share(row));
}

static void on_row(void *opaque, const struct ww_bench_row *row)
{
    struct session *s = opaque;
    if (!s->json) {
        if (s->num_rows++ == 0)
            print_head();
        print_row(row);
        fflush(stdout); // kernels take their time
        return;
    }
    s->rows = realloc(s->rows, (size_t)(s->num_rows + 1) * sizeof(*s->rows));
    s->texts = realloc(s->texts, (size_t)(s->num_rows + 1) * 3 * sizeof(*s->texts));
    if (!s->rows || !s->texts)
        abort();
    struct ww_bench_row *kept = &s->rows[s->num_rows];
    char **texts = s->texts + 3 * s->num_rows++;
    *kept = *row;
    kept->name = texts[0] = keep(row->name);
    kept->variant = texts[1] = keep(row->variant);
    kept->size = texts[2] = keep(row->size);
}

static void put_times(struct ww_json_text *t, const struct ww_bench_row *row)
{
    const double seconds = row->median_ms / 1e3;
    ww_json_put_string(t, "name", row->name);
    ww_json_put_string(t, "variant", row->variant);
    ww_json_put_string(t, "size", row->size);
    ww_json_put_real(t, "median_ms", row->median_ms, 6);
    ww_json_put_real(t, "min_ms", row->min_ms, 6);
    ww_json_put_real(t, "p99_ms", row->p99_ms, 6);
    ww_json_put_real(t, "gflop", row->gflop, 9);
    ww_json_put_real(t, "gbyte", row->gbyte, 9);
    ww_json_put_real(t, "gflop_per_s", seconds > 0 ? row->gflop / seconds : NAN, 3);
    ww_json_put_real(t, "gbyte_per_s", seconds > 0 ? row->gbyte / seconds : NAN, 3);
    ww_json_put_real(t, "limit_ms", row->limit_ms, 6);
    ww_json_put_real(t, "share_of_limit", share(row), 4);
}

// `total`: NULL for kernels, which have no whole.
static void write_json(const struct session *s, struct ww_json_text *t, const char *device,
                       const struct ww_bench_limits *limits, const struct ww_bench_row *total)
{
    ww_json_object(t, NULL);
    if (total)
        put_times(t, total);
    ww_json_put_string(t, "device", device);
    ww_json_object(t, "limits");
    ww_json_put_real(t, "gflop_per_s", limits->gflops, 3);
    ww_json_put_real(t, "gbyte_per_s", limits->gbytes, 3);
    ww_json_end(t);
    ww_json_array(t, total ? "layers" : "kernels");
    for (int i = 0; i < s->num_rows; i++) {
        ww_json_object(t, NULL);
        put_times(t, &s->rows[i]);
        ww_json_end(t);
    }
    ww_json_end(t);
    ww_json_end(t);
}

static int report(const struct session *s, const char *device, const struct ww_bench_limits *limits,
                  const struct ww_bench_row *total)
{
    if (s->json) {
        struct ww_json_text count = {0};
        write_json(s, &count, device, limits, total);
        struct ww_json_text t = {.out = malloc(count.length + 1), .size = count.length + 1};
        if (!t.out)
            abort();
        write_json(s, &t, device, limits, total);
        print_line(t.out, t.length);
        free(t.out);
        return finish_output(DONE);
    }
    if (total) {
        putchar('\n');
        print_row(total);
    }
    printf("\n%s: measured limits %.1f GFLOP/s, %.1f GB/s\n", device, limits->gflops,
           limits->gbytes);
    return finish_output(DONE);
}

static bool bench_model(struct session *s, struct ww_engine *engine, const char *model,
                        struct ww_bench_row *total, struct ww_bench_limits *limits,
                        struct ww_error *err)
{
    const int task = ww_task_from_name(s->task_name);
    if (task < 0)
        return ww_fail(err, WW_E_CONFIG, "bench: there is no task '%s'", s->task_name);
    char *words = keep(s->phrases);
    struct ww_bench_model_params params = {
        .model = model,
        .task = (enum ww_task)task,
        .input_width = s->size[0],
        .input_height = s->size[1],
        .runs = s->runs,
        .batch = s->batch,
    };
    const char **phrases = NULL;
    float *thresholds = NULL; // what is told costs nothing
    params.num_phrases = split_phrases(words, &phrases, &thresholds, err);
    params.phrases = phrases;
    const bool timed =
        params.num_phrases >= 0 && ww_bench_model(engine, &params, total, limits, on_row, s, err);
    free(phrases);
    free(thresholds);
    free(words);
    return timed;
}

int cmd_bench(int argc, char **argv)
{
    struct session s = {.task_name = "detect", .seconds = 1};
    const struct option options[] = {
        {"size", "WxH", "the network's input, px [512x384 for nano]", OPTION_SIZE, s.size},
        {"task", "TASK", "detect, pose, ... [detect]", OPTION_TEXT, &s.task_name},
        {"phrases", "\"A; B\"", "only these classes, as in a watch [all]", OPTION_TEXT, &s.phrases},
        {"runs", "N", "forward passes to time [30]", OPTION_WHOLE, &s.runs, 1, 100000},
        {"batch", "N", "pictures in one pass [1]", OPTION_WHOLE, &s.batch, 1, 64},
        {"seconds", "S", "for each kernel [1]", OPTION_REAL, &s.seconds, 0.01, 3600},
        {"device", "N|NAME", "which device, or \"reference\" [$WATCHWORD_DEVICE, or the best]",
         OPTION_TEXT, &s.device},
        {"json", NULL, "one JSON object: times, limits and a list of layers or kernels",
         OPTION_FLAG, &s.json},
        {0},
    };
    int status;
    if (!parse_options(&argc, argv, &manual, options, &status))
        return status;
    const bool kernels = strcmp(argv[0], "kernels") == 0;
    if (!kernels && argc > 1) {
        complain("bench: '%s' is one too many; see watchword bench --help", argv[1]);
        return WRONG_USAGE;
    }
    struct ww_error err = {0};
    struct ww_engine *engine = ww_engine_open(ww_engine_params(.device = s.device), &err);
    if (!engine)
        return give_up(&err);
    struct ww_device_info device;
    ww_engine_device(engine, &device);
    struct ww_bench_limits limits = {0};
    struct ww_bench_row total = {0};
    const bool timed = kernels
                           ? ww_bench_kernels(engine, argv[1], s.seconds, &limits, on_row, &s, &err)
                           : bench_model(&s, engine, argv[0], &total, &limits, &err);
    status = timed ? report(&s, device.name, &limits, kernels ? NULL : &total) : give_up(&err);
    ww_engine_close(&engine);
    for (int i = 0; s.json && i < 3 * s.num_rows; i++)
        free(s.texts[i]);
    free(s.texts);
    free(s.rows);
    return status;
}
