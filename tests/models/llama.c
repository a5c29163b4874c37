// Every stage of three small LLaMAs against the transformers library's, on every device, and what
// their quantised files say: logits of a whole prompt, and 32 tokens that follow, word for word.
// A second sequence joins in the middle and changes nothing; neither do embeddings given in the place
// of tokens. Hidden states of chosen rows are read back.

#include "base/json.h"
#include "devices.h"
#include "models/llama.h"

#include <dirent.h>

static char *path_of(const char *folder, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/tests/models/llama/%s/%s", getenv("WATCHWORD_SOURCE"), folder, name);
    return path;
}

static int64_t whole(const struct ww_weight *w, size_t i)
{
    int64_t x;
    memcpy(&x, (const char *)w->data + 8 * i, sizeof x);
    return x;
}

// The largest difference as a share of the largest expected number.
static double share(const struct ww_weight *want, const float *got, size_t count)
{
    double worst = 0, largest = 0;
    if (!want || want->bytes != 4 * count)
        return HUGE_VAL;
    for (size_t i = 0; i < count; i++) {
        const double e = (double)ww_weight_float(want, i), d = fabs((double)got[i] - e);
        largest = fmax(largest, fabs(e));
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    return worst / largest;
}

struct prompt {
    struct ww_llama_row rows[64];
    int num;
};

static struct prompt prompt_of(const struct ww_weight *ids)
{
    struct prompt p = {.num = (int)ids->dim[0]};
    for (int i = 0; i < p.num; i++)
        p.rows[i] = (struct ww_llama_row){.token = (uint32_t)whole(ids, (size_t)i), .position = i,
                                          .picked = i == p.num - 1};
    return p;
}

static uint32_t best(const float *logits, int count)
{
    int at = 0;
    for (int i = 1; i < count; i++)
        if (logits[i] > logits[at])
            at = i;
    return (uint32_t)at;
}

// Continues the prompt in sequence 0; from the tenth token on, sequence 1 begins the same prompt and
// goes along. Both must say what is expected.
static void check_greedy(struct ww_device *device, const struct ww_llama *model, struct prompt p,
                         const struct ww_weight *want)
{
    const int V = ww_llama_shape(model)->vocabulary, num = (int)want->dim[0];
    struct ww_error err = {0};
    struct ww_llama_session *s =
        ww_llama_open(device, model, ww_llama_params(.sequences = 2, .context = 80, .stretch = 32), &err);
    float *logits = malloc(sizeof *logits * (size_t)V);
    if (!CHECK(s && ww_llama_run(s, p.rows, p.num, &err)))
        printf("%s\n", err.text);
    int same = 0, joined = 0;
    struct ww_llama_row next[2] = {{.picked = true}, {.sequence = 1, .picked = true}};
    if (s) {
        ww_llama_logits(s, 0, logits);
        next[0].token = best(logits, V);
    }
    for (int i = 0; s && i < num; i++) {
        same += next[0].token == (uint32_t)whole(want, (size_t)i);
        next[0].position = p.num + i;
        const bool both = i >= 10;
        if (i == 10) {
            for (int k = 0; k < p.num; k++)
                p.rows[k].sequence = 1;
            CHECK(ww_llama_run(s, p.rows, p.num, &err));
            ww_llama_logits(s, 0, logits);
            next[1].token = best(logits, V);
        }
        if (both) {
            joined += next[1].token == (uint32_t)whole(want, (size_t)(i - 10));
            next[1].position = p.num + i - 10;
        }
        if (!CHECK(ww_llama_run(s, next, both ? 2 : 1, &err)))
            break;
        for (int k = 0; k < (both ? 2 : 1); k++) {
            ww_llama_logits(s, k, logits);
            next[k].token = best(logits, V);
        }
    }
    printf("    %d of %d tokens, joined %d of %d\n", same, num, joined, num - 10);
    CHECK_CMP(same, ==, num);
    CHECK_CMP(joined, ==, num - 10);
    free(logits);
    ww_llama_close(device, &s);
}

// [h][w][c] of one stage, cut to the golden set's shape: rows, or heads by rows, whose pairs are laced.
static float *arrange(const float *from, struct ww_tensor t, const struct ww_weight *want)
{
    const bool heads = want->rank == 3;
    const int rows = (int)want->dim[heads ? 1 : 0], D = (int)want->dim[want->rank - 1];
    float *out = malloc(want->bytes), *to = out;
    if (!out)
        abort();
    for (int h = 0; h < (heads ? (int)want->dim[0] : 1); h++)
        for (int r = 0; r < rows; r++)
            for (int d = 0; d < D; d++)
                *to++ = from[r * t.c + h * D + (heads ? d % (D / 2) * 2 + d / (D / 2) : d)];
    return out;
}

static void check_stages(const char *name, struct ww_plan *plan, const struct ww_weights *golden,
                         const struct ww_json *tolerances)
{
    double closest = 0;
    int seen = 0;
    for (int i = 0; i < ww_plan_num_stages(plan); i++) {
        struct ww_tensor t;
        struct ww_error err = {0};
        const char *stage = ww_plan_stage(plan, i, &t);
        const struct ww_weight *want = ww_weights_find(golden, stage);
        float *data = malloc(sizeof *data * (size_t)t.w * (size_t)t.c);
        double tolerance = 0;
        if (!CHECK(want && data && ww_plan_read_stage(plan, i, data, &err))) {
            printf("%s: no such stage\n", stage);
            free(data);
            continue;
        }
        CHECK(ww_json_number(ww_json_get(ww_json_get(tolerances, stage), "rel_tolerance"), &tolerance));
        float *got = arrange(data, t, want);
        const double d = share(want, got, want->bytes / 4);
        check_about("%s %s", name, stage);
        CHECK_CMP(d, <=, tolerance);
        closest = fmax(closest, d / tolerance);
        seen++;
        free(got);
        free(data);
    }
    printf("    %d stages, the worst takes %.2f of its tolerance\n", seen, closest);
    check_about("%s", "");
    CHECK_CMP(seen, >=, 19);
}

static void check_file(struct ww_device *device, const char *name, const char *file,
                       const struct ww_weights *golden, const struct ww_weights *quantised)
{
    struct ww_error err = {0};
    const bool gguf = strstr(file, ".gguf") != NULL;
    char logits_name[128], greedy_name[128];
    snprintf(logits_name, sizeof logits_name, gguf ? "%s.logits" : "logits", strrchr(file, '/') + 1);
    snprintf(greedy_name, sizeof greedy_name, gguf ? "%s.greedy" : "greedy.ids", strrchr(file, '/') + 1);
    const struct ww_weights *source = gguf ? quantised : golden;
    struct prompt p = prompt_of(ww_weights_find(golden, "prompt.ids"));
    struct ww_llama *model = ww_llama_load(device, path_of(name, file[0] == '/' ? file + 1 : file), &err);
    printf("  %s%s\n", name, file);
    struct ww_llama_session *s =
        model ? ww_llama_open(device, model, ww_llama_params(.context = 64, .stretch = 64, .keep_stages = true),
                              &err)
              : NULL;
    if (!CHECK(s && ww_llama_run(s, p.rows, p.num, &err)))
        printf("%s\n", err.text);
    else if (!gguf) {
        struct ww_json *tolerances =
            ww_json_load(path_of(name, "stages.json"), 1 << 20, ww_json_params(0), &err);
        check_stages(name, ww_llama_plan(s), golden, tolerances);
        ww_json_free(&tolerances);
    }
    for (int i = 0; s && gguf && i < ww_plan_num_stages(ww_llama_plan(s)); i++) {
        struct ww_tensor t;
        if (strcmp(ww_plan_stage(ww_llama_plan(s), i, &t), "logits"))
            continue;
        float *data = malloc(sizeof *data * (size_t)t.w * (size_t)t.c);
        const struct ww_weight *want = ww_weights_find(source, logits_name);
        if (CHECK(want && ww_plan_read_stage(ww_llama_plan(s), i, data, &err))) {
            float *got = arrange(data, t, want);
            const double d = share(want, got, want->bytes / 4);
            printf("    logits within %.1e of the largest\n", d);
            CHECK_CMP(d, <=, 3e-5);
            free(got);
        }
        free(data);
    }
    ww_llama_close(device, &s);
    const struct ww_weight *greedy = ww_weights_find(source, greedy_name);
    if (model && CHECK(greedy != NULL))
        check_greedy(device, model, p, greedy);
    ww_llama_unload(device, &model);
}

static float *floats(const struct ww_weight *w)
{
    float *out = malloc(w->bytes);
    if (!out)
        abort();
    for (size_t i = 0; i < w->bytes / 4; i++)
        out[i] = ww_weight_float(w, i);
    return out;
}

// The largest difference of a row, as a share of the largest number of all rows.
static double row_share(const struct ww_weight *want, int row, const float *got)
{
    const int width = (int)want->dim[1];
    double worst = 0, largest = 0;
    for (size_t i = 0; i < want->bytes / 4; i++)
        largest = fmax(largest, fabs((double)ww_weight_float(want, i)));
    for (int c = 0; c < width; c++) {
        const double e = (double)ww_weight_float(want, (size_t)(row * width + c));
        const double d = fabs((double)got[c] - e);
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    return worst / largest;
}

static void check_row(struct ww_llama_session *s, int picked, int row, const struct ww_weight *hidden,
                      const struct ww_weight *logits)
{
    float *got = malloc(sizeof *got * (size_t)(hidden->dim[1] + logits->dim[1]));
    if (!got)
        abort();
    ww_llama_hidden(s, picked, got);
    CHECK_CMP(row_share(hidden, row, got), <=, 3e-5);
    ww_llama_logits(s, picked, got);
    CHECK_CMP(row_share(logits, row, got), <=, 3e-5);
    free(got);
}

// A prompt in two stretches and a last row alone; embeddings stand in for the tokens of a span across
// the border, and for that row's.
static void check_given(struct ww_device *device, const char *name, const struct ww_weights *golden)
{
    struct ww_error err = {0};
    const struct ww_weight *embed = ww_weights_find(golden, "embed");
    const struct ww_weight *hidden = ww_weights_find(golden, "final_norm");
    const struct ww_weight *logits = ww_weights_find(golden, "logits");
    struct prompt p = prompt_of(ww_weights_find(golden, "prompt.ids"));
    struct ww_llama *model = ww_llama_load(device, path_of(name, "model"), &err);
    struct ww_llama_session *s =
        model ? ww_llama_open(device, model,
                              ww_llama_params(.sequences = 3, .context = 64, .stretch = 32, .given = true),
                              &err)
              : NULL;
    if (!CHECK(s && embed && hidden && logits && p.num > 8)) {
        printf("%s\n", err.text);
    } else {
        const int last = p.num - 1, border = p.num / 2;
        float *rows = floats(embed);
        for (int i = 0; i < p.num; i++) {
            p.rows[i].sequence = 1;
            p.rows[i].picked = i == 0 || i == border - 1 || i == border + 1 || i == last - 1 || i == last;
            if ((i >= border - 2 && i < border + 2) || i == last) {
                p.rows[i].given = rows + (size_t)i * (size_t)embed->dim[1];
                p.rows[i].token = UINT32_MAX; // looked at by nobody
            }
        }
        check_about("%s, embeddings given", name);
        CHECK(ww_llama_run(s, p.rows, border, &err));
        check_row(s, 0, 0, hidden, logits);
        check_row(s, 1, border - 1, hidden, logits);
        CHECK(ww_llama_run(s, p.rows + border, last - border, &err));
        check_row(s, 0, border + 1, hidden, logits);
        check_row(s, 1, last - 1, hidden, logits);
        CHECK(ww_llama_run(s, p.rows + last, 1, &err));
        check_row(s, 0, last, hidden, logits);
        check_about("%s", "");
        free(rows);
    }
    ww_llama_close(device, &s);
    ww_llama_unload(device, &model);
}

// Keys and values in half precision. They are off by up to 2^-12 of themselves; logits of the whole prompt,
// through all layers, stay within 2^-9 of the largest, and 32 tokens are the same: the closest of them leads
// by more than that.
static void check_half(struct ww_device *device, const char *name, const struct ww_weights *golden)
{
    struct ww_error err = {0};
    const struct ww_weight *logits = ww_weights_find(golden, "logits"), *greedy = ww_weights_find(golden, "greedy.ids");
    struct prompt p = prompt_of(ww_weights_find(golden, "prompt.ids"));
    struct ww_llama *model = ww_llama_load(device, path_of(name, "model"), &err);
    struct ww_llama_session *s =
        model ? ww_llama_open(device, model,
                              ww_llama_params(.context = 64, .stretch = 32, .half_cache = true), &err)
              : NULL;
    float *got = malloc(sizeof *got * (size_t)logits->dim[1]);
    double off[2] = {0};
    for (int pass = 0; s && pass < 2; pass++) { // in one stretch; and the last half one by one
        const int stretch = pass ? p.num / 2 : p.num;
        for (int i = 0; i < p.num; i++)
            p.rows[i].picked = i >= stretch - 1;
        if (!CHECK(ww_llama_run(s, p.rows, stretch, &err)))
            printf("%s\n", err.text);
        for (int i = stretch; i < p.num; i++)
            CHECK(ww_llama_run(s, &p.rows[i], 1, &err));
        ww_llama_logits(s, 0, got);
        off[pass] = row_share(logits, p.num - 1, got);
        CHECK_CMP(off[pass], <=, 0x1p-9);
        CHECK_CMP(off[pass], >, 1e-6); // or it was no half
    }
    int same = 0;
    for (int i = 0; s && i < (int)greedy->dim[0]; i++) {
        struct ww_llama_row next = {.token = best(got, (int)logits->dim[1]), .position = p.num + i, .picked = true};
        same += next.token == (uint32_t)whole(greedy, (size_t)i);
        if (!CHECK(p.num + i < 64 && ww_llama_run(s, &next, 1, &err)))
            break;
        ww_llama_logits(s, 0, got);
    }
    printf("  %s, half a cache: logits within %.1e and %.1e of the largest, %d tokens\n", name, off[0], off[1], same);
    CHECK_CMP(same, ==, (int)greedy->dim[0]);
    free(got);
    ww_llama_close(device, &s);
    ww_llama_unload(device, &model);
}

static void check_case(struct ww_device *device, const char *name)
{
    struct ww_error err = {0};
    struct ww_weights *golden = ww_weights_open(path_of(name, "stages.safetensors"), &err);
    struct ww_weights *quantised = ww_weights_open(path_of(name, "gguf/golden.safetensors"), &err);
    if (!CHECK(golden && quantised)) {
        printf("%s\n", err.text);
        return;
    }
    check_file(device, name, "/model", golden, quantised);
    check_given(device, name, golden);
    check_half(device, name, golden);
    DIR *dir = opendir(path_of(name, "gguf"));
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char file[300];
        snprintf(file, sizeof file, "/gguf/%s", e->d_name);
        if (strstr(e->d_name, ".gguf"))
            check_file(device, name, file, golden, quantised);
    }
    closedir(dir);
    ww_weights_close(&golden);
    ww_weights_close(&quantised);
}

static void check_cases(struct ww_device *device, void *opaque)
{
    (void)opaque;
    printf("%s\n", device->info.name);
    check_case(device, "mha");
    check_case(device, "gqa");
    check_case(device, "wide");
}

int main(void)
{
    if (!getenv("WATCHWORD_SOURCE"))
        check_skip("WATCHWORD_SOURCE names no source tree");
    check_devices(check_cases, NULL);
    return check_done();
}
