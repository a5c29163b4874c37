#include <watchword/watch.h>

#include "frame.h"
#include "settings.h"

#define READY     (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)
#define PLAYING   (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)
#define READ_ONLY (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)

static GType task_type(void)
{
    static GType type;
    static const GEnumValue values[] = {
        {WW_TASK_DETECT, "Find the things named in phrases, out of the model's own list", "detect"},
        {WW_TASK_GROUND, "Find what any phrase describes", "ground"},
        {WW_TASK_POSE, "Find persons or named things, and their keypoints", "pose"},
        {WW_TASK_SEGMENT, "Find things and their outlines", "segment"},
        {WW_TASK_CAPTION, "Describe the picture", "caption"},
        {WW_TASK_ASK, "Answer a question about the picture", "ask"},
        {WW_TASK_INSTRUCT, "Follow a free instruction", "instruct"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("WwInferTask", values));
    return type;
}

static GType mode_type(void)
{
    static GType type;
    static const GEnumValue values[] = {
        {WW_MODE_SYNC, "Each buffer waits for its result and carries it", "sync"},
        {WW_MODE_LATEST, "Buffers never wait; a result rides on the next buffer", "latest"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("WwInferMode", values));
    return type;
}

void ww_settings_describe(GstElementClass *class)
{
    static GstStaticPadTemplate sink = GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                                                               GST_STATIC_CAPS(WW_VIDEO_CAPS));
    static GstStaticPadTemplate src =
        GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(WW_VIDEO_CAPS));
    gst_element_class_add_static_pad_template(class, &sink);
    gst_element_class_add_static_pad_template(class, &src);
    // The lines are as gst-inspect-1.0 shows them.
    // clang-format off
    gst_element_class_set_static_metadata(
        class, "Watchword inference", "Filter/Analyzer/Video",
        "Looks for what phrases say in each picture, on the GPU or on software Vulkan." NL NL
        "Pictures pass through unchanged. What is seen is added to buffers as a" NL
        "GstVideoRegionOfInterestMeta for each object (label, box; score, phrase and keypoints in" NL
        "its parameter structure \"watchword\") with a custom meta \"WatchwordResult\" that says" NL
        "somebody looked, and posted on the bus as an element message \"watchword\"." NL NL
        "With mode=sync each buffer waits for its own result: for files, and cameras slower than" NL
        "the device. With mode=latest the stream never waits: frames wait for the engine, in order" NL
        "as long as it keeps up, else the newest alone, and a result rides on the next buffer with" NL
        "the index and PTS of the frame it belongs to. Frames that were replaced by newer ones are" NL
        "counted (stats, QoS)." NL NL
        "phrases, threshold and rate change while playing. A missing model, an unknown word or no" NL
        "usable device is an error when the element starts; a device that fails later is a" NL
        "warning, and the stream goes on without results until the engine has it back.",
        "The watchword authors");
    gst_element_class_add_metadata(
        class, "example",
        "gst-launch-1.0 filesrc location=street.mp4 ! decodebin ! videoconvert !" NL
        "wwinfer model=nano phrases=\"person;car\" ! wwoverlay ! videoconvert ! autovideosink" NL NL
        "gst-launch-1.0 -m rtspsrc location=rtsp://camera/ ! decodebin ! videoconvert !" NL
        "wwinfer mode=latest task=pose phrases=person rate=5 ! fakesink");
    // clang-format on
}

