// watchword demo: a film as an RTSP camera, the daemon that watches it, and what it publishes; then
// the same film with everything that was published drawn into it. Nothing is simulated: these are
// the programs that an installation has.

#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <watchword/json_text.h>

#include "cli.h"
#include "demo.h"
#include "json.h"
#include "readable.h"
#include "subscriber.h"

static const struct manual manual = {
    .usage = "demo [OPTIONS]",
    .about =
        "Plays a film as an RTSP camera on this machine, starts watchwordd on it, shows what it\n"
        "publishes, and draws that into the film: watchword-demo.mp4, and .png of the frame that\n"
        "has most to see. Ends when the film has run once, or on Ctrl-C.",
    .examples = "  watchword demo\n"
                "  watchword demo --seconds 20 --out /tmp\n"
                "  watchword demo --film yard.mp4 --phrases \"person; dog\" --all",
    .exits = "1: a part did not start or\nend as it should; its log is shown.",
};

// How long each part may take. The camera encodes its film the first time.
// The first time, software Vulkan compiles every kernel before there is a result.
enum { ENCODE_MS = 180000, FIRST_RESULT_MS = 300000, LAST_RESULT_MS = 3000 };
enum { SHOW_EVERY_NS = 500000000 };
enum { INPUT_SIZE = 384 }; // finds as many in the film as the model's own 512, in half the time

struct demo {
    const char *film, *out, *phrases, *device;
    double seconds;
    bool all;

    char dir[PATH_MAX]; // for sockets, logs and the configuration; removed at the end
    char endpoint[PATH_MAX + 32], config[PATH_MAX + 32], camera_log[PATH_MAX + 32],
        daemon_log[PATH_MAX + 32];
    struct process camera, daemon;
    struct subscriber *subscriber;

    char line[4096]; // of the camera's output, so far
    size_t line_size;
    char url[512];
    bool film_waits, film_over;
    double film_frames; // once it is over

    struct record record;
    int64_t first_ns, last_ns; // when results came
    int64_t shown_ns;
    double skipped; // frames that a newer one replaced, as the last status says
    char state[192]; // of the camera, as shown last
};

// --- the camera ---

static void take_event(struct demo *d, const char *text, size_t size)
{
    struct cJSON *event = json_parse(text, size);
    const char *name = json_text(event, "event", "");
    if (strcmp(name, "listening") == 0)
        snprintf(d->url, sizeof(d->url), "%s", json_text(event, "url", ""));
    else if (strcmp(name, "encoding") == 0)
        fprintf(stderr, "encoding the film, this once\n");
    else if (strcmp(name, "ended") == 0 && d->first_ns) { // unseen, it begins again
        d->film_over = true;
        d->film_frames = json_number(event, "frames", 0);
    }
    json_free(event);
}

static void hear_camera(struct demo *d, int timeout_ms)
{
    struct pollfd item = {.fd = d->camera.output, .events = POLLIN};
    if (d->camera.output < 0 || poll(&item, 1, timeout_ms) <= 0)
        return;
    const ssize_t got =
        read(d->camera.output, d->line + d->line_size, sizeof(d->line) - d->line_size);
    if (got <= 0)
        return;
    d->line_size += (size_t)got;
    char *begin = d->line, *end;
    while ((end = memchr(begin, '\n', d->line_size - (size_t)(begin - d->line)))) {
        take_event(d, begin, (size_t)(end - begin));
        begin = end + 1;
    }
    d->line_size -= (size_t)(begin - d->line);
    memmove(d->line, begin, d->line_size);
    if (d->line_size == sizeof(d->line))
        d->line_size = 0; // no event is that long
}

// The film is to be seen from its beginning, however long the kernels take: it waits meanwhile. If
// it cannot be told, it goes on.
static void hold_film(struct demo *d, bool wait)
{
    const char *text = wait ? "silence\n" : "clear\n";
    if (d->film_waits != wait && write(d->camera.input, text, strlen(text)) > 0)
        d->film_waits = wait;
}

