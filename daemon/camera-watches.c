// camera-watches.c: the half of a camera's pipeline that stays: what looks, and what was seen.

#include "camera-inner.h"
#include "log.h"
#include "sighting.h"

#include <string.h>
#include <watchword/json_text.h>
#include <watchword/message.h>

// The property takes JSON, so that a phrase may hold semicolons.
static char *phrases_json(const struct watch_config *watch)
{
    struct ww_json_text text = {0};
    char *out = NULL;
    do {
        out = text.length ? g_malloc(text.length + 1) : NULL;
        text = (struct ww_json_text){.out = out, .size = out ? text.length + 1 : 0};
        ww_json_array(&text, NULL);
        for (int i = 0; watch->phrases[i]; i++) {
            ww_json_object(&text, NULL);
            ww_json_put_string(&text, "phrase", watch->phrases[i]);
            ww_json_put_real(&text, "threshold", watch->thresholds[i], 6);
            ww_json_end(&text);
        }
        ww_json_end(&text);
    } while (!out);
    return out;
}

void camera_configure_watches(struct camera *camera)
{
    for (int i = 0; i < camera->config->num_watches; i++) {
        const struct watch_config *w = &camera->words->watches[i];
        char *phrases = w->phrases[0] ? phrases_json(w) : g_strdup("");
        g_object_set(camera->watches[i].infer, "phrases", phrases, "threshold", (gfloat)w->threshold,
                     "rate", w->rate, NULL);
        g_free(phrases);
    }
}

// Topic, number and place in the queue have to agree, whatever thread a result comes from.
static void publish(struct camera *camera, const struct watch_config *watch,
                    const struct sighting *sighting, const struct captured *captured)
{
    struct ww_message message = {
        .task = sighting->task, .stream = camera->config->name, .watch = watch->name,
        .epoch = camera->params.epoch, .result = &sighting->result, .model = &sighting->model,
        .captured_ns = captured->unix_ns, .clock = captured->clock,
        .decode_ns = captured->decode_ns,
    };
    const char *kind = ww_task_kind(sighting->task);
    guint64 *seq = &camera->seq[sighting->task];
    for (int task = 0; task < (int)sighting->task; task++)
        if (strcmp(ww_task_kind((enum ww_task)task), kind) == 0) { // "answer" is two tasks'
            seq = &camera->seq[task];
            break;
        }
    char *topic = g_strdup_printf("%s/%s/", kind, camera->config->name);
    g_mutex_lock(&camera->mutex);
    message.seq = (*seq)++;
    const size_t length = ww_message_write(&message, NULL, 0);
    char *text = g_malloc(length + 1);
    ww_message_write(&message, text, length + 1);
    publisher_send(camera->params.publisher, topic, text);
    g_mutex_unlock(&camera->mutex);
    g_free(topic);
}

static void on_sighting(struct camera *camera, int i, const struct sighting *sighting,
                        gint64 shown_unix_ns)
{
    const struct ww_result *r = &sighting->result;
    const GstClockTime pts = r->pts_ns >= 0 ? (GstClockTime)r->pts_ns : GST_CLOCK_TIME_NONE;
    struct captured captured;
    capture_find(camera->capture, pts, shown_unix_ns, &captured);
    publish(camera, &camera->config->watches[i], sighting, &captured);

    g_mutex_lock(&camera->mutex);
    struct watch *watch = &camera->watches[i];
    watch->looked_at++;
    watch->revision = r->revision;
    watch->skipped_newer = sighting->replaced;
    watch->skipped_rate = sighting->skipped_rate;
    watch->failed = sighting->failed;
    camera->result_us = g_get_monotonic_time();
    latency_add(&camera->latency,
                (double)(MAX(captured.decode_ns, 0) + r->wait_ns + r->infer_ns) / 1e6);
    g_mutex_unlock(&camera->mutex);
}

// On the thread that posted: results do not wait for the main loop.
static GstBusSyncReply on_sync_message(GstBus *bus, GstMessage *message, void *opaque)
{
    (void)bus;
    struct camera *camera = opaque;
    struct sighting sighting;
    if (!sighting_init(&sighting, message))
        return GST_BUS_PASS;
    guint64 arrival = 0;
    gst_structure_get_uint64(gst_message_get_structure(message), "arrival", &arrival);
    g_mutex_lock(&camera->mutex);
    sighting.result.index += camera->late; // it counts the frames that reached the watch
    g_mutex_unlock(&camera->mutex);
    for (int i = 0; i < camera->config->num_watches; i++)
        if (GST_MESSAGE_SRC(message) == GST_OBJECT(camera->watches[i].infer))
            on_sighting(camera, i, &sighting, (gint64)arrival);
    sighting_finish(&sighting);
    gst_message_unref(message);
    return GST_BUS_DROP;
}

