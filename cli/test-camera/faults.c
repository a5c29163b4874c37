// faults.c: what can be wrong with a camera, on command.

#include <gst/rtp/rtp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "camera-inner.h"

const char camera_faults_help[] =
    "Faults (N in seconds; without it a fault stays until \"clear\"):\n"
    "  down [N]       clients are closed and the port refuses connections\n"
    "  hang N         the process stops: connections stay open, nothing is answered\n"
    "  silence [N]    RTSP still answers, no pictures are sent\n"
    "  close          every connection is closed; new ones are welcome\n"
    "  404 [N]        clients are closed, the path is unknown\n"
    "  401 [N]        clients are closed, the password is another (needs --user)\n"
    "  codec NAME     clients are closed; from now on h264, h265 or mjpeg is sent\n"
    "  jump N         RTP's timestamps go on N seconds later, or earlier where N is negative\n"
    "  resize WxH     of a pattern: from the next picture on it has another size\n"
    "  bad-sdp [N]    clients are closed; the description of the stream is nonsense\n"
    "  wrong-codec [N]  clients are closed; h264 is announced as h265, and h265 as h264\n"
    "  garbage [N]    what RTP packets carry is random\n"
    "  loss P [N]     P percent of the RTP packets are lost\n"
    "  end            the stream ends\n"
    "  clear          ends silence, garbage and loss\n";

enum kind {
    DOWN, HANG, SILENCE, CLOSE, F404, F401, CODEC, JUMP, RESIZE, BAD_SDP, WRONG_CODEC, GARBAGE, LOSS,
    END, CLEAR, NUM_KINDS
};

static const struct fault {
    const char *name;
    int min_args, max_args;
    gboolean lasts; // its last argument is how long
} faults[NUM_KINDS] = {
    [DOWN] = {"down", 0, 1, TRUE},    [HANG] = {"hang", 1, 1, FALSE},
    [SILENCE] = {"silence", 0, 1, TRUE}, [CLOSE] = {"close", 0, 0, FALSE},
    [F404] = {"404", 0, 1, TRUE},     [F401] = {"401", 0, 1, TRUE},
    [CODEC] = {"codec", 1, 1, FALSE}, [JUMP] = {"jump", 1, 1, FALSE},
    [RESIZE] = {"resize", 1, 1, FALSE}, [BAD_SDP] = {"bad-sdp", 0, 1, TRUE},
    [WRONG_CODEC] = {"wrong-codec", 0, 1, TRUE}, [GARBAGE] = {"garbage", 0, 1, TRUE},
    [LOSS] = {"loss", 1, 2, TRUE},    [END] = {"end", 0, 0, FALSE},
    [CLEAR] = {"clear", 0, 0, FALSE},
};
G_STATIC_ASSERT(NUM_KINDS <= G_N_ELEMENTS(((struct camera *)0)->timers));

// RTP's clock runs at 90 kHz for all codecs there are here.
static GstBuffer *shift(GstBuffer *packet, guint32 jump)
{
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;
    GstBuffer *copy = gst_buffer_copy_deep(packet);
    gst_buffer_unref(packet);
    if (gst_rtp_buffer_map(copy, GST_MAP_READWRITE, &rtp)) {
        gst_rtp_buffer_set_timestamp(&rtp, gst_rtp_buffer_get_timestamp(&rtp) + jump);
        gst_rtp_buffer_unmap(&rtp);
    }
    return copy;
}

static gboolean lose_or_damage(GstBuffer **packet, guint index, void *opaque)
{
    (void)index;
    struct camera *camera = opaque;
    pthread_mutex_lock(&camera->lock);
    if (camera->loss > 0 && g_rand_double_range(camera->rand, 0, 100) < camera->loss) {
        gst_clear_buffer(packet);
    } else if (camera->garbage) {
        GstMapInfo map; // the payload is the film's own memory: damage a copy
        GstBuffer *copy = gst_buffer_copy_deep(*packet);
        gst_buffer_unref(*packet);
        *packet = copy;
        gst_buffer_map(copy, &map, GST_MAP_WRITE);
        for (gsize i = 12; i < map.size; i++) // after the RTP header
            map.data[i] = (guint8)g_rand_int(camera->rand);
        gst_buffer_unmap(copy, &map);
    }
    if (*packet && camera->jump)
        *packet = shift(*packet, camera->jump);
    pthread_mutex_unlock(&camera->lock);
    return TRUE;
}