static bool start_camera(struct demo *d, struct ww_error *err)
{
    char path[PATH_MAX];
    if (!find_program("test-camera", path, sizeof(path)))
        return ww_fail(err, WW_E_FILE,
                       "its camera, 'test-camera', is not there: build with "
                       "libgstrtspserver-1.0-dev installed");
    char *const argv[] = {path, (char *)"--end", (char *)"--with-parent", (char *)d->film, NULL};
    if (!process_start(&d->camera, "test-camera", argv, true, d->camera_log, err))
        return false;
    const int64_t begun_ns = monotonic_ns();
    while (!*d->url && !stopped && process_alive(&d->camera)) {
        hear_camera(d, 200);
        if (monotonic_ns() - begun_ns > (int64_t)ENCODE_MS * 1000000)
            return ww_fail(err, WW_E_NETWORK, "the camera was not ready within %d s",
                           ENCODE_MS / 1000);
    }
    if (stopped)
        return ww_fail(err, WW_E_STOPPED, "stopped");
    return *d->url || ww_fail(err, WW_E_NETWORK, "the camera ended");
}

// --- the daemon ---

static void put_watch(struct ww_json_text *t, const char *name, const char *task,
                      const char *const *phrases, const float *thresholds, int num_phrases,
                      double rate)
{
    ww_json_object(t, NULL);
    ww_json_put_string(t, "name", name);
    ww_json_put_string(t, "task", task);
    ww_json_array(t, "phrases");
    for (int i = 0; i < num_phrases; i++) {
        ww_json_object(t, NULL);
        ww_json_put_string(t, "phrase", phrases[i]);
        ww_json_put_real(t, "threshold", (double)thresholds[i], 6);
        ww_json_end(t);
    }
    ww_json_end(t);
    ww_json_put_int(t, "input_size", INPUT_SIZE);
    if (rate > 0)
        ww_json_put_real(t, "rate", rate, 3);
    ww_json_end(t);
}

static bool write_config(struct demo *d, struct ww_error *err)
{
    static char text[1 << 16];
    char *words = strdup(d->phrases);
    const char **phrases;
    float *thresholds;
    if (!words)
        abort();
    const int num_phrases = split_phrases(words, &phrases, &thresholds, err);
    if (num_phrases < 0) {
        free(words);
        return ww_within(err, "--phrases");
    }
    struct ww_json_text t = {.out = text, .size = sizeof(text)};
    ww_json_object(&t, NULL);
    ww_json_object(&t, "publish");
    ww_json_put_string(&t, "endpoint", d->endpoint);
    ww_json_end(&t);
    if (d->device)
        ww_json_put_string(&t, "device", d->device);
    ww_json_object(&t, "streams");
    ww_json_object(&t, "yard");
    ww_json_put_string(&t, "url", d->url);
    ww_json_put_string(&t, "transport",
                       "tcp"); // so that frame n of the stream is frame n of the film
    ww_json_array(&t, "watches");
    put_watch(&t, "people", "detect", phrases, thresholds, num_phrases, 0);
    put_watch(&t, "poses", "pose", NULL, NULL, 0, 1);
    for (int open = 4; open > 0; open--)
        ww_json_end(&t);
    free(phrases);
    free(thresholds);
    free(words);
    FILE *file = fopen(d->config, "w");
    const bool whole = file && ww_json_fits(&t) && fputs(text, file) >= 0;
    if ((file && fclose(file) != 0) || !whole)
        return ww_fail(err, WW_E_FILE, "%s: %m", d->config);
    return true;
}

// GStreamer looks for plugins below /usr alone; ours may be below another prefix.
static void show_plugin(void)
{
    const char *path = getenv("GST_PLUGIN_PATH");
    char longer[2 * PATH_MAX];
    snprintf(longer, sizeof(longer), "%s%s%s", path ? path : "", path && *path ? ":" : "",
             WW_PLUGINDIR);
    if (access(WW_PLUGINDIR, X_OK) == 0)
        setenv("GST_PLUGIN_PATH", longer, 1);
}

static bool start_daemon(struct demo *d, struct ww_error *err)
{
    char path[PATH_MAX];
    if (!find_program("watchwordd", path, sizeof(path)))
        return ww_fail(err, WW_E_FILE,
                       "watchwordd is not there: build with its packages installed");
    d->subscriber = subscriber_open(d->endpoint, NULL, 0, err);
    if (!d->subscriber || !write_config(d, err))
        return false;
    show_plugin();
    char *const argv[] = {path, (char *)"--config", d->config, NULL};
    return process_start(&d->daemon, "watchwordd", argv, false, d->daemon_log, err);
}

// --- what it says ---

