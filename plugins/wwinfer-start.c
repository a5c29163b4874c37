// wwinfer-start.c: from READY to PAUSED and back, and what the application sets and reads meanwhile.

#include <string.h>

#include "message.h"
#include "phrases.h"
#include "trouble.h"
#include "wwinfer-inner.h"

// Copies the settings, so that nothing of the application waits while a model is loaded.
static struct ww_settings settings_now(WwInfer *self)
{
    GST_OBJECT_LOCK(self);
    struct ww_settings now = self->settings;
    now.model = g_strdup(now.model);
    now.phrases = g_strdup(now.phrases);
    now.instruction = g_strdup(now.instruction);
    now.device = g_strdup(now.device);
    GST_OBJECT_UNLOCK(self);
    return now;
}

static struct ww_watch *create_watch(WwInfer *self, const struct ww_settings *now,
                                     struct ww_error *err)
{
    if (*now->instruction) { // no family that follows one is there yet
        ww_fail(err, WW_E_UNSUPPORTED, "model '%s' takes no instruction; use phrases", now->model);
        return NULL;
    }
    struct ww_phrases words;
    if (!ww_phrases_parse(now->phrases, &words, err))
        return NULL;
    struct ww_watch *watch = ww_watch_create(
        self->engine,
        ww_watch_params(.model = now->model, .task = (enum ww_task)now->task,
                        .phrases = (const char *const *)words.phrases, .num_phrases = words.num,
                        .threshold = now->threshold, .thresholds = words.thresholds, .nms = now->nms,
                        .batch = now->batch, .input_size = now->input_size, .input_width = now->input_width,
                        .input_height = now->input_height, .on_result = ww_infer_on_result, .opaque = self),
        err);
    ww_phrases_finish(&words);
    return watch;
}

// With watch_lock: gives the watch other words, or leaves it as it is.
static bool apply_phrases(WwInfer *self, const char *text, struct ww_error *err)
{
    struct ww_phrases words;
    if (!ww_phrases_parse(text, &words, err))
        return false;
    guint32 revision = ww_watch_set_phrases(self->watch, (const char *const *)words.phrases, words.thresholds,
                                            words.num, err);
    ww_phrases_finish(&words);
    return revision != 0;
}

// What was set while the watch was being made, for which set_property had no watch yet.
static void catch_up(WwInfer *self, const struct ww_settings *then)
{
    struct ww_settings now = settings_now(self);
    struct ww_error err;
    if (now.threshold != then->threshold)
        ww_watch_set_threshold(self->watch, now.threshold);
    if (strcmp(now.phrases, then->phrases) != 0 && !apply_phrases(self, now.phrases, &err)) {
        ww_trouble_post(GST_ELEMENT(self), GST_MESSAGE_WARNING, &err);
        GST_OBJECT_LOCK(self);
        g_free(self->settings.phrases);
        self->settings.phrases = g_strdup(then->phrases);
        GST_OBJECT_UNLOCK(self);
    }
    ww_settings_finish(&now);
}

static void set_engine(WwInfer *self, struct ww_engine *engine)
{
    g_mutex_lock(&self->lock);
    self->engine = engine;
    g_mutex_unlock(&self->lock);
}

static void close_engine(WwInfer *self)
{
    struct ww_engine *engine = self->engine;
    set_engine(self, NULL);
    ww_engine_close(&engine);
}

gboolean ww_infer_start(GstBaseTransform *base)
{
    WwInfer *self = WW_INFER(base);
    struct ww_settings now = settings_now(self);
    struct ww_error err;
    struct ww_watch *watch = NULL;
    self->task = (enum ww_task)now.task;
    self->mode = now.mode;
    self->next_index = self->first_index = 0;
    self->dropped_told = self->skipped_rate = self->unmapped = 0;
    self->qos_told_us = self->warned_us = self->failed_us = 0;
    self->latency = (struct ww_latency){0};
    gst_video_info_init(&self->prepared);
    self->pace = (struct ww_pace){0};

    set_engine(self, ww_engine_open(ww_engine_params(.device = now.device), &err));
    if (self->engine)
        watch = create_watch(self, &now, &err);
    if (!watch) {
        ww_trouble_post(GST_ELEMENT(self), GST_MESSAGE_ERROR, &err);
        close_engine(self);
        ww_settings_finish(&now);
        return FALSE;
    }
    self->moments = g_new0(struct ww_moments, 1);
    ww_watch_model(watch, &self->model);

    g_mutex_lock(&self->watch_lock);
    self->watch = watch;
    catch_up(self, &now);
    g_mutex_unlock(&self->watch_lock);
    ww_settings_finish(&now);
    return TRUE;
}