// Descriptions go out as the body of an answer.
void camera_spoil_answer(struct camera *camera, GstRTSPMessage *message)
{
    guint8 *body = NULL;
    guint size = 0;
    if (gst_rtsp_message_get_type(message) != GST_RTSP_MESSAGE_RESPONSE ||
        gst_rtsp_message_get_body(message, &body, &size) != GST_RTSP_OK || !size)
        return;
    pthread_mutex_lock(&camera->lock);
    const gboolean bad = camera->bad_sdp, wrong = camera->wrong_codec;
    pthread_mutex_unlock(&camera->lock);
    char *text = g_strndup((char *)body, size);
    char *at = strstr(text, " H26");
    if (bad)
        memset(text, '?', strlen(text));
    else if (wrong && at)
        at[4] = at[4] == '4' ? '5' : '4';
    if (bad || wrong)
        gst_rtsp_message_set_body(message, (guint8 *)text, (guint)strlen(text));
    g_free(text);
}

GstPadProbeReturn camera_spoil_packets(GstPad *pad, GstPadProbeInfo *info, void *opaque)
{
    (void)pad;
    struct camera *camera = opaque;
    pthread_mutex_lock(&camera->lock);
    gboolean sound = camera->loss <= 0 && !camera->garbage && !camera->jump;
    pthread_mutex_unlock(&camera->lock);
    if (sound)
        return GST_PAD_PROBE_OK;
    if (info->type & GST_PAD_PROBE_TYPE_BUFFER_LIST) {
        GstBufferList *list = gst_buffer_list_make_writable(info->data);
        gst_buffer_list_foreach(list, lose_or_damage, camera);
        info->data = list;
        return GST_PAD_PROBE_OK;
    }
    GstBuffer *packet = info->data;
    lose_or_damage(&packet, 0, camera);
    info->data = packet;
    return packet ? GST_PAD_PROBE_OK : GST_PAD_PROBE_HANDLED;
}

static GstRTSPFilterResult remove_client(GstRTSPServer *server, GstRTSPClient *client, void *opaque)
{
    (void)server, (void)client, (void)opaque;
    return GST_RTSP_FILTER_REMOVE;
}

void camera_drop_clients(struct camera *camera)
{
    gst_rtsp_server_client_filter(camera->server, remove_client, NULL);
}

// Stops this whole process; a child, which holds none of its sockets, wakes it.
static void hang(double seconds)
{
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close_range(3, ~0U, 0);
        struct timespec left = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
        while (nanosleep(&left, &left))
            ;
        kill(parent, SIGCONT);
        _exit(0);
    }
    if (child < 0)
        return;
    kill(parent, SIGSTOP);
    waitpid(child, NULL, 0);
}

static gboolean refuse(GError **error, const char *fmt, const char *what)
{
    char *text = g_strdup_printf("'%s' %s", what, fmt);
    g_set_error_literal(error, GST_CORE_ERROR, GST_CORE_ERROR_FAILED, text);
    g_free(text);
    return FALSE;
}

static gboolean change_codec(struct camera *camera, const char *codec, GError **error)
{
    struct film *film = camera_film(camera, codec, error);
    if (!film)
        return FALSE;
    pthread_mutex_lock(&camera->lock);
    g_ptr_array_add(camera->films, film);
    camera->film = film;
    pthread_mutex_unlock(&camera->lock);
    camera_mount(camera);
    camera_drop_clients(camera);
    return TRUE;
}

// The streams go on, with pictures of another size.
static gboolean resize(struct camera *camera, const char *size, GError **error)
{
    const char *at = strchr(camera->path, '@');
    if (!at || !g_str_has_prefix(camera->path, "pattern:"))
        return refuse(error, "is for a pattern only", size);
    char *path = g_strdup_printf("pattern:%s%s", size, at);
    g_free(camera->path);
    camera->path = path;
    struct film *film = camera_film(camera, camera->film->codec, error);
    if (!film)
        return FALSE;
    pthread_mutex_lock(&camera->lock);
    g_ptr_array_add(camera->films, film);
    camera->film = film;
    for (guint i = 0; i < camera->feeds->len; i++) {
        struct feed *feed = g_ptr_array_index(camera->feeds, i);
        feed->film = film;
        feed->unit = 0;
        gst_app_src_set_caps(feed->src, film->caps);
    }
    pthread_mutex_unlock(&camera->lock);
    camera_mount(camera);
    return TRUE;
}

static void end_streams(struct camera *camera)
{
    pthread_mutex_lock(&camera->lock);
    for (guint i = 0; i < camera->feeds->len; i++) {
        struct feed *feed = g_ptr_array_index(camera->feeds, i);
        gst_app_src_end_of_stream(feed->src);
        feed->ended = TRUE;
    }
    pthread_mutex_unlock(&camera->lock);
}

static void set_state(struct camera *camera, enum kind kind, double value)
{
    pthread_mutex_lock(&camera->lock);
    if (kind == SILENCE)
        camera->silent = value > 0;
    else if (kind == GARBAGE)
        camera->garbage = value > 0;
    else if (kind == LOSS)
        camera->loss = value;
    else if (kind == BAD_SDP)
        camera->bad_sdp = value > 0;
    else if (kind == WRONG_CODEC)
        camera->wrong_codec = value > 0;
    pthread_mutex_unlock(&camera->lock);
}

