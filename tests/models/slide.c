// A sequence that goes on in a full context: its keys and values go round a ring. Of one layer, logits depend
// on the tokens that are there and on no other: the first few and the last; of all layers every device says
// the same; and until the ring is full, what a context with room for all says.

#include "devices.h"
#include "models/llama.h"

#include <unistd.h>

enum { CONTEXT = 24, TOKENS = 60, V = 512 };

// A copy of the small model with so many layers.
static void make_model(const char *dir, int layers)
{
    char from[4096], path[4096];
    snprintf(from, sizeof from, "%s/tests/models/llama/mha/model/model.safetensors",
             getenv("WATCHWORD_SOURCE"));
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    unlink(path);
    CHECK(!symlink(from, path));
    snprintf(path, sizeof path, "%s/config.json", dir);
    FILE *file = fopen(path, "w");
    if (!CHECK(file))
        return;
    fprintf(file,
            "{\"model_type\": \"llama\", \"vocab_size\": 512, \"hidden_size\": 64, \"num_hidden_layers\": %d, "
            "\"num_attention_heads\": 4, \"intermediate_size\": 160, \"max_position_embeddings\": 64, "
            "\"rms_norm_eps\": 1e-5}",
            layers);
    fclose(file);
}

static uint32_t token_at(int i)
{
    return (uint32_t)(i * 37 + 11) % V;
}

// Logits after TOKENS tokens, of which number `changed` is another (-1: none): a prompt in one stretch, then
// one by one; into `each` those of every step after the prompt, if it is not NULL.
static void say(struct ww_llama_session *s, int sequence, int prompt, int changed, float *logits, float *each)
{
    struct ww_error err = {0};
    struct ww_llama_row rows[TOKENS] = {0};
    for (int i = 0; i < TOKENS; i++)
        rows[i] = (struct ww_llama_row){.token = (token_at(i) + (i == changed ? 100 : 0)) % V, .position = i,
                                        .sequence = sequence, .picked = i >= prompt - 1};
    if (!CHECK(ww_llama_run(s, rows, prompt, &err)))
        printf("%s\n", err.text);
    for (int i = prompt; i < TOKENS; i++) {
        if (!CHECK(ww_llama_run(s, &rows[i], 1, &err)))
            printf("%s\n", err.text);
        if (each)
            ww_llama_logits(s, 0, each + (size_t)(i - prompt) * V);
    }
    ww_llama_logits(s, 0, logits);
}

static double distance(const float *a, const float *b, size_t num)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < num; i++) {
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        largest = fmax(largest, fabs((double)a[i]));
    }
    return worst / largest;
}

static struct ww_llama_session *open_session(struct ww_device *device, const struct ww_llama *model, int context,
                                             bool slides)
{
    struct ww_error err = {0};
    struct ww_llama_session *s =
        model ? ww_llama_open(device, model,
                              ww_llama_params(.sequences = 2, .context = context, .stretch = 32, .slides = slides),
                              &err)
              : NULL;
    if (!CHECK(s))
        printf("%s\n", err.text);
    return s;
}

// The last row sees WW_SINKS at the beginning and CONTEXT - WW_SINKS at the end.
static void check_one_layer(struct ww_device *device, const char *dir)
{
    float want[V], got[V];
    struct ww_error err = {0};
    make_model(dir, 1);
    struct ww_llama *model = ww_llama_load(device, dir, &err);
    struct ww_llama_session *s = open_session(device, model, CONTEXT, true);
    for (int prompt = 1; s && prompt <= CONTEXT; prompt += CONTEXT - 1) {
        say(s, 0, prompt, -1, want, NULL);
        for (int i = 0; i < TOKENS; i++) {
            const bool there = i < WW_SINKS || i >= TOKENS - (CONTEXT - WW_SINKS);
            say(s, i % 2, prompt, i, got, NULL);
            check_about("prompt of %d, token %d", prompt, i);
            CHECK((distance(want, got, V) > 1e-5) == there);
        }
    }
    check_about("%s", "");
    ww_llama_close(device, &s);
    ww_llama_unload(device, &model);
}

// What the device before this one said; the reference comes last.
static float before[(TOKENS - 8) * V];
static bool have_before;

static void check_all_layers(struct ww_device *device, const char *dir)
{
    static float slid[(TOKENS - 8) * V], plain[(TOKENS - 8) * V];
    float last[V];
    struct ww_error err = {0};
    make_model(dir, 3);
    struct ww_llama *model = ww_llama_load(device, dir, &err);
    struct ww_llama_session *s = open_session(device, model, CONTEXT, true);
    struct ww_llama_session *whole = open_session(device, model, TOKENS, false);
    if (s && whole) {
        say(s, 1, 8, -1, last, slid);
        say(whole, 0, 8, -1, last, plain);
        CHECK(distance(plain, slid, (CONTEXT - 8) * V) < 1e-5);
        CHECK(distance(plain + (CONTEXT - 8) * V, slid + (CONTEXT - 8) * V, V) > 1e-4);
        if (have_before)
            CHECK(distance(before, slid, (TOKENS - 8) * V) < 3e-5);
        memcpy(before, slid, sizeof before);
        have_before = true;

        // Positions end where the model's do; past the context rows of a sequence go one by one.
        CHECK(ww_llama_context(s) == CONTEXT && ww_llama_positions(s) == 64);
        CHECK(ww_llama_positions(whole) == TOKENS);
        struct ww_llama_row rows[2] = {{.position = 30, .picked = true}, {.position = 31, .picked = true}};
        CHECK(!ww_llama_run(s, rows, 2, &err) && err.code == WW_E_TEXT);
        CHECK_HAS(err.text, "one by one");
        rows[1].sequence = 1;
        CHECK(ww_llama_run(s, rows, 2, &err));
        rows[0].position = 64;
        CHECK(!ww_llama_run(s, rows, 1, &err) && err.code == WW_E_TEXT);
        rows[0].position = TOKENS;
        CHECK(!ww_llama_run(whole, rows, 1, &err) && err.code == WW_E_TEXT);
    }
    ww_llama_close(device, &s);
    ww_llama_close(device, &whole);
    ww_llama_unload(device, &model);
}

static void check_models(struct ww_device *device, void *opaque)
{
    check_one_layer(device, opaque);
    check_all_layers(device, opaque);
}

int main(void)
{
    char dir[] = "/tmp/watchword-slide-XXXXXX", path[64];
    if (!getenv("WATCHWORD_SOURCE"))
        check_skip("WATCHWORD_SOURCE names no source tree");
    if (!CHECK(mkdtemp(dir)))
        return check_done();
    check_devices(check_models, dir);
    snprintf(path, sizeof path, "%s/config.json", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    unlink(path);
    rmdir(dir);
    return check_done();
}
