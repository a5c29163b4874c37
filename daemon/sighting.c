#include "sighting.h"

static double number_at(const GValue *array, guint i)
{
    const GValue *value = i < gst_value_array_get_size(array) ? gst_value_array_get_value(array, i)
                                                              : NULL;
    return value && G_VALUE_HOLDS_DOUBLE(value) ? g_value_get_double(value) : 0;
}

static const GValue *array_field(const GstStructure *s, const char *name)
{
    const GValue *value = gst_structure_get_value(s, name);
    return value && GST_VALUE_HOLDS_ARRAY(value) ? value : NULL;
}

static void read_keypoints(struct ww_object *object, const GValue *array)
{
    const int count = (int)gst_value_array_get_size(array) / 3;
    struct ww_keypoint *keypoints = g_new0(struct ww_keypoint, count);
    for (int i = 0; i < count; i++)
        keypoints[i] = (struct ww_keypoint){
            (float)number_at(array, (guint)i * 3), (float)number_at(array, (guint)i * 3 + 1),
            (float)number_at(array, (guint)i * 3 + 2),
        };
    object->keypoints = keypoints;
    object->num_keypoints = count;
}

static void read_object(struct ww_object *object, const GstStructure *s)
{
    double score = 0;
    gst_structure_get_double(s, "score", &score);
    gst_structure_get_int(s, "phrase", &object->phrase);
    object->label = gst_structure_get_string(s, "label");
    object->words = gst_structure_get_string(s, "words");
    object->score = (float)score;
    const GValue *box = array_field(s, "box"), *keypoints = array_field(s, "keypoints");
    if (box) {
        object->x0 = (float)number_at(box, 0);
        object->y0 = (float)number_at(box, 1);
        object->x1 = (float)number_at(box, 2);
        object->y1 = (float)number_at(box, 3);
    }
    if (keypoints)
        read_keypoints(object, keypoints);
}

static struct tally read_tally(const GstStructure *s)
{
    struct tally t = {0};
    gst_structure_get_uint64(s, "replaced", &t.replaced);
    gst_structure_get_uint64(s, "skipped-rate", &t.skipped_rate);
    gst_structure_get_uint64(s, "failed", &t.failed);
    return t;
}

static bool is_message(GstMessage *message, const char *name)
{
    return GST_MESSAGE_TYPE(message) == GST_MESSAGE_ELEMENT &&
           gst_structure_has_name(gst_message_get_structure(message), name);
}

bool oversight_init(struct oversight *oversight, GstMessage *message)
{
    if (!is_message(message, "watchword-failure"))
        return false;
    const GstStructure *s = gst_message_get_structure(message);
    const char *error = gst_structure_get_string(s, "error");
    *oversight = (struct oversight){error ? error : "", read_tally(s)};
    return true;
}

bool sighting_init(struct sighting *sighting, GstMessage *message)
{
    const GstStructure *s = gst_message_get_structure(message);
    if (!is_message(message, "watchword"))
        return false;
    *sighting = (struct sighting){.tally = read_tally(s)};
    struct ww_result *r = &sighting->result;
    guint64 index = 0, pts = GST_CLOCK_TIME_NONE, wait_ns = 0, infer_ns = 0;
    guint revision = 0;
    gst_structure_get_uint64(s, "index", &index);
    gst_structure_get_uint64(s, "pts", &pts);
    gst_structure_get_uint64(s, "wait-ns", &wait_ns);
    gst_structure_get_uint64(s, "infer-ns", &infer_ns);
    gst_structure_get_uint(s, "revision", &revision);
    gst_structure_get_int(s, "width", &r->width);
    gst_structure_get_int(s, "height", &r->height);
    gst_structure_get_int(s, "captions", &r->num_captions);
    r->index = index;
    r->pts_ns = GST_CLOCK_TIME_IS_VALID(pts) ? (int64_t)pts : -1;
    r->wait_ns = (int64_t)wait_ns;
    r->infer_ns = (int64_t)infer_ns;
    r->revision = revision;
    r->keypoint_set = gst_structure_get_string(s, "keypoint-set");
    const char *model = gst_structure_get_string(s, "model"),
               *digest = gst_structure_get_string(s, "model-digest"),
               *task = gst_structure_get_string(s, "task");
    g_strlcpy(sighting->model.name, model ? model : "", sizeof(sighting->model.name));
    g_strlcpy(sighting->model.digest, digest ? digest : "", sizeof(sighting->model.digest));
    const int known = task ? ww_task_from_name(task) : -1;
    sighting->task = known >= 0 ? (enum ww_task)known : WW_TASK_DETECT;

    const GValue *objects = array_field(s, "objects");
    r->num_objects = objects ? (int)gst_value_array_get_size(objects) : 0;
    struct ww_object *out = g_new0(struct ww_object, r->num_objects);
    r->objects = out;
    for (int i = 0; i < r->num_objects; i++)
        read_object(&out[i], gst_value_get_structure(gst_value_array_get_value(objects, (guint)i)));
    return true;
}

void sighting_finish(struct sighting *sighting)
{
    for (int i = 0; i < sighting->result.num_objects; i++)
        g_free((void *)sighting->result.objects[i].keypoints);
    g_free((void *)sighting->result.objects);
    *sighting = (struct sighting){0};
}