gboolean ww_infer_stop(GstBaseTransform *base)
{
    WwInfer *self = WW_INFER(base);
    g_mutex_lock(&self->watch_lock);
    struct ww_watch *watch = self->watch; // a last on_result still reads self->watch
    ww_watch_destroy(&watch);
    self->watch = NULL;
    g_mutex_unlock(&self->watch_lock);
    close_engine(self);
    ww_infer_forget(self, 0);
    g_clear_pointer(&self->moments, g_free);
    return TRUE;
}

static void set_phrases(WwInfer *self, const GValue *value)
{
    const char *text = g_value_get_string(value);
    struct ww_error err;
    g_mutex_lock(&self->watch_lock);
    bool accepted = !self->watch || apply_phrases(self, text, &err);
    if (accepted) {
        GST_OBJECT_LOCK(self);
        ww_settings_set(&self->settings, WW_PROP_PHRASES, value);
        GST_OBJECT_UNLOCK(self);
    }
    g_mutex_unlock(&self->watch_lock);
    if (!accepted)
        ww_trouble_post(GST_ELEMENT(self), GST_MESSAGE_WARNING, &err);
}

static void set_threshold(WwInfer *self, const GValue *value)
{
    g_mutex_lock(&self->watch_lock);
    GST_OBJECT_LOCK(self);
    ww_settings_set(&self->settings, WW_PROP_THRESHOLD, value);
    GST_OBJECT_UNLOCK(self);
    if (self->watch)
        ww_watch_set_threshold(self->watch, g_value_get_float(value));
    g_mutex_unlock(&self->watch_lock);
}

void ww_infer_set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    WwInfer *self = WW_INFER(object);
    if (id == WW_PROP_PHRASES) {
        set_phrases(self, value);
    } else if (id == WW_PROP_THRESHOLD) {
        set_threshold(self, value);
    } else if (id < WW_PROP_REVISION) {
        GST_OBJECT_LOCK(self);
        ww_settings_set(&self->settings, (enum ww_property)id, value);
        GST_OBJECT_UNLOCK(self);
    } else {
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void get_stats(WwInfer *self, GValue *value)
{
    struct ww_tally t = {0};
    g_mutex_lock(&self->watch_lock);
    if (self->watch)
        t = ww_infer_tally(self);
    g_mutex_unlock(&self->watch_lock);
    GstStructure *stats = gst_structure_new_empty("watchword-stats");
    ww_tally_set(stats, &t);
    g_value_take_boxed(value, stats);
}

static void get_activity(WwInfer *self, GValue *value)
{
    char text[200] = "stopped";
    g_mutex_lock(&self->lock);
    if (self->engine)
        ww_engine_activity(self->engine, text, sizeof(text));
    g_mutex_unlock(&self->lock);
    g_value_set_string(value, text);
}

void ww_infer_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    WwInfer *self = WW_INFER(object);
    switch ((enum ww_property)id) {
    case WW_PROP_REVISION:
        g_mutex_lock(&self->watch_lock);
        g_value_set_uint(value, self->watch ? ww_watch_revision(self->watch) : 0);
        g_mutex_unlock(&self->watch_lock);
        break;
    case WW_PROP_STATS:
        get_stats(self, value);
        break;
    case WW_PROP_ACTIVITY:
        get_activity(self, value);
        break;
    default:
        if (id > WW_PROP_ACTIVITY) {
            G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
            break;
        }
        GST_OBJECT_LOCK(self);
        ww_settings_get(&self->settings, (enum ww_property)id, value);
        GST_OBJECT_UNLOCK(self);
    }
}
