#include <watchword/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

bool ww_fail(struct ww_error *err, enum ww_code code, const char *fmt, ...)
{
    if (!err)
        return false;
    char text[sizeof(err->text)]; // apart, for an argument may be err->text itself
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    err->code = code;
    ww_utf8_tidy(text);
    memcpy(err->text, text, sizeof(text));
    return false;
}

bool ww_within(struct ww_error *err, const char *fmt, ...)
{
    if (!err)
        return false;
    // What went wrong matters more than where: a place that would push the cause out of the text is
    // cut at half of its room.
    char place[sizeof(err->text) / 2], text[2 * sizeof(err->text)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(place, sizeof(place), fmt, args);
    va_end(args);
    ww_utf8_tidy(place);
    snprintf(text, sizeof(text), "%s: %s", place, err->text);
    text[sizeof(err->text) - 1] = '\0';
    ww_utf8_tidy(text);
    memcpy(err->text, text, sizeof(err->text));
    return false;
}
