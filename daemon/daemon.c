#include "daemon.h"

#include <malloc.h> // malloc_trim, of glibc
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <watchword/message.h>

#include "daemon-config.h"
#include "log.h"
#include "notify.h"
#include "status.h"

#define TICK_MS 100

// What is being looked at gets so long to be done with.
#define DRAIN_US 3000000

// What lost connections leave behind goes back to the system so often.
#define TRIM_US 60000000

// A piece of a look, or a message's way out, takes no longer than this when all is well.
#define STUCK_US 30000000

struct slot {
    struct camera *camera;
    struct numbers *numbers;
};

struct daemon {
    struct daemon_params params;
    struct config *config;
    struct publisher *publisher;
    char epoch[27];
    struct speaker speaker;
    GArray *slots;      // struct slot, in the order of the configuration
    GPtrArray *leaving; // cameras that a reload stopped
    GHashTable *numbers; // of all streams that ever were: name → struct numbers
    guint64 seq;
    gint64 started_unix_us, status_due_us, stopping_us; // 0: not stopping
    gint64 trimmed_us;
    bool lost; // a camera was, since then
    guint tick, watchdog;
    GThread *opener;
    struct ww_engine *engine; // NULL until the opener is done
    bool failed;
};

// What the opener leaves behind.
struct opened {
    struct ww_engine *engine;
    struct ww_error err;
};

// -- the engine -----------------------------------------------------------------------------------

static gboolean on_opened(void *opaque)
{
    struct daemon *d = opaque;
    struct opened *opened = g_thread_join(d->opener);
    d->opener = NULL;
    d->engine = opened->engine;
    if (d->engine) {
        struct ww_device_info device;
        ww_engine_device(d->engine, &device);
        log_say(WW_LOG_INFO, NULL, NULL, "device: %s", device.name);
    } else {
        log_say(WW_LOG_ERROR, NULL, NULL, "%s", opened->err.text);
        d->failed = true;
        daemon_stop(d);
    }
    g_free(opened);
    return G_SOURCE_REMOVE;
}

// Kept open for as long as the daemon lives, so that no camera has to open it again.
static void *open_engine(void *opaque)
{
    struct daemon *d = opaque;
    struct opened *opened = g_new0(struct opened, 1);
    opened->engine = ww_engine_open(ww_engine_params(.device = d->config->device), &opened->err);
    g_idle_add_full(G_PRIORITY_HIGH, on_opened, d, NULL);
    return opened;
}

// -- status ---------------------------------------------------------------------------------------

static struct slot *slot_at(struct daemon *d, guint i)
{
    return &g_array_index(d->slots, struct slot, i);
}

static void publish_camera(struct daemon *d, struct slot *slot)
{
    struct camera_status status;
    camera_status(slot->camera, &status);
    d->lost |= status.state == CAMERA_RECONNECTING;
    status_publish_camera(&d->speaker, camera_config(slot->camera), &status, slot->numbers->status++);
}

static guint64 resident_bytes(void)
{
    char text[200] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    const bool any = fgets(text, sizeof(text), file) != NULL;
    fclose(file);
    const char *second = any ? strchr(text, ' ') : NULL;
    return second ? g_ascii_strtoull(second, NULL, 10) * (guint64)sysconf(_SC_PAGESIZE) : 0;
}

static void publish_daemon(struct daemon *d)
{
    struct daemon_status status = {
        .state = d->stopping_us ? "stopping" : "running", .started_unix_us = d->started_unix_us,
        .activity = "opening the device", .resident_bytes = resident_bytes(),
    };
    if (d->engine) {
        struct ww_device_info device;
        struct ww_engine_stats stats;
        ww_engine_device(d->engine, &device);
        ww_engine_stats(d->engine, &stats);
        ww_engine_activity(d->engine, status.activity, sizeof(status.activity));
        g_strlcpy(status.device, device.name, sizeof(status.device));
        status.inferences = stats.inferences;
        status.device_losses = stats.device_losses;
        status.device_bytes = stats.device_bytes;
    }
    publisher_stats(d->publisher, &status.messages);
    for (guint i = 0; i < d->slots->len; i++) {
        struct camera_status camera;
        camera_status(slot_at(d, i)->camera, &camera);
        status.num_streams[camera.state]++;
    }
    status_publish_daemon(&d->speaker, &status, d->seq++);
    notify_status("%d of %u streams live; %s", status.num_streams[CAMERA_LIVE], d->slots->len,
                  status.activity);
}

