// ww_draw: what is drawn is where it belongs, and nothing else is.

#include <check.h>
#include <watchword/draw.h>

#include "picture.h"

static const struct ww_object PERSON = {
    .label = "person", .score = 0.87f, .x0 = 20, .y0 = 30, .x1 = 60, .y1 = 90};

static void draw(struct picture *p, const struct ww_object *objects, int n,
                 const struct ww_draw_params *params)
{
    struct ww_result r = {.width = p->frame.width,
                          .height = p->frame.height,
                          .keypoint_set = "coco-17",
                          .num_objects = n,
                          .objects = objects};
    ww_draw(&p->frame, &r, params);
}

static bool same(struct rgb a, struct rgb b, int tolerance)
{
    return abs(a.r - b.r) <= tolerance && abs(a.g - b.g) <= tolerance &&
           abs(a.b - b.b) <= tolerance;
}

static int num_changed(const struct ww_frame *f, struct rgb from, int x0, int y0, int x1, int y1)
{
    int n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            n += !same(picture_at(f, x, y), from, 0);
    return n;
}

// Boxes without text: each side is `width` thick inside the edges, its rim outside is half that,
// and the rest of the picture is as it was.
static void test_box(void)
{
    struct picture p = picture_create(WW_FORMAT_RGB, 100, 120, 5, 0);
    draw(&p, &PERSON, 1, ww_draw_params(.line_width = 4, .no_labels = true, .no_scores = true));
    const struct rgb black = {0, 0, 0}, colour = picture_at(&p.frame, 20, 30);
    CHECK_CMP(colour.r + colour.g + colour.b, >, 255);
    for (int y = 0; y < 120; y++) {
        for (int x = 0; x < 100; x++) {
            bool in_box = x >= 20 && x < 60 && y >= 30 && y < 90;
            bool in_hole = x >= 24 && x < 56 && y >= 34 && y < 86;
            struct rgb want = in_box && !in_hole ? colour : black; // the rim is black on black
            if (!same(picture_at(&p.frame, x, y), want, 0)) {
                CHECK_CMP(x, ==, -1);
                CHECK_CMP(y, ==, -1);
                return;
            }
        }
    }
    CHECK(picture_is_sound(&p));
    picture_destroy(&p);

    p = picture_create(WW_FORMAT_RGB, 100, 120, 0, 200);
    draw(&p, &PERSON, 1, ww_draw_params(.line_width = 4, .no_labels = true, .no_scores = true));
    const struct rgb grey = {200, 200, 200};
    CHECK_CMP(picture_at(&p.frame, 18, 50).r, <, 150); // dark rim outside ...
    CHECK_CMP(picture_at(&p.frame, 25, 50).r, <, 150); // ... and inside
    CHECK_CMP(num_changed(&p.frame, grey, 26, 36, 54, 84), ==, 0);
    CHECK_CMP(num_changed(&p.frame, grey, 0, 0, 18, 120), ==, 0);
    CHECK_CMP(num_changed(&p.frame, grey, 62, 0, 100, 120), ==, 0);
    picture_destroy(&p);
}

// The same colour comes out of every format, matrix and range.
static void test_colour(void)
{
    struct picture rgb = picture_create(WW_FORMAT_RGB, 100, 120, 0, 128);
    const struct ww_draw_params *params = ww_draw_params(.line_width = 8);
    draw(&rgb, &PERSON, 1, params);
    struct rgb want = picture_at(&rgb.frame, 24, 60);
    for (int format = 0; format < WW_NUM_FORMATS; format++) {
        for (int way = 0; way < 4; way++) {
            check_about("format %d, matrix %d, range %d", format, way & 1, way >> 1);
            struct picture p = picture_create((enum ww_format)format, 100, 120, 3, 128);
            p.frame.matrix = way & 1 ? WW_MATRIX_BT709 : WW_MATRIX_BT601;
            p.frame.range = way >> 1 ? WW_RANGE_FULL : WW_RANGE_LIMITED;
            draw(&p, &PERSON, 1, params);
            struct rgb got = picture_at(&p.frame, 24, 60);
            if (format == WW_FORMAT_GRAY8) {
                bool bt709 = p.frame.matrix == WW_MATRIX_BT709;
                double kr = bt709 ? 0.2126 : 0.299, kb = bt709 ? 0.0722 : 0.114;
                CHECK_NEAR(got.r, kr * want.r + (1 - kr - kb) * want.g + kb * want.b, 1.01);
            } else {
                CHECK(same(got, want, 3));
            }
            picture_destroy(&p);
        }
    }
    check_about("%s", "");
    picture_destroy(&rgb);
}

