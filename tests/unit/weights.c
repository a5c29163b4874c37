// Weights: opening, searching, widening, copying, writing. (Every verdict: tests/formats.)

#include "weights/pickle.h"
#include "weights/weights.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "check.h"

static char folder[4096];

static const char *in_folder(const char *name)
{
    static char path[5000];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void test_not_files(void)
{
    struct ww_error err = {0};
    CHECK(ww_weights_open("/nonexistent/x.safetensors", &err) == NULL);
    CHECK_STR(err.text, "/nonexistent/x.safetensors: No such file or directory");
    char empty[] = "/tmp/watchword-empty-XXXXXX";
    CHECK(mkdtemp(empty) && ww_weights_open(empty, &err) == NULL);
    CHECK_HAS(err.text, "no weights in it");
    rmdir(empty);
    CHECK(ww_weights_open("/dev/zero", NULL) == NULL);
    char path[200];
    snprintf(path, sizeof(path), "/tmp/watchword-pipe-%d", (int)getpid());
    if (mkfifo(path, 0600) == 0) { // must not wait for somebody to write into it
        CHECK(ww_weights_open(path, NULL) == NULL);
        unlink(path);
    }
    ww_weights_close(NULL);
}

static void test_order_and_need(void)
{
    struct ww_error err = {0};
    struct ww_weights *w = ww_weights_open(in_folder("ok-every-dtype.safetensors"), &err);
    if (!CHECK(w != NULL))
        return;
    for (size_t i = 1; i < ww_weights_count(w); i++)
        CHECK_CMP(strcmp(ww_weights_at(w, i - 1)->name, ww_weights_at(w, i)->name), <, 0);
    CHECK(ww_weights_find(w, "t.f") == NULL);
    CHECK(ww_weights_need(w, "t.f32", &err, 2, 2, 3) != NULL);
    CHECK(ww_weights_need(w, "t.f32", &err, 2, -1, 3) != NULL);
    CHECK(ww_weights_need(w, "t.f32", &err, 2, 2, 4) == NULL);
    CHECK_HAS(err.text, "tensor 't.f32': shape is [2, 3], where the model needs [2, 4]");
    CHECK(ww_weights_need(w, "t.f32", &err, 3, 2, 3, -1) == NULL);
    CHECK_HAS(err.text, "needs [2, 3, any]");
    CHECK(ww_weights_need(w, "t.f32", &err, 0) == NULL);
    CHECK(ww_weights_need(w, "bert.pooler", &err, 1, 3) == NULL);
    CHECK_HAS(err.text, "ok-every-dtype.safetensors: no tensor 'bert.pooler'");
    CHECK_HAS(ww_weights_path(w), "ok-every-dtype.safetensors");
    ww_weights_close(&w);
    CHECK(w == NULL);
}

// Every half against the definition, computed in double.
static struct ww_pickle *make_none(void *owner, const struct ww_pickle *id, struct ww_error *err)
{
    (void)id;
    (void)err;
    return ww_pickle_new(owner, WW_PICKLE_OPAQUE);
}

// `times` times the opcodes `again`, after those at first.
static void check_pickle(const char *first, size_t first_bytes, const char *again, size_t times, const char *part)
{
    const size_t bytes = first_bytes + times * strlen(again) + 2;
    char *text = malloc(bytes), *to = text;
    if (!CHECK(text))
        return;
    to = (char *)memcpy(to, first, first_bytes) + first_bytes;
    for (size_t i = 0; i < times; i++, to += strlen(again))
        memcpy(to, again, strlen(again));
    memcpy(to, "N.", 2);
    struct ww_error err = {0};
    struct ww_arena *arena = ww_arena_create();
    const struct ww_pickle_reader reader = {.arena = arena, .owner = arena, .persistent = make_none};
    CHECK(!ww_pickle_read(&reader, text, bytes, &err) == (part != NULL));
    CHECK_HAS(err.text, part ? part : "");
    ww_arena_destroy(&arena);
    free(text);
}

// A few bytes that are used again and again fill no memory.
static void test_pickle_bounds(void)
{
    check_pickle("", 0, "N", 1 << 20, NULL);
    check_pickle("", 0, "N", 9 << 20, "makes more than 8388608 values");
    check_pickle("", 0, "NQ0", 1 << 20, "makes more than 8388608 values");
    char name[2 + 4 + 1001 + 2] = "X\xe9\x03";
    memset(name + 5, 'n', 1001);
    memcpy(name + 5 + 1001, "q", 2); // memo 0
    check_pickle(name, 5 + 1001 + 2, "", 0, NULL);
    struct ww_error err = {0};
    struct ww_arena *arena = ww_arena_create();
    const struct ww_pickle_reader reader = {.arena = arena};
    char text[sizeof name + 8];
    memcpy(text, name, 5 + 1001 + 2);
    memcpy(text + 5 + 1001 + 2, "h\0\x93.", 4);
    CHECK(!ww_pickle_read(&reader, text, 5 + 1001 + 6, &err));
    CHECK_HAS(err.text, "a name has 1001 bytes, more than 1000");
    ww_arena_destroy(&arena);
}

static void test_halves(void)
{
    int wrong = 0;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint16_t half = (uint16_t)h;
        const float value = ww_type_float(WW_F16, &half);
        const int exponent = (h >> 10) & 31, fraction = h & 1023;
        const double sign = h & 0x8000 ? -1 : 1;
        const double expected = exponent == 31  ? (fraction ? NAN : sign * INFINITY)
                                : exponent == 0 ? sign * ldexp(fraction, -24)
                                                : sign * ldexp(1024 + fraction, exponent - 25);
        wrong += isnan(expected) ? !isnan(value)
                                 : value != expected || !signbit(value) != !signbit(expected);
    }
    CHECK_CMP(wrong, ==, 0);
    static const struct {
        uint16_t bits;
        double value;
    } brains[] = {{0x3f80, 1}, {0xc049, -3.140625}, {0x0001, 0x1p-133}, {0x7f80, INFINITY},
                  {0x8000, -0.0}, {0x7f7f, 0x1.fep127}};
    for (size_t i = 0; i < sizeof(brains) / sizeof(brains[0]); i++) {
        const float value = ww_type_float(WW_BF16, &brains[i].bits);
        CHECK_CMP(value, ==, (float)brains[i].value);
        CHECK_CMP(!signbit(value), ==, !signbit(brains[i].value));
    }
    const unsigned char odd[] = {0, 0, 0, 0x80, 0x3f, 0};
    CHECK_CMP(ww_type_float(WW_F32, odd + 1), ==, 1.0f); // aligned to nothing
    CHECK_CMP(ww_type_bits(WW_F4), ==, 4u);
    CHECK_CMP(ww_type_bytes(WW_F4), ==, 0u);
    CHECK(ww_type_name(WW_NUM_TYPES) == NULL);
}

