// Positions of models that were stretched: the angles of each pair against numbers worked out from the
// papers' formulas elsewhere, then keys of a whole model turned by them, and what is refused.

#include "devices.h"
#include "models/llama.h"
#include "weights/weights.h"

#include <unistd.h>

struct expected {
    int pair;
    double angle;
};

static void check_angles(const char *name, struct ww_rope rope, int width, const struct expected *want,
                         double gain)
{
    check_about("%s, %d wide", name, width);
    for (; want->angle > 0; want++)
        CHECK_NEAR(ww_rope_angle(&rope, width, want->pair) / want->angle, 1, 1e-9);
    CHECK_NEAR(ww_rope_gain(&rope), gain, 1e-9);
    check_about("%s", "");
}

static void check_formulas(void)
{
    check_angles("plain", (struct ww_rope){.theta = 1e4, .factor = 1}, 128,
                 (struct expected[]){{0, 1}, {1, 0.8659643234}, {63, 1.1547819847e-4}, {0}}, 1);
    check_angles("linear", (struct ww_rope){.theta = 1e5, .factor = 4}, 64,
                 (struct expected[]){{0, 0.25}, {16, 7.905694150e-4}, {31, 3.582531426e-6}, {0}}, 1);
    check_angles("llama3",
                 (struct ww_rope){.kind = WW_ROPE_LLAMA3, .theta = 5e5, .factor = 8, .original = 8192,
                                  .low = 1, .high = 4},
                 128,
                 (struct expected[]){{1, 8.146172339e-1}, {16, 3.760603093e-2}, {32, 5.248461610e-4},
                                     {36, 7.784655274e-5}, {63, 3.068925989e-7}, {0}},
                 1);
    check_angles("yarn",
                 (struct ww_rope){.kind = WW_ROPE_YARN, .theta = 1e4, .factor = 16, .original = 4096,
                                  .fast = 32, .slow = 1},
                 128,
                 (struct expected[]){{0, 1}, {16, 0.1}, {32, 5.673076923e-3}, {36, 2.379136376e-3},
                                     {48, 6.25e-5}, {63, 7.217387404e-6}, {0}},
                 1.277258872);
    check_angles("yarn",
                 (struct ww_rope){.kind = WW_ROPE_YARN, .theta = 1e6, .factor = 4, .original = 32768,
                                  .fast = 32, .slow = 1, .gain = 1.5},
                 64,
                 (struct expected[]){{8, 3.162277660e-2}, {16, 5.833333333e-4}, {20, 4.445698525e-5},
                                     {31, 3.849816315e-7}, {0}},
                 1.5);
    // Where the ramp begins and ends at no whole pair: 20.94.. to 45.03.. of 64 in place of 20 to 46.
    check_angles("yarn, smooth",
                 (struct ww_rope){.kind = WW_ROPE_YARN, .theta = 1e4, .factor = 16, .original = 4096,
                                  .fast = 32, .slow = 1, .smooth = true},
                 128,
                 (struct expected[]){{20, 5.623413252e-02}, {21, 4.859150586e-02}, {32, 5.696214401e-03}, {45, 9.785687467e-05}, {46, 8.334508951e-05}, {0}},
                 1.277258872);
    CHECK_NEAR(ww_rope_mscale(16, 1), 1.277258872, 1e-9);
    CHECK_NEAR(ww_rope_mscale(40, 0.707), 1.260803777, 1e-9);
    CHECK(ww_rope_mscale(1, 2) == 1 && ww_rope_mscale(0.5, 2) == 1);
}

enum { ROWS = 40 };

// A copy of the small model whose configuration has `extra` in it.
static void make_model(const char *dir, const char *extra)
{
    char from[4096], path[4096];
    FILE *file;
    snprintf(from, sizeof from, "%s/tests/models/llama/mha/model/model.safetensors",
             getenv("WATCHWORD_SOURCE"));
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    unlink(path);
    CHECK(!symlink(from, path));
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (!CHECK((file = fopen(path, "w")) != NULL))
        return;
    fprintf(file,
            "{\"model_type\": \"llama\", \"vocab_size\": 512, \"hidden_size\": 64, "
            "\"num_hidden_layers\": 3, \"num_attention_heads\": 4, \"intermediate_size\": 160, "
            "\"max_position_embeddings\": 256, \"rms_norm_eps\": 1e-5%s}",
            extra);
    fclose(file);
}

