// The overlay: boxes first, skeletons over them, labels over everything. Within each, the best
// object is drawn last, so that it is the one to be read where they overlap.

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <watchword/draw.h>

#include "canvas.h"
#include "font.h"

enum { MAX_PLATES = 128, MAX_LABEL = 160 };

static const struct ww_colour BLACK = {0, 0, 0}, WHITE = {255, 255, 255};
static const struct ww_colour LEFT = {255, 150, 30}, RIGHT = {60, 170, 255},
                              MIDDLE = {240, 240, 240};

struct limb {
    uint8_t a, b; // keypoints
};

// COCO's 17: nose, then eyes, ears, shoulders, elbows, wrists, hips, knees and ankles, the left one
// (odd) before the right one (even).
static const struct limb coco_17[] = {
    {5, 6},   {11, 12}, {5, 11},  {6, 12},  {5, 7}, {7, 9}, {6, 8}, {8, 10},
    {11, 13}, {13, 15}, {12, 14}, {14, 16}, {0, 1}, {1, 3}, {0, 2}, {2, 4},
};

static int imin(int a, int b)
{
    return a < b ? a : b;
}

static int imax(int a, int b)
{
    return a > b ? a : b;
}

// A float edge as a pixel column or row of the frame, or just outside it; NaN becomes -1.
static int to_px(float v, int size)
{
    return v > -1 ? v < (float)size + 1 ? (int)lroundf(v) : size + 1 : -1;
}

static int line_width(const struct ww_frame *f, const struct ww_draw_params *p)
{
    // A line of 1 px in a subsampled format keeps a quarter of its colour, so only tiny pictures
    // get one.
    int least = f->height < 160 ? 1 : 2;
    return p->line_width > 0 ? p->line_width : imax(least, (f->height + 150) / 300);
}

static int text_scale(const struct ww_frame *f)
{
    return imax(1, (f->height + 180) / 360);
}

