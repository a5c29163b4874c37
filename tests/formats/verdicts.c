// Every file in safetensors/, gguf/, torch/ and shards/ against its verdict.

#include "weights/weights.h"

#include "check.h"

static const char *source;
static char folder[4096];

static const char *in_folder(const char *name)
{
    static char path[5000];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static uint64_t fnv1a(const void *data, size_t bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void from_hex(const char *hex, char *out) // "-": an empty name
{
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        *out++ = (char)byte;
    *out = '\0';
}

// "tensor NAME TYPE SHAPE BYTES FNV"
static void check_tensor(const struct ww_weights *weights, char *field[6])
{
    char name[1000], shape[200] = "";
    from_hex(field[1], name);
    const struct ww_weight *t = ww_weights_find(weights, name);
    if (!CHECK(t != NULL))
        return;
    CHECK_STR(ww_type_name(t->type), field[2]);
    for (int i = 0; i < t->rank; i++)
        snprintf(shape + strlen(shape), sizeof(shape) - strlen(shape), "%s%lld", i ? "," : "",
                 (long long)t->dim[i]);
    CHECK_STR(t->rank ? shape : "-", field[3]);
    CHECK_CMP(t->bytes, ==, (size_t)strtoull(field[4], NULL, 10));
    char *copy = malloc(t->bytes + 1);
    CHECK(ww_weights_copy(weights, t, 0, t->bytes, copy, NULL));
    CHECK_CMP(fnv1a(copy, t->bytes), ==, (uint64_t)strtoull(field[5], NULL, 16));
    CHECK(t->stride ? !t->data : memcmp(copy, t->data, t->bytes) == 0);
    free(copy);
}

static void check_refused(const char *file, const char *part)
{
    struct ww_error err = {0};
    struct ww_weights *weights = ww_weights_open(in_folder(file), &err);
    CHECK(weights == NULL);
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK_HAS(err.text, folder); // a part of it may be what is wrong
    CHECK_HAS(err.text, part);
    ww_weights_close(&weights);
}

static void test_verdicts(const char *name, int expected)
{
    snprintf(folder, sizeof(folder), "%s/tests/formats/%s", source, name);
    FILE *verdicts = fopen(in_folder("verdicts.txt"), "r");
    if (!CHECK(verdicts != NULL))
        return;
    struct ww_weights *weights = NULL;
    int files = 0;
    for (char line[4096]; fgets(line, sizeof(line), verdicts);) {
        char *field[6] = {0}, *rest = line;
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < 6; i++)
            field[i] = strsep(&rest, "\t");
        if (*line == '#')
            continue;
        if (strcmp(field[0], "tensor") == 0) {
            if (weights)
                check_tensor(weights, field);
            continue;
        }
        files++;
        check_about("%s: %s", field[1], field[3]);
        ww_weights_close(&weights);
        if (strcmp(field[0], "refuse") == 0) {
            check_refused(field[1], field[2]);
            continue;
        }
        struct ww_error err = {0};
        weights = ww_weights_open(in_folder(field[1]), &err);
        CHECK_STR(err.text, "");
        if (CHECK(weights != NULL))
            CHECK_CMP(ww_weights_count(weights), ==, (size_t)strtoull(field[2], NULL, 10));
    }
    ww_weights_close(&weights);
    check_about("%s", "");
    CHECK_CMP(files, ==, expected);
    fclose(verdicts);
}

int main(void)
{
    source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE does not say where the source tree is; run it by meson test");
    test_verdicts("safetensors", 80);
    test_verdicts("gguf", 95);
    test_verdicts("torch", 128);
    test_verdicts("shards", 16);
    return check_done();
}
