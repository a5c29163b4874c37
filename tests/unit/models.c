// Finding, listing and verifying models, in folders made for it.

#include <watchword/models.h>

#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "weights/weights.h"

static char root[] = "/tmp/watchword-models-XXXXXX";

static const char *path(const char *name)
{
    static char text[4][1000];
    static int next;
    char *out = text[next++ % 4];
    snprintf(out, sizeof(text[0]), "%s/%s", root, name);
    return out;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(path(name), "w");
    if (CHECK(file != NULL)) {
        fputs(text, file);
        fclose(file);
    }
}

static void put_weights(const char *name, int count, const float *values)
{
    struct ww_weights_writer *writer = ww_weights_write_begin();
    ww_weights_write_add(writer, "layer.weight", WW_F32, 2, (int64_t[]){2, count / 2}, values);
    CHECK(ww_weights_write_end(&writer, path(name), NULL));
}

static void make_folders(void)
{
    CHECK(mkdtemp(root) != NULL);
    static const char *const folders[] = {
        "first",      "first/alpha",      "first/nothing",    "first/.hidden", "second",
        "second/alpha", "second/beta",    "second/co:lon",    "home",
        "home/.local", "home/.local/share", "home/.local/share/watchword",
        "home/.local/share/watchword/models", "home/.local/share/watchword/models/gamma",
    };
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        CHECK_CMP(mkdir(path(folders[i]), 0700), ==, 0);
    put("first/alpha/config.json", "{\"model_type\": \"nano\"}");
    put("first/.hidden/config.json", "{\"model_type\": \"nano\"}");
    put("second/alpha/config.json", "{\"model_type\": \"other\"}");
    put("second/beta/config.json", "not JSON");
    put("second/co:lon/config.json", "{\"model_type\": \"x-pose\"}");
    put("home/.local/share/watchword/models/gamma/config.json", "{\"model_type\": \"llama\"}");
    char list[2100];
    snprintf(list, sizeof(list), "%s::%s:/nonexistent", path("first"), path("second"));
    setenv("WATCHWORD_MODELS", list, 1);
    setenv("HOME", path("home"), 1);
    unsetenv("XDG_DATA_HOME");
}

static void check_found(const char *model, const char *expected)
{
    char dir[1000] = "";
    struct ww_error err = {0};
    CHECK(ww_model_find(model, dir, sizeof(dir), &err));
    CHECK_STR(err.text, "");
    CHECK_STR(dir, expected);
}

static void check_lost(const char *model, const char *part)
{
    char dir[1000] = "as it was";
    struct ww_error err = {0};
    CHECK(!ww_model_find(model, dir, sizeof(dir), &err));
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK_HAS(err.text, part);
    CHECK_STR(dir, "as it was");
}

static void test_find(void)
{
    check_found("alpha", path("first/alpha"));
    check_found("alpha:thunder", path("first/alpha"));
    check_found("beta", path("second/beta"));
    check_found("gamma", path("home/.local/share/watchword/models/gamma"));
    check_found(path("second/alpha"), path("second/alpha"));
    check_found(path("second/co:lon"), path("second/co:lon"));
    check_lost("delta", "no model 'delta'");
    check_lost("delta", path("second")); // says where it looked
    check_lost("delta", "/var/lib/watchword/models");
    check_lost("nothing", "no model 'nothing'");
    check_lost(path("first/nothing"), "has no config.json");
    check_lost(path("first/missing"), "no such directory");
    check_lost("", "is empty");
    check_lost(":thunder", "is empty");
    check_lost("..", "no model, for it has no config.json");
    char small[4];
    struct ww_error err = {0};
    CHECK(!ww_model_find("alpha", small, sizeof(small), &err));
    CHECK_HAS(err.text, "longer than 3 bytes");

    // Here, too; but an installed model comes first.
    CHECK_CMP(chdir(path("second")), ==, 0);
    unsetenv("WATCHWORD_MODELS");
    check_found("beta", "beta");
    setenv("WATCHWORD_MODELS", path("first"), 1);
    check_found("alpha", path("first/alpha"));
    CHECK_CMP(chdir("/"), ==, 0);
}

static void note(void *opaque, const struct ww_model_info *info)
{
    char *text = opaque;
    CHECK_STR(info->digest, "");
    if (strncmp(info->dir, root, strlen(root)) == 0) // not those that this host has
        snprintf(text + strlen(text), 1000 - strlen(text), "%s=%s@%s ", info->name, info->family,
                 info->dir + strlen(root));
}