static bool take_message(struct demo *d, const struct publication *p)
{
    struct cJSON *message = json_parse(p->text, p->text_size);
    if (!message)
        return true;
    const int64_t now = monotonic_ns();
    bool shown = true;
    if (strcmp(json_text(message, "kind", ""), "status") == 0) {
        // One comes every second, with news only now and then; the camera's are those that matter.
        char state[sizeof(d->state)];
        const char *activity = d->first_ns ? "" : json_text(message, "activity", "");
        if (json_at(message, "stream"))
            hold_film(d, strncmp(activity, "compiling", strlen("compiling")) == 0);
        snprintf(state, sizeof(state), "%s; %s", json_text(message, "state", ""), activity);
        shown = json_at(message, "stream") && strcmp(state, d->state) != 0;
        if (shown)
            snprintf(d->state, sizeof(d->state), "%s", state);
        const struct cJSON *people = json_item(json_at(message, "watches"), 0);
        d->skipped = json_number(people, "skipped.newer", d->skipped);
    } else if (d->film_over && json_number(message, "frame.index", 0) >= d->film_frames) {
        json_free(message); // the daemon is back already, and the film begins again
        return true;
    } else {
        d->first_ns = d->first_ns ? d->first_ns : now;
        d->last_ns = now;
        shown = d->all || now - d->shown_ns >= SHOW_EVERY_NS;
        d->shown_ns = shown ? now : d->shown_ns;
    }
    bool readers = true;
    if (shown) {
        readable_print(stdout, message);
        readers = print_line("", 0);
    }
    record_add(&d->record, message);
    return readers;
}

// Until the film has run once, the time is over, or Ctrl-C.
static bool follow(struct demo *d, struct ww_error *err)
{
    const int64_t begun_ns = monotonic_ns();
    int64_t over_ns = 0;
    while (!stopped) {
        struct publication publication;
        const enum subscriber_event event = subscriber_next(d->subscriber, 100, &publication);
        if (event == SUBSCRIBER_MESSAGE && !take_message(d, &publication))
            return true;
        hear_camera(d, 0);
        const int64_t now = monotonic_ns();
        if (!process_alive(&d->daemon) || !process_alive(&d->camera))
            return ww_fail(err, WW_E_NETWORK, "%s ended",
                           d->daemon.pid ? "the camera" : "watchwordd");
        if (!d->first_ns && now - begun_ns > (int64_t)FIRST_RESULT_MS * 1000000)
            return ww_fail(err, WW_E_NETWORK, "no result came within %d s", FIRST_RESULT_MS / 1000);
        if (d->seconds > 0 && d->first_ns && (double)(now - d->first_ns) / 1e9 >= d->seconds)
            return true;
        if (d->film_over && !over_ns)
            over_ns = now;
        const int64_t quiet_since_ns = d->last_ns > over_ns ? d->last_ns : over_ns;
        if (over_ns && now - quiet_since_ns > (int64_t)LAST_RESULT_MS * 1000000 / 2)
            return true; // the last results have come
    }
    return true;
}

// --- the end ---

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const struct record *r, double share)
{
    return r->latencies_ms[(int)(share * (r->num_results - 1) + 0.5)];
}

static void summarise(struct demo *d)
{
    struct record *r = &d->record;
    int detections = 0, poses = 0, before = 0; // frames that passed while the daemon got ready
    for (int i = 0; i < r->num_frames; i++) {
        before += before == i && !r->frames[i].detection && !r->frames[i].pose;
        detections += r->frames[i].detection != NULL;
        poses += r->frames[i].pose != NULL;
    }
    if (r->num_results == 0) {
        printf("\nno results\n");
        return;
    }
    qsort(r->latencies_ms, (size_t)r->num_results, sizeof(double), by_size);
    const double seconds = (double)(d->last_ns - d->first_ns) / 1e9;
    printf("\n%d frames: %d looked at for people, %.0f skipped for newer ones; %d looked at for "
           "poses\n",
           r->num_frames - before, detections, d->skipped, poses);
    printf("%.1f results a second; from a frame's arrival to its message %.0f ms (median), "
           "%.0f ms (99th percentile)\n",
           seconds > 0 ? (r->num_results - 1) / seconds : 0, percentile(r, 0.5),
           percentile(r, 0.99));
}

static int draw(struct demo *d, struct ww_error *err)
{
    char clip[PATH_MAX], picture[PATH_MAX];
    snprintf(clip, sizeof(clip), "%s/watchword-demo.mp4", d->out);
    snprintf(picture, sizeof(picture), "%s/watchword-demo.png", d->out);
    if (d->record.num_results == 0)
        return FAILED;
    if (!record_draw(&d->record, d->film, clip, picture, err))
        return err->code == WW_E_STOPPED ? DONE : give_up(err);
    printf("what was published, drawn into the film: %s\n", clip);
    if (record_best_frame(&d->record) >= 0)
        printf("a picture of it: %s\n", picture);
    return DONE;
}

