// watchword run: pictures, films and streams through a model, without a daemon.

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <watchword/decode.h>
#include <watchword/draw.h>
#include <watchword/message.h>
#include <watchword/quote.h>
#include <watchword/watch.h>

#include "cli.h"

static const struct manual manual = {
    .usage = "run [OPTIONS] FILE|URL",
    .about =
        "Looks at every frame of a picture, film or stream, in order, none skipped, and prints\n"
        "a message for each as a line of JSON: the messages that watchwordd publishes\n"
        "(docs/messages.md). Needs no daemon. A frame that cannot be decoded is left out and\n"
        "counted.",
    .examples =
        "  watchword run photo.jpg\n"
        "  watchword run --phrases \"person; dog\" --overlay seen.mp4 yard.mp4 > seen.jsonl\n"
        "  watchword run --task pose --rate 2 rtsp://camera.local/stream",
    .exits = "Ctrl-C ends a live\nstream with 0; a film that was not looked at to its end gives 1.",
    .min_args = 1,
    .max_args = 1,
};

struct session {
    // What was asked for
    const char *url;
    char shown[512]; // the URL without its secrets
    const char *model, *task_name, *phrases, *device, *overlay;
    double threshold, nms, rate;
    int input_size, input[2];
    enum ww_task task;

    struct ww_engine *engine;
    struct ww_watch *watch;
    struct ww_reader *reader;
    struct ww_writer *writer;

    // What every message says
    struct ww_model_info model_info;
    struct ww_reader_info source;
    char stream[65];
    char epoch[27];
    int64_t start_ns; // UTC, of a file's first frame

    uint64_t seq;
    int64_t next_pts_ns; // --rate: frames before that are not looked at
    char *text;          // the message being written
    size_t text_size;
    uint8_t *picture; // a copy of the frame, to be drawn into
};

static bool read_options(struct session *s, int argc, char **argv, int *status)
{
    bool json;
    const struct option options[] = {
        {"model", "NAME|DIR", "the model: nano, nano:thunder, or a directory [nano]", OPTION_TEXT,
         &s->model},
        {"task", "TASK", "detect, ground, pose, segment, ... [detect]", OPTION_TEXT, &s->task_name},
        {"phrases", "\"A; B:0.4\"",
         "what to look for, with thresholds of their own;\n"
         "nothing: all that the model knows",
         OPTION_TEXT, &s->phrases},
        {"threshold", "X", "report scores from here on, up to 1 [the model's own]", OPTION_REAL,
         &s->threshold, 0, 1},
        {"nms", "IOU",
         "of boxes of a phrase that overlap by more than this,\n"
         "print only the best; 1: print all [the model's own]",
         OPTION_REAL, &s->nms, 0, 1},
        {"rate", "FPS", "look at so many frames a second of film [every frame]", OPTION_REAL,
         &s->rate, 0, 1000},
        {"device", "N|NAME", "which device, or \"reference\" [$WATCHWORD_DEVICE, or the best]",
         OPTION_TEXT, &s->device},
        {"overlay", "OUT",
         "also write what was seen as a film (.mp4, .mkv), or the\n"
         "first frame as a picture (.png)",
         OPTION_TEXT, &s->overlay},
        {"input-size", "N", "longer side of the network's input, px [the model's own]",
         OPTION_WHOLE, &s->input_size, 16, WW_INPUT_MAX_SIDE},
        {"input", "WxH", "force its size, stretching the frame", OPTION_SIZE, s->input},
        {"json", NULL, "JSON lines, which is what it prints anyway", OPTION_FLAG, &json},
        {0},
    };
    if (!parse_options(&argc, argv, &manual, options, status))
        return false;
    *status = WRONG_USAGE;
    s->url = argv[0];
    ww_quote_redacted(s->url, s->shown, sizeof(s->shown));
    const int task = ww_task_from_name(s->task_name);
    if (task < 0) {
        const char *names[WW_NUM_TASKS];
        for (int i = 0; i < WW_NUM_TASKS; i++)
            names[i] = ww_task_name((enum ww_task)i);
        const char *near = nearest_name(s->task_name, names, sizeof(*names), WW_NUM_TASKS);
        complain("run: there is no task '%s'%s%s%s", s->task_name, near ? "; did you mean '" : "",
                 near ? near : "", near ? "'?" : "");
        return false;
    }
    s->task = (enum ww_task)task;
    if (s->input_size > 0 && s->input[0] > 0) {
        complain("run: --input-size and --input exclude each other");
        return false;
    }
    return true;
}

