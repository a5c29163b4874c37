// The one file that knows libcurl.

#include "http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli.h"

#define MAX_REDIRECTS 8
#define MAX_ASIDE     65536 // bytes that come with a redirect and are not wanted

struct http {
    CURL *curl;
    char said[CURL_ERROR_SIZE]; // libcurl's own words for what went wrong
};

// One server, as far as a token is concerned.
struct place {
    char scheme[8], host[256], port[8];
};

// One request with all its redirects.
struct transfer {
    struct http *http;
    const struct http_get *get;
    struct http_head head;
    struct place home, now;
    bool told;            // `head` was, so what follows are no headers that count
    bool refused;         // by a callback
    bool silent;          // for too long
    bool chunked;
    size_t aside;         // bytes of a redirect's body
    curl_off_t moved;     // bytes in both directions, when they were last looked at
    int64_t moved_ns;
};

static bool take_part(CURLU *u, CURLUPart part, char *out, size_t size)
{
    char *text = NULL;
    const bool taken = curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK && strlen(text) < size;
    snprintf(out, size, "%s", taken ? text : "");
    curl_free(text);
    return taken;
}

// False: that is no URL, or one of neither http nor https.
static bool find_place(const char *url, struct place *place)
{
    CURLU *u = curl_url();
    const bool found = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                       take_part(u, CURLUPART_SCHEME, place->scheme, sizeof(place->scheme)) &&
                       take_part(u, CURLUPART_HOST, place->host, sizeof(place->host)) &&
                       take_part(u, CURLUPART_PORT, place->port, sizeof(place->port));
    curl_url_cleanup(u);
    return found && (strcmp(place->scheme, "https") == 0 || strcmp(place->scheme, "http") == 0);
}

static bool is_same_place(const struct place *a, const struct place *b)
{
    return strcmp(a->scheme, b->scheme) == 0 && strcasecmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}