static struct rgb colour_of(const char *label)
{
    struct picture p = picture_create(WW_FORMAT_RGBA, 100, 120, 0, 0);
    struct ww_object o = PERSON;
    o.label = label;
    draw(&p, &o, 1, ww_draw_params(.line_width = 8));
    struct rgb colour = picture_at(&p.frame, 24, 60);
    CHECK_CMP(p.frame.plane[0][60 * p.frame.stride[0] + 24 * 4 + 3], ==, 255); // opaque
    picture_destroy(&p);
    return colour;
}

static void test_colour_is_the_labels(void)
{
    CHECK(same(colour_of("person"), colour_of("person"), 0));
    const char *labels[] = {"person", "car", "dog", "bicycle", "a person in a yellow vest", ""};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            CHECK(!same(colour_of(labels[i]), colour_of(labels[j]), 8));
}

// A label stands over its box; where there is no room it goes elsewhere, but always into the
// picture.
static void test_label(void)
{
    const struct rgb black = {0, 0, 0};
    struct picture p = picture_create(WW_FORMAT_RGB, 200, 120, 0, 0);
    draw(&p, &PERSON, 1, NULL);
    CHECK_CMP(num_changed(&p.frame, black, 20, 19, 60, 30), >, 200);
    CHECK_CMP(num_changed(&p.frame, black, 0, 0, 200, 19), ==, 0);
    picture_destroy(&p);

    struct ww_object at_top = PERSON, at_right = PERSON;
    at_top.y0 = 0;
    at_right.x0 = 180;
    at_right.x1 = 200;
    p = picture_create(WW_FORMAT_RGB, 200, 120, 0, 0);
    draw(&p, &at_top, 1, NULL);
    CHECK_CMP(num_changed(&p.frame, black, 20, 92, 60, 101), >, 200); // under it
    picture_destroy(&p);
    p = picture_create(WW_FORMAT_RGB, 200, 120, 0, 0);
    draw(&p, &at_right, 1, NULL);
    CHECK_CMP(num_changed(&p.frame, black, 130, 19, 180, 30), >, 200); // moved left
    picture_destroy(&p);

    // Two objects at one place: each label is to be read.
    struct ww_object two[] = {PERSON, PERSON};
    two[1].label = "dog";
    p = picture_create(WW_FORMAT_RGB, 200, 120, 0, 0);
    draw(&p, two, 2, ww_draw_params(.no_scores = true));
    struct rgb first = picture_at(&p.frame, 21, 20), second = picture_at(&p.frame, 21, 91);
    CHECK(same(first, colour_of("person"), 0));
    CHECK(same(second, colour_of("dog"), 0));
    picture_destroy(&p);
}

// Widths of the plate over the box, column by column.
static int plate_width(float score, const struct ww_draw_params *params)
{
    struct ww_object o = PERSON;
    o.score = score;
    struct picture p = picture_create(WW_FORMAT_GRAY8, 300, 120, 0, 0);
    draw(&p, &o, 1, params);
    int width = 0;
    while (20 + width < 300 && picture_at(&p.frame, 20 + width, 20).r > 0)
        width++;
    picture_destroy(&p);
    return width;
}

static void test_caption(void)
{
    int both = plate_width(0.5f, NULL),
        label = plate_width(0.5f, ww_draw_params(.no_scores = true));
    CHECK_CMP(both, >, label);
    CHECK_CMP(label, >, plate_width(0.5f, ww_draw_params(.no_labels = true)));
    CHECK_CMP(plate_width(-1, NULL), ==, label); // no score is written that is not there
    CHECK_CMP(plate_width(0.5f, ww_draw_params(.no_labels = true, .no_scores = true)), ==, 0);
}

