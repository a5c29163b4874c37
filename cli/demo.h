// demo.h: what the demo heard, and what it draws of it.

#pragma once

#include <stdint.h>
#include <watchword/error.h>

struct cJSON;

// The messages of one run by the frame they are about. Owned.
struct record {
    struct {
        struct cJSON *detection, *pose; // either may be NULL: that frame was not looked at
    } * frames;
    int num_frames;       // the last frame's index and one
    double *latencies_ms; // of every result, as they came
    int num_results;
};

// Takes a message. One that is about no frame is freed.
void record_add(struct record *record, struct cJSON *message);
void record_free(struct record *record);

// The frame that most objects were seen in; -1 if none were.
int record_best_frame(const struct record *record);

// Draws what was published about each frame into that very frame of the film: a clip of all of
// them, and a picture of one.
bool record_draw(const struct record *record, const char *film, const char *clip,
                 const char *picture, struct ww_error *err);

// --- processes.c ---

struct process {
    int pid;    // 0: none
    int input, output; // its stdin and stdout, our ends of two pipes; -1: none
    const char *name;
};

// Starts a program in a group of its own; it ends when this one does. `piped`: with both pipes. Else it
// has no input, and its stdout goes where its stderr does, to the file `log`.
bool process_start(struct process *process, const char *name, char *const *argv, bool piped,
                   const char *log, struct ww_error *err);
// Whether it is still there.
bool process_alive(struct process *process);
// Asks it to end, waits a few seconds, insists.
void process_stop(struct process *process);