static void install_words(GObjectClass *class)
{
    g_object_class_install_property(
        class, WW_PROP_MODEL,
        g_param_spec_string(
            "model", "Model",
            "What looks: an installed model's name, with a variant after a colon where it has some "
            "(\"nano\", \"nano:thunder\"), or a model's directory. \"watchword models\" lists what "
            "is installed",
            "nano", READY));
    g_object_class_install_property(
        class, WW_PROP_TASK,
        g_param_spec_enum("task", "Task",
                          "What to do with each frame. A model has some of these; asking for "
                          "another is an error that names the ones it has",
                          task_type(), WW_TASK_DETECT, READY));
    g_object_class_install_property(
        class, WW_PROP_PHRASES,
        g_param_spec_string(
            "phrases", "Phrases",
            "What to look for: phrases with semicolons between them (\"person; car\"), each with a "
            "threshold of its own behind a colon if it needs one (\"person:0.4; car\"), or a JSON "
            "array of strings and objects (\"[\\\"person\\\", {\\\"phrase\\\": \\\"car\\\", "
            "\\\"threshold\\\": 0.4}]\"). Empty: everything that a model "
            "with a closed set of words knows. Words that the model refuses while playing give a "
            "warning, and the old ones stay",
            "", PLAYING));
    g_object_class_install_property(
        class, WW_PROP_INSTRUCTION,
        g_param_spec_string("instruction", "Instruction",
                            "A free instruction, for models that follow them; with any other "
                            "model the element refuses to start",
                            "", READY));
    g_object_class_install_property(
        class, WW_PROP_THRESHOLD,
        g_param_spec_float("threshold", "Threshold",
                           "Report objects with this score or more, but for phrases that have a "
                           "threshold of their own. Scores compare within one "
                           "model only. 0: the model's own threshold",
                           0, 1, 0, PLAYING));
    g_object_class_install_property(
        class, WW_PROP_NMS,
        g_param_spec_float("nms", "NMS",
                           "Of boxes of one phrase that overlap by more than this (intersection over "
                           "union) report only the best. 1: report all. 0: the model's own rule",
                           0, 1, 0, READY));
}

static void install_running(GObjectClass *class)
{
    g_object_class_install_property(
        class, WW_PROP_RATE,
        g_param_spec_double("rate", "Rate",
                            "Frames to look at per second of running time; those left out pass "
                            "without a result. 0: every frame (sync), as many as the device can "
                            "do (latest)",
                            0, 1000, 0, PLAYING));
    g_object_class_install_property(
        class, WW_PROP_DEVICE,
        g_param_spec_string(
            "device", "Device",
            "The Vulkan device: its index, a part of its name in any case, or \"reference\" for "
            "the slow and exact one on the CPU. Empty: $WATCHWORD_DEVICE, else the first GPU, "
            "else software Vulkan. Elements of a process that name the same device share it",
            "", READY));
    g_object_class_install_property(
        class, WW_PROP_MODE,
        g_param_spec_enum("mode", "Mode",
                          "Whether the stream waits for results: sync for files and wherever each "
                          "frame counts, latest for cameras, where the stream must not be held up",
                          mode_type(), WW_MODE_SYNC, READY));
    g_object_class_install_property(
        class, WW_PROP_INPUT_SIZE,
        g_param_spec_int("input-size", "Input size",
                         "Longer side of the network's input in pixels; the other side follows "
                         "the picture's shape. Smaller is faster and overlooks small things. "
                         "0: the model's own choice",
                         0, WW_INPUT_MAX_SIDE, 0, READY));
    g_object_class_install_property(
        class, WW_PROP_INPUT_WIDTH,
        g_param_spec_int("input-width", "Input width",
                         "Width of the network's input in pixels, with input-height, stretching "
                         "the picture to that shape. 0: see input-size",
                         0, WW_INPUT_MAX_SIDE, 0, READY));
    g_object_class_install_property(
        class, WW_PROP_INPUT_HEIGHT,
        g_param_spec_int("input-height", "Input height",
                         "Height of the network's input in pixels, with input-width. "
                         "0: see input-size",
                         0, WW_INPUT_MAX_SIDE, 0, READY));
    g_object_class_install_property(
        class, WW_PROP_BATCH,
        g_param_spec_int("batch", "Batch",
                         "So many frames of elements with the same model, task, input size and batch "
                         "may be looked at in one pass, where they wait at the same time; results "
                         "are the same. 1: each for itself. 0: the device's choice",
                         0, 64, 0, READY));
}

static void install_answers(GObjectClass *class)
{
    g_object_class_install_property(
        class, WW_PROP_REVISION,
        g_param_spec_uint("revision", "Revision",
                          "Of the phrases in force: 1 at the start, one more with each change. "
                          "Results carry the revision they were made with. 0: not started",
                          0, G_MAXUINT, 0, READ_ONLY));
    g_object_class_install_property(
        class, WW_PROP_STATS,
        g_param_spec_boxed("stats", "Statistics",
                           "Frames since the start, each uint64: offered (shown to the engine), "
                           "processed (results made), replaced (a newer frame came first), "
                           "skipped-rate (left out because of rate), failed (ended in an error)",
                           GST_TYPE_STRUCTURE, READ_ONLY));
    g_object_class_install_property(
        class, WW_PROP_ACTIVITY,
        g_param_spec_string("activity", "Activity",
                            "What the engine does just now, in words: \"loading nano\", "
                            "\"compiling kernels, 12 of 31\", \"ready\", \"stopped\"",
                            "stopped", READ_ONLY));
}

