#include <string.h>
#include <watchword/watch.h>

#include "phrases.h"

// The one place where the elements read JSON is this list, so it is read right here: RFC 8259, sections 4 to 7.
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

// "phrase": … or "threshold": …, each once.
static bool read_member(struct json *j, char **phrase, float *threshold)
{
    GString *key = g_string_new(NULL), *text = g_string_new(NULL);
    const char *begin = j->at;
    bool read = read_string(j, key);
    const bool is_phrase = read && !strcmp(key->str, "phrase") && !*phrase;
    const bool is_threshold = read && !strcmp(key->str, "threshold") && *threshold < 0;
    g_string_free(key, TRUE);
    if (read && !is_phrase && !is_threshold) {
        j->at = begin;
        read = refuse(j, "\"phrase\" or \"threshold\", each once,");
    }
    skip_space(j);
    if (read && *j->at != ':')
        read = refuse(j, "':'");
    j->at += read;
    skip_space(j);
    if (read && is_threshold) {
        char *end;
        const double value = g_ascii_isdigit(*j->at) ? g_ascii_strtod(j->at, &end) : -1;
        read = (value >= 0 && value <= 1) || refuse(j, "a threshold from 0 to 1");
        if (read) {
            *threshold = (float)value;
            j->at = end;
        }
    }
    read = read && (!is_phrase || read_string(j, text));
    char *taken = g_string_free(text, FALSE);
    if (read && is_phrase)
        *phrase = g_strstrip(taken);
    else
        g_free(taken);
    return read;
}

static bool read_object(struct json *j, char **phrase, float *threshold)
{
    const char *begin = j->at++; // '{'
    float found = -1;
    do {
        skip_space(j);
        if (!read_member(j, phrase, &found))
            return false;
        skip_space(j);
    } while (*j->at == ',' && j->at++);
    if (*j->at != '}')
        return refuse(j, "',' or '}'");
    j->at++;
    *threshold = found > 0 ? found : 0;
    if (*phrase)
        return true;
    j->at = begin;
    return refuse(j, "an object with a \"phrase\"");
}

// A phrase, by itself or with its threshold. `phrase` is the caller's also on failure; NULL: none.
static bool read_item(struct json *j, char **phrase, float *threshold)
{
    *phrase = NULL;
    *threshold = 0;
    if (*j->at == '{')
        return read_object(j, phrase, threshold);
    if (*j->at != '"')
        return refuse(j, "a string in double quotes or an object");
    GString *text = g_string_new(NULL);
    const bool read = read_string(j, text);
    *phrase = g_strstrip(g_string_free(text, FALSE));
    return read;
}

static bool read_array(struct json *j, GPtrArray *out, GArray *thresholds)
{
    j->at++; // '['
    skip_space(j);
    while (*j->at != ']') {
        char *phrase;
        float threshold;
        const bool read = read_item(j, &phrase, &threshold);
        if (phrase) {
            g_ptr_array_add(out, phrase);
            g_array_append_val(thresholds, threshold);
        }
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

static bool split(const char *text, GPtrArray *out, GArray *thresholds, struct ww_error *err)
{
    char **parts = g_strsplit(text, ";", -1);
    bool ok = true;
    for (char **part = parts; *part && ok; part++) {
        float threshold;
        if (!*g_strstrip(*part))
            continue;
        ok = ww_phrase_threshold(*part, &threshold, err) || ww_within(err, "phrases");
        g_ptr_array_add(out, g_strdup(*part));
        g_array_append_val(thresholds, threshold);
    }
    g_strfreev(parts);
    return ok;
}

void ww_phrases_finish(struct ww_phrases *phrases)
{
    g_strfreev(phrases->phrases);
    g_free(phrases->thresholds);
    *phrases = (struct ww_phrases){0};
}

bool ww_phrases_parse(const char *text, struct ww_phrases *out, struct ww_error *err)
{
    *out = (struct ww_phrases){0};
    text = text ? text : "";
    if (!g_utf8_validate(text, -1, NULL))
        return ww_fail(err, WW_E_TEXT, "phrases: the text is not UTF-8");
    struct json j = {.text = text, .at = text, .err = err};
    GPtrArray *phrases = g_ptr_array_new();
    GArray *thresholds = g_array_new(FALSE, FALSE, sizeof(float));
    skip_space(&j);
    const bool ok = *j.at == '[' ? read_array(&j, phrases, thresholds) : split(text, phrases, thresholds, err);
    out->num = (int)phrases->len;
    g_ptr_array_add(phrases, NULL);
    out->phrases = (char **)g_ptr_array_free(phrases, FALSE);
    out->thresholds = (float *)(void *)g_array_free(thresholds, FALSE);
    if (!ok)
        ww_phrases_finish(out);
    return ok;
}
