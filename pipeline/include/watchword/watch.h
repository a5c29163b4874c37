// watch.h: say what to look for, show frames, learn what was seen.
//
//     struct ww_engine *engine = ww_engine_open(ww_engine_params(0), &err);
//     struct ww_watch *watch = ww_watch_create(engine, ww_watch_params(.model = "nano",
//         .phrases = (const char *[]){"person"}, .num_phrases = 1), &err);
//     const struct ww_result *seen = ww_watch_look(watch, &frame, &err);
//     for (int i = 0; seen && i < seen->num_objects; i++)
//         printf("%s %.2f\n", seen->objects[i].label, seen->objects[i].score);
//
// Thread-safety: one thread at a time looks or offers; setters and the getters at the end may be
// called from any thread at any time. Many watches share a model and a device.

#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <watchword/engine.h>
#include <watchword/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ww_task {
    WW_TASK_DETECT,   // classes of a closed set
    WW_TASK_GROUND,   // free phrases
    WW_TASK_POSE,     // keypoints of each person found
    WW_TASK_SEGMENT,
    WW_TASK_CAPTION,
    WW_TASK_ASK,
    WW_TASK_INSTRUCT,
    WW_NUM_TASKS
};

// "detect", "ground", ...; NULL outside the range. And back: -1 if it is no task.
WW_API const char *ww_task_name(enum ww_task task);
WW_API int ww_task_from_name(const char *name);

struct ww_keypoint {
    float x, y;  // px of the frame shown
    float score; // [0, 1]
};

struct ww_object {
    int phrase;           // index into the phrases of this revision
    const char *label;    // that phrase
    float score;          // [0, 1]; comparable within one model only
    float x0, y0, x1, y1; // px of the frame shown, from its top left; edges; inside the frame
    int num_keypoints;    // 0, or as many as the set has
    const struct ww_keypoint *keypoints;
    const char *words; // those by which it was found, of a model that reads words; else NULL
};

// What a model with a closed set of classes made of a phrase.
struct ww_understanding {
    const char *phrase; // as given
    const char *meant;  // the class it is taken for
    const char *by;     // "name": it is the class's name; "word": that name is in it; "meaning": the
                        // class nearest in meaning
    float likeness;     // of their meanings, [-1, 1]; 1 for a name
    bool sure;          // false: it may be something else that the model cannot see
};

struct ww_result {
    uint64_t index; // of the frame
    int64_t pts_ns; // of the frame
    int width, height; // of the frame, px
    uint32_t revision; // of the words it was made with, from 1
    const char *keypoint_set; // "coco-17", or NULL where no keypoints were asked for
    int num_objects;
    const struct ww_object *objects; // best first
    int num_understood; // phrases given, where the model has a closed set; else 0
    const struct ww_understanding *understood;
    int num_captions; // texts that the phrases were split into, where one could not hold them; else 0
    int64_t wait_ns;  // from being shown to the device beginning with it
    int64_t infer_ns; // from there to this result
};

// Called on the engine's thread after each frame that was offered and looked at; be quick. Either
// `result` (borrowed for the call) or `err` is given, the other is NULL.
typedef void (*ww_result_fn)(void *opaque, const struct ww_result *result,
                             const struct ww_error *err);

#define WW_INPUT_MAX_SIDE 4096 // px

struct ww_watch_params {
    const char *model; // "nano", "nano:thunder", or a directory; copied
    enum ww_task task;
    const char *const *phrases; // copied; none: everything that a closed-set model knows
    int num_phrases;
    float threshold; // report at this score and above, (0, 1]; 0: the model's own
    const float *thresholds; // of each phrase that has one of its own, else 0; NULL: none has; copied
    // Of boxes of one phrase that overlap by more than this (intersection over union), only the best is
    // reported; 1: all are; 0: the model's own rule (nano: 0.6, others: all, as they were trained to).
    float nms;
    // Network input, px; 0: the model's own choice. `input_size` is the longer side, the other
    // follows the frame's aspect. Width and height together force a size, stretching the frame; nano's are
    // multiples of 32. All up to WW_INPUT_MAX_SIDE.
    int input_size, input_width, input_height;
    // How many frames, this watch's and those of others that have the same model, task, input size and
    // number here, may be looked at in one pass, where they wait at the same time; results are the same.
    // 1: each for itself; 0: the device's choice; at most 64.
    int batch;
    ww_result_fn on_result; // for ww_watch_offer
    void *opaque;
};
#define ww_watch_params(...) (&(struct ww_watch_params){__VA_ARGS__})

