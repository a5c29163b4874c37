#include "fetch-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "part.h"

#define MAX_TRIES     5 // in a row that bring nothing new
#define MAX_WAIT_S    60
#define MAX_UNTOLD    (INT64_C(64) << 20) // bytes of a file whose size nobody tells
#define MAX_WEIGHTS   (INT64_C(64) << 30) // of weights whose size the catalogue does not tell, but their server
#define MEBI          (1 << 20)

enum next { GOT_ALL, TRY_AGAIN, START_OVER, GIVE_UP };

struct job {
    const struct source *source;
    const struct ww_catalogue_file *file;
    const char *url;
    struct part part;
    struct http_head head; // of the last answer
    enum next next;        // after a callback refused
    int64_t from;          // what the last request left out
    bool no_range;         // they are answered wrongly, or what came by them was wrong
    bool pieced;           // of what came with more than one request
    struct progress progress;
    struct ww_error *err;
};

static bool give_up_on(struct job *j, enum next next)
{
    j->next = next;
    return false;
}

// The remedy stands in the sentence of each status.
static bool refuse_status(struct job *j)
{
    const struct http_head *h = &j->head;
    struct ww_error *err = j->err;
    switch (h->status) {
    case 401:
        ww_fail(err, WW_E_NETWORK,
                h->token_sent ? "%s: does not know the token in HF_TOKEN (HTTP 401): make a new one in "
                                "your account there"
                              : "%s: wants to know who asks (HTTP 401): set HF_TOKEN to a token of your "
                                "account there. The hub also says this of repositories that do not exist",
                h->host);
        return give_up_on(j, GIVE_UP);
    case 403:
        ww_fail(err, WW_E_NETWORK,
                "%s: gives it to those only who have accepted its licence (HTTP 403): do so on the "
                "model's page, %s", h->host,
                h->token_sent ? "with the account that HF_TOKEN belongs to"
                              : "and set HF_TOKEN to a token of your account");
        return give_up_on(j, GIVE_UP);
    case 404:
    case 410:
        ww_fail(err, WW_E_NETWORK, "%s: has no such file (HTTP %d): it was moved or removed, and the "
                "catalogue's entry is to be mended", h->host, h->status);
        return give_up_on(j, GIVE_UP);
    case 416:
        if (j->from > 0)
            return give_up_on(j, START_OVER);
        break;
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        ww_fail(err, WW_E_NETWORK, h->status == 429 ? "%s: takes no more requests from here for now (HTTP %d)"
                                                    : "%s: is in trouble (HTTP %d)", h->host, h->status);
        if (h->retry_after_s <= MAX_WAIT_S)
            return give_up_on(j, TRY_AGAIN);
        ww_fail(err, WW_E_NETWORK, "%s: asks to be left alone for %lld s (HTTP %d): fetch again then; what "
                "has arrived is kept", h->host, (long long)h->retry_after_s, h->status);
        return give_up_on(j, GIVE_UP);
    }
    ww_fail(err, WW_E_NETWORK, "%s: HTTP %d, where 200 was expected", h->host, h->status);
    return give_up_on(j, GIVE_UP);
}

static const char *wanted_sha256(const struct job *j)
{
    return j->file->sha256 ? j->file->sha256 : j->part.sha256;
}

// Is it the file that the catalogue means, as far as sizes and sums tell before it has come? `whole` is
// how long the server says that it is, or -1.
static bool check_claims(struct job *j, int64_t whole)
{
    const struct http_head *h = &j->head;
    const int64_t listed = j->file->bytes, claimed = h->linked_bytes >= 0 ? h->linked_bytes : whole;
    if (listed >= 0 && claimed >= 0 && listed != claimed) {
        ww_fail(j->err, WW_E_NETWORK, "%s: has another file under that name, of %lld bytes where the "
                "catalogue says %lld: the entry is to be mended, or something on the way answers in its "
                "place", h->host, (long long)claimed, (long long)listed);
        return give_up_on(j, GIVE_UP);
    }
    if (j->file->sha256 && *h->linked_sha256 && strcmp(j->file->sha256, h->linked_sha256) != 0) {
        ww_fail(j->err, WW_E_NETWORK, "%s: has another file under that name, with sha256 %s where the "
                "catalogue says %s: the entry is to be mended", h->host, h->linked_sha256, j->file->sha256);
        return give_up_on(j, GIVE_UP);
    }
    if (whole >= 0 && claimed != whole) { // the place that the hub sent us to
        ww_fail(j->err, WW_E_NETWORK, "%s: offers %lld bytes of a file that has %lld", h->host,
                (long long)whole, (long long)claimed);
        return give_up_on(j, TRY_AGAIN);
    }
    return true;
}

