// watchwordd: watches cameras for what they were told, and tells whoever listens. `watchwordd --help`

#include <getopt.h>
#include <glib-unix.h>
#include <gst/gst.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/models.h>

#include "daemon-config.h"
#include "daemon.h"
#include "log.h"

// EXIT_CONFIG is what systemd knows by that name: the unit does not start again what only its author can
// set right.
enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 };

static const char usage[] =
    "Usage: watchwordd [OPTION]…\n"
    "Watches cameras for what the configuration says and publishes what it sees.\n"
    "\n"
    "  --config FILE       the configuration (default: " CONFIG_PATH ")\n"
    "  --check-config      say whether it is right, and end\n"
    "  --log-level LEVEL   error, warn, info (default), debug or trace\n"
    "  --version           print the version, and end\n"
    "  --help              print this, and end\n"
    "\n"
    "SIGHUP reads the configuration again; SIGTERM and SIGINT end it in order.\n"
    "Exit status: 0 ended as asked, 1 failed, or --check-config found something wrong, 2 wrong usage,\n"
    "78 the configuration is wrong.\n";

struct options {
    const char *config_path;
    bool check;
    enum ww_log_level log_level;
};

struct run {
    GMainLoop *loop;
    struct daemon *daemon;
    bool failed;
};

// What drivers and GStreamer compute once should outlive a restart. systemd names the folder that may
// be written to; elsewhere their own defaults are fine.
static void choose_caches(void)
{
    const char *folder = g_getenv("CACHE_DIRECTORY");
    if (!folder || strchr(folder, ':'))
        return;
    char *shaders = g_build_filename(folder, "shaders", NULL);
    char *registry = g_build_filename(folder, "gstreamer-registry.bin", NULL);
    g_setenv("MESA_SHADER_CACHE_DIR", shaders, FALSE);
    g_setenv("GST_REGISTRY", registry, FALSE);
    g_free(shaders);
    g_free(registry);
}

// Each connection has threads of its own, and glibc gives new threads new heaps, up to eight a core,
// which keep what was freed in them: 35 MB more after forty losses of one camera, none with two heaps.
static void limit_heaps(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 2);
#endif
}

static gboolean on_stop(void *opaque)
{
    struct run *run = opaque;
    daemon_stop(run->daemon);
    return G_SOURCE_CONTINUE;
}

static gboolean on_reload(void *opaque)
{
    struct run *run = opaque;
    daemon_reload(run->daemon);
    daemon_hurry(run->daemon);
    return G_SOURCE_CONTINUE;
}

static void on_done(void *opaque, bool failed)
{
    struct run *run = opaque;
    run->failed = failed;
    g_main_loop_quit(run->loop);
}

static int run(const struct options *options, struct config *config)
{
    struct run run = {.loop = g_main_loop_new(NULL, FALSE)};
    struct ww_error err = {0};
    g_unix_signal_add(SIGTERM, on_stop, &run);
    g_unix_signal_add(SIGINT, on_stop, &run);
    g_unix_signal_add(SIGHUP, on_reload, &run);
    run.daemon = daemon_create(&(struct daemon_params){
        .config = config, .config_path = options->config_path, .on_done = on_done, .opaque = &run,
    }, &err);
    if (run.daemon) {
        g_main_loop_run(run.loop);
    } else {
        log_say(WW_LOG_ERROR, NULL, NULL, "%s", err.text);
        run.failed = true;
    }
    daemon_destroy(&run.daemon);
    g_main_loop_unref(run.loop);
    return run.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

// What a configuration asks of models. A running daemon does without a watch that cannot be.
static void check_words(const char *path, const struct stream_config *stream, GPtrArray *problems)
{
    for (int i = 0; i < stream->num_watches; i++) {
        const struct watch_config *w = &stream->watches[i];
        struct ww_error err = {0};
        if (!ww_model_check(w->model, w->task, (const char *const *)w->phrases,
                            (int)g_strv_length(w->phrases), &err) ||
            !ww_model_check_input(w->model, w->input_size, w->input_width, w->input_height, &err))
            g_ptr_array_add(problems, g_strdup_printf("%s: streams.%s.watches[%d]: %s", path,
                                                      stream->name, i, err.text));
    }
}

static int check(const char *path, const struct config *config, GPtrArray *problems)
{
    for (int i = 0; config && i < config->num_streams; i++)
        check_words(path, &config->streams[i], problems);
    for (guint i = 0; i < problems->len; i++)
        fprintf(stderr, "%s\n", (char *)problems->pdata[i]);
    if (problems->len)
        return EXIT_FAILURE;
    int watches = 0;
    for (int i = 0; i < config->num_streams; i++)
        watches += config->streams[i].num_watches;
    printf("%s: ok: %d streams, %d watches\n", path, config->num_streams, watches);
    return EXIT_SUCCESS;
}

static int refuse(GPtrArray *problems)
{
    for (guint i = 0; i < problems->len; i++)
        log_say(WW_LOG_ERROR, NULL, NULL, "%s", (char *)problems->pdata[i]);
    return EXIT_CONFIG;
}

// What to do: -1, or the status to exit with at once.
static int parse(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"check-config", no_argument, NULL, 'k'},
        {"log-level", required_argument, NULL, 'l'}, {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'}, {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) >= 0;) {
        int level;
        switch (option) {
        case 'c':
            out->config_path = optarg;
            break;
        case 'k':
            out->check = true;
            break;
        case 'l':
            level = log_level_from_name(optarg);
            if (level < 0) {
                fprintf(stderr, "watchwordd: --log-level: found \"%s\", allowed are error, warn, "
                                "info, debug and trace\n", optarg);
                return EXIT_USAGE;
            }
            out->log_level = (enum ww_log_level)level;
            break;
        case 'v':
            puts("watchwordd " VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs("watchwordd: --help shows what there is\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "watchwordd: what is \"%s\"? --help shows what there is\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct options options = {.config_path = CONFIG_PATH, .log_level = WW_LOG_INFO};
    int status = parse(argc, argv, &options);
    if (status >= 0)
        return status;
    limit_heaps();
    choose_caches();
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    struct config *config = config_load(options.config_path, problems);
    if (!options.check)
        log_init(options.log_level);
    if (options.check) {
        status = check(options.config_path, config, problems);
    } else if (!config) {
        status = refuse(problems);
    } else {
        gst_init(NULL, NULL);
        status = run(&options, config);
    }
    config_unref(&config);
    g_ptr_array_unref(problems);
    return status;
}