// The last lines of a part's log: why it did not do what it should.
static void show_log(const char *name, const char *path)
{
    enum { LAST_BYTES = 2000 };
    char text[LAST_BYTES + 1];
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    if (fseek(file, -LAST_BYTES, SEEK_END) != 0)
        rewind(file);
    text[fread(text, 1, LAST_BYTES, file)] = '\0';
    fclose(file);
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        if (!*line)
            continue;
        fprintf(stderr, "%s: ", name);
        print_clean(stderr, line);
        fputc('\n', stderr);
    }
}

static bool find_film(struct demo *d, struct ww_error *err)
{
    static const char sample[] = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
    if (!d->film)
        d->film = sample;
    if (access(d->film, R_OK) == 0)
        return true;
    if (d->film != sample)
        return ww_fail(err, WW_E_FILE, "%s: %m", d->film);
    return ww_fail(err, WW_E_FILE,
                   "the sample film is not installed: apt install opencv-doc, or name "
                   "one with --film");
}

static bool prepare(struct demo *d, struct ww_error *err)
{
    if (!find_film(d, err))
        return false;
    if (access(d->out, W_OK) != 0)
        return ww_fail(err, WW_E_FILE, "%s: %m", d->out);
    const char *temp = getenv("TMPDIR");
    snprintf(d->dir, sizeof(d->dir), "%s/watchword-demo.XXXXXX", temp && *temp ? temp : "/tmp");
    if (!mkdtemp(d->dir)) {
        ww_fail(err, WW_E_FILE, "%s: %m", d->dir);
        *d->dir = '\0';
        return false;
    }
    snprintf(d->endpoint, sizeof(d->endpoint), "ipc://%s/events.sock", d->dir);
    snprintf(d->config, sizeof(d->config), "%s/watchword.json", d->dir);
    snprintf(d->camera_log, sizeof(d->camera_log), "%s/camera.log", d->dir);
    snprintf(d->daemon_log, sizeof(d->daemon_log), "%s/watchwordd.log", d->dir);
    return true;
}

static void clean_up(struct demo *d)
{
    process_stop(&d->daemon);
    process_stop(&d->camera);
    subscriber_close(&d->subscriber);
    record_free(&d->record);
    if (!*d->dir)
        return;
    unlink(d->config);
    unlink(d->camera_log);
    unlink(d->daemon_log);
    unlink(d->endpoint + strlen("ipc://")); // the daemon's to remove, unless it was killed
    rmdir(d->dir);
}

static int run(struct demo *d)
{
    struct ww_error err = {0};
    bool sound = prepare(d, &err) && start_camera(d, &err);
    if (sound)
        fprintf(stderr, "camera: %s\n", d->url);
    sound = sound && start_daemon(d, &err) && follow(d, &err);
    process_stop(&d->daemon);
    process_stop(&d->camera);
    if (!sound) {
        if (err.code == WW_E_STOPPED)
            return FAILED;
        show_log("test-camera", d->camera_log);
        show_log("watchwordd", d->daemon_log);
        complain("demo: %s", err.text);
        return FAILED;
    }
    stopped = 0; // Ctrl-C ended the watching; the next one ends the drawing
    summarise(d);
    return finish_output(draw(d, &err));
}

int cmd_demo(int argc, char **argv)
{
    struct demo *d = calloc(1, sizeof(*d));
    if (!d)
        abort();
    d->out = ".";
    d->phrases = "person";
    d->camera = d->daemon = (struct process){.input = -1, .output = -1};
    const struct option options[] = {
        {"film", "FILE", "another film than vtest.avi of Debian's opencv-doc", OPTION_TEXT,
         &d->film},
        {"seconds", "S", "end so long after the first result [when the film is over]", OPTION_REAL,
         &d->seconds, 0.1, 1e6},
        {"phrases", "\"A; B\"", "what to look for [person]", OPTION_TEXT, &d->phrases},
        {"device", "N|NAME", "which device [$WATCHWORD_DEVICE, or the best]", OPTION_TEXT,
         &d->device},
        {"out", "DIR", "where clip and picture go [this folder]", OPTION_TEXT, &d->out},
        {"all", NULL, "show every message [two a second]", OPTION_FLAG, &d->all},
        {0},
    };
    int status;
    if (parse_options(&argc, argv, &manual, options, &status)) {
        catch_signals();
        status = run(d);
        clean_up(d);
    }
    free(d);
    return status;
}