// Rotated keys of the first layer: [ROWS][H], pairs side by side. NULL if there are none.
static float *keys_of(struct ww_device *device, const char *dir, struct ww_llama_shape *shape)
{
    struct ww_error err = {0};
    struct ww_llama_row rows[ROWS];
    float *out = NULL;
    for (int i = 0; i < ROWS; i++)
        rows[i] = (struct ww_llama_row){.token = (uint32_t)(i * 11 % 512), .position = i};
    struct ww_llama *model = ww_llama_load(device, dir, &err);
    struct ww_llama_session *s =
        model ? ww_llama_open(device, model,
                              ww_llama_params(.context = 64, .stretch = ROWS, .keep_stages = true), &err)
              : NULL;
    if (!CHECK(s && ww_llama_run(s, rows, ROWS, &err)))
        printf("%s\n", err.text);
    for (int i = 0; s && i < ww_plan_num_stages(ww_llama_plan(s)); i++) {
        struct ww_tensor t;
        if (strcmp(ww_plan_stage(ww_llama_plan(s), i, &t), "layer.0.k_rope"))
            continue;
        out = malloc(sizeof *out * (size_t)t.w * (size_t)t.c);
        CHECK(out && ww_plan_read_stage(ww_llama_plan(s), i, out, &err));
        *shape = *ww_llama_shape(model);
    }
    ww_llama_close(device, &s);
    ww_llama_unload(device, &model);
    return out;
}

// The keys of the plain model, turned on by what lies between, are those of the stretched one.
static void check_keys(struct ww_device *device, const char *dir, const float *plain,
                       const struct ww_llama_shape *p, const char *extra, enum ww_rope_kind kind)
{
    struct ww_llama_shape s = {0};
    double worst = 0;
    make_model(dir, extra);
    float *keys = keys_of(device, dir, &s);
    if (!CHECK(keys && s.rope.kind == kind))
        return;
    const int H = s.heads * s.head;
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < H; c += 2) {
            const int j = c % s.head / 2;
            const double by = r * (ww_rope_angle(&s.rope, s.head, j) - ww_rope_angle(&p->rope, s.head, j));
            const double a = (double)plain[r * H + c], b = (double)plain[r * H + c + 1];
            const double gain = ww_rope_gain(&s.rope);
            worst = fmax(worst, fabs(gain * (a * cos(by) - b * sin(by)) - (double)keys[r * H + c]));
            worst = fmax(worst, fabs(gain * (b * cos(by) + a * sin(by)) - (double)keys[r * H + c + 1]));
        }
    printf("  %.60s: keys within %.1e\n", extra, worst);
    CHECK_CMP(worst, <=, 1e-5);
    free(keys);
}

// What cosines and sines are multiplied by, of a model with this configuration.
static void check_gain(struct ww_device *device, const char *dir, const char *extra, double gain)
{
    struct ww_error err = {0};
    make_model(dir, extra);
    struct ww_llama *model = ww_llama_load(device, dir, &err);
    if (CHECK(model))
        CHECK_NEAR(ww_rope_gain(&ww_llama_shape(model)->rope), gain, 1e-9);
    else
        printf("%s: %s\n", extra, err.text);
    ww_llama_unload(device, &model);
}

static void put_number(FILE *file, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(number >> 8 * i & 0xff), file);
}

static void put_text(FILE *file, const char *text)
{
    put_number(file, strlen(text), 8);
    fwrite(text, 1, strlen(text), file);
}

static void put_real(FILE *file, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_text(file, key);
    put_number(file, 6, 4); // F32
    put_number(file, bits, 4);
}

