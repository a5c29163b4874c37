// SmolLM2-135M-Instruct (Q4_1): the same words as the transformers library says, token for token, and
// how fast. The weights are not in this repository: scripts/fetch-smollm2 fetches and checks them;
// $WATCHWORD_SMOLLM2 is the GGUF file.

#include "base/json.h"
#include "check.h"
#include "models/llama.h"

#include <time.h>

enum { MOST = 512 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int read_ids(const struct ww_json *list, uint32_t *out)
{
    int num = 0;
    for (const struct ww_json *x = ww_json_first(list); x && num < MOST; x = ww_json_next(x)) {
        int64_t id = -1;
        CHECK(ww_json_integer(x, &id));
        out[num++] = (uint32_t)id;
    }
    return num;
}

static uint32_t best(struct ww_llama_session *s, float *logits, int count)
{
    int at = 0;
    ww_llama_logits(s, 0, logits);
    for (int i = 1; i < count; i++)
        if (logits[i] > logits[at])
            at = i;
    return (uint32_t)at;
}

static void check_prompt(struct ww_llama_session *s, const struct ww_json *prompt, float *logits, int V,
                         double time[2], int tokens[2])
{
    struct ww_error err = {0};
    uint32_t ids[MOST], want[MOST];
    struct ww_llama_row rows[MOST] = {0};
    const int num = read_ids(ww_json_get(prompt, "ids"), ids);
    const int num_want = read_ids(ww_json_get(prompt, "greedy_ids"), want);
    for (int i = 0; i < num; i++)
        rows[i] = (struct ww_llama_row){.token = ids[i], .position = i, .picked = i == num - 1};
    double start = now();
    if (!CHECK(ww_llama_run(s, rows, num, &err))) {
        printf("%s\n", err.text);
        return;
    }
    time[0] += now() - start;
    tokens[0] += num;
    int same = 0;
    start = now();
    for (int i = 0; i < num_want; i++) {
        struct ww_llama_row next = {.token = best(s, logits, V), .position = num + i, .picked = true};
        same += next.token == want[i];
        if (i + 1 < num_want && !CHECK(ww_llama_run(s, &next, 1, &err)))
            break;
    }
    time[1] += now() - start;
    tokens[1] += num_want - 1;
    printf("  %d prompt tokens, %d of %d as expected\n", num, same, num_want);
    CHECK_CMP(same, ==, num_want);
}

int main(int argc, char **argv)
{
    const char *file = argc > 1 ? argv[1] : getenv("WATCHWORD_SMOLLM2");
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!file || !source)
        check_skip("no weights: run scripts/fetch-smollm2 and set WATCHWORD_SMOLLM2 to what it prints");
    char path[4096];
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/tests/models/smollm2/prompts.json", source);
    struct ww_json *document = ww_json_load(path, 1 << 20, ww_json_params(0), &err);
    struct ww_device *device = ww_device_open(NULL, &err);
    struct ww_llama *model = device && document ? ww_llama_load(device, file, &err) : NULL;
    struct ww_llama_session *s =
        model ? ww_llama_open(device, model, ww_llama_params(.context = 512), &err) : NULL;
    if (!CHECK(s != NULL)) {
        printf("%s\n", err.text);
        return check_done();
    }
    const int V = ww_llama_shape(model)->vocabulary;
    float *logits = malloc(sizeof *logits * (size_t)V);
    double time[2] = {0};
    int tokens[2] = {0};
    const struct ww_json *list = ww_json_get(document, "prompts");
    for (const struct ww_json *p = ww_json_first(list); p; p = ww_json_next(p))
        check_prompt(s, p, logits, V, time, tokens);
    printf("%s: %.1f prompt tokens/s, %.1f generated tokens/s\n", device->info.name, tokens[0] / time[0],
           tokens[1] / time[1]);
    free(logits);
    ww_llama_close(device, &s);
    ww_llama_unload(device, &model);
    ww_device_close(&device);
    ww_json_free(&document);
    return check_done();
}
