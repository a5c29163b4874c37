// camera-watches.c: the half of a camera's pipeline that stays: what looks, and what was seen.

#include "camera-inner.h"
#include "log.h"

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

static void configure(struct camera *camera, const struct stream_config *words)
{
    for (int i = 0; i < camera->config->num_watches; i++) {
        const struct watch_config *w = &words->watches[i];
        GstElement *infer = camera->watches[i].infer;
        char *phrases = w->phrases[0] ? phrases_json(w) : g_strdup(""), *in_force;
        g_object_get(infer, "phrases", &in_force, NULL);
        if (strcmp(phrases, in_force) != 0) // the same ones, too, would wait for a look to end
            g_object_set(infer, "phrases", phrases, NULL);
        g_object_set(infer, "threshold", (gfloat)w->threshold, "rate", w->rate, NULL);
        g_free(in_force);
        g_free(phrases);
    }
}

void camera_configure_watches(struct camera *camera)
{
    configure(camera, camera->words);
}

struct wording {
    struct camera *camera;
    const struct stream_config *words;
    struct config *whole;
    gint number;
};

static void take_up(GstElement *bin, void *opaque)
{
    (void)bin;
    struct wording *wording = opaque;
    struct camera *camera = wording->camera;
    g_mutex_lock(&camera->wording_mutex);
    if (wording->number == g_atomic_int_get(&camera->wording)) // or newer ones come right behind
        configure(camera, wording->words);
    g_mutex_unlock(&camera->wording_mutex);
    config_unref(&wording->whole);
    g_free(wording);
    g_atomic_int_dec_and_test(&camera->busy);
}

void camera_reconfigure_watches(struct camera *camera)
{
    struct wording *wording = g_new(struct wording, 1);
    *wording = (struct wording){camera, camera->words, config_ref(camera->words_whole),
                                g_atomic_int_add(&camera->wording, 1) + 1};
    g_atomic_int_inc(&camera->busy);
    gst_element_call_async(camera->watches_bin, take_up, wording, NULL);
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
    struct numbers *numbers = camera->params.numbers;
    guint64 *seq = &numbers->results[sighting->task];
    for (int task = 0; task < (int)sighting->task; task++)
        if (strcmp(ww_task_kind((enum ww_task)task), kind) == 0) { // "answer" is two tasks'
            seq = &numbers->results[task];
            break;
        }
    char *topic = g_strdup_printf("%s/%s/", kind, camera->config->name);
    g_mutex_lock(&numbers->mutex);
    message.seq = (*seq)++;
    const size_t length = ww_message_write(&message, NULL, 0);
    char *text = g_malloc(length + 1);
    ww_message_write(&message, text, length + 1);
    publisher_send(camera->params.publisher, topic, text);
    g_mutex_unlock(&numbers->mutex);
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
    watch->tally = sighting->tally;
    watch->failure = (struct cause){0};
    camera->result_us = g_get_monotonic_time();
    latency_add(&camera->latency,
                (double)(MAX(captured.decode_ns, 0) + r->wait_ns + r->infer_ns) / 1e6);
    g_mutex_unlock(&camera->mutex);
}

static void on_oversight(struct camera *camera, int i, const struct oversight *oversight)
{
    g_mutex_lock(&camera->mutex);
    struct watch *watch = &camera->watches[i];
    watch->tally = oversight->tally;
    cause_set(&watch->failure, CAUSE_OTHER, "%s", oversight->error);
    g_mutex_unlock(&camera->mutex);
}

// The watch that a message is from; num_watches: none.
static int watch_of(const struct camera *camera, const GstMessage *message)
{
    int i = 0;
    while (i < camera->config->num_watches &&
           GST_MESSAGE_SRC(message) != GST_OBJECT(camera->watches[i].infer))
        i++;
    return i;
}

// On the thread that posted: results do not wait for the main loop.
static GstBusSyncReply on_sync_message(GstBus *bus, GstMessage *message, void *opaque)
{
    (void)bus;
    struct camera *camera = opaque;
    struct sighting sighting;
    struct oversight oversight;
    const int i = watch_of(camera, message);
    if (i == camera->config->num_watches)
        return GST_BUS_PASS;
    if (oversight_init(&oversight, message)) {
        on_oversight(camera, i, &oversight);
        gst_message_unref(message);
        return GST_BUS_DROP;
    }
    if (!sighting_init(&sighting, message))
        return GST_BUS_PASS;
    guint64 arrival = 0;
    gst_structure_get_uint64(gst_message_get_structure(message), "arrival", &arrival);
    g_mutex_lock(&camera->mutex);
    sighting.result.index += camera->late; // it counts the frames that reached the watch
    g_mutex_unlock(&camera->mutex);
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
