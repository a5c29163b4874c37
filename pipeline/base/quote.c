#include <watchword/quote.h>

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

static const char hidden[] = "…";

void ww_quote_tidy(char *text)
{
    ww_utf8_tidy(text);
}

struct copy {
    char *out;
    size_t size, length;
    bool full;
};

static void put(struct copy *c, const char *text, size_t bytes)
{
    c->full |= c->length + bytes >= c->size;
    if (c->full)
        return;
    memcpy(c->out + c->length, text, bytes);
    c->length += bytes;
}

// The last '@' of `bytes`, but for those of libav, which says "[tcp @ 0x55d0c0]".
static const char *last_at(const char *text, size_t bytes)
{
    while (bytes-- > 0)
        if (text[bytes] == '@' && strncmp(text + bytes, "@ 0x", 4) != 0)
            return text + bytes;
    return NULL;
}

// Where the user and the password that follow "://" end; NULL: there are none. A password may hold "/?#" by
// mistake, so the '@' may be anywhere.
static const char *userinfo_end(const char *text)
{
    const char *at = last_at(text, strcspn(text, "/?#"));
    return at ? at : last_at(text, strlen(text));
}

// Bytes of a name with its "=" whose value is nobody's business; 0: it is none. `before`: the character in front.
static size_t secret_name(const char *text, char before)
{
    static const char *const secrets[] = {"password=", "passwd=", "pass=",      "pwd=",        "pw=",
                                          "token=",    "secret=", "key=",       "auth=",       "sig=",
                                          "sid=",      "session=", "signature=", "credential=", "credentials="};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (strncasecmp(text, secrets[i], strlen(secrets[i])) == 0)
            return strlen(secrets[i]);
    return strchr("/?&;", before) && strncasecmp(text, "p=", 2) == 0 ? 2 : 0;
}

// Bytes of a secret. A sentence goes on with ": ", or after `quote`, the quote that the URL stands in; '\0': none.
static size_t value_bytes(const char *text, bool in_query, char quote)
{
    const char ends[] = {'&', ';', '\n', in_query ? '&' : '/', quote, '\0'};
    const size_t bytes = strcspn(text, ends);
    const char *colon = strstr(text, ": ");
    return colon && (size_t)(colon - text) < bytes ? (size_t)(colon - text) : bytes;
}

void ww_quote_redacted(const char *text, char *out, size_t size)
{
    struct copy c = {.out = out, .size = size};
    bool in_query = false;
    char quote = '\0';
    for (char before = '/'; *text;) {
        if (strncmp(text, "://", 3) == 0) {
            put(&c, text, 3);
            text += 3;
            before = '/';
            in_query = false;
            const char *at = userinfo_end(text);
            if (at) {
                put(&c, hidden, sizeof hidden - 1);
                text = at;
            }
            continue;
        }
        const size_t name = secret_name(text, before);
        if (name) {
            put(&c, text, name);
            put(&c, hidden, sizeof hidden - 1);
            text += name + value_bytes(text + name, in_query, quote);
            before = '=';
            continue;
        }
        if (*text == quote)
            quote = '\0';
        else if (!quote && strchr("'\"", *text) && strchr("/ (", before)) // "/": at the beginning, too
            quote = *text;
        in_query = (in_query || *text == '?') && *text != ' ';
        before = *text;
        size_t bytes = ww_utf8_char(text, strnlen(text, 4));
        bytes = bytes ? bytes : 1;
        put(&c, text, bytes);
        text += bytes;
    }
    if (size)
        out[c.length] = '\0';
}