static void read_whole(const char *path, char *out, size_t size, size_t *length)
{
    FILE *file = fopen(path, "rb");
    *length = file ? fread(out, 1, size, file) : 0;
    if (file)
        fclose(file);
}

static struct ww_weights_writer *write_some(bool reversed)
{
    static const float f[] = {1, -2, 0.5f, 3, 4, 5};
    static const uint16_t h[] = {0x3c00};
    static const unsigned char b[] = {1, 2, 3};
    struct ww_weights_writer *writer = ww_weights_write_begin();
    for (int i = 0; i < 4; i++) {
        switch (reversed ? 3 - i : i) {
        case 0:
            ww_weights_write_add(writer, "row.012", WW_F32, 2, (int64_t[]){2, 3}, f);
            break;
        case 1:
            ww_weights_write_add(writer, "a \"quoted\\\" \n n\xc3\xa9", WW_F16, 0, NULL, h);
            break;
        case 2:
            ww_weights_write_add(writer, "bytes", WW_U8, 1, (int64_t[]){3}, b);
            break;
        case 3:
            ww_weights_write_add(writer, "empty", WW_F32, 2, (int64_t[]){0, 7}, NULL);
            break;
        }
    }
    return writer;
}

static void test_writer(void)
{
    char dir[] = "/tmp/watchword-weights-XXXXXX", one[100], two[100];
    CHECK(mkdtemp(dir) != NULL);
    snprintf(one, sizeof(one), "%s/one.safetensors", dir);
    snprintf(two, sizeof(two), "%s/two.safetensors", dir);
    struct ww_error err = {0};
    struct ww_weights_writer *writer = write_some(false);
    CHECK(ww_weights_write_end(&writer, one, &err));
    CHECK(writer == NULL);
    writer = write_some(true);
    CHECK(ww_weights_write_end(&writer, two, &err));
    CHECK_STR(err.text, "");

    char a[2000], b[2000];
    size_t a_length, b_length;
    read_whole(one, a, sizeof(a), &a_length);
    read_whole(two, b, sizeof(b), &b_length);
    CHECK_CMP(a_length, ==, b_length);
    CHECK_CMP(memcmp(a, b, a_length), ==, 0); // whatever the order
    CHECK_CMP((unsigned char)a[0] % 8, ==, 0);
    CHECK_HAS(a + 8, "{\"empty\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]},"
                     "\"row.012\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},");

    struct ww_weights *w = ww_weights_open(one, &err);
    CHECK_STR(err.text, "");
    if (CHECK(w != NULL)) {
        CHECK_CMP(ww_weights_count(w), ==, 4u);
        const struct ww_weight *row = ww_weights_need(w, "row.012", &err, 2, 2, 3);
        CHECK(row && ww_weight_float(row, 5) == 5);
        const struct ww_weight *half =
            ww_weights_need(w, "a \"quoted\\\" \n n\xc3\xa9", &err, 0);
        CHECK(half && ww_weight_float(half, 0) == 1);
    }
    ww_weights_close(&w);

    writer = write_some(false);
    ww_weights_write_add(writer, "bytes", WW_U8, 0, NULL, "x");
    CHECK(!ww_weights_write_end(&writer, one, &err));
    CHECK_HAS(err.text, "two tensors are named 'bytes'");
    writer = write_some(false);
    ww_weights_write_add(writer, "__metadata__", WW_U8, 0, NULL, "x");
    CHECK(!ww_weights_write_end(&writer, one, &err));
    writer = write_some(false);
    CHECK(!ww_weights_write_end(&writer, "/nonexistent/x.safetensors", &err));
    CHECK_HAS(err.text, "/nonexistent/x.safetensors: cannot create");
    writer = write_some(false);
    CHECK_CMP(unlink(two) | mkdir(two, 0700), ==, 0); // a directory has that name
    CHECK(!ww_weights_write_end(&writer, two, &err));
    CHECK_HAS(err.text, "two.safetensors: cannot rename");
    CHECK_CMP(rmdir(two), ==, 0);
    writer = write_some(false);
    CHECK(ww_weights_write_end(&writer, "", &err)); // only frees
    writer = ww_weights_write_begin();
    CHECK(ww_weights_write_end(&writer, two, &err)); // no tensors at all
    w = ww_weights_open(two, NULL);
    CHECK(w && ww_weights_count(w) == 0);
    ww_weights_close(&w);

    unlink(one);
    unlink(two);
    CHECK_CMP(rmdir(dir), ==, 0); // no temporary file was left
}