// A copy of the small model's GGUF file with more keys in front; one more makes them whole units of
// alignment, so that all behind them stays where it was.
static void write_gguf(const char *path, const char *type, float factor, const char *key, float value)
{
    static char data[1 << 20];
    char from[4096];
    snprintf(from, sizeof from, "%s/tests/models/llama/mha/gguf/Q8_0.gguf", getenv("WATCHWORD_SOURCE"));
    FILE *in = fopen(from, "rb"), *out = fopen(path, "wb");
    if (!CHECK(in && out))
        return;
    const size_t bytes = fread(data, 1, sizeof data, in);
    uint64_t num_keys;
    CHECK(bytes > 24 && bytes < sizeof data);
    memcpy(&num_keys, data + 16, sizeof num_keys);
    fwrite(data, 1, 16, out);
    put_number(out, num_keys + 4, 8);
    put_text(out, "llama.rope.scaling.type");
    put_number(out, 8, 4); // a string
    put_text(out, type);
    put_real(out, "llama.rope.scaling.factor", factor);
    put_real(out, key, value);
    put_text(out, "test.filler");
    put_number(out, 8, 4);
    const int filler = 31 - (int)((ftell(out) + 8 - 24 + 31) % 32);
    put_number(out, (uint64_t)filler, 8);
    for (int i = 0; i < filler; i++)
        fputc('.', out);
    CHECK((ftell(out) - 24) % 32 == 0);
    fwrite(data + 24, 1, bytes - 24, out);
    fclose(in);
    CHECK(fclose(out) == 0);
}

// What is read from such a file: the gain, and the angle of the slowest pair as a share of the plain one.
static void check_gguf(struct ww_device *device, const char *dir, const char *type, float factor,
                       const char *key, float value, double gain, double first_slow, const char *refused)
{
    char path[4096];
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/model.gguf", dir);
    write_gguf(path, type, factor, key, value);
    struct ww_llama *model = ww_llama_load(device, path, &err);
    if (refused) {
        CHECK(!model);
        CHECK_HAS(err.text, refused);
    } else if (CHECK(model)) {
        const struct ww_rope *r = &ww_llama_shape(model)->rope;
        CHECK_NEAR(ww_rope_gain(r), gain, 1e-6);
        CHECK_NEAR(ww_rope_angle(r, 16, 7) / pow(1e4, -14.0 / 16), first_slow, 1e-6);
    } else {
        printf("%s: %s\n", key, err.text);
    }
    ww_llama_unload(device, &model);
    unlink(path);
}

static void check_refused(struct ww_device *device, const char *dir, const char *extra, const char *word)
{
    struct ww_error err = {0};
    make_model(dir, extra);
    struct ww_llama *model = ww_llama_load(device, dir, &err);
    if (!CHECK(!model && strstr(err.text, word)))
        printf("%s: %s\n", extra, err.text);
    ww_llama_unload(device, &model);
}

static void put_whole(FILE *file, const char *key, uint32_t value)
{
    put_text(file, key);
    put_number(file, 4, 4); // U32
    put_number(file, value, 4);
}

