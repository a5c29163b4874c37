// Every stage of a small BERT against the transformers library's, on every device: a padded batch of
// two texts, and a caption whose phrases see only themselves. And what padding may not do: change
// anything at all.

#include "devices.h"
#include "models/bert.h"

#define DATA "/tests/models/bert/"

static char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s" DATA "%s", getenv("WATCHWORD_SOURCE"), name);
    return path;
}

struct golden {
    struct ww_weights *stages;
    struct ww_json *tolerances;
    struct ww_bert_shape shape;
};

// The largest difference to a golden stage as a share of what is tolerated; -1: there is no such.
static double compare(const struct golden *golden, const char *run, const char *stage,
                      const float *got, size_t count)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", run, stage);
    const struct ww_weight *want = ww_weights_find(golden->stages, name);
    const struct ww_json *entry = ww_json_get(golden->tolerances, name);
    double max = 0, tolerance = 0, worst = 0;
    if (!want || want->bytes != 4 * count || !ww_json_number(ww_json_get(entry, "max_abs"), &max) ||
        !ww_json_number(ww_json_get(entry, "rel_tolerance"), &tolerance))
        return -1;
    for (size_t i = 0; i < count; i++) {
        const double d = fabs((double)got[i] - (double)ww_weight_float(want, i));
        worst = d <= worst ? worst : isnan(d) ? HUGE_VAL : d;
    }
    return worst / (max * tolerance);
}

static int64_t whole(const struct ww_weight *w, size_t i)
{
    int64_t x;
    memcpy(&x, (const char *)w->data + 8 * i, sizeof x);
    return x;
}

// One run of the golden set, recorded and filled in.
struct run {
    struct ww_plan *plan;
    int texts, tokens;
    struct ww_tensor ids, lengths, mask, out, pooled;
};

static const struct ww_weight *input(const struct golden *golden, const char *run, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s.input.%s", run, name);
    return ww_weights_find(golden->stages, full);
}

static bool record(struct ww_device *device, const struct ww_bert *bert, bool masked,
                   struct run *run, struct ww_error *err)
{
    const struct ww_tensor none = {0};
    struct ww_cmd *g = ww_cmd_create(device);
    ww_keep_stages(g, true);
    run->ids = ww_upload_tensor(g, 1, 3, run->texts, run->tokens);
    run->lengths = masked ? none : ww_upload_tensor(g, 1, 1, 1, run->texts);
    run->mask = masked ? ww_upload_tensor(g, 1, run->tokens, 1, run->tokens) : none;
    run->out = ww_bert(g, bert,
                       &(struct ww_bert_text){.ids = run->ids, .lengths = run->lengths,
                                              .mask = run->mask});
    run->pooled = ww_bert_pooler(g, bert, run->out);
    ww_stage(g, run->pooled, "pooler");
    run->plan = ww_plan_create(g, err);
    ww_cmd_destroy(&g);
    return run->plan != NULL;
}

static void fill(const struct golden *golden, const char *name, const struct run *run)
{
    const struct ww_weight *ids = input(golden, name, "ids"), *mask = input(golden, name, "mask"),
                           *types = input(golden, name, "token_types"),
                           *positions = input(golden, name, "positions");
    float *to = ww_plan_host(run->plan, run->ids);
    for (int t = 0; t < run->texts; t++)
        for (int i = 0; i < run->tokens; i++, to += 4) {
            const size_t at = (size_t)(t * (int)ids->dim[1] + i); // a run may be of the first alone
            to[0] = (float)whole(ids, at);
            to[1] = positions ? (float)whole(positions, at) : (float)i;
            to[2] = (float)whole(types, at);
        }
    if (ww_some(run->lengths)) {
        float *length = ww_plan_host(run->plan, run->lengths);
        for (int t = 0; t < run->texts; t++) {
            length[4 * t] = 0;
            for (int i = 0; i < run->tokens; i++)
                length[4 * t] += (float)whole(mask, (size_t)(t * (int)mask->dim[1] + i));
        }
    }
    if (ww_some(run->mask)) {
        const struct ww_tensor m = run->mask;
        float *added = ww_plan_host(run->plan, m);
        for (int i = 0; i < m.w; i++)
            for (int j = 0; j < m.c; j++)
                added[ww_at(m, 0, j, 0, i)] =
                    whole(mask, (size_t)(i * m.c + j)) ? 0 : -INFINITY;
    }
}

static void check_stages(const struct golden *golden, const char *name, struct ww_plan *plan)
{
    int held = 0;
    double closest = 0;
    char where[64] = "";
    for (int i = 0; i < ww_plan_num_stages(plan); i++) {
        struct ww_tensor shape;
        struct ww_error err = {0};
        const char *stage = ww_plan_stage(plan, i, &shape);
        const size_t count = (size_t)shape.h * (size_t)shape.w * (size_t)shape.c;
        float *data = malloc(sizeof *data * count);
        if (!CHECK(data && ww_plan_read_stage(plan, i, data, &err)))
            return;
        size_t rows = count;
        if (!strcmp(stage, "pooler")) { // of the first token of each text
            for (int t = 0; t < shape.h; t++)
                memmove(data + t * shape.c, data + t * shape.w * shape.c,
                        sizeof *data * (size_t)shape.c);
            rows = (size_t)shape.h * (size_t)shape.c;
        }
        const double share = compare(golden, name, stage, data, rows);
        check_about("%s.%s", name, stage);
        CHECK_CMP(share, >=, 0.0);
        CHECK_CMP(share, <=, 1.0);
        if (share > closest) {
            closest = share;
            snprintf(where, sizeof where, "%s", stage);
        }
        held += share >= 0 && share <= 1;
        free(data);
    }
    printf("  %-8s %d of %d stages in tolerance, closest to its own %s (%.2f)\n", name, held,
           ww_plan_num_stages(plan), where, closest);
    CHECK_CMP(held, >=, 24);
}

