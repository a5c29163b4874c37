#include "message.h"
#include "meta.h"

void ww_tally_set(GstStructure *structure, const struct ww_tally *tally)
{
    gst_structure_set(structure, "offered", G_TYPE_UINT64, tally->offered, "processed",
                      G_TYPE_UINT64, tally->processed, "replaced", G_TYPE_UINT64, tally->replaced,
                      "skipped-rate", G_TYPE_UINT64, tally->skipped_rate, "failed", G_TYPE_UINT64,
                      tally->failed, NULL);
}

static void append_object(GValue *list, const struct ww_object *o, bool with_keypoints)
{
    GstStructure *object =
        gst_structure_new("object", "label", G_TYPE_STRING, o->label, "phrase", G_TYPE_INT,
                          o->phrase, "score", G_TYPE_DOUBLE, (double)o->score, NULL);
    if (o->words)
        gst_structure_set(object, "words", G_TYPE_STRING, o->words, NULL);
    ww_meta_set_box(object, o);
    if (with_keypoints)
        ww_meta_set_keypoints(object, o);
    GValue value = G_VALUE_INIT;
    g_value_init(&value, GST_TYPE_STRUCTURE);
    g_value_take_boxed(&value, object);
    gst_value_array_append_and_take_value(list, &value);
}

GstStructure *ww_message_new(const struct ww_result *r, const struct ww_moment *moment,
                             enum ww_task task, const struct ww_model_info *model,
                             const struct ww_tally *tally)
{
    GstStructure *s = gst_structure_new(
        "watchword", "index", G_TYPE_UINT64, r->index, "pts", G_TYPE_UINT64, (guint64)r->pts_ns,
        "running-time", G_TYPE_UINT64, moment->running_time, "arrival", G_TYPE_UINT64,
        moment->arrival, "width", G_TYPE_INT, r->width, "height", G_TYPE_INT, r->height, "revision",
        G_TYPE_UINT, r->revision, "task", G_TYPE_STRING, ww_task_name(task), "model", G_TYPE_STRING,
        model->name, "model-digest", G_TYPE_STRING, model->digest, "wait-ns", G_TYPE_UINT64,
        (guint64)r->wait_ns, "infer-ns", G_TYPE_UINT64, (guint64)r->infer_ns, NULL);
    if (moment->reference_clock)
        gst_structure_set(s, "reference-timestamp", G_TYPE_UINT64, moment->reference,
                          "reference-clock", G_TYPE_STRING, moment->reference_clock, NULL);
    if (r->keypoint_set)
        gst_structure_set(s, "keypoint-set", G_TYPE_STRING, r->keypoint_set, NULL);
    if (r->num_captions > 1)
        gst_structure_set(s, "captions", G_TYPE_INT, r->num_captions, NULL);
    ww_tally_set(s, tally);

    GValue objects = G_VALUE_INIT;
    gst_value_array_init(&objects, (guint)r->num_objects);
    for (int i = 0; i < r->num_objects; i++)
        append_object(&objects, &r->objects[i], r->keypoint_set != NULL);
    gst_structure_take_value(s, "objects", &objects);
    return s;
}

GstStructure *ww_message_new_failure(const struct ww_error *err, const struct ww_tally *tally)
{
    GstStructure *s = gst_structure_new("watchword-failure", "error", G_TYPE_STRING, err->text, NULL);
    ww_tally_set(s, tally);
    return s;
}
