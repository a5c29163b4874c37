// config.h: what the operator wants, read from a file that anybody may have written.
//
// docs/configuration.md describes the file. A configuration is read only once it is loaded; any
// thread may use it while it has a reference.

#pragma once

#include <glib.h>
#include <watchword/watch.h>

enum source_kind { SOURCE_RTSP, SOURCE_HTTP, SOURCE_FILE, SOURCE_V4L2, SOURCE_TEST };

enum transport { TRANSPORT_AUTO, TRANSPORT_TCP, TRANSPORT_UDP };

struct watch_config {
    char *name;
    enum ww_task task;
    char *model;
    char **phrases; // NULL at the end; none: everything that the model knows
    double *thresholds; // of each; 0: none of its own
    double threshold, rate, nms;
    int input_size, input_width, input_height;
};

// Whose certificates an encrypted stream takes; zero: those that the system vouches for.
struct tls_config {
    char *ca_file; // PEM, instead of the system's
    char *sha256;  // 64 hexadecimal digits: of one certificate that is taken whoever signed it
    bool any;      // takes all: encrypted, but nobody knows who is at the other end
};

// A password is one of three: in the URL, in a file, or a systemd credential. `shown` is the one form
// of the URL that messages and logs may hold.
struct stream_config {
    char *name;
    char *url;   // rtsp, rtsps and http: without user and password; file: a path; v4l2: a device
    char *shown; // redacted
    enum source_kind kind;
    char *host; // rtsp, rtsps and http
    int port;
    char *user;
    char *password;      // from the URL
    char *password_file; // a path
    char *credential;    // name of a systemd credential that holds "user:password"
    struct tls_config tls; // rtsps and https
    enum transport transport;
    int latency_ms, timeout_ms;
    bool enabled, every_frame;
    struct watch_config *watches;
    int num_watches;
};

struct config {
    gint refs;      // atomic
    char *endpoint; // to publish at
    char *device;   // "": the library chooses
    int batch; // frames in one pass; 0: the device's choice
    double status_interval_s;
    struct stream_config *streams; // in the order of the file
    int num_streams;
};

// Reads a configuration. NULL if anything is wrong with it; each thing that is adds a sentence to
// `problems`, a list of char * that its owner frees, which names the file, the place in it, what was
// found and what is allowed.
struct config *config_load(const char *path, GPtrArray *problems);

// The same from memory; `file` is only for the sentences.
struct config *config_parse(const char *text, size_t size, const char *file, GPtrArray *problems);

// Loading gives one reference. A configuration lives while somebody uses any part of it.
struct config *config_ref(struct config *config);
void config_unref(struct config **config);

// NULL if there is none of that name.
const struct stream_config *config_stream(const struct config *config, const char *name);

bool tls_config_equal(const struct tls_config *a, const struct tls_config *b);

// Whether they ask for the same. `same_place` ignores what a running pipeline can change: phrases,
// threshold and rate of its watches.
bool stream_config_equal(const struct stream_config *a, const struct stream_config *b);
bool stream_config_same_place(const struct stream_config *a, const struct stream_config *b);
