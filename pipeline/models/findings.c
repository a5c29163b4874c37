#include "family.h"

#include <math.h>

float ww_words_threshold(const struct ww_words *words, int phrase, float threshold)
{
    return words->thresholds && words->thresholds[phrase] > 0 ? words->thresholds[phrase] : threshold;
}

float ww_words_least(const struct ww_words *words, float threshold)
{
    float least = words->num_phrases ? 1 : threshold;
    for (int i = 0; i < words->num_phrases; i++)
        least = fminf(least, ww_words_threshold(words, i, threshold));
    return least;
}

int ww_by_score(float score_a, float score_b, int first_a, int first_b, int second_a, int second_b)
{
    if (score_a != score_b)
        return score_a < score_b ? 1 : -1;
    if (first_a != first_b)
        return first_a < first_b ? -1 : 1;
    return (second_a > second_b) - (second_a < second_b);
}

float ww_box_iou(const float a[4], const float b[4])
{
    const float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    if (!(w > 0 && h > 0))
        return 0;
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h);
}

static float clamp(float x, int high)
{
    return fminf(fmaxf(x, 0), (float)high);
}

bool ww_findings_add(struct ww_findings *f, const struct ww_object *found, const float box[4], int width,
                     int height, float nms)
{
    if (f->num_objects == WW_MAX_OBJECTS)
        return false;
    struct ww_object object = *found;
    object.x0 = clamp(box[0], width);
    object.y0 = clamp(box[1], height);
    object.x1 = clamp(box[2], width);
    object.y1 = clamp(box[3], height);
    bool keep = object.x1 > object.x0 && object.y1 > object.y0;
    for (int i = 0; keep && nms > 0 && i < f->num_objects; i++)
        keep = f->objects[i].phrase != object.phrase || !(ww_box_iou(f->boxes[i], box) > nms);
    if (!keep)
        return false;
    for (int k = 0; k < 4; k++)
        f->boxes[f->num_objects][k] = box[k];
    f->objects[f->num_objects++] = object;
    return true;
}
