// Blocks: decoding against the floats of the reference, bit for bit; encoding, too, where the
// format fixes it, and by its error where it does not. quant/ holds both sides: TYPE.blocks and
// TYPE.f32 (random bytes with finite scales), and in encode.safetensors rows of 256 floats (normal,
// tiny, large, zeros, outliers, ...) with what the reference made of them.

#include "weights/blocks.h"

#include "check.h"

static char folder[4096];

static void *read_file(const char *name, size_t *size)
{
    char path[5000];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!CHECK(file != NULL))
        return NULL;
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void test_decoding(void)
{
    int tried = 0;
    for (enum ww_type type = WW_Q4_0; type < WW_NUM_TYPES; type++) {
        check_about("decoding %s", ww_type_name(type));
        char name[40];
        size_t block_bytes = 0, float_bytes = 0;
        snprintf(name, sizeof(name), "%s.blocks", ww_type_name(type));
        void *blocks = read_file(name, &block_bytes);
        snprintf(name, sizeof(name), "%s.f32", ww_type_name(type));
        float *wanted = read_file(name, &float_bytes);
        if (!blocks || !wanted)
            return;
        const size_t count = float_bytes / sizeof(float);
        CHECK_CMP(count / ww_type_block(type) * ww_type_block_bytes(type), ==, block_bytes);
        float *got = malloc(float_bytes);
        ww_decode(type, blocks, count, got);
        size_t wrong = 0;
        for (size_t i = 0; i < count; i++)
            wrong += memcmp(&got[i], &wanted[i], sizeof(float)) != 0;
        CHECK_CMP(wrong, ==, 0u);
        tried++;
        free(blocks);
        free(wanted);
        free(got);
    }
    check_about("%s", "");
    CHECK_CMP(tried, ==, 12);
}

static double rms(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / (double)count);
}

// Our error may be this many times the reference's, per row, where encoders may differ.
static const double slack = 1.05;

static void check_search(enum ww_type type, const float *x, const void *theirs, const void *ours)
{
    float mine[256], reference[256];
    ww_decode(type, ours, 256, mine);
    ww_decode(type, theirs, 256, reference);
    const double error = rms(mine, x, 256), allowed = rms(reference, x, 256) * slack + 1e-30;
    CHECK_CMP(error, <=, allowed);
}

static void test_encoding(void)
{
    char path[5000];
    snprintf(path, sizeof(path), "%s/encode.safetensors", folder);
    struct ww_error err = {0};
    struct ww_weights *w = ww_weights_open(path, &err);
    CHECK_STR(err.text, "");
    if (!CHECK(w != NULL))
        return;
    float x[16 * 256];
    CHECK(ww_weights_floats(w, ww_weights_find(w, "input"), 0, 16 * 256, x, &err));
    int tried = 0;
    for (enum ww_type type = 0; type < WW_NUM_TYPES; type++) {
        const struct ww_weight *t = ww_weights_find(w, ww_type_name(type));
        if (!t || !ww_can_encode(type))
            continue;
        tried++;
        const size_t row = t->bytes / 16;
        CHECK_CMP(row, ==, 256 / ww_type_block(type) * ww_type_block_bytes(type));
        const bool free_choice = type == WW_Q4_K || type == WW_Q5_K || type == WW_Q6_K;
        for (int r = 0; r < 16; r++) {
            check_about("encoding %s, row %d", ww_type_name(type), r);
            unsigned char mine[1024];
            const unsigned char *theirs = (const unsigned char *)t->data + (size_t)r * row;
            ww_encode(type, x + 256 * r, 256, mine);
            if (free_choice)
                check_search(type, x + 256 * r, theirs, mine);
            else
                CHECK_CMP(memcmp(mine, theirs, row), ==, 0);
        }
    }
    check_about("%s", "");
    CHECK_CMP(tried, ==, 10);
    ww_weights_close(&w);
}

// Every half and back; what cannot be told by reading alone.
static void test_halves(void)
{
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint16_t half = (uint16_t)h;
        const float value = ww_type_float(WW_F16, &half);
        if (value == value && ww_half(value) != half && !CHECK_CMP(ww_half(value), ==, half))
            return;
        if (value != value && !CHECK((ww_half(value) & 0x7c00) == 0x7c00 && ww_half(value) & 0x3ff))
            return;
    }
    CHECK_CMP(ww_half(0x1p-25f), ==, 0);        // a tie, to even
    CHECK_CMP(ww_half(0x1.000002p-25f), ==, 1); // just above it
    CHECK_CMP(ww_half(0x1.8p-24f), ==, 2);      // a tie again
    CHECK_CMP(ww_half(65519.0f), ==, 0x7bff);   // the last that is finite
    CHECK_CMP(ww_half(65520.0f), ==, 0x7c00);   // a tie with infinity
    CHECK_CMP(ww_half(-1e30f), ==, 0xfc00);
    CHECK_CMP(ww_half(1.0f + 0x1p-11f), ==, 0x3c00); // a tie, to even
    CHECK_CMP(ww_half(1.0f + 0x3p-11f), ==, 0x3c02);
}

// What is no number must not become a trap, a loop or a shift by too much.
static void test_wild_input(void)
{
    static const float wild[] = {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e-45f, 0, -0.0f};
    for (enum ww_type type = 0; type < WW_NUM_TYPES; type++) {
        if (!ww_can_encode(type))
            continue;
        float x[256], y[256];
        for (int i = 0; i < 256; i++)
            x[i] = wild[i * 7 / 3 % 8];
        unsigned char block[1024];
        ww_encode(type, x, 256, block);
        ww_decode(type, block, 256, y);
    }
    CHECK(true);
}

int main(void)
{
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE does not say where the source tree is; run it by meson test");
    snprintf(folder, sizeof(folder), "%s/tests/formats/quant", source);
    test_decoding();
    test_encoding();
    test_halves();
    test_wild_input();
    return check_done();
}