// Of a file of which the catalogue knows neither size nor sum, a server could say anything, and it would fill the
// disk: weights are large, and nothing else is.
static bool check_size(struct job *j, int64_t total)
{
    static const char *const weights[] = {".safetensors", ".bin", ".gguf", ".pth", ".pt"};
    const char *end = strrchr(j->file->name, '.');
    int64_t most = MAX_UNTOLD;
    for (size_t i = 0; end && i < sizeof(weights) / sizeof(weights[0]); i++)
        most = strcmp(end, weights[i]) == 0 ? MAX_WEIGHTS : most;
    if (j->file->bytes >= 0 || j->file->sha256 || total <= most)
        return true;
    ww_fail(j->err, WW_E_NETWORK, "%s: says that it has %lld MiB, and %lld are taken of a file like it unless its "
            "'bytes' or 'sha256' stand in the catalogue", j->head.host, (long long)(total / MEBI),
            (long long)(most / MEBI));
    return give_up_on(j, GIVE_UP);
}

static bool check_space(struct job *j, int64_t more)
{
    const int64_t space = free_bytes(j->part.folder);
    if (more <= space)
        return true;
    ww_fail(j->err, WW_E_FILE, "needs %lld MiB more, and %lld MiB are free there: make room, or take another "
            "folder with --into", (long long)(more / MEBI + 1), (long long)(space / MEBI));
    return give_up_on(j, GIVE_UP);
}

// The rest of what was begun: is it that?
static bool accept_piece(struct job *j)
{
    const struct http_head *h = &j->head;
    if (j->from == 0) {
        ww_fail(j->err, WW_E_NETWORK, "%s: sends a piece where the whole was asked for (HTTP 206)", h->host);
        return give_up_on(j, GIVE_UP);
    }
    const int64_t total = j->file->bytes >= 0  ? j->file->bytes
                          : j->part.total >= 0 ? j->part.total
                                               : h->range_total;
    if (h->range_begin != j->from || (total >= 0 && h->range_total >= 0 && h->range_total != total)) {
        complain("%s: %s sends another piece than was asked for; from the beginning, then", j->file->name,
                 h->host);
        return give_up_on(j, START_OVER);
    }
    if (*h->linked_sha256 && *j->part.sha256 && strcmp(h->linked_sha256, j->part.sha256) != 0) {
        complain("%s: is another file by now; from the beginning, then", j->file->name);
        return give_up_on(j, START_OVER);
    }
    j->pieced = true;
    j->part.total = total;
    return check_claims(j, h->range_total) && check_size(j, total) && check_space(j, total - j->from);
}

static bool accept_whole(struct job *j)
{
    const struct http_head *h = &j->head;
    if (j->from > 0)
        complain("%s: %s sends it from the beginning again", j->file->name, h->host);
    const int64_t total = j->file->bytes >= 0    ? j->file->bytes
                          : h->linked_bytes >= 0 ? h->linked_bytes
                                                 : h->bytes;
    // What is there makes room.
    if (!check_claims(j, h->bytes) || !check_size(j, total) || !check_space(j, total - part_size(&j->part)))
        return false;
    j->pieced = false;
    return part_begin(&j->part, total, h->etag, h->linked_sha256, j->err) || give_up_on(j, GIVE_UP);
}

