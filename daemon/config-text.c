#include "config-text.h"

#include <string.h>
#include <watchword/quote.h>

bool config_blank_comments(char *text, size_t size, struct ww_error *err)
{
    bool in_string = false;
    int line = 1;
    for (size_t i = 0; i < size; i++) {
        line += text[i] == '\n';
        if (in_string) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"' || text[i] == '\n') // no string goes on in the next line
                in_string = false;
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '/' && i + 1 < size && text[i + 1] == '/') {
            while (i < size && text[i] != '\n')
                text[i++] = ' ';
            line += i < size;
        } else if (text[i] == '/' && i + 1 < size && text[i + 1] == '*') {
            const char *end = memmem(text + i + 2, size - i - 2, "*/", 2);
            if (!end)
                return ww_fail(err, WW_E_CONFIG, "line %d: a comment that never ends", line);
            for (; text + i < end + 2; i++) {
                line += text[i] == '\n';
                if (text[i] != '\n')
                    text[i] = ' ';
            }
            i--;
        }
    }
    return true;
}

// Levenshtein's distance; words longer than a key can be are far from everything.
static int distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    const size_t m = strlen(a), n = strlen(b);
    if (m > MAX || n > MAX)
        return MAX;
    int row[MAX + 1];
    for (size_t j = 0; j <= n; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            const int changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

const char *config_nearest(const char *word, const char *const *words)
{
    const char *best = NULL;
    int best_distance = 1 + (int)MIN(strlen(word) / 3, 3); // of a short word less may be wrong
    for (; *words; words++) {
        const int d = distance(word, *words);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}

// Where the part between "://" and the path begins and ends; false if there is no "://".
static bool find_authority(const char *url, const char **start, const char **end)
{
    const char *colon = strstr(url, "://");
    if (!colon)
        return false;
    *start = colon + 3;
    *end = *start + strcspn(*start, "/?#");
    return true;
}

char *config_redact_url(const char *url)
{
    const size_t size = 3 * strlen(url) + 8; // "p=" becomes "p=…"
    char *out = g_malloc(size);
    ww_quote_redacted(url, out, size);
    return out;
}

static bool split_userinfo(const char *start, const char *at, struct config_url *out)
{
    const char *colon = memchr(start, ':', (size_t)(at - start));
    out->user = g_uri_unescape_segment(start, colon ? colon : at, NULL);
    if (colon)
        out->password = g_uri_unescape_segment(colon + 1, at, NULL);
    return out->user && *out->user && (!colon || out->password);
}

static bool split_host(const char *start, const char *end, struct config_url *out)
{
    const char *colon = NULL;
    if (*start == '[') {
        const char *close = memchr(start, ']', (size_t)(end - start));
        if (!close || (close + 1 < end && close[1] != ':'))
            return false;
        out->host = g_strndup(start + 1, (size_t)(close - start - 1));
        colon = close + 1 < end ? close + 1 : NULL;
    } else {
        colon = memchr(start, ':', (size_t)(end - start));
        out->host = g_strndup(start, (size_t)((colon ? colon : end) - start));
    }
    if (colon) {
        guint64 port;
        char *digits = g_strndup(colon + 1, (size_t)(end - colon - 1));
        const bool sound = g_ascii_string_to_unsigned(digits, 10, 1, 65535, &port, NULL);
        g_free(digits);
        if (!sound)
            return false;
        out->port = (int)port;
    }
    return *out->host && !strpbrk(out->host, " \t\"<>\\^`{|}");
}

static void config_url_clear(struct config_url *url)
{
    g_free(url->clean);
    g_free(url->host);
    g_free(url->user);
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    g_free(url->password);
    *url = (struct config_url){0};
}

bool config_split_url(const char *url, int default_port, struct config_url *out, const char **why)
{
    *out = (struct config_url){.port = default_port};
    const char *start, *end;
    if (!find_authority(url, &start, &end)) {
        *why = "it has no \"://\"";
        return false;
    }
    const char *at = memrchr(start, '@', (size_t)(end - start));
    if (at && !split_userinfo(start, at, out))
        *why = "its user and password cannot be read";
    else if (!split_host(at ? at + 1 : start, end, out))
        *why = !at && strchr(end, '@')
                   ? "a '/', '?' or '#' in a user or password is written %2F, %3F or %23"
                   : "its host or port cannot be read";
    else {
        const char *rest = at ? at + 1 : start;
        out->clean = g_strdup_printf("%.*s%s", (int)(start - url), url, rest);
        return true;
    }
    config_url_clear(out);
    return false;
}