static bool open_watch(struct session *s, struct ww_error *err)
{
    char *words = strdup(s->phrases ? s->phrases : "");
    const char **phrases = NULL;
    float *thresholds = NULL;
    if (!words)
        abort();
    const int num_phrases = split_phrases(words, &phrases, &thresholds, err);
    if (num_phrases < 0)
        ww_within(err, "--phrases");
    else
        s->engine = ww_engine_open(ww_engine_params(.device = s->device), err);
    if (s->engine)
        s->watch = ww_watch_create(
            s->engine,
            ww_watch_params(.model = s->model, .task = s->task, .phrases = phrases,
                            .num_phrases = num_phrases, .threshold = (float)s->threshold,
                            .thresholds = thresholds, .nms = (float)s->nms,
                            .input_size = s->input_size, .input_width = s->input[0],
                            .input_height = s->input[1]),
            err);
    free(phrases);
    free(thresholds);
    free(words);
    if (!s->watch)
        return false;
    ww_watch_model(s->watch, &s->model_info);
    return true;
}

// A film says nothing of its time that could be trusted; its file's is the best there is.
static void find_start(struct session *s)
{
    struct stat st;
    if (stat(s->url, &st) == 0)
        s->start_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    else
        s->start_ns = realtime_ns();
}

// What the stream is called: a file by its own name, a URL by host and path without any secret. Names of
// streams are a topic's part, so they are as docs/messages.md has them: at most 64 letters, digits, '_', and
// after the first also '.' and '-'.
static void name_stream(struct session *s)
{
    static const char hidden[] = "…@"; // a user and a password
    const char *name = s->source.live ? strstr(s->shown, "://") : NULL;
    if (name) {
        name += 3;
        name += strncmp(name, hidden, strlen(hidden)) ? 0 : strlen(hidden);
    } else {
        name = strrchr(s->shown, '/');
        name = name && name[1] ? name + 1 : s->shown;
    }
    const size_t size = s->source.live ? strcspn(name, "?") : strlen(name);
    snprintf(s->stream, sizeof(s->stream), "%.*s", (int)(size < 64 ? size : 64), name);
    for (char *p = s->stream; *p; p++)
        if (!isascii(*p) || (!isalnum(*p) && !(strchr("._-", *p) && p > s->stream)))
            *p = '_';
}

static bool open_all(struct session *s, struct ww_error *err)
{
    s->reader = ww_reader_open_until(s->url, &stopped, err);
    if (!s->reader)
        return false;
    ww_reader_info(s->reader, &s->source);
    find_start(s);
    name_stream(s);
    ww_message_epoch(s->epoch);
    if (s->overlay) {
        s->writer = ww_writer_open(s->overlay, s->source.fps, err);
        if (!s->writer)
            return false;
    }
    return open_watch(s, err);
}

