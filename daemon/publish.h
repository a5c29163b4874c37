// publish.h: the one socket that messages leave by. The only file that knows ZeroMQ is publish.c.
//
// One thread owns the socket. Whoever has a message puts it into a queue of bounded length and goes
// on: a slow subscriber, a slow disk or a stopped thread never delays a stream. When the queue is full
// its oldest message is dropped and counted; the receiver sees the gap in `seq`.

#pragma once

#include <glib.h>
#include <watchword/error.h>

struct publisher;

// Binds and starts the thread. WW_E_NETWORK: cannot bind; somebody else publishes there.
struct publisher *publisher_create(const char *endpoint, struct ww_error *err);

// Sends what is in the queue, for a second at most, closes the socket and ends the thread. What comes
// later is dropped and counted, so threads that outlive the socket do no harm. Main thread.
void publisher_close(struct publisher *publisher);
// Closes and frees; nobody may use it any more.
void publisher_destroy(struct publisher **publisher);

// Any thread. Copies `topic`, takes `text` (g_malloc). Never blocks.
void publisher_send(struct publisher *publisher, const char *topic, char *text);

struct publisher_stats {
    guint64 sent, dropped;
    guint queued;
    gint64 oldest_us; // how long the oldest message in the queue has been there
};
void publisher_stats(struct publisher *publisher, struct publisher_stats *out);
