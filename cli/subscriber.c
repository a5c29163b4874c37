#include "subscriber.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

struct subscriber {
    void *context, *socket, *monitor;
    char *topic, *text;
    size_t topic_room, text_room;
    bool connected;
};

struct subscriber *subscriber_open(const char *endpoint, const char *const *prefixes,
                                   int num_prefixes, struct ww_error *err)
{
    static const char monitor_at[] = "inproc://subscriber-monitor";
    struct subscriber *s = calloc(1, sizeof(*s));
    if (!s)
        abort();
    s->context = zmq_ctx_new();
    s->socket = zmq_socket(s->context, ZMQ_SUB);
    s->monitor = zmq_socket(s->context, ZMQ_PAIR);
    if (!s->socket || !s->monitor) {
        ww_fail(err, WW_E_NETWORK, "ZeroMQ: %s", zmq_strerror(zmq_errno()));
        subscriber_close(&s);
        return NULL;
    }
    const int zero = 0, soon_ms = 100, late_ms = 1000, beat_ms = 2000, many = 10000;
    zmq_setsockopt(s->socket, ZMQ_LINGER, &zero, sizeof(zero));
    zmq_setsockopt(s->monitor, ZMQ_LINGER, &zero, sizeof(zero));
    zmq_setsockopt(s->socket, ZMQ_RECONNECT_IVL, &soon_ms, sizeof(soon_ms));
    zmq_setsockopt(s->socket, ZMQ_RECONNECT_IVL_MAX, &late_ms, sizeof(late_ms));
    zmq_setsockopt(s->socket, ZMQ_HEARTBEAT_IVL, &beat_ms, sizeof(beat_ms)); // a silent TCP death
    zmq_setsockopt(s->socket, ZMQ_RCVHWM, &many, sizeof(many));
    for (int i = 0; i < num_prefixes; i++)
        zmq_setsockopt(s->socket, ZMQ_SUBSCRIBE, prefixes[i], strlen(prefixes[i]));
    if (num_prefixes == 0)
        zmq_setsockopt(s->socket, ZMQ_SUBSCRIBE, "", 0);
    zmq_socket_monitor(s->socket, monitor_at,
                       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED);
    zmq_connect(s->monitor, monitor_at);
    if (zmq_connect(s->socket, endpoint) != 0) {
        ww_fail(err, WW_E_CONFIG, "'%s' is no endpoint: ipc:///PATH or tcp://HOST:PORT is (%s)",
                endpoint, zmq_strerror(zmq_errno()));
        subscriber_close(&s);
    }
    return s;
}

void subscriber_close(struct subscriber **subscriber)
{
    struct subscriber *s = *subscriber;
    *subscriber = NULL;
    if (!s)
        return;
    if (s->monitor)
        zmq_close(s->monitor);
    if (s->socket)
        zmq_close(s->socket);
    zmq_ctx_term(s->context);
    free(s->topic);
    free(s->text);
    free(s);
}

static bool has_more(void *socket)
{
    int more = 0;
    size_t size = sizeof(more);
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    return more != 0;
}

// Receives a frame into memory that grows as needed and is kept.
static bool receive(void *socket, char **text, size_t *room, size_t *size)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    const int got = zmq_msg_recv(&message, socket, ZMQ_DONTWAIT);
    if (got >= 0) {
        *size = (size_t)got;
        if (*size + 1 > *room) {
            *room = 2 * (*size + 1);
            *text = realloc(*text, *room);
            if (!*text)
                abort();
        }
        memcpy(*text, zmq_msg_data(&message), *size);
        (*text)[*size] = '\0';
    }
    zmq_msg_close(&message);
    return got >= 0;
}

static void drop_rest(void *socket)
{
    zmq_msg_t message;
    zmq_msg_init(&message);
    while (has_more(socket) && zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) >= 0)
        ;
    zmq_msg_close(&message);
}

static bool next_message(struct subscriber *s, struct publication *out)
{
    if (!receive(s->socket, &s->topic, &s->topic_room, &out->topic_size))
        return false;
    const bool whole =
        has_more(s->socket) && receive(s->socket, &s->text, &s->text_room, &out->text_size);
    drop_rest(s->socket); // attachments
    out->topic = s->topic;
    out->text = s->text;
    return whole;
}

// Frame 0 of what a monitor sends begins with the event's number, in this machine's byte order.
static enum subscriber_event next_change(struct subscriber *s)
{
    zmq_msg_t message;
    uint16_t number = 0;
    zmq_msg_init(&message);
    if (zmq_msg_recv(&message, s->monitor, ZMQ_DONTWAIT) >= (int)sizeof(number))
        memcpy(&number, zmq_msg_data(&message), sizeof(number));
    zmq_msg_close(&message);
    drop_rest(s->monitor);
    if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED && !s->connected) {
        s->connected = true;
        return SUBSCRIBER_CONNECTED;
    }
    if (number == ZMQ_EVENT_DISCONNECTED && s->connected) {
        s->connected = false;
        return SUBSCRIBER_LOST;
    }
    return SUBSCRIBER_NOTHING;
}

enum subscriber_event subscriber_next(struct subscriber *s, int timeout_ms, struct publication *out)
{
    // What was published comes before the news that the publisher has gone.
    if (next_message(s, out))
        return SUBSCRIBER_MESSAGE;
    zmq_pollitem_t items[] = {
        {.socket = s->socket, .events = ZMQ_POLLIN},
        {.socket = s->monitor, .events = ZMQ_POLLIN},
    };
    if (zmq_poll(items, 2, timeout_ms) <= 0)
        return SUBSCRIBER_NOTHING;
    if (items[0].revents && next_message(s, out))
        return SUBSCRIBER_MESSAGE;
    return items[1].revents ? next_change(s) : SUBSCRIBER_NOTHING;
}
