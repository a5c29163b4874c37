// test-camera: an RTSP camera made from a film, which fails on command. `test-camera --help`

#include <glib-unix.h>
#include <gst/gst.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "camera.h"

struct plan {
    struct camera *camera;
    char *fault;
};

void say(const char *event, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *more = g_strdup_vprintf(fmt, args);
    va_end(args);
    char *line = g_strdup_printf("{\"event\":\"%s\",\"mono\":%.4f,\"unix\":%.3f%s%s}\n", event,
                                 (double)g_get_monotonic_time() / 1e6,
                                 (double)g_get_real_time() / 1e6, *more ? "," : "", more);
    fputs(line, stdout); // one call, so that threads do not share a line
    fflush(stdout);
    g_free(line);
    g_free(more);
}

static gboolean quit(void *loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

static void try_fault(struct camera *camera, const char *line)
{
    GError *error = NULL;
    if (camera_fault(camera, line, &error))
        return;
    char *text = g_strescape(error->message, NULL);
    say("error", "\"message\":\"%s\"", text);
    g_free(text);
    g_clear_error(&error);
}

static gboolean on_plan(void *opaque)
{
    struct plan *plan = opaque;
    try_fault(plan->camera, plan->fault);
    g_free(plan->fault);
    g_free(plan);
    return G_SOURCE_REMOVE;
}

static gboolean on_input(GIOChannel *input, GIOCondition condition, void *camera)
{
    (void)condition;
    char *line = NULL;
    GIOStatus status = g_io_channel_read_line(input, &line, NULL, NULL, NULL);
    if (status == G_IO_STATUS_NORMAL)
        try_fault(camera, line);
    g_free(line);
    return status == G_IO_STATUS_NORMAL || status == G_IO_STATUS_AGAIN;
}

// "SECONDS:FAULT", counted from now.
static gboolean schedule(struct camera *camera, const char *text)
{
    char *colon;
    double seconds = g_ascii_strtod(text, &colon);
    if (colon == text || *colon != ':' || seconds < 0)
        return FALSE;
    struct plan *plan = g_new(struct plan, 1);
    *plan = (struct plan){camera, g_strdup(colon + 1)};
    g_timeout_add((guint)(seconds * 1000), on_plan, plan);
    return TRUE;
}

struct options {
    struct camera_params camera;
    char *codec, *mount, *transport, *user, *auth, *certificate, *cache;
    char **faults, **films;
    gboolean loop, with_parent;
    double seconds;
    int seed;
};

static gboolean wrong(GError **error, const char *what, const char *fmt)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s %s", what, fmt);
    return FALSE;
}

static gboolean is_one_of(const char *text, const char *const *words)
{
    return g_strv_contains(words, text);
}

static void set_default(char **text, const char *value)
{
    if (!*text)
        *text = g_strdup(value);
}

// What is the case when nothing was said, and what the option parser cannot see.
static gboolean check_options(struct options *o, GError **error)
{
    struct camera_params *camera = &o->camera;
    set_default(&o->codec, "h264");
    set_default(&o->mount, "/cam");
    set_default(&o->transport, "both");
    set_default(&o->auth, "digest");
    if (!o->films || !o->films[0] || o->films[1])
        return wrong(error, "one film", "is wanted");
    if (!film_codec_known(o->codec))
        return wrong(error, o->codec, "is no codec");
    if (o->mount[0] != '/')
        return wrong(error, o->mount, "does not start with /");
    if (!is_one_of(o->transport, (const char *[]){"tcp", "udp", "both", NULL}))
        return wrong(error, o->transport, "is no transport");
    if (!is_one_of(o->auth, (const char *[]){"basic", "digest", NULL}))
        return wrong(error, o->auth, "is no way to ask for a password");
    if (o->loop && camera->end)
        return wrong(error, "--loop and --end", "exclude each other");
    if (camera->port < 0 || camera->port > 65535)
        return wrong(error, "--port", "is out of range");
    if (camera->num_frames < 0 || camera->fps < 0)
        return wrong(error, "--frames and --fps", "cannot be negative");
    if (o->user) {
        char *colon = strchr(o->user, ':');
        if (!colon || colon == o->user)
            return wrong(error, "--user", "takes NAME:PASSWORD");
        *colon = 0;
        camera->user = o->user;
        camera->password = colon + 1;
    }
    camera->path = o->films[0];
    camera->codec = o->codec;
    camera->mount = o->mount;
    camera->transport = o->transport;
    camera->digest = !strcmp(o->auth, "digest");
    camera->certificate = o->certificate;
    camera->seed = (guint)o->seed;
    if (!o->cache)
        o->cache = g_build_filename(g_get_user_cache_dir(), "watchword", "films", NULL);
    camera->cache = o->cache;
    return TRUE;
}