static bool print_message(struct session *s, const struct ww_result *result, int64_t decode_ns)
{
    const bool live = s->source.live;
    const struct ww_message message = {
        .task = s->task,
        .stream = s->stream,
        .watch = ww_task_name(s->task),
        .epoch = s->epoch,
        .seq = s->seq++,
        .result = result,
        .model = &s->model_info,
        .captured_ns = live ? realtime_ns() - result->wait_ns - result->infer_ns
                            : s->start_ns + (result->pts_ns > 0 ? result->pts_ns : 0),
        .clock = live ? WW_CLOCK_ARRIVAL : WW_CLOCK_FILE,
        .decode_ns = live ? -1 : decode_ns, // a live frame's arrival is not known apart
    };
    size_t length = ww_message_write(&message, s->text, s->text_size);
    if (length >= s->text_size) {
        s->text_size = 2 * length;
        s->text = realloc(s->text, s->text_size);
        if (!s->text)
            abort();
        length = ww_message_write(&message, s->text, s->text_size);
    }
    return print_line(s->text, length);
}

static bool is_due(struct session *s, const struct ww_frame *frame)
{
    if (s->rate <= 0 || frame->pts_ns < 0)
        return true;
    if (frame->pts_ns < s->next_pts_ns)
        return false;
    const int64_t step_ns = (int64_t)(1e9 / s->rate);
    s->next_pts_ns += step_ns;
    if (s->next_pts_ns <= frame->pts_ns) // the film has fewer frames than that, or a hole
        s->next_pts_ns = frame->pts_ns + step_ns;
    return true;
}

// Until the end, an error, Ctrl-C, or nobody reads any more. `done` counts frames.
static int look_at_all(struct session *s, int64_t *done)
{
    struct ww_error err = {0};
    struct progress progress;
    const struct ww_result *result = NULL;
    progress_begin(&progress, "run", s->source.num_frames);
    for (*done = 0;; ++*done) {
        struct ww_frame frame;
        const int64_t before_ns = monotonic_ns();
        const int got = ww_reader_next(s->reader, &frame, &err);
        const int64_t decode_ns = monotonic_ns() - before_ns;
        if (got < 0 && err.code == WW_E_STOPPED)
            return s->source.live ? DONE : FAILED;
        if (got < 0)
            return give_up(&err);
        if (got == 0)
            return DONE;
        if (is_due(s, &frame)) {
            result = ww_watch_look(s->watch, &frame, &err);
            if (!result)
                return give_up(&err);
            if (!print_message(s, result, decode_ns))
                return finish_output(DONE);
        }
        if (s->writer) {
            struct ww_frame copy;
            copy_frame(&frame, &copy, &s->picture);
            ww_draw(&copy, result, ww_draw_params(0));
            if (!ww_writer_add(s->writer, &copy, &err))
                return give_up(&err);
        }
        progress_show(&progress, *done + 1);
    }
}

static int run(struct session *s)
{
    struct ww_error err = {0};
    if (!open_all(s, &err))
        return give_up(&err);
    int64_t done;
    const int64_t begun_ns = monotonic_ns();
    int status = look_at_all(s, &done);
    const double seconds = (double)(monotonic_ns() - begun_ns) / 1e9;
    ww_reader_info(s->reader, &s->source);
    if (status == DONE && done == 0 && !s->source.live) {
        complain("%s: not one frame could be decoded", s->shown);
        status = FAILED;
    } else if (s->source.broken > 0) {
        complain("%s: %llu frames could not be decoded and were left out", s->stream,
                 (unsigned long long)s->source.broken);
    }
    if (done > 0 && s->writer && !ww_writer_close(&s->writer, &err) && status == DONE)
        status = give_up(&err);
    progress_clear();
    if (isatty(STDERR_FILENO) && done > 1)
        fprintf(stderr, "%lld frames in %.1f s, %.1f a second\n", (long long)done, seconds,
                seconds > 0 ? (double)done / seconds : 0);
    return finish_output(status);
}

int cmd_run(int argc, char **argv)
{
    struct session s = {.model = "nano", .task_name = "detect"};
    int status;
    if (!read_options(&s, argc, argv, &status))
        return status;
    catch_signals();
    status = run(&s);
    ww_writer_close(&s.writer, NULL);
    ww_watch_destroy(&s.watch);
    ww_engine_close(&s.engine);
    ww_reader_close(&s.reader);
    free(s.picture);
    free(s.text);
    return status;
}