// A file that shrinks after it was opened: an error, not a signal.
static void test_shrinking(void)
{
    char path[] = "/tmp/watchword-shrink-XXXXXX";
    close(mkstemp(path));
    enum { COUNT = 1 << 16 };
    float *zeros = calloc(COUNT, sizeof(*zeros));
    struct ww_weights_writer *writer = ww_weights_write_begin();
    ww_weights_write_add(writer, "w", WW_F32, 1, (int64_t[]){COUNT}, zeros);
    struct ww_error err = {0};
    CHECK(ww_weights_write_end(&writer, path, &err));
    struct ww_weights *w = ww_weights_open(path, &err);
    if (CHECK(w != NULL)) {
        const struct ww_weight *t = ww_weights_find(w, "w");
        CHECK_CMP(truncate(path, 4096), ==, 0);
        CHECK(!ww_weights_copy(w, t, 0, t->bytes, zeros, &err));
        CHECK_CMP(err.code, ==, WW_E_FILE);
        CHECK_HAS(err.text, "tensor 'w': the file became shorter while it was read");
        char digest[65];
        ww_weights_digest(w, digest);
        CHECK_STR(digest, "");
    }
    ww_weights_close(&w);
    unlink(path);
    free(zeros);
}

static void test_digest(void)
{
    // sha256sum ok-scalar.safetensors
    struct ww_weights *w = ww_weights_open(in_folder("ok-scalar.safetensors"), NULL);
    char digest[65];
    if (CHECK(w != NULL)) {
        ww_weights_digest(w, digest);
        CHECK_STR(digest, "01738fd93ef70f0bb9b44f803577e90f545159e7cd6cda15bfa97ed1996aabf3");
    }
    ww_weights_close(&w);
}

int main(void)
{
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE does not say where the source tree is; run it by meson test");
    snprintf(folder, sizeof(folder), "%s/tests/formats/safetensors", source);
    test_not_files();
    test_order_and_need();
    test_pickle_bounds();
    test_halves();
    test_writer();
    test_shrinking();
    test_digest();
    return check_done();
}
