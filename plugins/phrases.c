#include <string.h>

#include "phrases.h"

// The one place where the elements read JSON is this list of strings, so it is read right here:
// RFC 8259, sections 5 and 7.
struct json {
    const char *text, *at;
    struct ww_error *err;
};

static bool refuse(struct json *j, const char *wanted)
{
    return ww_fail(j->err, WW_E_TEXT, "phrases: expected %s at character %ld of %s", wanted,
                   g_utf8_pointer_to_offset(j->text, j->at) + 1, j->text);
}

static void skip_space(struct json *j)
{
    j->at += strspn(j->at, " \t\r\n");
}

// Four hexadecimal digits; -1 if there are fewer.
static int read_hex(struct json *j)
{
    int value = 0;
    for (int i = 0; i < 4; i++, j->at++) {
        int digit = g_ascii_xdigit_value(*j->at);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

// What follows "\u". Code points past the first 65,536 are two escapes, a surrogate pair.
static bool read_code_point(struct json *j, GString *out)
{
    int unit = read_hex(j);
    bool is_high = unit >= 0xd800 && unit < 0xdc00;
    if (is_high && j->at[0] == '\\' && j->at[1] == 'u') {
        j->at += 2;
        int low = read_hex(j);
        bool is_low = low >= 0xdc00 && low < 0xe000;
        unit = is_low ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) : -1;
    }
    if (unit <= 0 || (unit >= 0xd800 && unit < 0xe000))
        return refuse(j, "the hexadecimal digits of a character");
    g_string_append_unichar(out, (gunichar)unit);
    return true;
}

static bool read_escape(struct json *j, GString *out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = *j->at;
    if (c == 'u') {
        j->at++;
        return read_code_point(j, out);
    }
    const char *letter = c ? strchr(letters, c) : NULL;
    if (!letter)
        return refuse(j, "one of \"\\/bfnrtu after a backslash");
    g_string_append_c(out, meanings[letter - letters]);
    j->at++;
    return true;
}

static bool read_string(struct json *j, GString *out)
{
    if (*j->at != '"')
        return refuse(j, "a string in double quotes");
    j->at++;
    while (*j->at != '"') {
        if ((guchar)*j->at < 0x20)
            return refuse(j, "the closing double quote");
        if (*j->at == '\\') {
            j->at++;
            if (!read_escape(j, out))
                return false;
        } else {
            g_string_append_c(out, *j->at++);
        }
    }
    j->at++;
    return true;
}

static bool read_array(struct json *j, GPtrArray *out)
{
    j->at++; // '['
    skip_space(j);
    while (*j->at != ']') {
        GString *phrase = g_string_new(NULL);
        bool read = read_string(j, phrase);
        g_ptr_array_add(out, g_strstrip(g_string_free(phrase, FALSE)));
        if (!read)
            return false;
        skip_space(j);
        if (*j->at != ',' && *j->at != ']')
            return refuse(j, "',' or ']'");
        if (*j->at == ',') {
            j->at++;
            skip_space(j);
            if (*j->at == ']')
                return refuse(j, "a string after ','");
        }
    }
    j->at++;
    skip_space(j);
    return *j->at == '\0' || refuse(j, "nothing after ']'");
}

static void split(const char *text, GPtrArray *out)
{
    char **parts = g_strsplit(text, ";", -1);
    for (char **part = parts; *part; part++) {
        if (*g_strstrip(*part))
            g_ptr_array_add(out, g_strdup(*part));
    }
    g_strfreev(parts);
}

char **ww_phrases_parse(const char *text, struct ww_error *err)
{
    text = text ? text : "";
    if (!g_utf8_validate(text, -1, NULL)) {
        ww_fail(err, WW_E_TEXT, "phrases: the text is not UTF-8");
        return NULL;
    }
    struct json j = {.text = text, .at = text, .err = err};
    GPtrArray *phrases = g_ptr_array_new_with_free_func(g_free);
    skip_space(&j);
    if (*j.at != '[') {
        split(text, phrases);
    } else if (!read_array(&j, phrases)) {
        g_ptr_array_unref(phrases);
        return NULL;
    }
    g_ptr_array_add(phrases, NULL);
    return (char **)g_ptr_array_free(phrases, FALSE);
}