static gboolean begin(struct camera *camera, enum kind kind, char **args, GError **error)
{
    switch (kind) {
    case DOWN:
        if (camera->listening)
            g_source_remove(camera->listening);
        camera->listening = 0;
        camera_drop_clients(camera);
        break;
    case HANG:
        hang(g_ascii_strtod(args[0], NULL));
        say("fault_end", "\"fault\":\"hang\"");
        break;
    case CLOSE:
        camera_drop_clients(camera);
        break;
    case F404:
        camera_unmount(camera);
        camera_drop_clients(camera);
        break;
    case F401: {
        char *other = g_strconcat(camera->password, "x", NULL);
        camera_set_password(camera, other);
        g_free(other);
        camera_drop_clients(camera);
        break;
    }
    case CODEC:
        return change_codec(camera, args[0], error);
    case RESIZE:
        return resize(camera, args[0], error);
    case JUMP:
        pthread_mutex_lock(&camera->lock);
        camera->jump += (guint32)(gint64)(g_ascii_strtod(args[0], NULL) * 90000);
        pthread_mutex_unlock(&camera->lock);
        break;
    case BAD_SDP:
    case WRONG_CODEC:
        set_state(camera, kind, 1);
        camera_drop_clients(camera);
        break;
    case SILENCE:
    case GARBAGE:
        set_state(camera, kind, 1);
        break;
    case LOSS:
        set_state(camera, kind, g_ascii_strtod(args[0], NULL));
        break;
    case END:
        end_streams(camera);
        break;
    default:
        for (enum kind k = 0; k < NUM_KINDS; k++)
            set_state(camera, k, 0);
        say("fault_end", "\"fault\":\"clear\"");
    }
    return TRUE;
}

struct ending {
    struct camera *camera;
    enum kind kind;
};

static gboolean over(void *opaque)
{
    const struct ending *ending = opaque;
    struct camera *camera = ending->camera;
    GError *error = NULL;
    camera->timers[ending->kind] = 0;
    if (ending->kind == DOWN && !camera_listen(camera, &error)) {
        say("error", "\"message\":\"%s\"", error->message);
        g_clear_error(&error);
    } else if (ending->kind == F404) {
        camera_mount(camera);
    } else if (ending->kind == F401) {
        camera_set_password(camera, camera->password);
    } else {
        set_state(camera, ending->kind, 0);
    }
    say("fault_end", "\"fault\":\"%s\"", faults[ending->kind].name);
    return G_SOURCE_REMOVE;
}

// A newer fault of the same kind starts its time anew.
static void end_after(struct camera *camera, enum kind kind, double seconds)
{
    struct ending *ending = g_new(struct ending, 1);
    *ending = (struct ending){camera, kind};
    camera->timers[kind] = g_timeout_add_full(G_PRIORITY_DEFAULT, (guint)(seconds * 1000), over,
                                              ending, g_free);
}

static gboolean run(struct camera *camera, char **words, int num_words, GError **error)
{
    enum kind kind = 0;
    while (kind < NUM_KINDS && strcmp(faults[kind].name, words[0]))
        kind++;
    if (kind == NUM_KINDS)
        return refuse(error, "is no fault", words[0]);
    const struct fault *fault = &faults[kind];
    int num_args = num_words - 1;
    if (num_args < fault->min_args || num_args > fault->max_args)
        return refuse(error, "has the wrong number of arguments", words[0]);
    for (int i = 1; i < num_words && kind != CODEC && kind != RESIZE; i++) {
        char *end;
        if ((g_ascii_strtod(words[i], &end) < 0 && kind != JUMP) || *end || end == words[i])
            return refuse(error, "is no number of seconds or percent", words[i]);
    }
    if (kind == F401 && !camera->auth)
        return refuse(error, "needs --user", words[0]);

    say("fault", "\"fault\":\"%s\",\"argument\":\"%s\"", words[0], num_args ? words[1] : "");
    if (camera->timers[kind])
        g_source_remove(camera->timers[kind]);
    camera->timers[kind] = 0;
    if (!begin(camera, kind, words + 1, error))
        return FALSE;
    if (fault->lasts && num_args == fault->max_args)
        end_after(camera, kind, g_ascii_strtod(words[num_args], NULL));
    return TRUE;
}

gboolean camera_fault(struct camera *camera, const char *line, GError **error)
{
    char **split = g_strsplit_set(line, " \t\r\n", -1), *words[8];
    int num_words = 0;
    for (int i = 0; split[i] && num_words < 8; i++)
        if (*split[i])
            words[num_words++] = split[i];
    gboolean done = num_words == 0 || run(camera, words, num_words, error);
    g_strfreev(split);
    return done;
}