static bool on_head(void *opaque, const struct http_head *head)
{
    struct job *j = opaque;
    j->head = *head;
    if (head->status != 200 && head->status != 206)
        return refuse_status(j);
    if (head->encoded) {
        ww_fail(j->err, WW_E_NETWORK, "%s: sends it compressed, which was not asked for", head->host);
        return give_up_on(j, GIVE_UP);
    }
    if (head->status == 206 ? !accept_piece(j) : !accept_whole(j))
        return false;
    j->progress.total = j->part.total > 0 ? j->part.total / MEBI : 0;
    return true;
}

static bool on_body(void *opaque, const void *data, size_t size)
{
    struct job *j = opaque;
    const int64_t most = j->part.total >= 0 ? j->part.total : MAX_UNTOLD;
    if ((int64_t)size > most - j->part.bytes) {
        part_discard(&j->part);
        j->part.bytes = 0;
        if (j->part.total >= 0)
            ww_fail(j->err, WW_E_NETWORK, "%s: sends more than the %lld bytes that it has; nothing of it was "
                    "kept. If it stays so, the catalogue's entry is to be mended", j->head.host,
                    (long long)most);
        else
            ww_fail(j->err, WW_E_NETWORK, "%s: does not say how long it is, and sends more than %lld MiB: "
                    "its 'bytes' must stand in the catalogue", j->head.host, (long long)(most / MEBI));
        return give_up_on(j, GIVE_UP);
    }
    if (!part_write(&j->part, data, size, j->err))
        return give_up_on(j, GIVE_UP);
    if (most >= MEBI)
        progress_show(&j->progress, j->part.bytes / MEBI);
    return true;
}

// One request, if one is needed still.
static enum next attempt(struct job *j)
{
    struct part *p = &j->part;
    const int64_t total = j->file->bytes >= 0 ? j->file->bytes : p->total;
    // What was begun goes on only if a sum, or the server, will tell whether the pieces belong together.
    const bool other = j->file->sha256 && *p->sha256 && strcmp(j->file->sha256, p->sha256) != 0;
    if (j->no_range || other || (total >= 0 && p->bytes > total) || (!*p->etag && !*wanted_sha256(j)))
        p->bytes = 0;
    if (p->bytes > 0 && p->bytes == total)
        return GOT_ALL;
    j->from = p->bytes;
    const struct http_get get = {
        .url = j->url, .home = j->source->home, .token = j->source->token, .from = j->from,
        .if_range = p->etag, .silence_s = j->source->silence_s, .head = on_head, .body = on_body, .opaque = j,
    };
    j->head = (struct http_head){.retry_after_s = -1};
    switch (http_get(j->source->http, &get, j->err)) {
    case HTTP_DONE:
        if (p->total < 0 || p->bytes >= p->total)
            return GOT_ALL;
        ww_fail(j->err, WW_E_NETWORK, "%s: stopped after %lld of %lld bytes", j->head.host,
                (long long)p->bytes, (long long)p->total);
        return TRY_AGAIN;
    case HTTP_BROKEN:
        return TRY_AGAIN;
    case HTTP_REFUSED:
        return j->next;
    case HTTP_STOPPED:
        ww_fail(j->err, WW_E_STOPPED, "stopped");
        return GIVE_UP;
    case HTTP_FAILED:
        break;
    }
    return GIVE_UP;
}

// Longer each time, and never for all at the same moment. False: a signal came.
static bool wait_before(struct job *j, int tries)
{
    struct timespec nap = {.tv_nsec = 50000000};
    const double jitter = (double)(monotonic_ns() / 1000 % 1000) / 1000;
    const double own_s = 0.4 * (1 << tries) * (0.75 + 0.5 * jitter);
    const bool told = j->head.retry_after_s >= 0 && j->head.retry_after_s <= MAX_WAIT_S;
    const double wait_s = told ? (double)j->head.retry_after_s : own_s;
    complain("%s: %s; once more in %.1f s", j->file->name, j->err->text, wait_s);
    for (const int64_t end = monotonic_ns() + (int64_t)(wait_s * 1e9); !stopped && monotonic_ns() < end;)
        nanosleep(&nap, NULL);
    return !stopped || ww_fail(j->err, WW_E_STOPPED, "stopped");
}