static void test_list(void)
{
    char list[2100], text[1000] = "";
    snprintf(list, sizeof(list), "%s:%s", path("first"), path("second"));
    setenv("WATCHWORD_MODELS", list, 1);
    ww_model_list(note, text);
    CHECK_STR(text, "alpha=nano@/first/alpha beta=@/second/beta co:lon=x-pose@/second/co:lon "
                    "gamma=llama@/home/.local/share/watchword/models/gamma ");
}

static void check_unsound(const char *what, const char *part)
{
    char report[10000];
    struct ww_error err = {0};
    CHECK(!ww_model_verify(what, report, sizeof(report), &err));
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK_HAS(err.text, part);
}

static void test_verify_files(void)
{
    char report[10000];
    struct ww_error err = {0};
    put_weights("second/alpha/w.safetensors", 6, (float[]){1, 2, 3, 4, 5, 6});
    CHECK(ww_model_verify(path("second/alpha/w.safetensors"), report, sizeof(report), &err));
    CHECK_HAS(report, "w.safetensors: 1 tensors, 24 bytes of weights\n    sha256:");
    CHECK_HAS(report, "\n  layer.weight  F32 [2, 3]  24 bytes\n");
    put_weights("second/alpha/nan.safetensors", 6, (float[]){1, 2, 3, 4, NAN, 6});
    check_unsound(path("second/alpha/nan.safetensors"),
                  "nan.safetensors: tensor 'layer.weight': element 4, [1, 1], is no finite number");
    check_unsound(path("second/alpha/config.json"), "no safetensors file");
    check_unsound(path("second/alpha"), "nan.safetensors"); // an unknown family: all its files
    CHECK_CMP(unlink(path("second/alpha/nan.safetensors")), ==, 0);
    CHECK(ww_model_verify(path("second/alpha"), report, sizeof(report), &err));
    CHECK_HAS(report, "family other, which this version cannot run");
    check_unsound(path("second/beta"), "config.json: line 1, column 1: neither a value");
    check_unsound(path("second/co:lon"), "no weights");

    char tiny[60]; // a report that does not fit ends in a line that says so
    CHECK(ww_model_verify(path("second/alpha/w.safetensors"), tiny, sizeof(tiny), &err));
    CHECK_CMP(strlen(tiny), <, sizeof(tiny));
    CHECK_STR(tiny + strlen(tiny) - 4, "...\n");
    CHECK(ww_model_verify(path("second/alpha/w.safetensors"), tiny, 1, &err));
    CHECK_STR(tiny, "");
}

static void test_verify_config(void)
{
    static const struct {
        const char *config, *part;
    } cases[] = {
        {"{}", "config.json: 'model_type' is missing"},
        {"{\"model_type\":7}", "'model_type' is a number, not a string"},
        {"{\"model_type\":\"nano\"}", "config.json: 'pose' is missing"},
        {"{\"model_type\":\"nano\",\"pose\":{}}", "'detector' is missing"},
        {"{\"model_type\":\"nano\",\"pose\":{},\"detector\":3}", "'detector' is a number"},
        {"{\"model_type\":\"nano\",\"pose\":{},\"detector\":\"../w.safetensors\"}",
         "'detector' is '../w.safetensors'; it must be the name of a file beside it"},
        {"{\"model_type\":\"nano\",\"pose\":{},\"detector\":\"gone.safetensors\"}",
         "gone.safetensors: No such file"},
        {"{\"model_type\":\"nano\",\"pose\":{},\"detector\":\"w.safetensors\"}",
         "'default_pose' is missing"},
        {"{\"model_type\":\"nano\",\"pose\":{\"a\":\"w.safetensors\"},"
         "\"detector\":\"w.safetensors\",\"default_pose\":\"b\"}",
         "'default_pose' is 'b', which 'pose' does not have"},
        {"{\"model_type\":\"nano\",\"pose\":{\"a\":\"w.safetensors\"},"
         "\"detector\":\"w.safetensors\",\"default_pose\":\"a\",\"keypoint_set\":\"coco-17\","
         "\"keypoints\":[\"nose\"]}",
         "'keypoints' has 1 names; the weights have 17"},
    };
    put_weights("first/alpha/w.safetensors", 6, (float[]){1, 2, 3, 4, 5, 6});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_about("%s", cases[i].config);
        put("first/alpha/config.json", cases[i].config);
        check_unsound("alpha", cases[i].part);
    }
    check_about("%s", "");
}