static void publish_all(struct daemon *d)
{
    for (guint i = 0; i < d->slots->len; i++)
        publish_camera(d, slot_at(d, i));
    publish_daemon(d);
}

static void on_change(void *opaque, struct camera *camera)
{
    struct daemon *d = opaque;
    for (guint i = 0; i < d->slots->len; i++)
        if (slot_at(d, i)->camera == camera)
            publish_camera(d, slot_at(d, i));
}

// -- cameras --------------------------------------------------------------------------------------

static struct numbers *need_numbers(struct daemon *d, const char *name)
{
    struct numbers *numbers = g_hash_table_lookup(d->numbers, name);
    if (numbers)
        return numbers;
    numbers = g_new0(struct numbers, 1);
    g_mutex_init(&numbers->mutex);
    g_hash_table_insert(d->numbers, g_strdup(name), numbers);
    return numbers;
}

static void free_numbers(void *opaque)
{
    struct numbers *numbers = opaque;
    g_mutex_clear(&numbers->mutex);
    g_free(numbers);
}

static bool add_camera(struct daemon *d, GArray *slots, struct config *config,
                       const struct stream_config *stream, struct ww_error *err)
{
    struct slot slot = {.numbers = need_numbers(d, stream->name)};
    slot.camera = camera_create(config, stream, &(struct camera_params){
        .publisher = d->publisher, .numbers = slot.numbers, .epoch = d->epoch, .device = config->device,
        .on_change = on_change, .opaque = d,
    }, err);
    if (!slot.camera)
        return ww_within(err, "stream '%s'", stream->name);
    g_array_append_val(slots, slot);
    return true;
}

static void remove_camera(struct daemon *d, struct slot *slot)
{
    const char *name = camera_config(slot->camera)->name;
    log_say(WW_LOG_INFO, name, NULL, "removed");
    camera_stop(slot->camera);
    publish_camera(d, slot);
    g_ptr_array_add(d->leaving, slot->camera);
}

static void free_left(struct daemon *d)
{
    for (guint i = d->leaving->len; i-- > 0;) {
        struct camera *camera = g_ptr_array_index(d->leaving, i);
        if (!camera_is_stopped(camera))
            continue;
        g_ptr_array_remove_index_fast(d->leaving, i);
        camera_destroy(&camera);
    }
}

static int find_slot(struct daemon *d, const char *name)
{
    for (guint i = 0; i < d->slots->len; i++)
        if (strcmp(camera_config(slot_at(d, i)->camera)->name, name) == 0)
            return (int)i;
    return -1;
}

// Moves or makes the camera of one stream.
static void apply_stream(struct daemon *d, struct config *config, const struct stream_config *stream,
                         GArray *slots)
{
    const int i = find_slot(d, stream->name);
    if (i >= 0 && !camera_is_broken(slot_at(d, (guint)i)->camera) &&
        stream_config_same_place(camera_config(slot_at(d, (guint)i)->camera), stream)) {
        struct slot slot = *slot_at(d, (guint)i);
        g_array_remove_index(d->slots, (guint)i);
        if (!stream_config_equal(camera_config(slot.camera), stream))
            log_say(WW_LOG_INFO, stream->name, NULL, "takes up new words");
        camera_update(slot.camera, config, stream);
        g_array_append_val(slots, slot);
        return;
    }
    if (i >= 0) {
        remove_camera(d, slot_at(d, (guint)i));
        g_array_remove_index(d->slots, (guint)i);
    }
    struct ww_error err = {0};
    if (!add_camera(d, slots, config, stream, &err))
        log_say(WW_LOG_ERROR, stream->name, NULL, "%s", err.text);
}