struct ww_watch;

// Checks words and parameters and loads the model unless somebody has it loaded already; blocks for
// that, not for the first frame's plan. WW_E_FILE (weights), WW_E_TEXT (a word the model does not
// know: the text lists the near ones), WW_E_CONFIG, WW_E_UNSUPPORTED (task), WW_E_MEMORY.
WW_API struct ww_watch *ww_watch_create(struct ww_engine *engine,
                                        const struct ww_watch_params *params,
                                        struct ww_error *err);

// Waits for a running inference, releases an offered frame; no callback comes after it returned.
// Not to be called from the callback.
WW_API void ww_watch_destroy(struct ww_watch **watch);

// Makes ready for frames of this shape: compiles, records, and looks at this one frame, of which
// nothing is reported or counted, so that the first that counts is as quick as the rest. Blocks for all
// of that. On the thread that looks or offers; needs no call, for looking makes ready as well.
WW_API bool ww_watch_prepare(struct ww_watch *watch, const struct ww_frame *frame,
                             struct ww_error *err);

// Shows one frame, borrowed for the call, and blocks for one inference. The result belongs to the
// watch and is good until its next look. NULL and `err`: WW_E_FRAME, WW_E_MEMORY, WW_E_DEVICE,
// WW_E_STOPPED.
WW_API const struct ww_result *ww_watch_look(struct ww_watch *watch, const struct ww_frame *frame,
                                             struct ww_error *err);

// Hands over one frame and returns at once. As long as the device keeps up, frames that come while it is
// busy wait in order, up to four, none longer than 150 ms when the next one comes. After that it is behind,
// until a time when none waits: a newer frame takes the place of all that wait, and these count as
// skipped. `frame->release` is called when the pixels are no longer
// needed, whatever happens, also when this returns false (WW_E_FRAME: unsound frame). The result
// comes by `on_result`.
WW_API bool ww_watch_offer(struct ww_watch *watch, const struct ww_frame *frame,
                           struct ww_error *err);

// Waits until no offered frame is waiting or being looked at and its callback has returned.
WW_API void ww_watch_drain(struct ww_watch *watch);

// Other words from the next frame on. Returns the new revision, or 0 and `err` (the old words
// stay): WW_E_TEXT, WW_E_CONFIG (a threshold). The same words in the same order keep their revision, also where
// their thresholds are others.
WW_API uint32_t ww_watch_set_phrases(struct ww_watch *watch, const char *const *phrases,
                                     const float *thresholds, int num_phrases, struct ww_error *err);
WW_API void ww_watch_set_threshold(struct ww_watch *watch, float threshold); // 0: model's own


// Takes a threshold off the end of a phrase that somebody wrote: "a person:0.4" becomes "a person" and 0.4.
// A number without a point ("a scale of 1:20") is part of the phrase; without a threshold it is 0.
// WW_E_TEXT: there is one, but not from 0 to 1, or no phrase before it.
WW_API bool ww_phrase_threshold(char *phrase, float *threshold, struct ww_error *err);

WW_API uint32_t ww_watch_revision(struct ww_watch *watch);
WW_API float ww_watch_threshold(struct ww_watch *watch); // the one in force

struct ww_watch_stats {
    uint64_t offered;   // frames shown, by either call
    uint64_t processed; // results made
    uint64_t replaced;  // offered, but a newer frame came first
    uint64_t failed;    // ended in an error
};
WW_API void ww_watch_stats(struct ww_watch *watch, struct ww_watch_stats *out);

struct ww_model_info {
    char name[128];   // "nano"
    char family[64];  // design's model families: "nano", "grounding-dino", ...
    char digest[80];  // "sha256:<64 hex digits>" of the weights in use
    char dir[512];    // where it was loaded from
};
WW_API void ww_watch_model(struct ww_watch *watch, struct ww_model_info *out);

#ifdef __cplusplus
}
#endif
