// http.h: one GET at a time, as careful as a file from a stranger's server needs it.
//
// Redirects are followed here, at most 8, from https never to http. A token goes to the server that it
// is for, by scheme, host and port, and to no other one however it is reached; never over http but to
// this machine, and then past any proxy. Certificates are checked against the system's store, or that
// of $SSL_CERT_FILE. Nothing is retried and nothing is written: that is fetch-file.c's.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

struct http; // a client, which keeps connections open between requests

// What the server says before it sends: of the answer that is no redirect, but for what the hub says of
// a file that lies elsewhere: that is taken from the redirect of the token's server alone.
struct http_head {
    int status;
    char host[128];          // who answered, for sentences
    int64_t bytes;           // of the body; -1: not told
    int64_t range_begin;     // of Content-Range; -1: none
    int64_t range_total;     // of Content-Range; -1: none, or '*'
    int64_t retry_after_s;   // -1: none
    int64_t linked_bytes;    // X-Linked-Size; -1: none
    char linked_sha256[65];  // X-Linked-ETag; "": none, or no sha256
    char etag[200];          // with its quotes; "": none, or a weak one, which says nothing about bytes
    bool encoded;            // compressed, which nobody asked for
    bool token_sent;         // to who answered, or to who redirected
};

struct http_get {
    const char *url;
    const char *home;     // whose token it is: the beginning of a URL
    const char *token;    // NULL: none
    int64_t from;         // bytes to leave out at the beginning; 0: no range is asked for
    const char *if_range; // ETag that the range belongs to; "": any
    double silence_s;     // how long a server may be silent, also before its first byte
    // Told once, before the first byte of the body. False: the body is not wanted.
    bool (*head)(void *opaque, const struct http_head *head);
    // Told what arrives. False stops.
    bool (*body)(void *opaque, const void *data, size_t size);
    void *opaque;
};

enum http_end {
    HTTP_DONE,      // the body has arrived, as far as the server's word goes
    HTTP_BROKEN,    // the network or the server failed in the middle: worth another try. `err` says how
    HTTP_REFUSED,   // a callback returned false; `err` is as it was
    HTTP_STOPPED,   // by a signal (cli.h)
    HTTP_FAILED,    // in a way that another try will not change. `err` says how
};

// NULL: WW_E_UNSUPPORTED, this build has no libcurl; WW_E_MEMORY.
struct http *http_create(struct ww_error *err);
void http_destroy(struct http **http);

enum http_end http_get(struct http *http, const struct http_get *get, struct ww_error *err);

// Whether a token may go to that URL at all: https, or http to this machine.
bool http_is_private(const char *url);
