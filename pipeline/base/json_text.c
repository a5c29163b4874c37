#include <watchword/json_text.h>

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"

// Keeps the text terminated at every moment: `length` may run past `size`, the NUL never does.
static void put(struct ww_json_text *t, const char *bytes, size_t count)
{
    if (t->length < t->size) {
        const size_t room = t->size - t->length - 1;
        const size_t kept = count < room ? count : room;
        memcpy(t->out + t->length, bytes, kept);
        t->out[t->length + kept] = '\0';
    }
    t->length += count;
}

static void put_text(struct ww_json_text *t, const char *text)
{
    put(t, text, strlen(text));
}

static void put_quoted(struct ww_json_text *t, const char *value)
{
    size_t left = strlen(value);
    put(t, "\"", 1);
    while (left > 0) {
        const unsigned char c = (unsigned char)*value;
        size_t count = ww_utf8_char(value, left);
        if (c == '"' || c == '\\') {
            put(t, (const char[]){'\\', (char)c}, 2);
        } else if (c < 0x20 || c == 0x7f) {
            char escape[8];
            snprintf(escape, sizeof(escape), "\\u%04x", c);
            put(t, escape, 6);
        } else if (count > 0) {
            put(t, value, count);
        } else {
            put_text(t, "\xef\xbf\xbd"); // U+FFFD
        }
        count = count > 0 ? count : 1;
        value += count;
        left -= count;
    }
    put(t, "\"", 1);
}

// What stands before every value: a comma after the one before, and the member's name.
static void begin_value(struct ww_json_text *t, const char *name)
{
    const bool in_object = t->depth > 0 && !(t->arrays >> (t->depth - 1) & 1);
    assert(in_object == (name != NULL));
    (void)in_object;
    if (t->comma)
        put(t, ",", 1);
    if (name) {
        put_quoted(t, name);
        put(t, ":", 1);
    }
    t->comma = true;
}

static void open_value(struct ww_json_text *t, const char *name, bool is_array)
{
    begin_value(t, name);
    assert(t->depth < WW_JSON_MAX_DEPTH);
    t->arrays &= ~(UINT32_C(1) << t->depth);
    t->arrays |= (uint32_t)is_array << t->depth;
    t->depth++;
    t->comma = false;
    put(t, is_array ? "[" : "{", 1);
}

void ww_json_object(struct ww_json_text *t, const char *name)
{
    open_value(t, name, false);
}

void ww_json_array(struct ww_json_text *t, const char *name)
{
    open_value(t, name, true);
}

void ww_json_end(struct ww_json_text *t)
{
    assert(t->depth > 0);
    t->depth--;
    put(t, t->arrays >> t->depth & 1 ? "]" : "}", 1);
    t->comma = true;
}

void ww_json_put_string(struct ww_json_text *t, const char *name, const char *value)
{
    begin_value(t, name);
    if (value)
        put_quoted(t, value);
    else
        put_text(t, "null");
}

void ww_json_put_int(struct ww_json_text *t, const char *name, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, value);
    begin_value(t, name);
    put_text(t, digits);
}

void ww_json_put_uint(struct ww_json_text *t, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, value);
    begin_value(t, name);
    put_text(t, digits);
}

// Not by printf's %f, whose decimal point is the locale's.
void ww_json_put_real(struct ww_json_text *t, const char *name, double value, int decimals)
{
    assert(decimals >= 0 && decimals <= 9);
    begin_value(t, name);
    if (!isfinite(value)) {
        put_text(t, "null");
        return;
    }
    int64_t scale = 1;
    for (int i = 0; i < decimals; i++)
        scale *= 10;
    char digits[400]; // %.0f of the largest double has 309
    if (fabs(value) >= 9e18 / (double)scale) {
        snprintf(digits, sizeof(digits), "%.0f", value); // has no decimals to lose, at that size
        put_text(t, digits);
        return;
    }
    const int64_t scaled = llround(fabs(value) * (double)scale);
    int n = snprintf(digits, sizeof(digits), "%s%" PRId64, value < 0 && scaled > 0 ? "-" : "",
                     scaled / scale);
    if (scaled % scale != 0) {
        n += snprintf(digits + n, sizeof(digits) - (size_t)n, ".%0*" PRId64, decimals,
                      scaled % scale);
        while (digits[n - 1] == '0')
            n--;
    }
    put(t, digits, (size_t)n);
}

void ww_json_put_bool(struct ww_json_text *t, const char *name, bool value)
{
    begin_value(t, name);
    put_text(t, value ? "true" : "false");
}

void ww_json_put_null(struct ww_json_text *t, const char *name)
{
    begin_value(t, name);
    put_text(t, "null");
}

void ww_json_put_time(struct ww_json_text *t, const char *name, int64_t unix_ns)
{
    int64_t ms = unix_ns / 1000000 - (unix_ns % 1000000 < 0); // rounded down before 1970, too
    const int64_t rest = (ms % 1000 + 1000) % 1000;
    const time_t seconds = (time_t)((ms - rest) / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[64];
    const size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)rest);
    ww_json_put_string(t, name, text);
}
