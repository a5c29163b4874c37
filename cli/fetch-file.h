// fetch-file.h: one file from a server, whole and checked, or not at all.

#pragma once

#include <watchword/catalogue.h>

#include "http.h"

struct source {
    struct http *http;
    const char *home;  // the hub's address; the token is for it alone
    const char *token; // NULL: none
    double silence_s;
};

enum check { CHECK_CATALOGUE, CHECK_SERVER, CHECK_NONE }; // whose sha256 it has

struct fetched {
    int64_t bytes;
    char sha256[65]; // that it has
    enum check check;
    bool was_there, resumed; // fetched by an earlier run, or in part by one
};

// Fetches `url` into `file->name` below the open folder `root`, unless that is there and right. Goes on
// where an earlier run stopped, tries again what may pass by itself, and tells on stderr what it meets.
// False: WW_E_NETWORK or WW_E_FILE, with what to do about it; WW_E_STOPPED, by a signal. Then what has
// arrived is kept, unless it was found to be wrong. Nobody else may write there (fetch.c has a lock).
bool fetch_file(const struct source *source, int root, const struct ww_catalogue_file *file,
                const char *url, struct fetched *out, struct ww_error *err);