static void test_verify_nano(const char *source)
{
    char dir[1000], report[1 << 17];
    struct ww_error err = {0};
    snprintf(dir, sizeof(dir), "%s/models/nano", source);
    CHECK(ww_model_verify(dir, report, sizeof(report), &err));
    CHECK_STR(err.text, "");
    CHECK_HAS(report, "family nano\n");
    CHECK_HAS(report, "centernet.safetensors: 166 tensors, 4029848 bytes of weights");
    CHECK_HAS(report, "ConstantFolding/StatefulPartitionedCall/truediv_2_recip  F16 [64, 64, 1]");
    CHECK(strstr(report, "...\n") == NULL); // 128 KiB hold all of it
}

// Words are judged by config.json alone: this model has no weights.
static void test_check(void)
{
    struct ww_error err;
    char classes[2000] = "{\"model_type\":\"nano\",\"classes\":[\"person\"";
    for (int i = 1; i < 80; i++)
        snprintf(classes + strlen(classes), sizeof classes - strlen(classes), ",\"thing %d\"", i);
    strcat(classes, "]}");
    mkdir(path("words"), 0777);
    put("words/config.json", classes);
    const char *good[] = {"thing 7", " Person "}, *bad[] = {"persn"};
    CHECK(ww_model_check(path("words"), WW_TASK_DETECT, good, 2, &err));
    CHECK(ww_model_check(path("words"), WW_TASK_DETECT, NULL, 0, &err));
    CHECK(!ww_model_check(path("words"), WW_TASK_DETECT, bad, 1, &err));
    CHECK_CMP((int)err.code, ==, WW_E_TEXT);
    CHECK_HAS(err.text, "near: person");
    CHECK(!ww_model_check(path("words"), WW_TASK_CAPTION, NULL, 0, &err));
    CHECK_CMP((int)err.code, ==, WW_E_UNSUPPORTED);
    CHECK(!ww_model_check(path("no-such"), WW_TASK_DETECT, NULL, 0, &err));
    CHECK_CMP((int)err.code, ==, WW_E_FILE);
}

// And so is the size of the network's input: nano's sides are multiples of 32.
static void test_check_input(void)
{
    static const struct {
        int size, width, height;
        const char *problem; // NULL: none
    } cases[] = {
        {0, 0, 0, NULL}, {500, 0, 0, NULL}, {4096, 0, 0, NULL}, {0, 512, 384, NULL}, {0, 4096, 32, NULL},
        {31, 0, 0, "input size 31: must be from 32 to 4096"}, {4097, 0, 0, "from 32 to 4096"},
        {0, 500, 384, "input of 500x384: width and height must be multiples of 32, up to 4096"},
        {0, 512, 300, "multiples of 32"}, {0, 4128, 384, "up to 4096"}, {0, 512, 0, "multiples of 32"},
    };
    struct ww_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_about("%d, %dx%d", cases[i].size, cases[i].width, cases[i].height);
        const bool ok = ww_model_check_input(path("words"), cases[i].size, cases[i].width, cases[i].height,
                                             &err);
        CHECK_CMP(ok, ==, !cases[i].problem);
        if (!ok && cases[i].problem) {
            CHECK_CMP((int)err.code, ==, WW_E_CONFIG);
            CHECK_HAS(err.text, cases[i].problem);
        }
    }
    check_about("%s", "");
    put("words/config.json", "{\"model_type\":\"deformable_detr\"}");
    CHECK(ww_model_check_input(path("words"), 0, 1333, 801, &err));
    CHECK(!ww_model_check_input(path("words"), 0, 4097, 801, &err));
    CHECK_HAS(err.text, "from 1 to 4096");
    CHECK(!ww_model_check_input(path("no-such"), 0, 0, 0, &err));
    CHECK_CMP((int)err.code, ==, WW_E_FILE);
}

int main(void)
{
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE does not say where the source tree is; run it by meson test");
    make_folders();
    test_find();
    test_list();
    test_verify_files();
    test_verify_config();
    test_verify_nano(source);
    test_check();
    test_check_input();
    char command[200];
    snprintf(command, sizeof(command), "rm -r %s", root);
    CHECK_CMP(system(command), ==, 0);
    return check_done();
}
