// faults.c: what can be wrong with a camera, on command.

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
    "  garbage [N]    what RTP packets carry is random\n"
    "  loss P [N]     P percent of the RTP packets are lost\n"
    "  end            the stream ends\n"
    "  clear          ends silence, garbage and loss\n";

enum kind { DOWN, HANG, SILENCE, CLOSE, F404, F401, CODEC, GARBAGE, LOSS, END, CLEAR, NUM_KINDS };

static const struct fault {
    const char *name;
    int min_args, max_args;
    gboolean lasts; // its last argument is how long
} faults[NUM_KINDS] = {
    [DOWN] = {"down", 0, 1, TRUE},    [HANG] = {"hang", 1, 1, FALSE},
    [SILENCE] = {"silence", 0, 1, TRUE}, [CLOSE] = {"close", 0, 0, FALSE},
    [F404] = {"404", 0, 1, TRUE},     [F401] = {"401", 0, 1, TRUE},
    [CODEC] = {"codec", 1, 1, FALSE}, [GARBAGE] = {"garbage", 0, 1, TRUE},
    [LOSS] = {"loss", 1, 2, TRUE},    [END] = {"end", 0, 0, FALSE},
    [CLEAR] = {"clear", 0, 0, FALSE},
};
G_STATIC_ASSERT(NUM_KINDS <= G_N_ELEMENTS(((struct camera *)0)->timers));

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
    pthread_mutex_unlock(&camera->lock);
    return TRUE;
}

GstPadProbeReturn camera_spoil_packets(GstPad *pad, GstPadProbeInfo *info, void *opaque)
{
    (void)pad;
    struct camera *camera = opaque;
    pthread_mutex_lock(&camera->lock);
    gboolean sound = camera->loss <= 0 && !camera->garbage;
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

static gboolean refuse(GError **error, const char *fmt, const char *what)
{
    char *text = g_strdup_printf("'%s' %s", what, fmt);
    g_set_error_literal(error, GST_CORE_ERROR, GST_CORE_ERROR_FAILED, text);
    g_free(text);
    return FALSE;
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
    for (int i = 1; i < num_words && kind != CODEC; i++) {
        char *end;
        if (g_ascii_strtod(words[i], &end) < 0 || *end || end == words[i])
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