static void apply(struct daemon *d, struct config *config)
{
    GArray *slots = g_array_new(FALSE, TRUE, sizeof(struct slot));
    for (int i = 0; i < config->num_streams; i++)
        apply_stream(d, config, &config->streams[i], slots);
    for (guint i = 0; i < d->slots->len; i++)
        remove_camera(d, slot_at(d, i));
    g_array_unref(d->slots);
    d->slots = slots;
    struct config *old = d->config;
    d->config = config;
    config_unref(&old);
}

// A TLS session that an old `tls` let through may be resumed without a judgement by the new one.
static bool keeps_trust(const struct daemon *d, const struct config *config)
{
    static const struct tls_config none;
    for (int i = 0; i < config->num_streams; i++)
        for (int k = 0; k < d->config->num_streams; k++) {
            const struct stream_config *s = &config->streams[i], *old = &d->config->streams[k];
            if (!s->host || !old->host || s->port != old->port || strcmp(s->host, old->host) != 0 ||
                tls_config_equal(&old->tls, &none) || tls_config_equal(&s->tls, &old->tls))
                continue;
            log_say(WW_LOG_ERROR, s->name, NULL, "%s: streams.%s.tls: what was trusted before changes only "
                    "with a restart", d->params.config_path, s->name);
            return false;
        }
    return true;
}

void daemon_reload(struct daemon *d)
{
    if (d->stopping_us)
        return;
    notify_reloading();
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    struct config *config = config_load(d->params.config_path, problems);
    for (guint i = 0; i < problems->len; i++)
        log_say(WW_LOG_ERROR, NULL, NULL, "%s", (char *)problems->pdata[i]);
    if (config && (strcmp(config->endpoint, d->config->endpoint) != 0 ||
                   strcmp(config->device, d->config->device) != 0 || config->batch != d->config->batch)) {
        log_say(WW_LOG_ERROR, NULL, NULL,
                "%s: publish.endpoint, device and batch change only with a restart", d->params.config_path);
        config_unref(&config);
    }
    if (config && !keeps_trust(d, config))
        config_unref(&config);
    if (config) {
        apply(d, config);
        log_say(WW_LOG_INFO, NULL, NULL, "%s: taken up", d->params.config_path);
    } else {
        log_say(WW_LOG_ERROR, NULL, NULL, "the old configuration stays in force");
    }
    g_ptr_array_unref(problems);
    publish_all(d);
    notify_ready();
}

// -- time -----------------------------------------------------------------------------------------

static bool finish_if_drained(struct daemon *d, gint64 now)
{
    bool drained = d->leaving->len == 0 && !d->opener;
    for (guint i = 0; i < d->slots->len; i++)
        drained = drained && camera_is_stopped(slot_at(d, i)->camera);
    if (!drained && now - d->stopping_us < DRAIN_US)
        return false;
    if (!drained)
        log_say(WW_LOG_WARN, NULL, NULL, "something did not stop in time and is left behind");
    publish_all(d);
    publisher_close(d->publisher);
    if (!drained)
        _exit(d->failed); // its threads still use what would be freed
    publisher_destroy(&d->publisher);
    d->tick = 0;
    d->params.on_done(d->params.opaque, d->failed);
    return true;
}

