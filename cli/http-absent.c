// What stands in for http.c where the build had no libcurl.

#include "http.h"

struct http *http_create(struct ww_error *err)
{
    ww_fail(err, WW_E_UNSUPPORTED, "this build cannot fetch: install libcurl4-openssl-dev and build again");
    return NULL;
}

void http_destroy(struct http **http)
{
    (void)http;
}

enum http_end http_get(struct http *http, const struct http_get *get, struct ww_error *err)
{
    (void)http, (void)get, (void)err;
    return HTTP_FAILED;
}

bool http_is_private(const char *url)
{
    (void)url;
    return false;
}