static GstPadProbeReturn on_left(GstPad *pad, GstPadProbeInfo *info, void *opaque)
{
    (void)pad, (void)info;
    struct camera *camera = opaque;
    g_mutex_lock(&camera->mutex);
    camera->left++;
    camera->left_us = g_get_monotonic_time();
    g_mutex_unlock(&camera->mutex);
    return GST_PAD_PROBE_OK;
}

static GstElement *add(struct camera *camera, const char *factory, const char *name,
                       struct ww_error *err)
{
    GstElement *element = gst_element_factory_make(factory, name);
    if (element)
        gst_bin_add(GST_BIN(camera->watches_bin), element);
    else
        ww_fail(err, WW_E_UNSUPPORTED, "the GStreamer element \"%s\" is not installed%s", factory,
                g_str_has_prefix(factory, "ww")
                    ? " (it is watchword's own: is GST_PLUGIN_PATH right?)"
                    : " (it is in gstreamer1.0-plugins-base)");
    return element;
}

static GstElement *add_watch(struct camera *camera, int i, struct ww_error *err)
{
    const struct watch_config *w = &camera->config->watches[i];
    const bool live = camera->config->kind != SOURCE_FILE && !camera->config->every_frame;
    GstElement *infer = add(camera, "wwinfer", w->name, err);
    if (!infer)
        return NULL;
    g_object_set(infer, "model", w->model, "device", camera->params.device, "input-size",
                 w->input_size, "input-width", w->input_width, "input-height", w->input_height, "nms",
                 (gfloat)w->nms, "batch", camera->config_whole->batch, NULL);
    gst_util_set_object_arg(G_OBJECT(infer), "task", ww_task_name(w->task));
    gst_util_set_object_arg(G_OBJECT(infer), "mode", live ? "latest" : "sync");
    return camera->watches[i].infer = infer;
}

bool camera_build_watches(struct camera *camera, struct ww_error *err)
{
    camera->watches_bin = gst_bin_new("watches");
    gst_element_set_locked_state(camera->watches_bin, TRUE);
    gst_bin_add(GST_BIN(camera->pipeline), camera->watches_bin);
    // Decoders have formats that wwinfer does not take (JPEG's 4:2:2); all others pass.
    GstElement *last = add(camera, "videoconvert", NULL, err);
    if (!last)
        return false;
    GstPad *pad = gst_element_get_static_pad(last, "sink");
    camera->sink = gst_ghost_pad_new("sink", pad);
    gst_object_unref(pad);
    gst_element_add_pad(camera->watches_bin, camera->sink);
    for (int i = 0; i < camera->config->num_watches; i++) {
        GstElement *infer = add_watch(camera, i, err);
        if (!infer)
            return false;
        gst_element_link(last, infer);
        last = infer;
    }
    camera_configure_watches(camera);
    GstElement *end = add(camera, "fakesink", NULL, err);
    if (!end)
        return false;
    g_object_set(end, "sync", FALSE, "async", FALSE, "qos", FALSE, "enable-last-sample", FALSE, NULL);
    gst_element_link(last, end);
    pad = gst_element_get_static_pad(end, "sink");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_left, camera, NULL);
    gst_object_unref(pad);

    GstBus *bus = gst_element_get_bus(camera->pipeline);
    gst_bus_set_sync_handler(bus, on_sync_message, camera, NULL);
    gst_object_unref(bus);
    return true;
}

static void open_watches(GstElement *bin, void *opaque)
{
    struct camera *camera = opaque;
    if (gst_element_set_state(bin, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE)
        gst_element_post_message(
            bin, gst_message_new_application(GST_OBJECT(bin),
                                             gst_structure_new_empty("watches-open")));
    g_atomic_int_dec_and_test(&camera->busy);
}

void camera_open_watches(struct camera *camera)
{
    g_atomic_int_inc(&camera->busy);
    gst_element_call_async(camera->watches_bin, open_watches, camera, NULL);
}

static void close_watches(GstElement *bin, void *opaque)
{
    struct camera *camera = opaque;
    g_mutex_lock(&camera->mutex);
    const bool any = camera->frames > 0;
    g_mutex_unlock(&camera->mutex);
    if (any) // wwinfer waits at the end of a stream for what it still has
        gst_pad_send_event(camera->sink, gst_event_new_eos());
    gst_element_set_state(bin, GST_STATE_NULL);
    g_atomic_int_dec_and_test(&camera->busy);
}

void camera_close_watches(struct camera *camera)
{
    g_atomic_int_inc(&camera->busy);
    gst_element_call_async(camera->watches_bin, close_watches, camera, NULL);
}
