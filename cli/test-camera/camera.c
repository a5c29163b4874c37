// camera.c: the server, its mount point, and the feeds that send the film's units.
//
// Every shared media that clients open has one feed. Its first unit goes out at once, for the server
// makes the SDP from it; the second waits for PLAY. From there the feed keeps the film's pace:
//
//     live   unit n is due n frame times after PLAY; what the past held back (silence, a stopped
//            process) is left out, and the feed goes on with a key frame, on time
//     --end  every unit is sent once and in order, as fast as the film but no faster than the
//            client takes them
//
// Times in the stream are counted in frames from 0, so frame n of the stream is at n / fps.

#include <gst/app/gstappsrc.h>
#include <gst/rtsp-server/rtsp-server.h>
#include <string.h>

#include "camera-inner.h"

static const char role[] = "viewer";
#define POLL_MS 5 // while a feed waits for PLAY or for room

static gboolean tick(void *opaque);

static void feed_schedule(struct feed *feed, guint ms)
{
    feed->timer = g_timeout_add(ms, tick, feed);
}

static gboolean feed_wants(const struct feed *feed)
{
    guint64 queued = 0;
    g_object_get(feed->src, "current-level-buffers", &queued, NULL);
    return queued < 2;
}

static void feed_push(struct feed *feed)
{
    struct film *film = feed->film;
    GstBuffer *unit = gst_buffer_copy(g_ptr_array_index(film->units, (guint)feed->unit));
    double frame = (double)feed->slot + film->display[feed->unit] - feed->unit;
    GST_BUFFER_PTS(unit) = (GstClockTime)(MAX(frame, 0) / feed->camera->fps * GST_SECOND + 0.5);
    GST_BUFFER_DTS(unit) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(unit) = (GstClockTime)(GST_SECOND / feed->camera->fps);
    gst_app_src_push_buffer(feed->src, unit);
    feed->sent++;
}

static void feed_advance(struct feed *feed)
{
    feed->slot++;
    feed->unit++;
    if (feed->unit == (int)feed->film->units->len && !feed->camera->end)
        feed->unit = 0;
}

static void feed_end(struct feed *feed)
{
    gst_app_src_end_of_stream(feed->src);
    feed->ended = TRUE;
    say("ended", "\"frames\":%" G_GUINT64_FORMAT, feed->sent);
}

// Milliseconds until the feed wants to be called again; 0: never.
static guint feed_step(struct feed *feed)
{
    struct camera *camera = feed->camera;
    gint64 now = g_get_monotonic_time(), frame_us = (gint64)(1e6 / camera->fps);
    if (feed->ended)
        return 0;
    if (!feed->sent) { // the server asks for nothing before the element runs
        if (GST_STATE(feed->src) < GST_STATE_PAUSED)
            return POLL_MS;
        feed_push(feed);
        feed_advance(feed);
    }
    if (!feed->playing)
        return POLL_MS;
    if (!feed->start_us)
        feed->start_us = now - (feed->slot - 1) * frame_us;

    gint64 late_us = now - feed->start_us - feed->slot * frame_us;
    if (late_us < 0)
        return (guint)(-late_us / 1000) + 1;
    if (camera->end) {
        if (feed->unit == (int)feed->film->units->len) {
            feed_end(feed);
            return 0;
        }
        if (camera->silent || !feed_wants(feed)) {
            feed->start_us += late_us; // the film waits
            return POLL_MS;
        }
    } else if (camera->silent) {
        feed->gap = TRUE;
    } else if (late_us > G_USEC_PER_SEC) {
        feed->slot += late_us / frame_us;
        feed->gap = TRUE;
    }
    if (feed->gap && !camera->silent) {
        feed->unit = film_next_key(feed->film, feed->unit);
        feed->gap = FALSE;
    }
    if (!camera->silent)
        feed_push(feed);
    feed_advance(feed);
    return 1;
}

