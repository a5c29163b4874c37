// subscriber.h: an ear for what a daemon publishes. subscriber.c is the one file of the command
// that knows ZeroMQ.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <watchword/error.h>

#define DEFAULT_ENDPOINT "ipc:///run/watchword/events.sock"

struct subscriber;

// Subscribes to topics that begin with one of `prefixes`; none: to all. Connecting goes on by
// itself for as long as it takes, and again whenever the connection is lost. WW_E_CONFIG: that is
// no endpoint.
struct subscriber *subscriber_open(const char *endpoint, const char *const *prefixes,
                                   int num_prefixes, struct ww_error *err);
void subscriber_close(struct subscriber **subscriber);

enum subscriber_event {
    SUBSCRIBER_NOTHING, // within the time given, or a signal came
    SUBSCRIBER_MESSAGE,
    SUBSCRIBER_CONNECTED,
    SUBSCRIBER_LOST,
};

struct publication {
    const char *topic; // both end in a NUL that is not counted, and are good until the next call
    const char *text;
    size_t topic_size, text_size;
};

// Waits for `timeout_ms` at most.
enum subscriber_event subscriber_next(struct subscriber *subscriber, int timeout_ms,
                                      struct publication *out);