static gboolean read_options(struct options *o, int argc, char **argv, GError **error)
{
    struct camera_params *camera = &o->camera;
    const GOptionEntry entries[] = {
        {"codec", 0, 0, G_OPTION_ARG_STRING, &o->codec, "h264 (the default), h265 or mjpeg",
         "NAME"},
        {"port", 0, 0, G_OPTION_ARG_INT, &camera->port, "0 (the default): any that is free", "N"},
        {"path", 0, 0, G_OPTION_ARG_STRING, &o->mount, "of the URL, /cam by default", "PATH"},
        {"loop", 0, 0, G_OPTION_ARG_NONE, &o->loop, "the film runs for ever (the default)", NULL},
        {"end", 0, 0, G_OPTION_ARG_NONE, &camera->end,
         "the film waits for a client, is sent once, every frame and in order, and starts anew "
         "for the next",
         NULL},
        {"frames", 0, 0, G_OPTION_ARG_INT, &camera->num_frames, "only the film's first N", "N"},
        {"fps", 0, 0, G_OPTION_ARG_DOUBLE, &camera->fps, "another speed than the film's", "X"},
        {"transport", 0, 0, G_OPTION_ARG_STRING, &o->transport, "tcp, udp or both (the default)",
         "NAME"},
        {"user", 0, 0, G_OPTION_ARG_STRING, &o->user, "ask for a password", "NAME:PASSWORD"},
        {"auth", 0, 0, G_OPTION_ARG_STRING, &o->auth, "basic or digest (the default)", "NAME"},
        {"tls", 0, 0, G_OPTION_ARG_FILENAME, &o->certificate,
         "encrypt, by a certificate and its key in one PEM file", "FILE"},
        {"fault", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o->faults, "do this so long after the start",
         "SECONDS:FAULT"},
        {"seconds", 0, 0, G_OPTION_ARG_DOUBLE, &o->seconds, "stop after so long", "X"},
        {"seed", 0, 0, G_OPTION_ARG_INT, &o->seed, "of what gets lost or damaged", "N"},
        {"cache", 0, 0, G_OPTION_ARG_FILENAME, &o->cache,
         "where encoded films are kept, ~/.cache/watchword/films by default", "DIR"},
        {"with-parent", 0, 0, G_OPTION_ARG_NONE, &o->with_parent, "stop when the parent does",
         NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &o->films, NULL, NULL},
        {0},
    };
    GOptionContext *context = g_option_context_new("FILM|pattern:WIDTHxHEIGHT@FPS");
    g_option_context_set_summary(
        context, "An RTSP camera on 127.0.0.1, made from a film, which fails on command. What\n"
                 "happens is told as one JSON object a line; \"listening\" has the URL.");
    char *description = g_strconcat(
        camera_faults_help, "Faults come by --fault \"10:down 5\" or as lines on standard input.\n",
        NULL);
    g_option_context_set_description(context, description);
    g_free(description);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, gst_init_get_option_group());
    gboolean sound = g_option_context_parse(context, &argc, &argv, error);
    g_option_context_free(context);
    return sound && check_options(o, error);
}

static void run(struct camera *camera, double seconds)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    GIOChannel *input = g_io_channel_unix_new(STDIN_FILENO);
    g_io_channel_set_flags(input, G_IO_FLAG_NONBLOCK, NULL);
    g_io_add_watch(input, G_IO_IN | G_IO_HUP, on_input, camera);
    g_unix_signal_add(SIGINT, quit, loop);
    g_unix_signal_add(SIGTERM, quit, loop);
    if (seconds > 0)
        g_timeout_add((guint)(seconds * 1000), quit, loop);
    g_main_loop_run(loop);
    g_io_channel_unref(input);
    g_main_loop_unref(loop);
}

static void free_options(struct options *o)
{
    g_strfreev(o->films);
    g_strfreev(o->faults);
    g_free(o->codec);
    g_free(o->mount);
    g_free(o->transport);
    g_free(o->user);
    g_free(o->auth);
    g_free(o->certificate);
    g_free(o->cache);
}

static int complain(GError *error, int status)
{
    fprintf(stderr, "test-camera: %s%s\n", error->message, status == 2 ? "; see --help" : "");
    g_error_free(error);
    return status;
}

static int serve(const struct options *options)
{
    GError *error = NULL;
    struct camera *camera = camera_create(&options->camera, &error);
    if (!camera)
        return complain(error, 1);
    for (char **fault = options->faults; fault && *fault; fault++) {
        if (!schedule(camera, *fault)) {
            wrong(&error, *fault, "is not SECONDS:FAULT");
            return complain(error, 2);
        }
    }
    run(camera, options->seconds);
    camera_destroy(&camera);
    say("stopped", "%s", "");
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1};
    GError *error = NULL;
    int status = read_options(&options, argc, argv, &error) ? 0 : complain(error, 2);
    if (status == 0) {
        if (options.with_parent)
            prctl(PR_SET_PDEATHSIG, SIGTERM);
        status = serve(&options);
    }
    free_options(&options);
    return status;
}