// All bytes, by as many requests as it takes.
static bool collect(struct job *j)
{
    int tries = 0;
    for (int64_t furthest = j->part.bytes;;) {
        switch (attempt(j)) {
        case GOT_ALL:
            return true;
        case GIVE_UP:
            return false;
        case START_OVER: // once: without a range there is no reason for it
            j->no_range = true;
            break;
        case TRY_AGAIN:
            tries = j->part.bytes > furthest ? 0 : tries + 1;
            if (tries >= MAX_TRIES)
                return ww_within(j->err, "%d tries brought nothing (fetch again later, what has arrived is "
                                 "kept)", tries);
            if (j->part.bytes > furthest)
                furthest = j->part.bytes;
            if (!wait_before(j, tries))
                return false;
            j->no_range = false;
            break;
        }
    }
}

// Collects and checks; once more from the beginning if pieces did not make the right whole.
static bool collect_sound(struct job *j, struct fetched *out)
{
    for (bool again = false;; again = true) {
        if (!collect(j))
            return false;
        if (j->progress.total > 0) // the sum takes a while, too
            progress_show(&j->progress, j->progress.total);
        if (!digest_file(j->part.fd, out->sha256, j->err))
            return false;
        const char *wanted = wanted_sha256(j);
        if (!*wanted || strcmp(wanted, out->sha256) == 0)
            return true;
        if (!j->pieced || again) {
            part_discard(&j->part);
            return ww_fail(j->err, WW_E_NETWORK, "has sha256 %s, where %s says %s: damaged on the way, or "
                           "another file. Nothing of it was kept; fetch again%s", out->sha256,
                           j->file->sha256 ? "the catalogue" : "the server", wanted,
                           j->file->sha256 ? ", and if it stays so, do not trust that server" : "");
        }
        complain("%s: the pieces make no right whole; from the beginning, then", j->file->name);
        j->no_range = true;
        j->pieced = false;
    }
}

// What is there under the name already: is it right, as far as the catalogue knows?
static bool is_there(int root, const struct ww_catalogue_file *file, struct fetched *out,
                     struct ww_error *err)
{
    const char *base;
    const int folder = part_folder(root, file->name, &base, err);
    const int fd = folder >= 0 ? openat(folder, base, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    struct stat st;
    bool right = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (right) {
        out->bytes = st.st_size;
        right = (file->bytes < 0 || file->bytes == st.st_size) && digest_file(fd, out->sha256, err) &&
                (!file->sha256 || strcmp(out->sha256, file->sha256) == 0);
        if (!right && !stopped)
            complain("%s: what is there is another file: it will be replaced", file->name);
    }
    out->check = file->sha256 ? CHECK_CATALOGUE : CHECK_NONE;
    out->was_there = right;
    if (fd >= 0)
        close(fd);
    if (folder >= 0)
        close(folder);
    return right;
}

bool fetch_file(const struct source *source, int root, const struct ww_catalogue_file *file,
                const char *url, struct fetched *out, struct ww_error *err)
{
    *out = (struct fetched){0};
    if (is_there(root, file, out, err))
        return true;
    if (stopped)
        return ww_fail(err, WW_E_STOPPED, "stopped");
    struct job j = {.source = source, .file = file, .url = url, .err = err};
    progress_begin(&j.progress, file->name, 0);
    j.progress.unit = "MiB";
    j.progress.rate = "MiB/s";
    bool done = part_open(&j.part, root, file->name, err);
    j.pieced = j.part.bytes > 0;
    if (done) {
        done = collect_sound(&j, out) && part_finish(&j.part, err);
        out->bytes = j.part.bytes;
        out->resumed = j.pieced;
        out->check = file->sha256 ? CHECK_CATALOGUE : *j.part.sha256 ? CHECK_SERVER : CHECK_NONE;
    }
    progress_clear();
    part_close(&j.part);
    return done || ww_within(err, "%s", file->name);
}
