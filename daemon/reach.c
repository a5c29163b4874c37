#include "reach.h"

#include <gio/gio.h>

struct reach {
    char *host;
    int port;
    GCancellable *cancel;
    reach_fn done; // NULL once cancelled
    void *opaque;
};

static void on_connected(GObject *client, GAsyncResult *result, void *opaque)
{
    struct reach *r = opaque;
    GError *error = NULL;
    GSocketConnection *connection =
        g_socket_client_connect_finish(G_SOCKET_CLIENT(client), result, &error);
    struct cause cause = {0};
    if (error)
        cause_from_io(&cause, error, r->host, r->port);
    if (connection)
        g_io_stream_close_async(G_IO_STREAM(connection), G_PRIORITY_DEFAULT, NULL, NULL, NULL);
    g_clear_object(&connection);
    if (r->done)
        r->done(r->opaque, &cause);
    g_clear_error(&error);
    g_object_unref(r->cancel);
    g_free(r->host);
    g_free(r);
}

struct reach *reach_start(const char *host, int port, int timeout_ms, reach_fn done, void *opaque)
{
    struct reach *r = g_new0(struct reach, 1);
    *r = (struct reach){
        .host = g_strdup(host), .port = port, .cancel = g_cancellable_new(), .done = done,
        .opaque = opaque,
    };
    GSocketClient *client = g_socket_client_new();
    g_socket_client_set_enable_proxy(client, FALSE); // cameras are near
    g_socket_client_set_timeout(client, (guint)(timeout_ms + 999) / 1000);
    // Not ..._connect_to_host, which takes "fe80::1" apart at its colons.
    GSocketConnectable *address = g_network_address_new(host, (guint16)port);
    g_socket_client_connect_async(client, address, r->cancel, on_connected, r);
    g_object_unref(address);
    g_object_unref(client);
    return r;
}

void reach_cancel(struct reach **reach)
{
    if (!*reach)
        return;
    (*reach)->done = NULL; // the callback still comes, and frees
    g_cancellable_cancel((*reach)->cancel);
    *reach = NULL;
}
