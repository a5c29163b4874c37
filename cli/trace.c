// watchword trace: run a model once and keep its stages.

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/decode.h>
#include <watchword/trace.h>

#include "cli.h"
#include "json.h"

static const struct manual manual = {
    .usage = "trace DIR [OPTIONS] --out FILE.safetensors",
    .about =
        "Runs the model in DIR once and writes its stages as float32 tensors, by the names that\n"
        "the golden sets use (\"row.012\", \"head.heat\", \"final\"; with several pictures\n"
        "\"0.row.012\"): how a model is compared with another implementation of it.\n\n"
        "A case is a JSON file with any of \"images\" (paths relative to it), \"text\", \"ids\",\n"
        "\"task\", \"input_size\", \"input\" ([width, height]), \"size\" (an object of\n"
        "\"shortest_edge\" and \"longest_edge\", px) and \"threshold\" or \"box_threshold\"; options\n"
        "win over it. A text, one for each picture or one for all, is read as it stands.\n"
        "A model that can look at several pictures at once does so with all of them.\n\n"
        "With --ids, DIR is a language model of LLaMA's architecture, or its GGUF file, and the\n"
        "stages are those of that prompt (\"embed\", \"layer.0.q_rope\", \"logits\").",
    .examples =
        "  watchword trace nano --image frame.png --out ours.safetensors\n"
        "  watchword trace ./models/nano --case case.json --stages \"head.*\" --out o.safetensors\n"
        "  watchword trace smollm2.gguf --ids 1,4093,198 --stages logits --out o.safetensors",
    .min_args = 1,
    .max_args = 1,
};

enum { MAX_IMAGES = 64 };

struct session {
    const char *model, *task_name, *case_path, *stages, *device, *out, *ids;
    struct list images, texts;
    int input_size, input[2], shortest_edge, longest_edge;
    double threshold;
    struct cJSON *document;
    uint32_t tokens[WW_TRACE_IDS];
    int num_tokens;

    struct ww_reader *readers[MAX_IMAGES]; // they own the pixels
    struct ww_frame frames[MAX_IMAGES];
    int num_frames;
};

static bool add_image(struct session *s, const char *path, struct ww_error *err)
{
    if (s->num_frames == MAX_IMAGES)
        return ww_fail(err, WW_E_CONFIG, "trace: more than %d pictures", MAX_IMAGES);
    struct ww_reader *reader = ww_reader_open_until(path, &stopped, err);
    if (!reader)
        return false;
    s->readers[s->num_frames] = reader;
    const int got = ww_reader_next(reader, &s->frames[s->num_frames], err);
    s->num_frames++;
    if (got == 0)
        ww_fail(err, WW_E_FILE, "%s: not one frame could be decoded", path);
    return got > 0;
}

static bool add_token(struct session *s, double number)
{
    if (s->num_tokens == WW_TRACE_IDS || !(number >= 0 && number < 1u << 31) ||
        number != (double)(uint32_t)number)
        return false;
    s->tokens[s->num_tokens++] = (uint32_t)number;
    return true;
}

// "1,4093,198"
static bool read_ids(struct session *s, struct ww_error *err)
{
    const char *at = s->ids;
    for (bool more = true; more;) {
        char *end = NULL;
        const unsigned long long number = *at >= '0' && *at <= '9' ? strtoull(at, &end, 10) : 0;
        if (!end || (*end && *end != ',') || !add_token(s, (double)number))
            return ww_fail(err, WW_E_CONFIG,
                           "trace: --ids at '%.20s': numbers of tokens with commas between, at most %d",
                           at, WW_TRACE_IDS);
        more = *end == ',';
        at = end + 1;
    }
    return true;
}

static void add_text(struct session *s, const char *text)
{
    s->texts.items = realloc(s->texts.items, sizeof *s->texts.items * (size_t)(s->texts.num_items + 1));
    if (!s->texts.items)
        abort();
    s->texts.items[s->texts.num_items++] = text;
}

// A text, or several of them.
static bool read_texts(struct session *s, struct ww_error *err)
{
    const struct cJSON *text = json_at(s->document, "text");
    if (!text || s->texts.num_items > 0)
        return true;
    if (json_text(text, "", NULL))
        add_text(s, json_text(text, "", NULL));
    for (const struct cJSON *i = json_first(text); i; i = json_next(i)) {
        if (!json_text(i, "", NULL))
            return ww_fail(err, WW_E_FILE, "%s: 'text': texts are wanted", s->case_path);
        add_text(s, json_text(i, "", NULL));
    }
    return s->texts.num_items > 0 ||
           ww_fail(err, WW_E_FILE, "%s: 'text' must be a text, or a list of some", s->case_path);
}

// A side of the network's input; 0: what is not there.
static bool read_side(const struct session *s, const struct cJSON *from, const char *path, const char *field,
                      int *out, struct ww_error *err)
{
    const double side = json_number(from, path, 0);
    if (!(side >= 0 && side <= WW_INPUT_MAX_SIDE))
        return ww_fail(err, WW_E_FILE, "%s: '%s' is %g; it must be from 0 to %d", s->case_path, field, side,
                       WW_INPUT_MAX_SIDE);
    *out = (int)side;
    return true;
}

static bool read_sides(struct session *s, struct ww_error *err)
{
    const struct cJSON *input = json_at(s->document, "input"), *size = json_at(s->document, "size");
    for (int i = 0; i < 2 && json_count(input) == 2; i++)
        if (!read_side(s, json_item(input, i), "", "input", &s->input[i], err))
            return false;
    return read_side(s, s->document, "input_size", "input_size", &s->input_size, err) &&
           read_side(s, size, "shortest_edge", "size.shortest_edge", &s->shortest_edge, err) &&
           read_side(s, size, "longest_edge", "size.longest_edge", &s->longest_edge, err);
}