// A connection has threads and buffers of its own. The C library keeps what they held, in pieces that the next
// one's do not quite fit into, and then grows by a little with each loss.
static void give_back_memory(struct daemon *d, gint64 now)
{
    if (!d->lost || now - d->trimmed_us < TRIM_US)
        return;
    d->trimmed_us = now;
    d->lost = false;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static gboolean on_tick(void *opaque)
{
    struct daemon *d = opaque;
    const gint64 now = g_get_monotonic_time();
    free_left(d);
    if (d->stopping_us)
        return finish_if_drained(d, now) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
    for (guint i = 0; i < d->slots->len; i++)
        camera_tick(slot_at(d, i)->camera, now);
    give_back_memory(d, now);
    if (now >= d->status_due_us) {
        d->status_due_us = now + (gint64)(d->config->status_interval_s * 1e6);
        publish_all(d);
    }
    return G_SOURCE_CONTINUE;
}

void daemon_hurry(struct daemon *d)
{
    for (guint i = 0; i < d->slots->len; i++)
        camera_hurry(slot_at(d, i)->camera);
}

// What is neither loading nor compiling, and yet does not get on. That nothing comes of looks, or of too many
// of them too late, is no reason to end what others see.
static bool engine_hangs(struct daemon *d)
{
    char activity[200];
    struct ww_engine_stats stats;
    if (!d->engine)
        return false;
    ww_engine_activity(d->engine, activity, sizeof(activity));
    ww_engine_stats(d->engine, &stats);
    return strcmp(activity, "ready") == 0 && stats.silent_ns / 1000 > STUCK_US;
}

// The main thread is alive, or this would not run; the others have to show it.
static gboolean on_watchdog(void *opaque)
{
    struct daemon *d = opaque;
    struct publisher_stats messages;
    publisher_stats(d->publisher, &messages);
    if (messages.oldest_us > STUCK_US || engine_hangs(d))
        log_say(WW_LOG_ERROR, NULL, NULL, "a worker hangs: the watchdog is not fed");
    else
        notify_alive();
    return G_SOURCE_CONTINUE;
}

// -- life -----------------------------------------------------------------------------------------

// Without its own element no stream can ever work, also none that a reload brings.
static bool has_plugin(struct ww_error *err)
{
    GstElementFactory *factory = gst_element_factory_find("wwinfer");
    if (!factory)
        return ww_fail(err, WW_E_UNSUPPORTED,
                       "GStreamer does not find watchword's own plugin, libgstwatchword.so: install it "
                       "in %s, or name its folder in GST_PLUGIN_PATH (gst-inspect-1.0 watchword tells "
                       "more)", PLUGIN_DIR);
    gst_object_unref(factory);
    return true;
}

struct daemon *daemon_create(const struct daemon_params *params, struct ww_error *err)
{
    if (!has_plugin(err))
        return NULL;
    struct daemon *d = g_new0(struct daemon, 1);
    d->params = *params;
    d->config = config_ref(params->config);
    d->started_unix_us = g_get_real_time();
    d->slots = g_array_new(FALSE, TRUE, sizeof(struct slot));
    d->leaving = g_ptr_array_new();
    d->numbers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_numbers);
    ww_message_epoch(d->epoch);
    d->publisher = publisher_create(d->config->endpoint, err);
    d->speaker = (struct speaker){d->publisher, d->epoch};
    bool ok = d->publisher != NULL;
    if (ok) // first, for it takes longest
        d->opener = g_thread_new("ww-open", open_engine, d);
    for (int i = 0; ok && i < d->config->num_streams; i++)
        ok = add_camera(d, d->slots, d->config, &d->config->streams[i], err);
    if (!ok) {
        if (d->opener)
            _exit((fprintf(stderr, "watchwordd: %s\n", err->text), 1));
        daemon_destroy(&d);
        return NULL;
    }
    d->tick = g_timeout_add(TICK_MS, on_tick, d);
    const guint64 feed_us = notify_watchdog_us();
    if (feed_us)
        d->watchdog = g_timeout_add((guint)(feed_us / 1000), on_watchdog, d);
    log_say(WW_LOG_INFO, NULL, NULL, "publishing at %s, %d streams", d->config->endpoint,
            d->config->num_streams);
    notify_ready();
    return d;
}

void daemon_stop(struct daemon *d)
{
    if (d->stopping_us)
        return;
    notify_stopping();
    log_say(WW_LOG_INFO, NULL, NULL, "stopping");
    d->stopping_us = g_get_monotonic_time();
    for (guint i = 0; i < d->slots->len; i++)
        camera_stop(slot_at(d, i)->camera);
}

void daemon_destroy(struct daemon **daemon)
{
    struct daemon *d = *daemon;
    if (!d)
        return;
    if (d->tick)
        g_source_remove(d->tick);
    if (d->watchdog)
        g_source_remove(d->watchdog);
    for (guint i = 0; i < d->slots->len; i++)
        camera_destroy(&slot_at(d, i)->camera);
    g_array_unref(d->slots);
    g_ptr_array_unref(d->leaving);
    g_hash_table_unref(d->numbers);
    publisher_destroy(&d->publisher);
    ww_engine_close(&d->engine);
    config_unref(&d->config);
    g_free(d);
    *daemon = NULL;
}