static gboolean tick(void *opaque)
{
    struct feed *feed = opaque;
    struct camera *camera = feed->camera;
    pthread_mutex_lock(&camera->lock);
    feed->timer = 0;
    guint ms = feed->gone ? 0 : feed_step(feed);
    if (ms)
        feed_schedule(feed, ms);
    gboolean gone = feed->gone;
    pthread_mutex_unlock(&camera->lock);
    if (gone) {
        gst_object_unref(feed->src);
        g_free(feed);
    }
    return G_SOURCE_REMOVE;
}

// The media is no longer in use. The feed is freed by its own timer, in the main context.
static void on_unprepared(GstRTSPMedia *media, void *opaque)
{
    struct feed *feed = opaque;
    struct camera *camera = feed->camera;
    g_signal_handlers_disconnect_by_data(media, feed);
    pthread_mutex_lock(&camera->lock);
    g_ptr_array_remove_fast(camera->feeds, feed);
    feed->gone = TRUE;
    if (!feed->timer)
        feed_schedule(feed, 0);
    pthread_mutex_unlock(&camera->lock);
}

static void on_media(GstRTSPMediaFactory *factory, GstRTSPMedia *media, struct camera *camera)
{
    (void)factory;
    GstElement *bin = gst_rtsp_media_get_element(media);
    pthread_mutex_lock(&camera->lock);
    struct feed *feed = g_new0(struct feed, 1);
    feed->camera = camera;
    feed->media = media;
    feed->film = camera->film;
    feed->src = GST_APP_SRC(gst_bin_get_by_name(GST_BIN(bin), "src"));
    if (!camera->end) { // the film went on while nobody looked
        double seconds = (double)(g_get_monotonic_time() - camera->start_us) / G_USEC_PER_SEC;
        int at = (int)((gint64)(seconds * camera->fps) % feed->film->units->len);
        feed->unit = film_next_key(feed->film, at);
    }
    gst_app_src_set_caps(feed->src, feed->film->caps);
    g_ptr_array_add(camera->feeds, feed);
    feed_schedule(feed, POLL_MS);
    pthread_mutex_unlock(&camera->lock);

    GstElement *payloader = gst_bin_get_by_name(GST_BIN(bin), "pay0");
    GstPad *pad = gst_element_get_static_pad(payloader, "src");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST,
                      camera_spoil_packets, camera, NULL);
    gst_object_unref(pad);
    gst_object_unref(payloader);
    gst_object_unref(bin);
    g_signal_connect(media, "unprepared", G_CALLBACK(on_unprepared), feed);
}

static const char *address_of(GstRTSPClient *client)
{
    GstRTSPConnection *connection = gst_rtsp_client_get_connection(client);
    const char *ip = connection ? gst_rtsp_connection_get_ip(connection) : NULL;
    return ip ? ip : "";
}

static void on_play(GstRTSPClient *client, GstRTSPContext *context, struct camera *camera)
{
    pthread_mutex_lock(&camera->lock);
    for (guint i = 0; i < camera->feeds->len; i++) {
        struct feed *feed = g_ptr_array_index(camera->feeds, i);
        if (feed->media == context->media)
            feed->playing = TRUE;
    }
    pthread_mutex_unlock(&camera->lock);
    say("play", "\"address\":\"%s\"", address_of(client));
}

static void on_closed(GstRTSPClient *client, struct camera *camera)
{
    (void)camera;
    say("closed", "\"address\":\"%s\"", address_of(client));
}

static void on_answer(GstRTSPClient *client, GstRTSPContext *context, GstRTSPMessage *message,
                      struct camera *camera)
{
    (void)client, (void)context;
    camera_spoil_answer(camera, message);
}

