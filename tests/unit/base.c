// Errors, text, memory, logs, frames, names of tasks.

#include <watchword/frame.h>
#include <watchword/log.h>
#include <watchword/quote.h>
#include <watchword/watch.h>

#include <pthread.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "check.h"

static void test_errors(void)
{
    struct ww_error err = {0};
    CHECK(!ww_fail(&err, WW_E_FILE, "no tensor '%s'", "bert.pooler"));
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK(!ww_within(&err, "model '%s'", "gdino.safetensors"));
    CHECK(!ww_within(&err, "watch 'porch'"));
    CHECK_STR(err.text, "watch 'porch': model 'gdino.safetensors': no tensor 'bert.pooler'");
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK(!ww_fail(NULL, WW_E_FILE, "nobody reads this"));
    CHECK(!ww_within(NULL, "nor this"));

    ww_fail(&err, WW_E_TEXT, "%s again", err.text); // an argument may be the text itself
    CHECK_STR(err.text, "watch 'porch': model 'gdino.safetensors': no tensor 'bert.pooler' again");
    ww_fail(&err, WW_E_FILE, "two\nlines, \033[31mred\033[0m, \xff\xfe, end.\n");
    CHECK_STR(err.text, "two lines, ?[31mred?[0m, ??, end.");

    char longer[3000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    ww_fail(&err, WW_E_FILE, "cause");
    ww_within(&err, "%s", longer);
    CHECK_CMP(strlen(err.text), <, sizeof(err.text));
    CHECK_HAS(err.text, "x: cause"); // a long place does not push the cause out
    for (size_t i = 0; i + 2 < sizeof(longer); i += 2)
        memcpy(longer + i, "\xc3\xa9", 2);
    ww_fail(&err, WW_E_FILE, "%s", longer);
    CHECK_CMP(strlen(err.text), ==, 998); // whole characters of two bytes, 999 bytes of room
    CHECK(ww_utf8_valid(err.text, strlen(err.text)));
}

static void test_utf8(void)
{
    static const struct {
        const char *text;
        bool valid;
        const char *tidy;
    } cases[] = {
        {"", true, ""},
        {"plain", true, "plain"},
        {"h\xc3\xa9, \xe4\xb8\x96, \xf0\x9f\x8f\xa0", true,
         "h\xc3\xa9, \xe4\xb8\x96, \xf0\x9f\x8f\xa0"},
        {"\xc0\xaf.", false, "??."},                   // overlong
        {"\xe0\x80\xaf.", false, "???."},              // overlong
        {"\xed\xa0\x80.", false, "???."},              // surrogate
        {"\xf4\x90\x80\x80.", false, "????."},         // past U+10FFFF
        {"\x80.", false, "?."},                        // tail without a lead
        {"a\xe4\xb8", false, "a"},                     // cut off at the end
        {"a\xe4\xb8.", false, "a??."},                 // broken in the middle
        {"\xf0\x9f\x8f", false, ""},
        {"tab\tline\nbell\a.", true, "tab line bell?."},
        {"csi\xc2\x9bx", true, "csi?x"},               // C1 control
        {"a\xe2\x80\xaegpj", true, "a?gpj"},           // right-to-left override
        {"end \n\n", true, "end"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_about("case %zu", i);
        char text[64];
        snprintf(text, sizeof(text), "%s", cases[i].text);
        CHECK_CMP(ww_utf8_valid(text, strlen(text)), ==, cases[i].valid);
        ww_utf8_tidy(text);
        CHECK_STR(text, cases[i].tidy);
    }
    check_about("%s", "");
    CHECK(ww_utf8_valid("a\0b", 3));
    CHECK_CMP(ww_utf8_char("", 0), ==, 0u);
}

// No password in any wording of a URL; a sentence stays one.
static void test_redacted(void)
{
    static const char *const pairs[][2] = {
        {"rtsp://host/path", "rtsp://host/path"},
        {"rtsp://user:geheim@host:554/path", "rtsp://…@host:554/path"},
        {"rtsp://user:ge@heim@host/path", "rtsp://…@host/path"},
        {"rtsp://admin:ge/heim@host/path", "rtsp://…@host/path"},
        {"rtsp://admin:ge#heim?@host/path?a=1", "rtsp://…@host/path?a=1"},
        {"rtsp://user:ge heim@host/path", "rtsp://…@host/path"},
        {"http://h/user=admin&password=geheim&channel=1.ppm", "http://h/user=admin&password=…&channel=1.ppm"},
        {"http://h/?PWD=geheim", "http://h/?PWD=…"},
        {"http://h/x?p=ge/heim;v=1&auth=geheim&sid=geheim", "http://h/x?p=…;v=1&auth=…&sid=…"},
        {"http://h/up=1/p=geheim/c", "http://h/up=1/p=…/c"},
        {"cannot open 'http://u:geheim@h/x?key=geheim': no", "cannot open 'http://…@h/x?key=…': no"},
        {"http://h/password=ge'he\"im", "http://h/password=…"},
        {"\"http://h/password=ge'heim\" is not there", "\"http://h/password=…\" is not there"},
        {"rtsp://user:geheim@", "rtsp://…@"},
        {"http://h/token=geheim: it is not there", "http://h/token=…: it is not there"},
        {"[tcp @ 0x55] rtsp://host/x [rtsp @ 0x55]", "[tcp @ 0x55] rtsp://host/x [rtsp @ 0x55]"},
        {"rtsp://a/x is now rtsp://u:geheim@b/y", "rtsp://…@b/y"}, // too much rather than too little
        {"what? a@b.mp4", "what? a@b.mp4"},
        {"no url: geheim?", "no url: geheim?"},
        {"", ""},
    };
    char text[200];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ww_quote_redacted(pairs[i][0], text, sizeof text);
        CHECK_STR(text, pairs[i][1]);
    }
    ww_quote_redacted("rtsp://u:geheim@h", text, 10); // "rtsp://" and no third of what follows
    CHECK_STR(text, "rtsp://");
    ww_quote_redacted("rtsp://u:geheim@h", text, 11);
    CHECK_STR(text, "rtsp://…");
    ww_quote_redacted("x", text, 1);
    CHECK_STR(text, "");
}

static void test_arena(void)
{
    struct ww_arena *arena = ww_arena_create();
    unsigned char *all[200];
    for (int i = 0; i < 200; i++) {
        const size_t bytes = (size_t)(i * i);
        all[i] = ww_arena_alloc(arena, bytes);
        CHECK_CMP((uintptr_t)all[i] % _Alignof(max_align_t), ==, 0u);
        bool zero = true;
        for (size_t k = 0; k < bytes; k++)
            zero &= all[i][k] == 0;
        CHECK(zero);
        memset(all[i], i, bytes);
    }
    bool kept = true;
    for (int i = 0; i < 200; i++)
        for (size_t k = 0; k < (size_t)(i * i); k++)
            kept &= all[i][k] == i;
    CHECK(kept); // none overlaps another
    CHECK_CMP(ww_arena_bytes(arena), >, 2600000u);
    CHECK_CMP(ww_arena_bytes(arena), <, 2900000u);

    CHECK_STR(ww_arena_printf(arena, "%s-%d", "camera", 7), "camera-7");
    for (int width = 250; width < 260; width++)
        CHECK_CMP(strlen(ww_arena_printf(arena, "%*d", width, 7)), ==, width);
    CHECK_STR(ww_arena_strdup(arena, "word"), "word");
    CHECK_STR(ww_arena_strndup(arena, "words", 4), "word");
    CHECK(ww_arena_strdup(arena, NULL) == NULL);
    int64_t *numbers = ww_new_array(arena, int64_t, 3);
    CHECK_CMP(numbers[0] | numbers[1] | numbers[2], ==, 0);
    ww_arena_destroy(&arena);
    CHECK(arena == NULL);
    ww_arena_destroy(&arena); // again: nothing
    ww_arena_destroy(NULL);
}

struct heard {
    int lines, inside, worst; // `inside`: calls at this moment
    char last[200];
    enum ww_log_level level;
};

static void hear(void *opaque, enum ww_log_level level, const char *text)
{
    struct heard *heard = opaque;
    heard->worst = ++heard->inside > heard->worst ? heard->inside : heard->worst;
    heard->lines++;
    heard->level = level;
    snprintf(heard->last, sizeof(heard->last), "%s", text);
    heard->inside--;
}

static void *talk(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        ww_log(WW_LOG_INFO, "line %d", i);
    return NULL;
}

static void test_log(void)
{
    struct heard heard = {0};
    ww_log_set(hear, &heard, WW_LOG_INFO);
    ww_log(WW_LOG_INFO, "compiling %d of %d\n", 12, 31);
    CHECK_STR(heard.last, "compiling 12 of 31");
    CHECK_CMP(heard.level, ==, WW_LOG_INFO);
    ww_log(WW_LOG_DEBUG, "not wanted");
    CHECK_CMP(heard.lines, ==, 1);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, talk, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_CMP(heard.lines, ==, 4001);
    CHECK_CMP(heard.worst, ==, 1); // one call at a time
    ww_log_set(NULL, NULL, WW_LOG_ERROR);
    ww_log(WW_LOG_WARN, "not wanted");
}

static void test_formats(void)
{
    static const struct {
        enum ww_format format;
        int planes, row_bytes[3], rows[3]; // of 7 x 5
    } cases[] = {
        {WW_FORMAT_NV12, 2, {7, 8}, {5, 3}},
        {WW_FORMAT_I420, 3, {7, 4, 4}, {5, 3, 3}},
        {WW_FORMAT_RGB, 1, {21}, {5}},
        {WW_FORMAT_BGR, 1, {21}, {5}},
        {WW_FORMAT_RGBA, 1, {28}, {5}},
        {WW_FORMAT_BGRA, 1, {28}, {5}},
        {WW_FORMAT_GRAY8, 1, {7}, {5}},
    };
    CHECK_CMP(sizeof(cases) / sizeof(cases[0]), ==, (size_t)WW_NUM_FORMATS);
    for (int i = 0; i < WW_NUM_FORMATS; i++) {
        check_about("format %d", i);
        CHECK_CMP(ww_format_planes(cases[i].format), ==, cases[i].planes);
        for (int p = 0; p < cases[i].planes; p++) {
            CHECK_CMP(ww_format_row_bytes(cases[i].format, p, 7), ==, cases[i].row_bytes[p]);
            CHECK_CMP(ww_format_rows(cases[i].format, p, 5), ==, cases[i].rows[p]);
        }
    }
    check_about("%s", "");
    CHECK_CMP(ww_format_row_bytes(WW_FORMAT_NV12, 1, 8), ==, 8);
    CHECK_CMP(ww_format_rows(WW_FORMAT_I420, 2, 6), ==, 3);
}

static void check_refused(struct ww_frame frame, const char *part)
{
    struct ww_error err = {0};
    CHECK(!ww_frame_check(&frame, &err));
    CHECK_CMP(err.code, ==, WW_E_FRAME);
    CHECK_HAS(err.text, part);
}

static void test_frames(void)
{
    static const uint8_t pixels[8 * 8];
    const struct ww_frame good = {.format = WW_FORMAT_NV12, .width = 7, .height = 5,
                                  .plane = {pixels, pixels}, .stride = {7, 8}};
    CHECK(ww_frame_check(&good, NULL));
    struct ww_frame f = good;
    f.width = 0;
    check_refused(f, "0x5");
    f = good, f.height = -5;
    check_refused(f, "7x-5");
    f = good, f.width = WW_FRAME_MAX_SIDE + 1;
    check_refused(f, "16385x5");
    f = good, f.plane[1] = NULL;
    check_refused(f, "no plane 1");
    f = good, f.stride[1] = 7; // an odd picture has a whole last chroma pair
    check_refused(f, "a row needs 8");
    f = good, f.stride[0] = -8;
    check_refused(f, "-8");
    f = good, f.format = WW_NUM_FORMATS;
    check_refused(f, "format 7");
    f = good, f.matrix = (enum ww_matrix)5;
    check_refused(f, "matrix 5");
    f = good, f.range = (enum ww_range)9;
    check_refused(f, "range 9");
}

static void test_tasks(void)
{
    for (int task = 0; task < WW_NUM_TASKS; task++)
        CHECK_CMP(ww_task_from_name(ww_task_name((enum ww_task)task)), ==, task);
    CHECK_STR(ww_task_name(WW_TASK_POSE), "pose");
    CHECK(ww_task_name(WW_NUM_TASKS) == NULL);
    CHECK_CMP(ww_task_from_name("Pose"), ==, -1);
    CHECK_CMP(ww_task_from_name(""), ==, -1);
    CHECK_CMP(ww_task_from_name(NULL), ==, -1);
}

int main(void)
{
    test_errors();
    test_utf8();
    test_redacted();
    test_arena();
    test_log();
    test_formats();
    test_frames();
    test_tasks();
    return check_done();
}
