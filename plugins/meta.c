#include <math.h>

#include "meta.h"

#ifdef HAVE_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

#define RESULT_META  "WatchwordResult"
#define REGION_PARAM "watchword"

void ww_meta_register(void)
{
    static const gchar *no_tags[] = {NULL}; // so that elements which change pictures keep it
    gst_meta_register_custom(RESULT_META, no_tags, NULL, NULL, NULL);
}

static void append_double(GValue *list, double number)
{
    GValue value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_DOUBLE);
    g_value_set_double(&value, number);
    gst_value_array_append_and_take_value(list, &value);
}

void ww_meta_set_box(GstStructure *structure, const struct ww_object *o)
{
    GValue box = G_VALUE_INIT;
    gst_value_array_init(&box, 4);
    append_double(&box, (double)o->x0);
    append_double(&box, (double)o->y0);
    append_double(&box, (double)o->x1);
    append_double(&box, (double)o->y1);
    gst_structure_take_value(structure, "box", &box);
}

void ww_meta_set_keypoints(GstStructure *structure, const struct ww_object *o)
{
    GValue list = G_VALUE_INIT;
    gst_value_array_init(&list, 3 * (guint)o->num_keypoints);
    for (int i = 0; i < o->num_keypoints; i++) {
        append_double(&list, (double)o->keypoints[i].x);
        append_double(&list, (double)o->keypoints[i].y);
        append_double(&list, (double)o->keypoints[i].score);
    }
    gst_structure_take_value(structure, "keypoints", &list);
}

struct region {
    guint x, y, w, h;
};

// The nearest whole pixels, at least one each way.
static struct region region_of(const struct ww_object *o)
{
    long x0 = lroundf(fmaxf(o->x0, 0)), y0 = lroundf(fmaxf(o->y0, 0));
    long x1 = lroundf(o->x1), y1 = lroundf(o->y1);
    return (struct region){(guint)x0, (guint)y0, (guint)MAX(x1 - x0, 1), (guint)MAX(y1 - y0, 1)};
}

static void add_region(GstBuffer *buffer, const struct ww_result *r, const struct ww_object *o)
{
    struct region at = region_of(o);
    GstVideoRegionOfInterestMeta *meta =
        gst_buffer_add_video_region_of_interest_meta(buffer, o->label, at.x, at.y, at.w, at.h);
    GstStructure *param =
        gst_structure_new(REGION_PARAM, "score", G_TYPE_DOUBLE, (double)o->score, "phrase",
                          G_TYPE_INT, o->phrase, "revision", G_TYPE_UINT, r->revision, "index",
                          G_TYPE_UINT64, r->index, "pts", G_TYPE_UINT64, (guint64)r->pts_ns, NULL);
    ww_meta_set_box(param, o);
    if (r->keypoint_set) {
        gst_structure_set(param, "keypoint-set", G_TYPE_STRING, r->keypoint_set, NULL);
        ww_meta_set_keypoints(param, o);
    }
    gst_video_region_of_interest_meta_add_param(meta, param);
}

static void add_analytics(GstBuffer *buffer, const struct ww_result *r)
{
#ifdef HAVE_ANALYTICS
    GstAnalyticsRelationMeta *relations = gst_buffer_add_analytics_relation_meta(buffer);
    for (int i = 0; i < r->num_objects; i++) {
        const struct ww_object *o = &r->objects[i];
        struct region at = region_of(o);
        GstAnalyticsODMtd object;
        gst_analytics_relation_meta_add_od_mtd(relations, g_quark_from_string(o->label), (gint)at.x,
                                               (gint)at.y, (gint)at.w, (gint)at.h, o->score,
                                               &object);
    }
#else
    (void)buffer, (void)r;
#endif
}

void ww_meta_add(GstBuffer *buffer, const struct ww_result *r)
{
    GstCustomMeta *meta = gst_buffer_add_custom_meta(buffer, RESULT_META);
    GstStructure *about = gst_custom_meta_get_structure(meta);
    gst_structure_set(about, "index", G_TYPE_UINT64, r->index, "pts", G_TYPE_UINT64,
                      (guint64)r->pts_ns, "width", G_TYPE_INT, r->width, "height", G_TYPE_INT,
                      r->height, "revision", G_TYPE_UINT, r->revision, "objects", G_TYPE_UINT,
                      (guint)r->num_objects, NULL);
    if (r->keypoint_set)
        gst_structure_set(about, "keypoint-set", G_TYPE_STRING, r->keypoint_set, NULL);
    for (int i = 0; i < r->num_objects; i++)
        add_region(buffer, r, &r->objects[i]);
    if (r->num_objects > 0)
        add_analytics(buffer, r);
}

void ww_meta_copy(GstBuffer *to, GstBuffer *from)
{
    gst_buffer_copy_into(to, from, GST_BUFFER_COPY_META, 0, (gsize)-1);
}

void ww_seen_init(struct ww_seen *seen)
{
    *seen = (struct ww_seen){
        .objects = g_array_new(FALSE, FALSE, sizeof(struct ww_object)),
        .keypoints = g_array_new(FALSE, FALSE, sizeof(struct ww_keypoint)),
    };
}