// By its address, or by the one name that can be no other's.
static bool is_this_machine(const struct place *p)
{
    struct in_addr address;
    return strcasecmp(p->host, "localhost") == 0 || strcmp(p->host, "[::1]") == 0 ||
           (inet_pton(AF_INET, p->host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

static bool is_private(const struct place *p)
{
    return strcmp(p->scheme, "https") == 0 || is_this_machine(p);
}

bool http_is_private(const char *url)
{
    struct place place;
    return find_place(url, &place) && is_private(&place);
}

// A whole number of bytes or seconds, without sign, and nothing else; -1: it is none.
static int64_t read_whole(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits >= 1 && digits <= 18 && !text[digits] ? strtoll(text, NULL, 10) : -1;
}

// "bytes 100-199/200", "bytes 100-199/*"
static void read_range(struct http_head *head, const char *text)
{
    long long begin, end;
    int n = 0;
    if (strncasecmp(text, "bytes ", 6) != 0 || text[6] < '0' || text[6] > '9' ||
        sscanf(text + 6, "%18lld-%18lld/%n", &begin, &end, &n) < 2 || n == 0 || end < begin)
        return;
    head->range_begin = begin;
    head->range_total = read_whole(text + 6 + n);
}

static void read_etag(char *out, size_t size, const char *text)
{
    const size_t length = strlen(text);
    const bool strong = length >= 2 && length < size && text[0] == '"' && text[length - 1] == '"';
    snprintf(out, size, "%s", strong ? text : "");
}

// The hub's ETag of a large file is its sha256; that of a small one is something else.
static void read_sha256(char out[65], const char *text)
{
    const size_t quote = *text == '"';
    const size_t digits = strspn(text + quote, "0123456789abcdef");
    const bool is_one = digits == 64 && strcmp(text + quote + 64, quote ? "\"" : "") == 0;
    snprintf(out, 65, "%.64s", is_one ? text + quote : "");
}

static void read_retry_after(struct http_head *head, const char *text)
{
    head->retry_after_s = read_whole(text);
    const time_t at = head->retry_after_s < 0 ? curl_getdate(text, NULL) : -1;
    if (at >= 0) {
        const time_t now = time(NULL);
        head->retry_after_s = at > now ? at - now : 0;
    }
}

static void read_field(struct transfer *t, const char *name, const char *value)
{
    struct http_head *head = &t->head;
    if (strcasecmp(name, "ETag") == 0)
        read_etag(head->etag, sizeof(head->etag), value);
    else if (strcasecmp(name, "Content-Length") == 0)
        head->bytes = read_whole(value);
    else if (strcasecmp(name, "Transfer-Encoding") == 0)
        t->chunked = true; // then its length does not count
    else if (strcasecmp(name, "Content-Range") == 0)
        read_range(head, value);
    else if (strcasecmp(name, "Retry-After") == 0)
        read_retry_after(head, value);
    else if (strcasecmp(name, "Content-Encoding") == 0)
        head->encoded = strcasecmp(value, "identity") != 0;
    else if (strcasecmp(name, "X-Linked-Size") == 0 && is_same_place(&t->home, &t->now))
        head->linked_bytes = read_whole(value);
    else if (strcasecmp(name, "X-Linked-ETag") == 0 && is_same_place(&t->home, &t->now))
        read_sha256(head->linked_sha256, value);
}

// A new answer begins: what the last one said does not count, but for what the hub says of the file.
static void begin_head(struct transfer *t)
{
    struct http_head fresh = {.bytes = -1, .range_begin = -1, .range_total = -1, .retry_after_s = -1,
                              .linked_bytes = t->head.linked_bytes, .token_sent = t->head.token_sent};
    memcpy(fresh.linked_sha256, t->head.linked_sha256, sizeof(fresh.linked_sha256));
    snprintf(fresh.host, sizeof(fresh.host), "%.100s", t->now.host);
    t->head = fresh;
    t->chunked = false;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// The headers are there.
static bool end_head(struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->http->curl, CURLINFO_RESPONSE_CODE, &status);
    t->head.status = (int)status;
    if (t->chunked)
        t->head.bytes = -1;
    if (status < 200 || is_redirect((int)status))
        return true;
    t->told = true;
    t->refused = !t->get->head(t->get->opaque, &t->head);
    return !t->refused;
}

static size_t on_header(char *data, size_t one, size_t size, void *opaque)
{
    (void)one;
    struct transfer *t = opaque;
    char line[2048], *value;
    if (t->told) // behind the body of a chunked answer
        return size;
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0) {
        begin_head(t);
        return size;
    }
    if (size <= 2 && (size == 0 || data[size - 1] == '\n'))
        return end_head(t) ? size : 0;
    if (size >= sizeof(line) || memchr(data, '\0', size))
        return size; // none of ours is as long
    memcpy(line, data, size);
    line[size] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    value = strchr(line, ':');
    if (value) {
        *value++ = '\0';
        value += strspn(value, " \t");
        size_t length = strlen(value);
        while (length > 0 && strchr(" \t", value[length - 1]))
            value[--length] = '\0';
        read_field(t, line, value);
    }
    return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *opaque)
{
    (void)one;
    struct transfer *t = opaque;
    if (!t->told) {
        t->aside += size;
        return t->aside <= MAX_ASIDE ? size : 0;
    }
    t->refused = !t->get->body(t->get->opaque, data, size);
    return t->refused ? 0 : size;
}

// Comes once a second at least, also where nothing moves.
static int on_progress(void *opaque, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    (void)down_all, (void)up_all;
    struct transfer *t = opaque;
    const int64_t now = monotonic_ns();
    if (down + up != t->moved) {
        t->moved = down + up;
        t->moved_ns = now;
    }
    t->silent = (double)(now - t->moved_ns) / 1e9 > t->get->silence_s;
    return stopped || t->silent;
}

static struct curl_slist *longer(struct curl_slist *list, const char *line)
{
    struct curl_slist *all = curl_slist_append(list, line);
    if (!all)
        abort();
    return all;
}

static struct curl_slist *headers_for(struct transfer *t)
{
    struct curl_slist *list = NULL;
    char line[1200];
    if (t->get->token && is_private(&t->now) && is_same_place(&t->home, &t->now)) {
        snprintf(line, sizeof(line), "Authorization: Bearer %s", t->get->token);
        list = longer(list, line);
        t->head.token_sent = true;
    }
    if (t->get->from > 0 && *t->get->if_range) {
        snprintf(line, sizeof(line), "If-Range: %s", t->get->if_range);
        list = longer(list, line);
    }
    return list;
}

static void set_up(struct transfer *t, const char *url, struct curl_slist *headers)
{
    CURL *curl = t->http->curl;
    char range[32];
    curl_easy_reset(curl); // but for its connections
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->http->said);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "watchword/" WW_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(t->get->silence_s * 1000));
    if (is_this_machine(&t->now)) // what is said there is nobody else's business
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    const char *store = getenv("SSL_CERT_FILE");
    if (store && *store)
        curl_easy_setopt(curl, CURLOPT_CAINFO, store);
    if (t->get->from > 0) {
        snprintf(range, sizeof(range), "%lld-", (long long)t->get->from);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
}

// What a further try may change.
static bool is_passing(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static enum http_end judge(struct transfer *t, CURLcode code, struct ww_error *err)
{
    if (t->refused)
        return HTTP_REFUSED;
    if (stopped)
        return HTTP_STOPPED;
    if (code == CURLE_OK && t->told)
        return HTTP_DONE;
    if (t->silent) {
        ww_fail(err, WW_E_NETWORK, "%s: was silent for %g s", t->now.host, t->get->silence_s);
        return HTTP_BROKEN;
    }
    if (code == CURLE_OK) {
        ww_fail(err, WW_E_NETWORK, "%s: sent no answer that HTTP knows", t->now.host);
        return HTTP_FAILED;
    }
    ww_fail(err, WW_E_NETWORK, "%s: %s", t->now.host,
            *t->http->said ? t->http->said : curl_easy_strerror(code));
    return is_passing(code) ? HTTP_BROKEN : HTTP_FAILED;
}

static char *copy(const char *text)
{
    char *own = strdup(text);
    if (!own)
        abort();
    return own;
}

// Where the answer says that it is: NULL with an error if we do not go there. Free it.
static char *find_next(struct transfer *t, int hops, struct ww_error *err)
{
    char *target = NULL;
    struct place next;
    curl_easy_getinfo(t->http->curl, CURLINFO_REDIRECT_URL, &target);
    if (!target || !find_place(target, &next))
        ww_fail(err, WW_E_NETWORK, "%s: sends us on to nowhere (HTTP %d without a Location that HTTP knows)",
                t->now.host, t->head.status);
    else if (hops >= MAX_REDIRECTS)
        ww_fail(err, WW_E_NETWORK, "%s: sends us on and on, %d times now", t->now.host, hops);
    else if (strcmp(t->now.scheme, "https") == 0 && strcmp(next.scheme, "https") != 0)
        ww_fail(err, WW_E_NETWORK, "%s: sends us on to %s without encryption (http)", t->now.host, next.host);
    else
        return copy(target);
    return NULL;
}

enum http_end http_get(struct http *http, const struct http_get *get, struct ww_error *err)
{
    struct transfer t = {.http = http, .get = get, .head = {.linked_bytes = -1}};
    if (!find_place(get->home, &t.home)) {
        ww_fail(err, WW_E_NETWORK, "%s: is no http or https address", get->home);
        return HTTP_FAILED;
    }
    enum http_end end = HTTP_FAILED;
    char *url = copy(get->url);
    for (int hops = 0; url; hops++) {
        if (!find_place(url, &t.now)) {
            ww_fail(err, WW_E_NETWORK, "%.200s: is no http or https address", url);
            break;
        }
        struct curl_slist *headers = headers_for(&t);
        set_up(&t, url, headers);
        *http->said = '\0';
        t.aside = 0;
        t.moved = 0;
        t.moved_ns = monotonic_ns();
        const CURLcode code = curl_easy_perform(http->curl);
        curl_slist_free_all(headers);
        const bool moved_on = is_redirect(t.head.status) && (code == CURLE_OK || t.aside > MAX_ASIDE);
        if (t.told || stopped || t.silent || !moved_on) {
            end = judge(&t, code, err);
            break;
        }
        char *next = find_next(&t, hops, err);
        free(url);
        url = next;
    }
    free(url);
    return end;
}

struct http *http_create(struct ww_error *err)
{
    struct http *http = calloc(1, sizeof(*http));
    if (http && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        http->curl = curl_easy_init();
    if (!http || !http->curl) {
        ww_fail(err, WW_E_MEMORY, "libcurl does not start: no memory left on this host");
        http_destroy(&http);
    }
    return http;
}

void http_destroy(struct http **http)
{
    if (!http || !*http)
        return;
    curl_easy_cleanup((*http)->curl);
    curl_global_cleanup();
    free(*http);
    *http = NULL;
}
