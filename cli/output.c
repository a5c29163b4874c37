#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static bool bar_shown;

int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t realtime_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void progress_clear(void)
{
    if (bar_shown)
        fputs("\r\033[K", stderr);
    bar_shown = false;
}

void complain(const char *fmt, ...)
{
    char text[1400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    progress_clear();
    fputs("watchword: ", stderr);
    print_clean(stderr, text);
    fputc('\n', stderr);
}

int give_up(const struct ww_error *err)
{
    complain("%s", err->text);
    return err->code == WW_E_CONFIG ? WRONG_USAGE : FAILED;
}

// What became of stdout. A reader that has seen enough (`| head`) is no failure of ours.
static enum { OPEN, UNREAD, BROKEN } output;

static bool output_failed(void)
{
    const int reason = errno; // of the first failure: later ones are only its echo
    if (output == OPEN) {
        output = reason == EPIPE ? UNREAD : BROKEN;
        if (output == BROKEN)
            complain("standard output: %s", strerror(reason));
    }
    return false;
}

bool print_line(const char *text, size_t size)
{
    if (isatty(STDOUT_FILENO))
        progress_clear();
    return (fwrite(text, 1, size, stdout) == size && putchar('\n') != EOF && fflush(stdout) == 0) ||
           output_failed();
}

// A control character, also one of two bytes in UTF-8 (C1), of which this is the second then.
static bool is_control(const char *text, size_t at)
{
    const unsigned char c = (unsigned char)text[at];
    return c < 0x20 ? c != '\n' && c != '\t'
                    : c == 0x7f || (c >= 0x80 && c < 0xa0 && at && (unsigned char)text[at - 1] == 0xc2);
}

bool print_text(const char *text, size_t size)
{
    const bool terminal = isatty(STDOUT_FILENO);
    bool ok = true;
    for (size_t i = 0; i < size && ok; i++) {
        const bool first = (unsigned char)text[i] == 0xc2 && i + 1 < size && is_control(text, i + 1);
        if (!terminal || !first)
            ok = putchar(terminal && is_control(text, i) ? '?' : text[i]) != EOF;
    }
    return (ok && fflush(stdout) == 0) || output_failed();
}

int finish_output(int status)
{
    progress_clear();
    if (fflush(stdout) != 0)
        output_failed();
    return output == BROKEN ? FAILED : status;
}

void print_clean(FILE *file, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) { // a C1 control character, in UTF-8
            fputc('?', file);
            p++;
        } else {
            fputc(*p < 0x20 || *p == 0x7f ? '?' : *p, file);
        }
    }
}

void progress_begin(struct progress *p, const char *what, int64_t total)
{
    *p = (struct progress){.what = what, .total = total, .unit = "frames", .rate = "fps",
                           .begun_ns = monotonic_ns()};
}

static void print_duration(char *out, size_t size, double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

void progress_show(struct progress *p, int64_t done)
{
    const int64_t now = monotonic_ns();
    if (!isatty(STDERR_FILENO) || (bar_shown && now - p->drawn_ns < 150000000))
        return;
    p->drawn_ns = now;
    const double seconds = (double)(now - p->begun_ns) / 1e9;
    const double rate = seconds > 0 ? (double)done / seconds : 0;
    struct winsize window = {0};
    ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
    const int columns = window.ws_col > 0 ? window.ws_col : 80;
    char tail[128], bar[64] = "";
    int width = 0;
    if (p->total > 0) {
        char left[32] = "";
        if (rate > 0 && done < p->total)
            print_duration(left, sizeof(left), (double)(p->total - done) / rate);
        snprintf(tail, sizeof(tail), " %lld/%lld %s  %.1f %s%s%s", (long long)done,
                 (long long)p->total, p->unit, rate, p->rate, *left ? "  " : "", left);
        if (*left)
            strncat(tail, " left", sizeof(tail) - strlen(tail) - 1);
        width = columns - (int)strlen(p->what) - (int)strlen(tail) - 6;
        width = width > 40 ? 40 : width;
    } else {
        char spent[32];
        print_duration(spent, sizeof(spent), seconds);
        snprintf(tail, sizeof(tail), " %lld %s  %.1f %s  %s", (long long)done, p->unit,
                 rate, p->rate, spent);
    }
    if (width >= 8) {
        const double share = done < p->total ? (double)done / (double)p->total : 1;
        const int full = (int)(share * width);
        bar[0] = '[';
        memset(bar + 1, '#', (size_t)full);
        memset(bar + 1 + full, '-', (size_t)(width - full));
        memcpy(bar + 1 + width, "]", 2);
    }
    fprintf(stderr, "\r%s %s%.*s\033[K", p->what, bar, columns > 1 ? columns - 1 : 1, tail);
    bar_shown = true;
}
