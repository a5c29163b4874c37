#include "json_check.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define MAX_DEPTH 32

// Where the value being scanned stands in the array or object around it.
struct step {
    const char *name; // as written, between its quotes; NULL in an array, and before the first name
    int name_bytes;
    long index;
    bool in_array;
};

// Invariant: at <= end. The functions below stand at the first byte of what they are named after,
// and leave `at` behind its last; on failure they leave it at the byte to blame.
struct scan {
    const char *text, *at, *end;
    int depth, max_depth;
    struct step step[MAX_DEPTH + 1]; // [1..depth]
    size_t values, max_values;
    bool integers_only;
    const char *wrong; // what is wrong at `at`
};

static bool wrong(struct scan *s, const char *at, const char *what)
{
    s->at = at;
    s->wrong = what;
    return false;
}

static int peek(const struct scan *s) // -1 at the end
{
    return s->at < s->end ? (unsigned char)*s->at : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct scan *s)
{
    while (s->at < s->end && memchr(" \t\n\r", *s->at, 4))
        s->at++;
}

// Four hexadecimal digits, or -1.
static int hex4(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int code = 0;
    for (int i = 0; i < 4; i++) {
        const int c = (unsigned char)at[i];
        const int digit = is_digit(c)              ? c - '0'
                          : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                          : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                                   : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static bool scan_escape(struct scan *s)
{
    const char *start = s->at++;
    const int c = peek(s);
    if (c != 'u') {
        if (c < 0 || !c || !strchr("\"\\/bfnrt", c))
            return wrong(s, start, "no such escape");
        s->at++;
        return true;
    }
    const int code = hex4(start + 2, s->end);
    if (code < 0)
        return wrong(s, start, "\\u needs four hexadecimal digits");
    if (code == 0)
        return wrong(s, start, "U+0000 inside a string");
    s->at = start + 6;
    if (code < 0xd800 || code > 0xdfff)
        return true;
    // Half a character outside the first 65536; the other half must follow.
    if (code > 0xdbff || s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
        return wrong(s, start, "half a surrogate pair");
    const int low = hex4(s->at + 2, s->end);
    if (low < 0xdc00 || low > 0xdfff)
        return wrong(s, start, "half a surrogate pair");
    s->at += 6;
    return true;
}

static bool scan_string(struct scan *s)
{
    const char *start = s->at++;
    for (;;) {
        const int c = peek(s);
        if (c < 0)
            return wrong(s, start, "a string that never ends");
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return wrong(s, s->at, "a control character inside a string");
        if (c == '\\') {
            if (!scan_escape(s))
                return false;
            continue;
        }
        const size_t length = ww_utf8_char(s->at, (size_t)(s->end - s->at));
        if (length == 0)
            return wrong(s, s->at, "bytes that are not UTF-8");
        s->at += length;
    }
}

static bool scan_digits(struct scan *s, const char *start)
{
    if (!is_digit(peek(s)))
        return wrong(s, start, "a number without digits where it needs them");
    while (is_digit(peek(s)))
        s->at++;
    return true;
}

static bool scan_number(struct scan *s)
{
    const char *start = s->at;
    bool whole = true;
    if (peek(s) == '-')
        s->at++;
    const char *digits = s->at;
    if (!scan_digits(s, start))
        return false;
    if (*digits == '0' && s->at - digits > 1)
        return wrong(s, start, "a number with a leading zero");
    if (peek(s) == '.') {
        whole = false;
        s->at++;
        if (!scan_digits(s, start))
            return false;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        whole = false;
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!scan_digits(s, start))
            return false;
    }
    if (!whole && s->integers_only)
        return wrong(s, start,
                     "a number with a fraction or an exponent, where only whole ones belong");
    // What cJSON will make of it: 63 characters are what it copies before it calls strtod.
    char copy[64];
    const size_t length = (size_t)(s->at - start);
    if (length >= sizeof(copy) - 1)
        return wrong(s, start, "a number of more than 62 characters");
    memcpy(copy, start, length);
    copy[length] = '\0';
    if (whole) {
        const long long value = strtoll(copy, NULL, 10); // saturates
        if (value > WW_JSON_MAX_INTEGER || value < -WW_JSON_MAX_INTEGER)
            return wrong(s, start, "a whole number beyond 2^53");
    } else {
        // Bounded by its characters, not by strtod, whose decimal point is the locale's.
        const char *e = strpbrk(copy, "eE");
        if (e && strtol(e + 1, NULL, 10) > 308 - (long)length)
            return wrong(s, start, "a number too large for a double");
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    const size_t length = strlen(word);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
        return wrong(s, s->at, "neither a value nor true, false or null");
    s->at += length;
    return true;
}

static bool scan_value(struct scan *s);

// The inside of an array or an object up to its closing bracket.
static bool scan_list(struct scan *s, char close, bool members)
{
    const char *start = s->at++;
    if (s->depth == s->max_depth)
        return wrong(s, start, "nested too deep");
    struct step *step = &s->step[++s->depth];
    *step = (struct step){.in_array = !members};
    skip_blanks(s);
    if (peek(s) == close) {
        s->at++;
        s->depth--;
        return true;
    }
    for (;;) {
        if (members) {
            if (peek(s) != '"')
                return wrong(s, s->at,
                             s->at < s->end ? "a name in double quotes belongs here"
                                            : "an object that never ends");
            const char *name = s->at + 1;
            if (!scan_string(s))
                return false;
            step->name = name;
            step->name_bytes = (int)(s->at - 1 - name);
            skip_blanks(s);
            if (peek(s) != ':')
                return wrong(s, s->at, "a colon belongs here");
            s->at++;
            skip_blanks(s);
        }
        if (!scan_value(s))
            return false;
        skip_blanks(s);
        const int c = peek(s);
        if (c == close) {
            s->at++;
            s->depth--;
            return true;
        }
        if (c < 0)
            return wrong(s, start,
                         members ? "an object that never ends" : "a list that never ends");
        if (c != ',')
            return wrong(s, s->at, "a comma or the closing bracket belongs here");
        s->at++;
        step->index++;
        skip_blanks(s);
    }
}

static bool scan_value(struct scan *s)
{
    if (++s->values > s->max_values)
        return wrong(s, s->at, "more values than can be meant");
    switch (peek(s)) {
    case -1:
        return wrong(s, s->at, "the text ends where a value belongs");
    case '{':
        return scan_list(s, '}', true);
    case '[':
        return scan_list(s, ']', false);
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (peek(s) == '-' || is_digit(peek(s)))
            return scan_number(s);
        return wrong(s, s->at, "no value begins like this");
    }
}

// "layer.shape[2]"; "" at the top.
static void print_path(const struct scan *s, char *text, size_t size)
{
    size_t at = 0;
    *text = '\0';
    for (int depth = 1; depth <= s->depth && at < size; depth++) {
        const struct step *step = &s->step[depth];
        if (step->in_array)
            at += (size_t)snprintf(text + at, size - at, "[%ld]", step->index);
        else if (step->name)
            at += (size_t)snprintf(text + at, size - at, "%s%.*s", at ? "." : "",
                                   step->name_bytes < 80 ? step->name_bytes : 80, step->name);
    }
}

bool ww_json_check(const char *text, size_t size, const struct ww_json_params *params,
                   struct ww_error *err)
{
    struct scan s = {
        .text = text,
        .at = text,
        .end = text + size,
        .max_depth = params && params->max_depth ? params->max_depth : 16,
        .max_values = params && params->max_values ? params->max_values : 65536,
        .integers_only = params && params->integers_only,
    };
    assert(s.max_depth <= MAX_DEPTH);
    skip_blanks(&s);
    bool sound = scan_value(&s);
    if (sound) {
        skip_blanks(&s);
        sound = s.at == s.end || wrong(&s, s.at, "something behind the end of the JSON");
    }
    if (sound)
        return true;
    long line = 1, column = 1; // column in bytes
    for (const char *c = text; c < s.at; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    char path[300];
    print_path(&s, path, sizeof(path));
    return *path ? ww_fail(err, WW_E_FILE, "line %ld, column %ld, in '%s': %s", line, column, path,
                           s.wrong)
                 : ww_fail(err, WW_E_FILE, "line %ld, column %ld: %s", line, column, s.wrong);
}
