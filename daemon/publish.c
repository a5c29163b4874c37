#include "publish.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "log.h"

// Two seconds of forty cameras at 25 frames a second; some megabytes at most.
#define MAX_QUEUED 2000

#define LINGER_MS 1000

// Bytes of what a subscriber sends at a time: a greeting, or a topic, of which ours have 80 at most. ZeroMQ keeps
// some 30 bytes for each byte of a topic that nobody had before (20,000 random ones of 240 bytes: 150 MB), and closes
// the connection that brings more at a time. How many it may bring is bounded by who may use the socket alone.
#define MAX_TOPIC 256

struct item {
    char *topic, *text;
    gint64 queued_us;
};

struct publisher {
    void *context, *socket; // the socket is the thread's from publisher_create on
    char *path;             // of an ipc endpoint; else NULL
    GThread *thread;

    GMutex mutex; // everything below
    GCond filled;
    struct item ring[MAX_QUEUED];
    guint first, count;
    bool stopping;
    guint64 sent, dropped;
};

static void item_clear(struct item *item)
{
    g_free(item->topic);
    g_free(item->text);
    *item = (struct item){0};
}

// False when there will be no more.
static bool take(struct publisher *p, struct item *out)
{
    g_mutex_lock(&p->mutex);
    while (p->count == 0 && !p->stopping)
        g_cond_wait(&p->filled, &p->mutex);
    const bool any = p->count > 0;
    if (any) {
        *out = p->ring[p->first];
        p->ring[p->first] = (struct item){0};
        p->first = (p->first + 1) % MAX_QUEUED;
        p->count--;
    }
    g_mutex_unlock(&p->mutex);
    return any;
}

static void *run(void *opaque)
{
    struct publisher *p = opaque;
    for (struct item item; take(p, &item); item_clear(&item)) {
        const bool sent = zmq_send(p->socket, item.topic, strlen(item.topic), ZMQ_SNDMORE) >= 0 &&
                          zmq_send(p->socket, item.text, strlen(item.text), 0) >= 0;
        g_mutex_lock(&p->mutex);
        sent ? p->sent++ : p->dropped++;
        g_mutex_unlock(&p->mutex);
    }
    zmq_close(p->socket);
    return NULL;
}

// ZeroMQ unlinks whatever has the socket's name before it binds, also another daemon's.
static bool is_taken(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path))
        return false;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    const bool taken = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return taken;
}

static bool bind_socket(struct publisher *p, const char *endpoint, struct ww_error *err)
{
    if (p->path && is_taken(p->path))
        return ww_fail(err, WW_E_NETWORK, "cannot publish at %s: another process does", endpoint);
    if (zmq_bind(p->socket, endpoint) < 0) {
        const int code = errno;
        const char *hint = p->path && code == ENOENT
                               ? ": its folder is not there (systemd makes /run/watchword for the "
                                 "unit; \"publish\": {\"endpoint\": …} chooses another)"
                               : "";
        return ww_fail(err, WW_E_NETWORK, "cannot publish at %s: %s%s", endpoint,
                       zmq_strerror(code), hint);
    }
    // Whoever is in the group may listen.
    if (p->path && chmod(p->path, 0660) < 0)
        return ww_fail(err, WW_E_NETWORK, "cannot publish at %s: %s", endpoint, g_strerror(errno));
    return true;
}

struct publisher *publisher_create(const char *endpoint, struct ww_error *err)
{
    struct publisher *p = g_new0(struct publisher, 1);
    g_mutex_init(&p->mutex);
    g_cond_init(&p->filled);
    if (g_str_has_prefix(endpoint, "ipc://"))
        p->path = g_strdup(endpoint + strlen("ipc://"));
    p->context = zmq_ctx_new();
    p->socket = zmq_socket(p->context, ZMQ_PUB);
    const int linger = LINGER_MS, ipv6 = 1;
    const int64_t most = MAX_TOPIC;
    zmq_setsockopt(p->socket, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(p->socket, ZMQ_MAXMSGSIZE, &most, sizeof(most));
    zmq_setsockopt(p->socket, ZMQ_IPV6, &ipv6, sizeof(ipv6));
    if (!bind_socket(p, endpoint, err)) {
        zmq_close(p->socket);
        publisher_destroy(&p);
        return NULL;
    }
    p->thread = g_thread_new("ww-publish", run, p);
    return p;
}

void publisher_close(struct publisher *p)
{
    if (!p->thread)
        return;
    g_mutex_lock(&p->mutex);
    p->stopping = true;
    g_cond_signal(&p->filled);
    g_mutex_unlock(&p->mutex);
    g_thread_join(p->thread);
    p->thread = NULL;
    while (zmq_ctx_term(p->context) != 0 && errno == EINTR) // waits for LINGER_MS at most
        continue;
    p->context = NULL;
}

void publisher_destroy(struct publisher **publisher)
{
    struct publisher *p = *publisher;
    if (!p)
        return;
    publisher_close(p);
    if (p->context)
        zmq_ctx_term(p->context);
    g_mutex_clear(&p->mutex);
    g_cond_clear(&p->filled);
    g_free(p->path);
    g_free(p);
    *publisher = NULL;
}

void publisher_send(struct publisher *p, const char *topic, char *text)
{
    struct item old = {0}, item = {g_strdup(topic), text, g_get_monotonic_time()};
    g_mutex_lock(&p->mutex);
    if (p->stopping) {
        old = item;
        p->dropped++;
    } else {
        if (p->count == MAX_QUEUED) {
            old = p->ring[p->first];
            p->first = (p->first + 1) % MAX_QUEUED;
            p->count--;
            p->dropped++;
        }
        p->ring[(p->first + p->count++) % MAX_QUEUED] = item;
        g_cond_signal(&p->filled);
    }
    g_mutex_unlock(&p->mutex);
    item_clear(&old);
}

void publisher_stats(struct publisher *p, struct publisher_stats *out)
{
    g_mutex_lock(&p->mutex);
    *out = (struct publisher_stats){
        .sent = p->sent, .dropped = p->dropped, .queued = p->count,
        .oldest_us = p->count ? g_get_monotonic_time() - p->ring[p->first].queued_us : 0,
    };
    g_mutex_unlock(&p->mutex);
}
