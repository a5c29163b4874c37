#include "cause.h"

#include <gio/gio.h>
#include <string.h>
#include <watchword/quote.h>

#include "config-text.h"

static const char *const names[NUM_CAUSES] = {
    [CAUSE_NONE] = "none",
    [CAUSE_UNKNOWN_HOST] = "unknown-host",
    [CAUSE_REFUSED] = "refused",
    [CAUSE_UNREACHABLE] = "unreachable",
    [CAUSE_TIMEOUT] = "timeout",
    [CAUSE_UNAUTHORIZED] = "unauthorized",
    [CAUSE_NOT_FOUND] = "not-found",
    [CAUSE_PROTOCOL] = "protocol",
    [CAUSE_TRANSPORT] = "transport",
    [CAUSE_TLS] = "tls",
    [CAUSE_NO_VIDEO] = "no-video",
    [CAUSE_CODEC] = "codec",
    [CAUSE_PAYLOAD] = "payload",
    [CAUSE_LOSS] = "loss",
    [CAUSE_CLOSED] = "closed",
    [CAUSE_ENDED] = "ended",
    [CAUSE_STALLED] = "stalled",
    [CAUSE_CREDENTIALS] = "credentials",
    [CAUSE_WATCH] = "watch",
    [CAUSE_DISABLED] = "disabled",
    [CAUSE_STOPPING] = "stopping",
    [CAUSE_OTHER] = "other",
};

const char *cause_name(enum cause_code code)
{
    return names[code];
}

void cause_set(struct cause *cause, enum cause_code code, const char *fmt, ...)
{
    cause->code = code;
    va_list args;
    va_start(args, fmt);
    char *text = g_strdup_vprintf(fmt, args);
    va_end(args);
    char *valid = g_utf8_make_valid(text, -1);
    ww_quote_tidy(valid); // what a camera says goes to terminals, too
    const char *end = valid; // cut between characters, not inside one
    while (*end && (size_t)(g_utf8_next_char(end) - valid) < sizeof(cause->text))
        end = g_utf8_next_char(end);
    memcpy(cause->text, valid, (size_t)(end - valid));
    cause->text[end - valid] = '\0';
    g_free(valid);
    g_free(text);
}

// GStreamer's debug text is "file(line): function (): path:\nwhat happened": the last line is for us.
static char *last_line(const char *debug)
{
    const char *newline = debug ? strrchr(debug, '\n') : NULL;
    return g_strdup(newline ? newline + 1 : "");
}

static enum cause_code resource_code(int code, const char *detail)
{
    if (strstr(detail, "Parse error") || strstr(detail, "Invalid data") ||
        strstr(detail, "SDP"))
        return CAUSE_PROTOCOL;
    if (strstr(detail, "imeout") || strstr(detail, "imed out"))
        return CAUSE_TIMEOUT;
    if (strstr(detail, "ertificate") || strstr(detail, "TLS") || strstr(detail, "SSL"))
        return CAUSE_TLS;
    if (strstr(detail, "Unsupported transport") || strstr(detail, "negotiate transport"))
        return CAUSE_TRANSPORT;
    switch (code) {
    case GST_RESOURCE_ERROR_NOT_AUTHORIZED:
        return CAUSE_UNAUTHORIZED;
    case GST_RESOURCE_ERROR_NOT_FOUND:
        return CAUSE_NOT_FOUND;
    case GST_RESOURCE_ERROR_SETTINGS:
        return CAUSE_TRANSPORT;
    case GST_RESOURCE_ERROR_OPEN_READ:
    case GST_RESOURCE_ERROR_OPEN_READ_WRITE:
        return CAUSE_UNREACHABLE; // the caller finds out how (reach.h)
    case GST_RESOURCE_ERROR_READ:
    case GST_RESOURCE_ERROR_WRITE:
        return CAUSE_CLOSED;
    default:
        return CAUSE_OTHER;
    }
}

static enum cause_code stream_code(int code, const char *detail)
{
    // Somebody behind the source could do nothing with pictures of the kind that these are said to be.
    if (code == GST_STREAM_ERROR_FAILED && strstr(detail, "not-negotiated"))
        return CAUSE_PAYLOAD;
    switch (code) {
    case GST_STREAM_ERROR_CODEC_NOT_FOUND:
        return CAUSE_CODEC;
    case GST_STREAM_ERROR_WRONG_TYPE:
        return CAUSE_NO_VIDEO;
    case GST_STREAM_ERROR_FORMAT: // what depayloaders say of a payload that makes no sense
    case GST_STREAM_ERROR_DECODE:
    case GST_STREAM_ERROR_DEMUX:
    case GST_STREAM_ERROR_TYPE_NOT_FOUND:
        return CAUSE_PAYLOAD;
    default:
        return CAUSE_OTHER;
    }
}

void cause_from_message(struct cause *cause, GstMessage *message, const char *where)
{
    GError *error = NULL;
    char *debug = NULL;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR)
        gst_message_parse_error(message, &error, &debug);
    else
        gst_message_parse_warning(message, &error, &debug);
    char *line = last_line(debug), *detail = config_redact_url(line); // it may quote the URL
    enum cause_code code = error->domain == GST_RESOURCE_ERROR ? resource_code(error->code, detail)
                           : error->domain == GST_STREAM_ERROR ? stream_code(error->code, detail)
                           : g_error_matches(error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN)
                               ? CAUSE_CODEC
                               : CAUSE_OTHER;
    const bool served = g_str_has_prefix(where, "rtsp") || g_str_has_prefix(where, "http");
    const char *const sentences[NUM_CAUSES] = {
        [CAUSE_UNAUTHORIZED] = served ? "401: the user or the password is missing or wrong"
                                      : "this user may not open it",
        [CAUSE_NOT_FOUND] = served ? "404: there is nothing of that name" : "it is not there",
        [CAUSE_PROTOCOL] = "its answer makes no sense",
        [CAUSE_TIMEOUT] = "no answer in time",
        [CAUSE_TLS] = "the encrypted connection failed",
        [CAUSE_TRANSPORT] = "the camera does not send by the transport that was asked for",
        [CAUSE_UNREACHABLE] = "cannot connect",
        [CAUSE_CLOSED] = "the connection was closed",
        [CAUSE_NO_VIDEO] = "there is no video",
        [CAUSE_CODEC] = "there is no decoder for what the camera sends",
        [CAUSE_PAYLOAD] = "what the camera sends cannot be decoded",
    };
    if (!sentences[code])
        cause_set(cause, code, "%s: %s%s%s", where, error->message, *detail ? " " : "", detail);
    else if (*detail && code != CAUSE_UNREACHABLE && code != CAUSE_UNAUTHORIZED)
        cause_set(cause, code, "%s: %s (%s)", where, sentences[code], detail);
    else
        cause_set(cause, code, "%s: %s", where, sentences[code]);
    g_free(line);
    g_free(detail);
    g_free(debug);
    g_error_free(error);
}

void cause_from_io(struct cause *cause, const GError *error, const char *host, int port)
{
    if (error->domain == G_RESOLVER_ERROR)
        cause_set(cause, CAUSE_UNKNOWN_HOST, "the host name \"%s\" is not known", host);
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
        cause_set(cause, CAUSE_REFUSED, "%s refused the connection on port %d", host, port);
    else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
        cause_set(cause, CAUSE_TIMEOUT, "%s did not answer on port %d", host, port);
    else
        cause_set(cause, CAUSE_UNREACHABLE, "cannot reach %s on port %d: %s", host, port,
                  error->message);
}
