// cli.h: what the commands of `watchword` share.

#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <watchword/error.h>
#include <watchword/frame.h>

// What a command returns, and so the program. Documented in every --help.
enum { DONE = 0, FAILED = 1, WRONG_USAGE = 2 };

struct command {
    const char *name;
    const char *summary;               // one line
    int (*run)(int argc, char **argv); // argv[0] is the command's name
};

int cmd_bench(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_complete(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_watch(int argc, char **argv);

// --- options.c ---

enum option_kind {
    OPTION_FLAG,  // bool
    OPTION_TEXT,  // const char *
    OPTION_MAYBE, // const char *; without "=VALUE" it is ""
    OPTION_REAL,  // double, from `min` to `max`
    OPTION_WHOLE, // int, from `min` to `max`
    OPTION_SIZE,  // int[2], as in 512x384
    OPTION_LIST,  // struct list: may be given again and again
};

struct list {
    const char **items; // borrowed from argv
    int num_items;
};

struct option {
    const char *name;  // without dashes; NULL ends the table
    const char *value; // what stands for it in the help: "FPS"; NULL for a flag
    const char *help;
    enum option_kind kind;
    void *out;
    double min, max;
};

struct manual {
    const char *usage;      // lines without "Usage:" and without the program's name
    const char *about;      // paragraphs
    const char *examples;   // lines
    const char *exits;      // more about exit codes; NULL: nothing special
    int min_args, max_args; // what may remain beside options; max_args -1: any number
};

// Takes options out of argv: what remains is argv[0] to argv[*argc - 1], and "--" ends options.
// Returns false with the program's exit code in `status` when --help was printed or something is
// wrong, which it has told.
bool parse_options(int *argc, char **argv, const struct manual *manual,
                   const struct option *options, int *status);

// The nearest of `num` names to a mistyped one, or NULL if none is near. `stride` bytes apart.
const char *nearest_name(const char *typed, const char *const *names, size_t stride, int num);

// Splits "a person; a dog:0.4" at the semicolons, without blanks around and without empty ones, and
// takes the thresholds off, 0 where there is none. Free both arrays and, through the first element's
// text, nothing: `text` is changed and must live on. Returns how many, or -1: WW_E_TEXT (a threshold
// that is none); then there is nothing to free.
int split_phrases(char *text, const char ***out, float **thresholds, struct ww_error *err);

// --- output.c ---

// "watchword: ..." on stderr, after clearing a progress bar.
void complain(const char *fmt, ...) WW_PRINTF(1, 2);
// Tells the error and returns FAILED, or WRONG_USAGE for WW_E_CONFIG.
int give_up(const struct ww_error *err);

// Writes one line to stdout and makes sure that it left. False: nobody reads any more (quiet), or
// it could not be written (told).
bool print_line(const char *text, size_t size);
// Writes a part of a text, as it is, at once; on a terminal, which obeys what it reads, control
// characters other than tabs and line ends become '?'. False as above.
bool print_text(const char *text, size_t size);
// The same for what printf() left in the buffer; for the end of a command.
int finish_output(int status);

// Text from elsewhere made safe for a terminal: control characters become '?'.
void print_clean(FILE *file, const char *text);

// A line on stderr that is rewritten in place: only if that is a terminal, a few times a second.
struct progress {
    const char *what;
    int64_t total; // 0: unknown
    const char *unit, *rate; // "frames" and "fps" at first
    int64_t begun_ns, drawn_ns;
};
void progress_begin(struct progress *progress, const char *what, int64_t total);
void progress_show(struct progress *progress, int64_t done);
void progress_clear(void); // no bar shown is fine

int64_t monotonic_ns(void);
int64_t realtime_ns(void);

// --- signals.c ---

// Set by the first Ctrl-C or SIGTERM; a second one, later, ends the program at once.
extern volatile sig_atomic_t stopped;
void catch_signals(void);

// --- picture.c ---

// A copy that may be drawn into: the reader's own pixels are what its codec predicts later frames
// from. `pixels` is grown as needed and kept from call to call; free it at the end.
void copy_frame(const struct ww_frame *frame, struct ww_frame *copy, uint8_t **pixels);

// --- programs.c ---

// Finds one of our own programs: beside this one, in this build tree, in libexec, in the PATH.
bool find_program(const char *name, char *path, size_t size);

// Run from a build tree, this program and those that it starts find that tree's models and plugin
// unless the environment names others: a file beside it says where they are. It is not installed.
void use_build_tree(void);
