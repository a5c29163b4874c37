// What the JSON reader takes and refuses, above all where cJSON alone would take it.

#include "base/json.h"

#include <locale.h>
#include <unistd.h>

#include "check.h"

// From memory of just that size: a sanitizer sees a byte read too far.
static struct ww_json *parse(const char *text, struct ww_error *err)
{
    const size_t size = strlen(text);
    char *exact = malloc(size);
    memcpy(exact, text, size);
    struct ww_json *json = ww_json_parse(exact, size, NULL, err);
    free(exact);
    return json;
}

static void test_taken(void)
{
    static const char *const texts[] = {
        "null", " true ", "\t\r\n false\n", "0", "-0", "-12.5e-3", "1E+2", "9007199254740992",
        "-9007199254740992", "\"\"", "[]", "{}", "[ ]", "{ }", "[1,2,[3]]", "1e300",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83C\\uDFE0\"", "{\"\":1,\" \":2}",
        "\"h\xc3\xa9\x7f\"", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_about("%s", texts[i]);
        struct ww_error err = {0};
        struct ww_json *json = parse(texts[i], &err);
        CHECK(json != NULL);
        CHECK_STR(err.text, "");
        ww_json_free(&json);
    }
    check_about("%s", "");
}

static void test_refused(void)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "the text ends"},
        {"   ", "the text ends"},
        {"\xef\xbb\xbf{}", "line 1, column 1: no value"}, // byte order mark
        {"{} {}", "column 4: something behind"},
        {"{}\f", "something behind"},
        {"\v{}", "no value"},
        {"[1,]", "no value"},
        {"[1 2]", "a comma"},
        {"[1", "a list that never ends"},
        {"{\"a\":1,}", "a name in double quotes"},
        {"{\"a\" 1}", "a colon"},
        {"{\"a\":}", "in 'a': no value"},
        {"{\"a\":1", "an object that never ends"},
        {"{a:1}", "a name in double quotes"},
        {"{'a':1}", "a name in double quotes"},
        {"nul", "neither"},
        {"True", "no value"},
        {"truex", "something behind"},
        {"NaN", "no value"},
        {"Infinity", "no value"},
        {"-", "without digits"},
        {"+1", "no value"},
        {"01", "leading zero"},
        {"-01", "leading zero"},
        {".5", "no value"},
        {"1.", "without digits"},
        {"1.e3", "without digits"},
        {"1e", "without digits"},
        {"1e+", "without digits"},
        {"0x10", "something behind"},
        {"1e999", "too large"},
        {"123456e305", "too large"},
        {"9007199254740993", "beyond 2^53"},
        {"-9007199254740993", "beyond 2^53"},
        {"-9223372036854775809", "beyond 2^53"},
        {"18446744073709551616", "beyond 2^53"},
        {"0.1111111111111111111111111111111111111111111111111111111111111111", "62 characters"},
        {"\"abc", "a string that never ends"},
        {"\"a\nb\"", "a control character"},
        {"\"\\x41\"", "no such escape"},
        {"\"\\", "no such escape"},
        {"\"\\u12\"", "four hexadecimal"},
        {"\"\\u12g4\"", "four hexadecimal"},
        {"\"a\\u0000b\"", "U+0000"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\\udc00\\ud800\"", "surrogate"},
        {"\"\\udc00\\udc00\"", "surrogate"},
        {"\"\\ud800", "surrogate"},
        {"\"\\ud800\\u", "surrogate"},
        {"\"\xff\"", "not UTF-8"},
        {"\"\xc0\x80\"", "not UTF-8"},
        {"\"\xed\xa0\x80\"", "not UTF-8"},
        {"{\"a\":1,\"a\":2}", "'a' is given twice"},
        {"{\"a\":1,\"\\u0061\":2}", "'a' is given twice"},
        {"{\"b\":{\"c\":[{\"a\":1,\"z\":2,\"a\":3}]}}", "'b': 'c': 'a' is given twice"},
        {"// no\n1", "no value"},
        {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "nested too deep"},
        {"{\"a\":\n {\"b\": [0,\n  x]}}", "line 3, column 3, in 'a.b[1]': no value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_about("%s", cases[i].text);
        struct ww_error err = {0};
        struct ww_json *json = parse(cases[i].text, &err);
        CHECK(json == NULL);
        CHECK_CMP(err.code, ==, WW_E_FILE);
        CHECK_HAS(err.text, cases[i].part);
        ww_json_free(&json);
    }
    check_about("%s", "");
    CHECK(ww_json_parse("{}\0", 3, NULL, NULL) == NULL); // NUL is no blank
    CHECK(ww_json_parse("[1]", 2, NULL, NULL) == NULL);  // reads no further than it may
}