// The last layer of text 0, alone or in a batch: its true tokens only.
static float *last_states(struct ww_plan *plan, int tokens)
{
    struct ww_tensor shape;
    struct ww_error err = {0};
    const int last = ww_plan_num_stages(plan) - 2; // the pooler comes after it
    ww_plan_stage(plan, last, &shape);
    float *data = malloc(sizeof *data * (size_t)shape.h * (size_t)shape.w * (size_t)shape.c);
    if (!CHECK(data && shape.w >= tokens && ww_plan_read_stage(plan, last, data, &err)))
        abort();
    return data;
}

static void check_alone(struct ww_device *device, const struct ww_bert *bert,
                        const struct golden *golden, struct ww_plan *batch)
{
    struct ww_error err = {0};
    const int tokens = 11;
    struct run alone = {.texts = 1, .tokens = tokens};
    check_about("alone and padded");
    if (!CHECK(record(device, bert, false, &alone, &err)))
        return;
    fill(golden, "batch", &alone);
    CHECK(ww_plan_run(alone.plan, 1, &err));
    float *a = last_states(alone.plan, tokens), *b = last_states(batch, tokens);
    const int H = ww_bert_shape(bert)->hidden;
    int differ = 0;
    for (int i = 0; i < tokens * H; i++)
        differ += a[i] != b[i];
    CHECK_CMP(differ, ==, 0);
    free(a);
    free(b);
    ww_plan_destroy(&alone.plan);
}

static void check_file(struct ww_device *device, const struct golden *golden, const char *file)
{
    struct ww_error err = {0};
    printf("%s on %s\n", file, device->info.name);
    struct ww_weights *weights = ww_weights_open(path_of(file), &err);
    struct ww_bert *bert = weights ? ww_bert_load(device, weights, NULL, &golden->shape, &err) : NULL;
    struct run batch = {.texts = 2, .tokens = 16}, phrases = {.texts = 1, .tokens = 12};
    check_about("%s", file);
    if (CHECK(bert != NULL) && CHECK(record(device, bert, false, &batch, &err)) &&
        CHECK(record(device, bert, true, &phrases, &err))) {
        fill(golden, "batch", &batch);
        fill(golden, "phrases", &phrases);
        if (CHECK(ww_plan_run(batch.plan, 1, &err)) && CHECK(ww_plan_run(phrases.plan, 1, &err))) {
            check_stages(golden, "batch", batch.plan);
            check_stages(golden, "phrases", phrases.plan);
            check_alone(device, bert, golden, batch.plan);
        }
    }
    if (err.code)
        printf("%s\n", err.text);
    ww_plan_destroy(&batch.plan);
    ww_plan_destroy(&phrases.plan);
    ww_bert_destroy(device, &bert);
    ww_weights_close(&weights);
}

// A configuration that is not ours to compute says so by its field's name.
static void check_shapes(void)
{
    static const struct {
        const char *config, *told;
    } cases[] = {
        {"{}", NULL}, // all as the library has it
        {"{\"hidden_size\": 770}", "hidden_size"},
        {"{\"hidden_size\": \"768\"}", "hidden_size"},
        {"{\"num_attention_heads\": 5}", "num_attention_heads"},
        {"{\"num_hidden_layers\": 0}", "num_hidden_layers"},
        {"{\"vocab_size\": -1}", "vocab_size"},
        {"{\"hidden_act\": \"mish\"}", "mish"},
        {"{\"hidden_act\": 3}", "hidden_act"},
        {"{\"layer_norm_eps\": -1e-5}", "layer_norm_eps"},
        {"{\"position_embedding_type\": \"relative_key\"}", "relative_key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ww_error err = {0};
        struct ww_bert_shape shape;
        struct ww_json *config =
            ww_json_parse(cases[i].config, strlen(cases[i].config), NULL, &err);
        check_about("%s", cases[i].config);
        if (!CHECK(config != NULL))
            continue;
        const bool ok = ww_bert_read_shape(config, &shape, &err);
        CHECK(ok == !cases[i].told);
        CHECK(ok || strstr(err.text, cases[i].told));
        ww_json_free(&config);
    }
}

static void check_files(struct ww_device *device, void *golden)
{
    check_file(device, golden, "model/model.safetensors");
    check_file(device, golden, "model-old-names/pytorch_model.bin");
}

int main(void)
{
    struct ww_error err = {0};
    struct golden golden = {
        .stages = ww_weights_open(path_of("stages.safetensors"), &err),
        .tolerances = ww_json_load(path_of("stages.json"), 1 << 20, NULL, &err)};
    struct ww_json *config = ww_json_load(path_of("model/config.json"), 1 << 20, NULL, &err);
    check_shapes();
    check_about("golden set");
    if (!CHECK(golden.stages && golden.tolerances && config &&
               ww_bert_read_shape(config, &golden.shape, &err))) {
        printf("%s\n", err.text);
        return check_done();
    }
    check_devices(check_files, &golden);
    ww_json_free(&config);
    ww_json_free(&golden.tolerances);
    ww_weights_close(&golden.stages);
    return check_done();
}