void ww_seen_finish(struct ww_seen *seen)
{
    g_array_unref(seen->objects);
    g_array_unref(seen->keypoints);
    *seen = (struct ww_seen){0};
}

// The i-th number of an array; `otherwise` if it is not there or not a double.
static float number_at(const GValue *list, guint i, float otherwise)
{
    if (!list || !GST_VALUE_HOLDS_ARRAY(list) || i >= gst_value_array_get_size(list))
        return otherwise;
    const GValue *value = gst_value_array_get_value(list, i);
    return G_VALUE_HOLDS_DOUBLE(value) ? (float)g_value_get_double(value) : otherwise;
}

// A score in any of the region's parameters, by the names in use.
static float score_of(const GstVideoRegionOfInterestMeta *meta)
{
    for (GList *p = meta->params; p; p = p->next) {
        double score;
        if (gst_structure_get_double(p->data, "score", &score) ||
            gst_structure_get_double(p->data, "confidence", &score))
            return (float)score;
    }
    return -1;
}

// Reads our parameter of a region, the box and keypoints of which are where they were when it was
// added. If the region is still there, the box is finer than the region's whole pixels; else
// another element has scaled or cropped the picture, and the keypoints follow their region.
static void read_param(struct ww_seen *seen, const GstStructure *param, struct ww_object *o)
{
    const GValue *box = gst_structure_get_value(param, "box");
    const GValue *keypoints = gst_structure_get_value(param, "keypoints");
    const char *set = gst_structure_get_string(param, "keypoint-set");
    struct ww_object was = {
        .x0 = number_at(box, 0, o->x0),
        .y0 = number_at(box, 1, o->y0),
        .x1 = number_at(box, 2, o->x1),
        .y1 = number_at(box, 3, o->y1),
    };
    struct region then = region_of(&was), now = region_of(o);
    bool moved = then.x != now.x || then.y != now.y || then.w != now.w || then.h != now.h;
    float scale_x = moved ? (float)now.w / (float)then.w : 1;
    float scale_y = moved ? (float)now.h / (float)then.h : 1;
    if (!moved)
        *o = (struct ww_object){o->phrase, o->label, o->score, was.x0, was.y0, was.x1, was.y1};

    gst_structure_get_int(param, "phrase", &o->phrase);
    if (!set || !keypoints || !GST_VALUE_HOLDS_ARRAY(keypoints))
        return;
    seen->result.keypoint_set = g_intern_string(set);
    o->num_keypoints = (int)gst_value_array_get_size(keypoints) / 3;
    for (guint i = 0; i < (guint)o->num_keypoints; i++) {
        struct ww_keypoint k = {
            .x = o->x0 + (number_at(keypoints, 3 * i, 0) - was.x0) * scale_x,
            .y = o->y0 + (number_at(keypoints, 3 * i + 1, 0) - was.y0) * scale_y,
            .score = number_at(keypoints, 3 * i + 2, 0),
        };
        g_array_append_val(seen->keypoints, k);
    }
}

static void read_region(struct ww_seen *seen, GstVideoRegionOfInterestMeta *meta)
{
    struct ww_object o = {
        .label = meta->roi_type ? g_quark_to_string(meta->roi_type) : "",
        .score = score_of(meta),
        .x0 = (float)meta->x,
        .y0 = (float)meta->y,
        .x1 = (float)meta->x + (float)meta->w,
        .y1 = (float)meta->y + (float)meta->h,
    };
    GstStructure *param = gst_video_region_of_interest_meta_get_param(meta, REGION_PARAM);
    if (param)
        read_param(seen, param, &o);
    g_array_append_val(seen->objects, o);
}

static int better(gconstpointer a, gconstpointer b)
{
    float x = ((const struct ww_object *)a)->score, y = ((const struct ww_object *)b)->score;
    return (x < y) - (x > y);
}

bool ww_seen_read(struct ww_seen *seen, GstBuffer *buffer, int width, int height)
{
    gpointer state = NULL;
    GstMeta *meta = gst_buffer_iterate_meta_filtered(buffer, &state,
                                                     GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
    if (!meta && !gst_buffer_get_custom_meta(buffer, RESULT_META))
        return false;

    g_array_set_size(seen->objects, 0);
    g_array_set_size(seen->keypoints, 0);
    seen->result = (struct ww_result){.width = width, .height = height};
    for (; meta; meta = gst_buffer_iterate_meta_filtered(
                     buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))
        read_region(seen, (GstVideoRegionOfInterestMeta *)meta);

    const struct ww_keypoint *keypoint = (const struct ww_keypoint *)seen->keypoints->data;
    for (guint i = 0; i < seen->objects->len; i++) {
        struct ww_object *o = &g_array_index(seen->objects, struct ww_object, i);
        o->keypoints = o->num_keypoints > 0 ? keypoint : NULL;
        keypoint += o->num_keypoints;
    }
    g_array_sort(seen->objects, better);
    seen->result.num_objects = (int)seen->objects->len;
    seen->result.objects = (const struct ww_object *)seen->objects->data;
    return true;
}
