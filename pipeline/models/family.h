// family.h: what the engine asks of a family of models. All calls come on the engine's thread.

#pragma once

#include <watchword/watch.h>

#include "base/json.h"
#include "vk/cmd.h"

#define WW_MAX_OBJECTS   100
#define WW_MAX_KEYPOINTS 32 // of one object
#define WW_WORDS_BYTES   128 // of what of the words an object was found by

// Words as a model understood them: one revision of a watch.
struct ww_words {
    uint32_t revision;
    int num_phrases;
    char **phrases;    // as given, or the model's classes where none were
    int *targets;      // what each is to the model: its class
    struct ww_understanding *understood; // of each phrase; its texts are ours. NULL: nothing to say
    int *given;        // which of the phrases as given each came from; NULL: as many, in their order
    float *thresholds; // of each that has one of its own, else 0; NULL: none has. Set by whoever looks
    bool as_given; // set before: the one phrase is a model's whole text, letter by letter, for a trace
};
void ww_words_free(struct ww_words **words);
// From which score on a phrase is told, where all others are from `threshold` on; and the least of all.
float ww_words_threshold(const struct ww_words *words, int phrase, float threshold);
float ww_words_least(const struct ww_words *words, float threshold);

// Frames of one shape, looked at in one way.
struct ww_look_params {
    enum ww_task task;
    enum ww_format format;
    enum ww_matrix matrix;
    enum ww_range range;
    int width, height;                          // of the frame
    int input_size, input_width, input_height;  // as in ww_watch_params
    int shortest_edge, longest_edge;            // of the input, for models told so; 0: their own
    bool keep_stages;                           // for a trace
};

// For such frames, at the model's own size.
static inline struct ww_look_params ww_look_for(enum ww_task task, const struct ww_frame *frame)
{
    return (struct ww_look_params){.task = task,
                                   .format = frame->format,
                                   .matrix = frame->matrix,
                                   .range = frame->range,
                                   .width = frame->width,
                                   .height = frame->height};
}

// How large a hall must be for a look. Two are the same if all of their numbers are.
struct ww_extent {
    int width, height; // px of the network's input
    int words, texts;  // what there is to read: tokens of a text; 0 where nothing is read
};

struct ww_hall_params {
    struct ww_extent extent;
    int room; // frames at once
    bool keep_stages;
};

struct ww_findings;

// One of the frames that are looked at together.
struct ww_look {
    void *seat;
    const struct ww_frame *frame; // of the shape that the seat is for; borrowed for the call
    float threshold; // of phrases that have none of their own
    float nms;       // boxes of a phrase that overlap by more than that are one; 0: the family's own rule
    struct ww_findings *out;
};

struct ww_findings {
    int num_objects;
    const char *keypoint_set;
    int num_captions; // texts that the phrases were asked in, if more than one was needed
    bool broken; // what came out is no numbers, and worth nothing
    char words[WW_MAX_OBJECTS][WW_WORDS_BYTES];
    struct ww_object objects[WW_MAX_OBJECTS];
    float boxes[WW_MAX_OBJECTS][4]; // of the objects, not clamped
    struct ww_keypoint keypoints[WW_MAX_OBJECTS * WW_MAX_KEYPOINTS];
};

// Adds an object with a box in px of a frame of that size, best first: clamps the box, and leaves the object out
// if nothing is left of it, if a better one of its phrase overlaps it by more than `nms` (intersection over
// union, of boxes as they are given; 0: no matter), or if there is no room. Whether it was added.
bool ww_findings_add(struct ww_findings *findings, const struct ww_object *found, const float box[4], int width,
                     int height, float nms);
// For qsort: the better score first; of equals the lower `first`, then the lower `second`.
int ww_by_score(float score_a, float score_b, int first_a, int first_b, int second_a, int second_b);
// Intersection over union; 0 where they do not meet.
float ww_box_iou(const float a[4], const float b[4]);

struct ww_family {
    const char *name; // model_type of config.json

    // Loads from `dir`; fills name, family and digest of `info`. `variant`: what stood after a colon,
    // or NULL. Returns the model, or NULL and `err`.
    void *(*load)(struct ww_device *device, const char *dir, const struct ww_json *config,
                  const char *variant, struct ww_model_info *info, struct ww_error *err);
    void (*unload)(struct ww_device *device, void *model);

    int step; // sides of the network's input that a watch forces are multiples of it

    // What can be said of a variant, a task and words without weights and a device; NULL: nothing.
    bool (*check)(const char *dir, const struct ww_json *config, const char *variant, enum ww_task task,
                  const char *const *phrases, int num_phrases, struct ww_error *err);

    // Fills phrases and targets of `words`; WW_E_TEXT, WW_E_UNSUPPORTED (the task).
    bool (*understand)(const void *model, enum ww_task task, const char *const *phrases,
                       int num_phrases, struct ww_words *words, struct ww_error *err);
    float (*threshold)(const void *model, enum ww_task task); // its own

    // Where watches look is a hall: a recorded forward pass with room for some frames at once. A watch that
    // looks there has a seat in it, for frames of one shape and its words; what it finds is, bit by bit, what
    // it finds alone. Seats end before their hall.
    int most; // frames at once; 1: each watch looks in a hall of its own

    // What such looks take: those that take the same may share a hall. `together`: with room to spare, so
    // that more of them do. WW_E_CONFIG (the size).
    bool (*measure)(const void *model, const struct ww_look_params *params,
                    const struct ww_words *words, bool together, struct ww_extent *out,
                    struct ww_error *err);
    // Borrows the model. What is kept for a trace is the hall's matter.
    void *(*open)(struct ww_device *device, const void *model, const struct ww_hall_params *params,
                  struct ww_error *err);
    void (*close)(struct ww_device *device, void *hall);

    // A seat for what was measured. Borrows the words.
    void *(*sit)(void *hall, const struct ww_look_params *params, const struct ww_words *words,
                 struct ww_error *err);
    void (*rise)(void *seat);
    // Other words from the next look on; it borrows these instead. NULL, or false: it must rise.
    bool (*reword)(void *seat, const struct ww_words *words);
    // Boxes in frame px, inside the frame, best first.
    bool (*look)(void *hall, const struct ww_look *looks, int num, struct ww_error *err);

    // After a look: the plans, to read stages from or to time; NULL past the last.
    struct ww_plan *(*plan)(void *hall, int i);
    // How many rows of a stage count, where it has room for more; NULL, or 0: all.
    int (*rows)(void *hall, const char *stage);
    // After a look with kept stages: results by the names the golden sets use. `each` copies.
    void (*trace)(void *hall,
                  void (*each)(void *opaque, const char *name, int rank, const int64_t *dim,
                               const float *data),
                  void *opaque);
};

// What a directory says it is: its config.json, or what a first release has in its place.
bool ww_family_is_model(const char *dir);
struct ww_json *ww_family_config(const char *dir, struct ww_error *err);
// The variant that `model`, which was found in `dir`, names behind a colon: of "nano:thunder" "thunder"; else "".
const char *ww_family_variant(const char *model, const char *dir);
// NULL if nobody is called so.
const struct ww_family *ww_family_find(const char *name);
extern const struct ww_family ww_family_nano, ww_family_deformable_detr,
    ww_family_grounding_dino;