static void test_skeleton(void)
{
    struct ww_keypoint k[17];
    for (int i = 0; i < 17; i++) // left ones in a column at 80, right ones at 40
        k[i] = (struct ww_keypoint){i == 0 ? 60 : i & 1 ? 80 : 40, 10 + 6 * (float)i, 0.9f};
    k[9].x = 100; // the wrists stick out
    k[10].x = 20;
    struct ww_object o = {.label = "person",
                          .score = 0.9f,
                          .x0 = 5,
                          .y0 = 5,
                          .x1 = 115,
                          .y1 = 118,
                          .num_keypoints = 17,
                          .keypoints = k};
    const struct ww_draw_params *bare = ww_draw_params(.no_labels = true, .no_scores = true);
    struct picture p = picture_create(WW_FORMAT_RGB, 120, 120, 0, 0);
    draw(&p, &o, 1, bare);
    struct rgb left = picture_at(&p.frame, 90, 58), right = picture_at(&p.frame, 30, 64);
    CHECK_CMP(left.r, >, left.b + 40);   // from left elbow to wrist: orange
    CHECK_CMP(right.b, >, right.r + 40); // from right elbow to wrist: blue
    picture_destroy(&p);

    k[9].score = 0.1f; // a wrist that was not seen takes its limb with it
    p = picture_create(WW_FORMAT_RGB, 120, 120, 0, 0);
    draw(&p, &o, 1, bare);
    CHECK_CMP(num_changed(&p.frame, (struct rgb){0, 0, 0}, 84, 54, 104, 68), ==, 0);
    picture_destroy(&p);
}

// Whatever the numbers, sizes and words, every byte that is not a sample stays.
static void test_anything(void)
{
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, -5, 0, 0.5f, 7, 3000};
    const char *words[] = {"", NULL, "person", "\xc3\x9c\xf0\x9f\x90\x95\xff\x80 \t\x01",
                           "a label that is longer than any of these pictures is wide, by far"};
    const int sizes[][2] = {{1, 1}, {2, 1}, {1, 2}, {3, 5}, {16, 16}, {17, 9}, {65, 481}};
    const int n = sizeof(odd) / sizeof(odd[0]);
    for (int format = 0; format < WW_NUM_FORMATS; format++) {
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            struct picture p =
                picture_create((enum ww_format)format, sizes[s][0], sizes[s][1], 7, 99);
            for (int i = 0; i < n * n; i++) {
                float a = odd[i % n], b = odd[i / n];
                struct ww_keypoint k[17];
                for (int j = 0; j < 17; j++)
                    k[j] = (struct ww_keypoint){odd[(i + j) % n], odd[(i / n + j) % n], 0.9f};
                struct ww_object o = {.label = words[i % 5],
                                      .score = a,
                                      .x0 = a,
                                      .y0 = b,
                                      .x1 = b,
                                      .y1 = odd[(i + 3) % n],
                                      .num_keypoints = 17,
                                      .keypoints = k};
                draw(&p, &o, 1, ww_draw_params(.line_width = i % 9));
                ww_draw_text(&p.frame, i % 2 ? INT32_MAX : -3, i % 3 ? INT32_MIN : 2, words[3]);
            }
            check_about("format %d, %d x %d", format, sizes[s][0], sizes[s][1]);
            CHECK(picture_is_sound(&p));
            picture_destroy(&p);
        }
    }
    check_about("%s", "");
}

static void test_text(void)
{
    struct picture p = picture_create(WW_FORMAT_GRAY8, 100, 40, 0, 200);
    ww_draw_text(&p.frame, 10, 5, "I");
    int bright = 0, dark = 0;
    for (int y = 5; y < 16; y++) {
        for (int x = 10; x < 19; x++) {
            bright += picture_at(&p.frame, x, y).r == 255;
            dark += picture_at(&p.frame, x, y).r < 120;
        }
    }
    CHECK_CMP(bright, ==, 11); // the letter: two bars of 3 and a stem of 5
    CHECK_CMP(dark, ==, 9 * 11 - 11);
    CHECK_CMP(num_changed(&p.frame, (struct rgb){200, 200, 200}, 20, 0, 100, 40), ==, 0);
    picture_destroy(&p);
}

int main(void)
{
    test_box();
    test_colour();
    test_colour_is_the_labels();
    test_label();
    test_caption();
    test_skeleton();
    test_anything();
    test_text();
    return check_done();
}
