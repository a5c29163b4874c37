// Messages as text: numbers in every locale, text from anywhere, buffers of every size.

#include <locale.h>
#include <watchword/json_text.h>
#include <watchword/message.h>

#include "check.h"

static const char *real(double value, int decimals)
{
    static char out[400];
    struct ww_json_text t = {.out = out, .size = sizeof(out)};
    ww_json_put_real(&t, NULL, value, decimals);
    return out;
}

static void test_numbers(void)
{
    CHECK_STR(real(0, 2), "0");
    CHECK_STR(real(-0.001, 2), "0");
    CHECK_STR(real(1.5, 0), "2");
    CHECK_STR(real(0.71234567, 4), "0.7123");
    CHECK_STR(real(-3.05, 2), "-3.05");
    CHECK_STR(real(100, 3), "100");
    CHECK_STR(real(0.1 + 0.2, 9), "0.3");
    CHECK_STR(real(1e15, 3), "1000000000000000");
    CHECK_STR(real(1e22, 9), "10000000000000000000000");
    CHECK_STR(real((double)NAN, 2), "null");
    CHECK_STR(real((double)-INFINITY, 2), "null");
    CHECK_CMP(strlen(real(1.7976931348623157e308, 9)), ==, (size_t)309);
}

static void test_text(void)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"a \"b\" \\ /", "\"a \\\"b\\\" \\\\ /\""},
        {"\n\t\x01\x7f", "\"\\u000a\\u0009\\u0001\\u007f\""},
        {"ю 🐕", "\"ю 🐕\""},
        {"\xff\xc3", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 // no UTF-8
        {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 // overlong
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, // a surrogate
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        struct ww_json_text t = {.out = out, .size = sizeof(out)};
        ww_json_put_string(&t, NULL, cases[i].text);
        CHECK_STR(out, cases[i].json);
    }
}

static void test_times(void)
{
    static const struct {
        int64_t ns;
        const char *json;
    } cases[] = {
        {0, "\"1970-01-01T00:00:00.000Z\""},
        {-1, "\"1969-12-31T23:59:59.999Z\""},
        {-1000000000, "\"1969-12-31T23:59:59.000Z\""},
        {INT64_C(1763806504120999999), "\"2025-11-22T10:15:04.120Z\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        struct ww_json_text t = {.out = out, .size = sizeof(out)};
        ww_json_put_time(&t, NULL, cases[i].ns);
        CHECK_STR(out, cases[i].json);
    }
}

static const struct ww_keypoint points[] = {{1.234f, 5, 0.5f}, {0, 0, 0}};
static const struct ww_object objects[] = {
    {.label = "a \"dog\"", .phrase = 1, .score = 0.5f, .x1 = 10.5f, .y1 = 20},
    {.label = "person", .score = 1, .num_keypoints = 2, .keypoints = points},
};
static const struct ww_model_info model = {.name = "nano", .digest = "sha256:00"};
static const struct ww_result result = {
    .index = 7,
    .pts_ns = -1,
    .width = 768,
    .height = 576,
    .revision = 3,
    .keypoint_set = "coco-17",
    .num_objects = 2,
    .objects = objects,
    .wait_ns = 1500000,
    .infer_ns = 40000000,
};

static void test_message(void)
{
    static const char wanted[] =
        "{\"schema\":\"watchword/"
        "1\",\"kind\":\"pose\",\"stream\":\"gate\",\"watch\":\"w\",\"revision\":3,"
        "\"epoch\":\"E\",\"seq\":18446744073709551615,"
        "\"frame\":{\"index\":7,\"pts_ns\":null,\"captured_at\":\"1970-01-01T00:00:01.000Z\","
        "\"clock\":\"rtcp\",\"width\":768,\"height\":576},"
        "\"model\":{\"name\":\"nano\",\"digest\":\"sha256:00\"},"
        "\"latency_ms\":{\"wait\":1.5,\"infer\":40,\"total\":41.5},\"keypoint_set\":\"coco-17\","
        "\"objects\":[{\"label\":\"a "
        "\\\"dog\\\"\",\"phrase\":1,\"score\":0.5,\"box\":[0,0,10.5,20]},"
        "{\"label\":\"person\",\"phrase\":0,\"score\":1,\"box\":[0,0,0,0],"
        "\"keypoints\":[[1.23,5,0.5],[0,0,0]]}]}";
    struct ww_message *message =
        ww_message(.task = WW_TASK_POSE, .stream = "gate", .watch = "w", .epoch = "E",
                   .seq = UINT64_MAX, .result = &result, .model = &model, .captured_ns = 1000000000,
                   .clock = WW_CLOCK_RTCP, .decode_ns = -1);
    char out[2048];
    CHECK_CMP(ww_message_write(message, out, sizeof(out)), ==, strlen(wanted));
    CHECK_STR(out, wanted);
    // Whatever the room: as much as fits, always ended, nothing behind, and the length is the
    // whole's.
    for (size_t size = 0; size <= strlen(wanted) + 1; size++) {
        char *exact = malloc(size + 1);
        exact[size] = '!';
        CHECK_CMP(ww_message_write(message, size ? exact : NULL, size), ==, strlen(wanted));
        if (size > 0) {
            CHECK_CMP(strlen(exact), ==, size - 1);
            CHECK(strncmp(exact, wanted, size - 1) == 0);
        }
        CHECK_CMP(exact[size], ==, '!');
        free(exact);
    }
    message->decode_ns = 3100000;
    ww_message_write(message, out, sizeof(out));
    CHECK_HAS(out, "{\"decode\":3.1,\"wait\":1.5,\"infer\":40,\"total\":44.6}");
}

static void test_epoch(void)
{
    char a[27], b[27];
    ww_message_epoch(a);
    ww_message_epoch(b);
    CHECK_CMP(strlen(a), ==, (size_t)26);
    CHECK_CMP(strspn(a, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), ==, (size_t)26);
    CHECK(strcmp(a, b) != 0);
    CHECK_CMP(strncmp(a, b, 10), <=, 0);
}

int main(void)
{
    // A comma for the decimal point, where this system has such a locale.
    if (!setlocale(LC_ALL, "de_DE.UTF-8"))
        setlocale(LC_ALL, "fr_FR.UTF-8");
    test_numbers();
    test_text();
    test_times();
    test_message();
    test_epoch();
    for (int task = 0; task < WW_NUM_TASKS; task++)
        CHECK(ww_task_kind((enum ww_task)task) != NULL);
    CHECK_STR(ww_task_kind(WW_NUM_TASKS), NULL);
    CHECK_STR(ww_clock_name(WW_CLOCK_FILE), "file");
    return check_done();
}