void ww_settings_install(GObjectClass *class)
{
    install_words(class);
    install_running(class);
    install_answers(class);
    gst_type_mark_as_plugin_api(task_type(), 0);
    gst_type_mark_as_plugin_api(mode_type(), 0);
}

void ww_settings_init(struct ww_settings *s)
{
    *s = (struct ww_settings){
        .model = g_strdup("nano"),
        .phrases = g_strdup(""),
        .instruction = g_strdup(""),
        .device = g_strdup(""),
        .task = WW_TASK_DETECT,
        .mode = WW_MODE_SYNC,
    };
}

void ww_settings_finish(struct ww_settings *s)
{
    g_free(s->model);
    g_free(s->phrases);
    g_free(s->instruction);
    g_free(s->device);
    *s = (struct ww_settings){0};
}

static void set_text(char **text, const GValue *value)
{
    g_free(*text);
    *text = g_value_dup_string(value);
    if (!*text)
        *text = g_strdup("");
}

void ww_settings_set(struct ww_settings *s, enum ww_property property, const GValue *value)
{
    switch (property) {
    case WW_PROP_MODEL:
        set_text(&s->model, value);
        break;
    case WW_PROP_TASK:
        s->task = g_value_get_enum(value);
        break;
    case WW_PROP_PHRASES:
        set_text(&s->phrases, value);
        break;
    case WW_PROP_INSTRUCTION:
        set_text(&s->instruction, value);
        break;
    case WW_PROP_THRESHOLD:
        s->threshold = g_value_get_float(value);
        break;
    case WW_PROP_RATE:
        s->rate = g_value_get_double(value);
        break;
    case WW_PROP_DEVICE:
        set_text(&s->device, value);
        break;
    case WW_PROP_MODE:
        s->mode = (enum ww_mode)g_value_get_enum(value);
        break;
    case WW_PROP_INPUT_SIZE:
        s->input_size = g_value_get_int(value);
        break;
    case WW_PROP_INPUT_WIDTH:
        s->input_width = g_value_get_int(value);
        break;
    case WW_PROP_INPUT_HEIGHT:
        s->input_height = g_value_get_int(value);
        break;
    case WW_PROP_NMS:
        s->nms = g_value_get_float(value);
        break;
    case WW_PROP_BATCH:
        s->batch = g_value_get_int(value);
        break;
    default:
        g_assert_not_reached();
    }
}

void ww_settings_get(const struct ww_settings *s, enum ww_property property, GValue *value)
{
    switch (property) {
    case WW_PROP_MODEL:
        g_value_set_string(value, s->model);
        break;
    case WW_PROP_TASK:
        g_value_set_enum(value, s->task);
        break;
    case WW_PROP_PHRASES:
        g_value_set_string(value, s->phrases);
        break;
    case WW_PROP_INSTRUCTION:
        g_value_set_string(value, s->instruction);
        break;
    case WW_PROP_THRESHOLD:
        g_value_set_float(value, s->threshold);
        break;
    case WW_PROP_RATE:
        g_value_set_double(value, s->rate);
        break;
    case WW_PROP_DEVICE:
        g_value_set_string(value, s->device);
        break;
    case WW_PROP_MODE:
        g_value_set_enum(value, (gint)s->mode);
        break;
    case WW_PROP_INPUT_SIZE:
        g_value_set_int(value, s->input_size);
        break;
    case WW_PROP_INPUT_WIDTH:
        g_value_set_int(value, s->input_width);
        break;
    case WW_PROP_INPUT_HEIGHT:
        g_value_set_int(value, s->input_height);
        break;
    case WW_PROP_NMS:
        g_value_set_float(value, s->nms);
        break;
    case WW_PROP_BATCH:
        g_value_set_int(value, s->batch);
        break;
    default:
        g_assert_not_reached();
    }
}