// A bright colour whose hue is the label's hash, so that it is the same in every frame, process and
// release. FNV-1a, then a multiplication to spread short words over the circle.
static struct ww_colour label_colour(const char *label)
{
    uint32_t hash = 2166136261u;
    for (const char *c = label; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    hash *= 2654435761u;
    float hue = (float)(hash >> 8) * (6.0f / (1 << 24)); // 0 to 6 around the colour circle
    float dark = hash & 128 ? 60 : 100; // the weakest channel; the strongest is 255
    float level[3];
    for (int i = 0; i < 3; i++) {
        float far = fabsf(hue - 2 * (float)i); // red at 0, green at 2, blue at 4
        far = fminf(far, 6 - far);
        level[i] = dark + (255 - dark) * fminf(fmaxf(2 - far, 0), 1);
    }
    return (struct ww_colour){(uint8_t)level[0], (uint8_t)level[1], (uint8_t)level[2]};
}

// Black or white, whichever contrasts more by WCAG 2's relative luminance: the two are even at
// sqrt(1.05 * 0.05) - 0.05 = 0.179.
static struct ww_colour text_colour(struct ww_colour plate)
{
    float r = plate.r / 255.0f, g = plate.g / 255.0f, b = plate.b / 255.0f;
    float luminance = 0.2126f * powf(r, 2.2f) + 0.7152f * powf(g, 2.2f) + 0.0722f * powf(b, 2.2f);
    return luminance > 0.179f ? BLACK : WHITE;
}

// The four sides of a box, `width` thick and inwards from its edges.
static void sides(const struct ww_frame *f, struct ww_colour colour, float opacity, int x0, int y0,
                  int x1, int y1, int width)
{
    int across = imin(width, imax(1, (x1 - x0) / 2)), down = imin(width, imax(1, (y1 - y0) / 2));
    ww_canvas_rect(f, colour, opacity, x0, y0, x1, y0 + down);
    ww_canvas_rect(f, colour, opacity, x0, y1 - down, x1, y1);
    ww_canvas_rect(f, colour, opacity, x0, y0 + down, x0 + across, y1 - down);
    ww_canvas_rect(f, colour, opacity, x1 - across, y0 + down, x1, y1 - down);
}

static void draw_box(const struct ww_frame *f, const struct ww_object *o, int width)
{
    int x0 = to_px(o->x0, f->width), y0 = to_px(o->y0, f->height);
    int x1 = imax(to_px(o->x1, f->width), x0 + 1), y1 = imax(to_px(o->y1, f->height), y0 + 1);
    int rim = (width + 1) / 2;
    sides(f, BLACK, 0.4f, x0 - rim, y0 - rim, x1 + rim, y1 + rim, width + 2 * rim);
    sides(f, label_colour(o->label ? o->label : ""), 1, x0, y0, x1, y1, width);
}

static struct ww_colour side_colour(int a, int b)
{
    if (a == 0 || b == 0) // the nose goes with what it is joined to
        a = b = a + b;
    if (a == 0 || (a ^ b) & 1)
        return MIDDLE;
    return a & 1 ? LEFT : RIGHT;
}

static void draw_skeleton(const struct ww_frame *f, const struct ww_object *o, const char *set,
                          float threshold, int width)
{
    const struct ww_keypoint *k = o->keypoints;
    bool coco = set && strcmp(set, "coco-17") == 0 && o->num_keypoints == 17;
    int num_limbs = coco ? sizeof(coco_17) / sizeof(coco_17[0]) : 0;
    // A body of 60 px keeps its shape with limbs of 1 px.
    float radius = fminf(fmaxf((o->y1 - o->y0) / 120, 0.5f), 0.6f * (float)width + 0.2f);

    for (int pass = 0; pass < 2; pass++) { // a dark rim under all limbs, then the limbs
        for (int i = 0; i < num_limbs; i++) {
            const struct ww_keypoint *a = &k[coco_17[i].a], *b = &k[coco_17[i].b];
            if (!(a->score >= threshold && b->score >= threshold))
                continue;
            struct ww_colour colour = side_colour(coco_17[i].a, coco_17[i].b);
            ww_canvas_line(f, pass ? colour : BLACK, pass ? 1 : 0.4f, a->x, a->y, b->x, b->y,
                           pass ? radius : radius + 1);
        }
    }
    for (int i = 0; i < o->num_keypoints; i++) {
        struct ww_colour colour = coco ? side_colour(i, i) : MIDDLE;
        if (k[i].score >= threshold) {
            ww_canvas_line(f, BLACK, 0.7f, k[i].x, k[i].y, k[i].x, k[i].y, 1.5f * radius + 1);
            ww_canvas_line(f, colour, 1, k[i].x, k[i].y, k[i].x, k[i].y, 1.5f * radius + 0.25f);
        }
    }
}

struct plate {
    int x0, y0, x1, y1;
};

// Pixels that two have in common.
static int64_t overlap(const struct plate *a, const struct plate *b)
{
    int across = imin(a->x1, b->x1) - imax(a->x0, b->x0);
    int down = imin(a->y1, b->y1) - imax(a->y0, b->y0);
    return across > 0 && down > 0 ? (int64_t)across * down : 0;
}

static struct plate box_of(const struct ww_frame *f, const struct ww_object *o)
{
    return (struct plate){to_px(o->x0, f->width), to_px(o->y0, f->height), to_px(o->x1, f->width),
                          to_px(o->y1, f->height)};
}

// Writes what the plate says; empty if nothing is wanted.
static void caption(const struct ww_object *o, const struct ww_draw_params *p, char *text,
                    size_t size)
{
    const char *label = p->no_labels || !o->label ? "" : o->label;
    if (p->no_scores || o->score < 0)
        snprintf(text, size, "%s", label);
    else
        snprintf(text, size, "%s%s%.2f", label, *label ? " " : "", (double)o->score);
}

// How much a label would hide at this place: other labels above all, which could not be read any
// more, then other objects, then its own.
static int64_t hidden(const struct ww_frame *f, const struct ww_result *r, int self,
                      const struct plate *at, const struct plate *plates)
{
    int64_t cost = 0;
    for (int i = 0; i < imin(r->num_objects, MAX_PLATES); i++) {
        struct plate box = box_of(f, &r->objects[i]);
        cost += (i == self ? 1 : 2) * overlap(at, &box);
        if (i < self)
            cost += 6 * overlap(at, &plates[i]);
    }
    return cost;
}

// Finds a place for the label of object `self`, when those before it have theirs: over the box,
// inside its top, under it, over it at its right end, or beside it, wherever the least is hidden.
static struct plate place(const struct ww_frame *f, const struct ww_result *r, int self, int width,
                          int height, const struct plate *plates)
{
    const struct plate box = box_of(f, &r->objects[self]);
    const int at[][2] = {
        {box.x0, box.y0 - height},         {box.x0, box.y0}, {box.x0, box.y1},
        {box.x1 - width, box.y0 - height}, {box.x1, box.y0}, {box.x0 - width, box.y0},
    };
    int64_t least = INT64_MAX;
    struct plate best = {.x1 = width, .y1 = height}; // for a picture lower than a label
    for (int i = 0; i < (int)(sizeof(at) / sizeof(at[0])); i++) {
        int x = imax(0, imin(at[i][0], f->width - width)), y = at[i][1];
        struct plate p = {x, y, x + width, y + height};
        int64_t cost = hidden(f, r, self, &p, plates);
        if (y >= 0 && p.y1 <= f->height && cost < least) {
            least = cost;
            best = p;
        }
    }
    return best;
}

static void draw_plate(const struct ww_frame *f, const struct plate *at, struct ww_colour colour,
                       int scale, const char *text)
{
    ww_canvas_rect(f, colour, 1, at->x0, at->y0, at->x1, at->y1);
    ww_canvas_text(f, text_colour(colour), at->x0 + 2 * scale, at->y0 + 2 * scale, scale, text);
}

static int plate_width(int scale, const char *text)
{
    return ww_canvas_text_width(scale, text) + 4 * scale;
}

static int plate_height(int scale)
{
    return (WW_GLYPH_HEIGHT + 2) * scale;
}

static void draw_labels(const struct ww_frame *f, const struct ww_result *r,
                        const struct ww_draw_params *params)
{
    struct plate plates[MAX_PLATES];
    char text[MAX_LABEL];
    int n = imin(r->num_objects, MAX_PLATES), scale = text_scale(f);
    for (int i = 0; i < n; i++) {
        caption(&r->objects[i], params, text, sizeof(text));
        plates[i] = (struct plate){0};
        if (*text)
            plates[i] = place(f, r, i, plate_width(scale, text), plate_height(scale), plates);
    }
    for (int i = n - 1; i >= 0; i--) {
        const struct ww_object *o = &r->objects[i];
        caption(o, params, text, sizeof(text));
        if (*text)
            draw_plate(f, &plates[i], label_colour(o->label ? o->label : ""), scale, text);
    }
}

void ww_draw(const struct ww_frame *frame, const struct ww_result *result,
             const struct ww_draw_params *params)
{
    static const struct ww_draw_params defaults;
    params = params ? params : &defaults;
    int width = line_width(frame, params);
    float threshold = params->keypoint_threshold > 0 ? params->keypoint_threshold : 0.2f;

    for (int i = result->num_objects - 1; i >= 0; i--)
        draw_box(frame, &result->objects[i], width);
    for (int i = result->num_objects - 1; i >= 0; i--)
        draw_skeleton(frame, &result->objects[i], result->keypoint_set, threshold, width);
    draw_labels(frame, result, params);
}

void ww_draw_text(const struct ww_frame *frame, int x, int y, const char *text)
{
    int scale = text_scale(frame), limit = WW_FRAME_MAX_SIDE;
    x = imax(-limit, imin(x, limit));
    y = imax(-limit, imin(y, limit));
    ww_canvas_rect(frame, BLACK, 0.6f, x, y, x + plate_width(scale, text), y + plate_height(scale));
    ww_canvas_text(frame, WHITE, x + 2 * scale, y + 2 * scale, scale, text);
}
