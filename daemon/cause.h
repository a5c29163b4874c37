// cause.h: why a camera is not live: a code for programs, a sentence for people.

#pragma once

#include <gst/gst.h>
#include <watchword/error.h>

enum cause_code {
    CAUSE_NONE,
    CAUSE_UNKNOWN_HOST, // no such name
    CAUSE_REFUSED,      // nobody listens on the port
    CAUSE_UNREACHABLE,  // no way to the host
    CAUSE_TIMEOUT,      // connected or not: no answer
    CAUSE_UNAUTHORIZED, // user or password are wrong or missing
    CAUSE_NOT_FOUND,    // no such path, file or device
    CAUSE_PROTOCOL,     // whoever answers does not speak RTSP or HTTP
    CAUSE_TRANSPORT,    // the camera cannot send over UDP, or not over TCP
    CAUSE_TLS,          // the certificate is not trusted
    CAUSE_NO_VIDEO,     // it sends something, but no pictures
    CAUSE_CODEC,        // no decoder, or another codec than announced
    CAUSE_PAYLOAD,      // data that no picture can be made from
    CAUSE_LOSS,         // most RTP packets got lost
    CAUSE_CLOSED,       // the camera closed the connection
    CAUSE_ENDED,        // the camera ended the stream
    CAUSE_STALLED,      // connected, but no more pictures
    CAUSE_CREDENTIALS,  // the password cannot be read on this machine
    CAUSE_WATCH,        // a watch cannot be: its model or its words
    CAUSE_DISABLED,     // by the configuration
    CAUSE_STOPPING,     // the daemon is going away
    CAUSE_OTHER,
    NUM_CAUSES
};

struct cause {
    enum cause_code code;
    char text[400];
};

// "refused", "unknown-host", ...: as messages say it.
const char *cause_name(enum cause_code code);

void cause_set(struct cause *cause, enum cause_code code, const char *fmt, ...) WW_PRINTF(3, 4);

// What an error or a warning of a source means. `where` is the URL, redacted.
void cause_from_message(struct cause *cause, GstMessage *message, const char *where);

// What a failed connection, a GIO or resolver error, means.
void cause_from_io(struct cause *cause, const GError *error, const char *host, int port);