static bool read_threshold(struct session *s, struct ww_error *err)
{
    const char *field = json_at(s->document, "threshold") ? "threshold" : "box_threshold";
    if (!json_at(s->document, field))
        return true;
    s->threshold = json_number(s->document, field, -1);
    return (s->threshold >= 0 && s->threshold <= 1) ||
           ww_fail(err, WW_E_FILE, "%s: '%s' must be a number from 0 to 1", s->case_path, field);
}

// What the case says and no option did. Only what the models of this version read may be asked for.
static bool read_case(struct session *s, struct ww_error *err)
{
    s->document = json_load(s->case_path, err);
    if (!s->document)
        return false;
    if (!read_texts(s, err))
        return false;
    const struct cJSON *ids = json_at(s->document, "ids");
    if (!ids)
        ids = json_at(s->document, "prompt_ids"); // what the golden sets of decoders call it
    for (const struct cJSON *i = s->ids ? NULL : json_first(ids); i; i = json_next(i))
        if (!add_token(s, json_number(i, "", -1)))
            return ww_fail(err, WW_E_FILE, "%s: 'ids' %d: a token's number is wanted, and at most %d of them",
                           s->case_path, s->num_tokens, WW_TRACE_IDS);
    if (!s->task_name)
        s->task_name = json_text(s->document, "task", NULL);
    if (s->input_size == 0 && s->input[0] == 0 && !read_sides(s, err))
        return false;
    if (s->threshold <= 0 && !read_threshold(s, err))
        return false;
    if (s->images.num_items > 0)
        return true;
    const char *slash = strrchr(s->case_path, '/');
    const int folder = slash ? (int)(slash - s->case_path) + 1 : 0;
    const struct cJSON *images = json_at(s->document, "images");
    for (const struct cJSON *i = json_first(images); i; i = json_next(i)) {
        char path[PATH_MAX];
        const char *name = json_text(i, "", NULL);
        if (!name)
            return ww_fail(err, WW_E_FILE, "%s: 'images': a name of a file is wanted",
                           s->case_path);
        snprintf(path, sizeof(path), "%.*s%s", *name == '/' ? 0 : folder, s->case_path, name);
        if (!add_image(s, path, err))
            return ww_within(err, "%s", s->case_path);
    }
    return true;
}

static bool trace(struct session *s, struct ww_error *err)
{
    if (s->ids && !read_ids(s, err))
        return false;
    if (s->case_path && !read_case(s, err))
        return false;
    for (int i = 0; i < s->images.num_items; i++)
        if (!add_image(s, s->images.items[i], err))
            return false;
    if (s->num_frames == 0 && s->num_tokens == 0)
        return ww_fail(err, WW_E_CONFIG, "trace: no picture: --image, --ids or --case is wanted");
    const int task = s->task_name ? ww_task_from_name(s->task_name) : WW_TASK_DETECT;
    if (task < 0)
        return ww_fail(err, WW_E_CONFIG, "trace: there is no task '%s'", s->task_name);
    struct ww_engine *engine = ww_engine_open(ww_engine_params(.device = s->device), err);
    if (!engine)
        return false;
    const bool traced =
        ww_trace(engine,
                 ww_trace_params(.model = s->model, .task = (enum ww_task)task, .images = s->frames,
                                 .num_images = s->num_frames, .texts = s->texts.items,
                                 .num_texts = s->texts.num_items, .ids = s->tokens,
                                 .num_ids = s->num_tokens, .input_size = s->input_size,
                                 .input_width = s->input[0], .input_height = s->input[1],
                                 .shortest_edge = s->shortest_edge,
                                 .longest_edge = s->longest_edge, .threshold = (float)s->threshold,
                                 .stages = s->stages, .out = s->out),
                 err);
    ww_engine_close(&engine);
    return traced;
}

int cmd_trace(int argc, char **argv)
{
    static struct session s; // large
    const struct option options[] = {
        {"image", "FILE", "a picture, or a film's first frame; may be repeated", OPTION_LIST,
         &s.images},
        {"text", "STRING", "what a model that reads words is asked; may be repeated", OPTION_LIST,
         &s.texts},
        {"ids", "N,N,...", "numbers of tokens, for a language model", OPTION_TEXT, &s.ids},
        {"task", "TASK", "detect, pose, ... [detect]", OPTION_TEXT, &s.task_name},
        {"case", "FILE", "a JSON file that says all this", OPTION_TEXT, &s.case_path},
        {"stages", "GLOB", "only stages of these names [all]", OPTION_TEXT, &s.stages},
        {"input-size", "N", "longer side of the network's input, px [the model's own]",
         OPTION_WHOLE, &s.input_size, 16, WW_INPUT_MAX_SIDE},
        {"input", "WxH", "force its size, stretching the picture", OPTION_SIZE, s.input},
        {"device", "N|NAME", "which device, or \"reference\" [$WATCHWORD_DEVICE, or the best]",
         OPTION_TEXT, &s.device},
        {"out", "FILE", "the safetensors file to write", OPTION_TEXT, &s.out},
        {0},
    };
    int status;
    if (!parse_options(&argc, argv, &manual, options, &status))
        return status;
    s.model = argv[0];
    if (!s.out) {
        complain("trace: --out is missing; see watchword trace --help");
        return WRONG_USAGE;
    }
    catch_signals();
    struct ww_error err = {0};
    status = trace(&s, &err) ? DONE : give_up(&err);
    for (int i = 0; i < s.num_frames; i++)
        ww_reader_close(&s.readers[i]);
    json_free(s.document);
    free(s.images.items);
    free(s.texts.items);
    return finish_output(status);
}