// A file of nothing but a shape and the table of words, of so many rows, is refused before anything is divided
// by what is 0 there.
static void check_shape(struct ww_device *device, const char *dir, int heads, int rows, const char *refused)
{
    enum { HIDDEN = 32 };
    char path[4096];
    struct ww_error err = {0};
    snprintf(path, sizeof path, "%s/model.gguf", dir);
    FILE *file = fopen(path, "wb");
    if (!CHECK(file))
        return;
    fwrite("GGUF", 1, 4, file);
    put_number(file, 3, 4);
    put_number(file, 1, 8); // tensors
    put_number(file, 6, 8); // keys
    put_whole(file, "llama.embedding_length", HIDDEN);
    put_whole(file, "llama.block_count", 1);
    put_whole(file, "llama.attention.head_count", (uint32_t)heads);
    put_whole(file, "llama.feed_forward_length", HIDDEN);
    put_whole(file, "llama.context_length", HIDDEN);
    put_real(file, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_text(file, "token_embd.weight");
    put_number(file, 2, 4);
    put_number(file, HIDDEN, 8);
    put_number(file, (uint64_t)rows, 8);
    put_number(file, 0, 4); // F32
    put_number(file, 0, 8);
    while (ftell(file) % 32)
        fputc(0, file);
    for (int i = 0; i < HIDDEN * rows; i++)
        put_number(file, 0, 4);
    CHECK(fclose(file) == 0);
    struct ww_llama *model = ww_llama_load(device, path, &err);
    CHECK(!model);
    CHECK_HAS(err.text, refused);
    ww_llama_unload(device, &model);
    unlink(path);
}

static void check_models(struct ww_device *device, void *opaque)
{
    const char *const dir = opaque;
    struct ww_llama_shape shape = {0};
    make_model(dir, "");
    float *plain = keys_of(device, dir, &shape);
    if (!CHECK(plain))
        return;
    check_keys(device, dir, plain, &shape,
               ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}", WW_ROPE_LINEAR);
    check_keys(device, dir, plain, &shape,
               ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0,"
               " \"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 64}", WW_ROPE_LLAMA3);
    check_keys(device, dir, plain, &shape,
               ", \"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 10000, \"factor\": 4,"
               " \"original_max_position_embeddings\": 64}", WW_ROPE_YARN);
    check_keys(device, dir, plain, &shape,
               ", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"truncate\": false, \"mscale\": 1,"
               " \"mscale_all_dim\": 0.5, \"original_max_position_embeddings\": 64}", WW_ROPE_YARN);
    free(plain);
#define YARN ", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4"
    check_gain(device, dir, YARN "}", 1.138629436);
    check_gain(device, dir, YARN ", \"attention_factor\": null, \"mscale\": 2}", 1.138629436); // one of two
    check_gain(device, dir, YARN ", \"mscale\": 1.0, \"mscale_all_dim\": 1.0}", 1);
    check_gain(device, dir, YARN ", \"mscale\": 1.0, \"mscale_all_dim\": 0.5}", 1.138629436 / 1.069314718);
    check_gain(device, dir, YARN ", \"mscale\": 2, \"mscale_all_dim\": 1, \"attention_factor\": 0.5}", 0.5);
    check_gain(device, dir, ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4, \"mscale\": 2}", 1);
    check_gain(device, dir, ", \"rope_scaling\": {\"type\": \"default\", \"attention_factor\": 2}", 1);
    check_refused(device, dir, YARN ", \"mscale\": \"1\"}", "mscale");
    check_refused(device, dir, YARN ", \"truncate\": 0}", "truncate");

#define KEY "llama.rope.scaling."
    check_gguf(device, dir, "yarn", 4, KEY "attn_factor", 1, 1.138629436, 0.25, NULL);
    check_gguf(device, dir, "yarn", 4, KEY "attn_factor", 1.5f, 1.5 * 1.138629436, 0.25, NULL);
    check_gguf(device, dir, "linear", 4, KEY "attn_factor", 1.5f, 1.5, 0.25, NULL);
    check_gguf(device, dir, "none", 4, KEY "attn_factor", 1.5f, 1.5, 1, NULL);
    check_gguf(device, dir, "yarn", 4, KEY "yarn_beta_slow", 1e-3f, 1.138629436, 0.475000000, NULL);
    check_gguf(device, dir, "yarn", 4, KEY "yarn_beta_slow", 40, 0, 0, "beta_slow");
    check_gguf(device, dir, "yarn", 4, KEY "attn_factor", 0, 0, 0, "attn_factor");
    check_gguf(device, dir, "yarn", 4, KEY "yarn_ext_factor", 0.5f, 0, 0, "yarn_ext_factor' is 0.5: only 1");
    check_gguf(device, dir, "yarn", 4, KEY "yarn_log_multiplier", 0.1f, 0, 0, "yarn_log_multiplier");
    check_shape(device, dir, 2, 0, "'token_embd.weight' is empty");
    check_shape(device, dir, 64, 4, "0 wide each: a head must be a multiple of 4");
    check_shape(device, dir, 2, 4, "no tensor 'output_norm.weight'");
    check_refused(device, dir, ", \"rope_scaling\": {\"type\": \"longrope\"}", "longrope");
    check_refused(device, dir, ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": \"2\"}", "factor");
    check_refused(device, dir, ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 0}", "factor");
    check_refused(device, dir,
                  ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4}",
                  "low_freq_factor");
    check_refused(device, dir,
                  ", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 8, \"beta_slow\": 40}", "beta_slow");
}

int main(void)
{
    char dir[] = "/tmp/watchword-rope-XXXXXX", path[64];
    check_formulas();
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