static void test_limits(void)
{
    struct ww_error err = {0};
    CHECK(ww_json_parse("[[]]", 4, ww_json_params(.max_depth = 1), &err) == NULL);
    CHECK_HAS(err.text, "nested too deep");
    CHECK(ww_json_parse("[1,2,3]", 7, ww_json_params(.max_values = 3), &err) == NULL);
    CHECK_HAS(err.text, "more values");
    CHECK(ww_json_parse("[1.0]", 5, ww_json_params(.integers_only = true), &err) == NULL);
    CHECK_HAS(err.text, "in '[0]': a number with a fraction");
    CHECK(ww_json_parse("[1e0]", 5, ww_json_params(.integers_only = true), &err) == NULL);
    struct ww_json *json = ww_json_parse("[1,2]", 5, ww_json_params(.max_values = 3), &err);
    CHECK(json != NULL);
    ww_json_free(&json);
    CHECK(json == NULL);
    ww_json_free(&json);

    enum { DEEP = 200000 };
    char *brackets = malloc(DEEP);
    memset(brackets, '[', DEEP);
    CHECK(ww_json_parse(brackets, DEEP, NULL, &err) == NULL);
    free(brackets);
}

static void test_values(void)
{
    struct ww_error err = {0};
    struct ww_json *json = parse("{\"n\":-3,\"r\":2.5,\"s\":\"x\",\"t\":true,\"z\":null,"
                                 "\"l\":[4,5,6],\"big\":9007199254740992,\"o\":{\"N\":1}}", &err);
    if (!CHECK(json != NULL))
        return;
    int64_t whole = 0;
    double real = 0;
    bool truth = false;
    CHECK(ww_json_integer(ww_json_get(json, "n"), &whole));
    CHECK_CMP(whole, ==, -3);
    CHECK(ww_json_integer(ww_json_get(json, "big"), &whole));
    CHECK_CMP(whole, ==, INT64_C(9007199254740992));
    CHECK(!ww_json_integer(ww_json_get(json, "r"), &whole));
    CHECK(!ww_json_integer(ww_json_get(json, "s"), &whole));
    CHECK(!ww_json_integer(NULL, &whole));
    CHECK_CMP(whole, ==, INT64_C(9007199254740992)); // as it was
    CHECK(ww_json_number(ww_json_get(json, "r"), &real));
    CHECK_NEAR(real, 2.5, 0);
    CHECK(ww_json_bool(ww_json_get(json, "t"), &truth));
    CHECK(truth);
    CHECK(!ww_json_bool(ww_json_get(json, "n"), &truth));
    CHECK_STR(ww_json_string(ww_json_get(json, "s")), "x");
    CHECK_STR(ww_json_string(ww_json_get(json, "n")), NULL);
    CHECK(ww_json_get(json, "N") == NULL); // upper case is another name
    CHECK(ww_json_get(ww_json_get(json, "s"), "n") == NULL);
    CHECK(ww_json_get(NULL, "n") == NULL);
    CHECK_CMP(ww_json_kind(ww_json_get(json, "z")), ==, WW_JSON_NULL);
    CHECK_CMP(ww_json_kind(json), ==, WW_JSON_OBJECT);
    CHECK_CMP(ww_json_count(json), ==, 8u);
    CHECK_STR(ww_json_name(ww_json_first(json)), "n");

    int sum = 0;
    for (const struct ww_json *x = ww_json_first(ww_json_get(json, "l")); x; x = ww_json_next(x))
        sum += ww_json_integer(x, &whole) ? (int)whole : 0;
    CHECK_CMP(sum, ==, 15);
    CHECK(ww_json_first(ww_json_get(json, "s")) == NULL);
    CHECK_CMP(ww_json_count(NULL), ==, 0u);

    CHECK(ww_json_need(json, "l", WW_JSON_ARRAY, &err) != NULL);
    CHECK(ww_json_need(json, "q", WW_JSON_ARRAY, &err) == NULL);
    CHECK_STR(err.text, "'q' is missing");
    CHECK(ww_json_need(json, "s", WW_JSON_ARRAY, &err) == NULL);
    CHECK_STR(err.text, "'s' is a string, not a list");
    ww_json_free(&json);
}

static void test_files(void)
{
    struct ww_error err = {0};
    CHECK(ww_json_load("/nonexistent/config.json", 100, NULL, &err) == NULL);
    CHECK_STR(err.text, "/nonexistent/config.json: No such file or directory");
    CHECK(ww_json_load("/", 100, NULL, &err) == NULL);
    CHECK_HAS(err.text, "not a regular file");
    CHECK(ww_json_load("/dev/zero", 100, NULL, &err) == NULL);
    CHECK_HAS(err.text, "not a regular file");

    char path[] = "/tmp/watchword-json-XXXXXX";
    const int fd = mkstemp(path);
    const char text[] = "{\n  \"a\": [1, 2,]\n}\n";
    CHECK_CMP(write(fd, text, strlen(text)), ==, (ssize_t)strlen(text));
    CHECK(ww_json_load(path, 100, NULL, &err) == NULL);
    CHECK_HAS(err.text, path);
    CHECK_HAS(err.text, ": line 2, column 14, in 'a[2]': no value begins like this");
    CHECK(ww_json_load(path, 10, NULL, &err) == NULL);
    CHECK_HAS(err.text, "19 bytes are more than the 10");
    close(fd);
    unlink(path);
}

int main(void)
{
    test_taken();
    test_refused();
    test_limits();
    test_values();
    test_files();
    if (setlocale(LC_ALL, "de_DE.UTF-8")) // a comma for a decimal point
        test_values();
    return check_done();
}
