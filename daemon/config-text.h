// config-text.h: JSON for people: the comments taken out, the mistakes named.

#pragma once

#include <glib.h>
#include <stdbool.h>
#include <watchword/error.h>

// Turns // and /* */ comments into blanks, in place, so that lines and columns stay what they were.
// WW_E_CONFIG: a comment that never ends.
bool config_blank_comments(char *text, size_t size, struct ww_error *err);

// The word of the list that was most likely meant, or NULL if none comes near. NULL ends the list.
const char *config_nearest(const char *word, const char *const *words);

// A URL without its user and passwords, for people to read; the caller frees it. Works on anything,
// also on what is no URL.
char *config_redact_url(const char *url);

// Takes a URL apart. False: `why` says what is wrong with it (static). `user`, `password` and `host`
// are the caller's; NULL where the URL has none. `port` is the scheme's where the URL names none.
struct config_url {
    char *clean; // without user and password
    char *host, *user, *password;
    int port;
};
bool config_split_url(const char *url, int default_port, struct config_url *out, const char **why);