static void on_client(GstRTSPServer *server, GstRTSPClient *client, struct camera *camera)
{
    (void)server;
    say("client", "\"address\":\"%s\"", address_of(client));
    if (camera->end) // wait for a slow client instead of leaving frames out
        g_object_set(client, "drop-backlog", FALSE, NULL);
    g_signal_connect(client, "play-request", G_CALLBACK(on_play), camera);
    g_signal_connect(client, "send-message", G_CALLBACK(on_answer), camera);
    g_signal_connect(client, "closed", G_CALLBACK(on_closed), camera);
}

static const char *payloader_text(const char *codec)
{
    if (!strcmp(codec, "h264"))
        return "rtph264pay name=pay0 pt=96 config-interval=-1";
    if (!strcmp(codec, "h265"))
        return "rtph265pay name=pay0 pt=96 config-interval=-1";
    return "rtpjpegpay name=pay0 pt=26";
}

void camera_mount(struct camera *camera)
{
    GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
    char *text = g_strdup_printf("( appsrc name=src is-live=true format=time ! %s )",
                                 payloader_text(camera->film->codec));
    gst_rtsp_media_factory_set_launch(factory, text);
    g_free(text);
    gst_rtsp_media_factory_set_shared(factory, TRUE);
    gst_rtsp_media_factory_set_protocols(factory, camera->protocols);
    if (camera->auth) {
        GstRTSPPermissions *permissions = gst_rtsp_permissions_new();
        gst_rtsp_permissions_add_permission_for_role(permissions, role, "media.factory.access", TRUE);
        gst_rtsp_permissions_add_permission_for_role(permissions, role, "media.factory.construct",
                                                     TRUE);
        gst_rtsp_media_factory_set_permissions(factory, permissions);
        gst_rtsp_permissions_unref(permissions);
    }
    g_signal_connect(factory, "media-configure", G_CALLBACK(on_media), camera);
    GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(camera->server);
    gst_rtsp_mount_points_remove_factory(mounts, camera->mount);
    gst_rtsp_mount_points_add_factory(mounts, camera->mount, factory);
    g_object_unref(mounts);
}

void camera_unmount(struct camera *camera)
{
    GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(camera->server);
    gst_rtsp_mount_points_remove_factory(mounts, camera->mount);
    g_object_unref(mounts);
}

gboolean camera_listen(struct camera *camera, GError **error)
{
    camera->listening = gst_rtsp_server_attach(camera->server, NULL);
    if (!camera->listening) {
        char *port = gst_rtsp_server_get_service(camera->server);
        g_set_error(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
                    "port %s of 127.0.0.1 cannot be had", port);
        g_free(port);
        return FALSE;
    }
    int port = gst_rtsp_server_get_bound_port(camera->server);
    char *service = g_strdup_printf("%d", port); // after "down" the camera comes back where it was
    gst_rtsp_server_set_service(camera->server, service);
    g_free(service);
    struct film *film = camera->film;
    say("listening",
        "\"url\":\"%s://127.0.0.1:%d%s\",\"port\":%d,\"codec\":\"%s\",\"width\":%d,\"height\":%d,"
        "\"fps\":%g,\"frames\":%u,\"bytes\":%" G_GSIZE_FORMAT,
        camera->scheme, port, camera->mount, port, film->codec, film->width, film->height, camera->fps,
        film->units->len, film->bytes);
    return TRUE;
}

void camera_set_password(struct camera *camera, const char *password)
{
    GstRTSPToken *token = gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, role,
                                             NULL);
    if (camera->basic)
        gst_rtsp_auth_remove_basic(camera->auth, camera->basic);
    g_clear_pointer(&camera->basic, g_free);
    gst_rtsp_auth_remove_digest(camera->auth, camera->user);
    if (camera->digest) {
        gst_rtsp_auth_set_supported_methods(camera->auth, GST_RTSP_AUTH_DIGEST);
        gst_rtsp_auth_add_digest(camera->auth, camera->user, password, token);
    } else {
        camera->basic = gst_rtsp_auth_make_basic(camera->user, password);
        gst_rtsp_auth_set_supported_methods(camera->auth, GST_RTSP_AUTH_BASIC);
        gst_rtsp_auth_add_basic(camera->auth, camera->basic, token);
    }
    gst_rtsp_token_unref(token);
}

static gboolean set_certificate(struct camera *camera, const char *path, GError **error)
{
    GTlsCertificate *certificate = g_tls_certificate_new_from_file(path, error);
    if (!certificate)
        return FALSE;
    gst_rtsp_auth_set_tls_certificate(camera->auth, certificate);
    g_object_unref(certificate);
    camera->scheme = "rtsps";
    return TRUE;
}

static void let_everybody_in(struct camera *camera)
{
    GstRTSPToken *token = gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, role,
                                             NULL);
    gst_rtsp_auth_set_default_token(camera->auth, token);
    gst_rtsp_token_unref(token);
}

static void on_encode(const char *path, const char *codec, const char *to)
{
    char *from = g_strescape(path, NULL), *name = g_strescape(to, NULL);
    say("encoding", "\"film\":\"%s\",\"codec\":\"%s\",\"to\":\"%s\"", from, codec, name);
    g_free(from);
    g_free(name);
}

struct film *camera_film(struct camera *camera, const char *codec, GError **error)
{
    return film_open(&(struct film_params){.path = camera->path,
                                           .codec = codec,
                                           .cache = camera->cache,
                                           .num_frames = camera->num_frames,
                                           .on_encode = on_encode},
                     error);
}

struct camera *camera_create(const struct camera_params *params, GError **error)
{
    struct camera *camera = g_new0(struct camera, 1);
    pthread_mutex_init(&camera->lock, NULL);
    camera->path = g_strdup(params->path);
    camera->cache = g_strdup(params->cache);
    camera->mount = g_strdup(params->mount);
    camera->user = g_strdup(params->user);
    camera->password = g_strdup(params->password);
    camera->scheme = "rtsp";
    camera->num_frames = params->num_frames;
    camera->end = params->end;
    camera->digest = params->digest;
    camera->protocols = (strcmp(params->transport, "udp") ? GST_RTSP_LOWER_TRANS_TCP : 0) |
                        (strcmp(params->transport, "tcp") ? GST_RTSP_LOWER_TRANS_UDP : 0);
    camera->feeds = g_ptr_array_new();
    camera->films = g_ptr_array_new();
    camera->rand = g_rand_new_with_seed(params->seed);
    camera->start_us = g_get_monotonic_time();

    if (!(camera->film = camera_film(camera, params->codec, error)))
        goto fail;
    g_ptr_array_add(camera->films, camera->film);
    camera->fps = params->fps > 0 ? params->fps : camera->film->fps;
    camera->server = gst_rtsp_server_new();
    gst_rtsp_server_set_address(camera->server, "127.0.0.1");
    char *service = g_strdup_printf("%d", params->port);
    gst_rtsp_server_set_service(camera->server, service);
    g_free(service);
    g_signal_connect(camera->server, "client-connected", G_CALLBACK(on_client), camera);
    if (camera->user || params->certificate) {
        camera->auth = gst_rtsp_auth_new();
        gst_rtsp_server_set_auth(camera->server, camera->auth);
    }
    if (params->certificate && !set_certificate(camera, params->certificate, error))
        goto fail;
    if (camera->user)
        camera_set_password(camera, camera->password);
    else if (camera->auth)
        let_everybody_in(camera);
    camera_mount(camera);
    if (!camera_listen(camera, error))
        goto fail;
    return camera;

fail:
    camera_destroy(&camera);
    return NULL;
}

// The server's threads outlive the clients they serve, so what feeds use is left to the process.
void camera_destroy(struct camera **opaque)
{
    struct camera *camera = *opaque;
    if (!camera)
        return;
    if (camera->listening)
        g_source_remove(camera->listening);
    if (camera->server)
        camera_drop_clients(camera);
    *opaque = NULL;
}
