#include "log.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <watchword/quote.h>

#include "daemon-config.h"

#if HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

static enum ww_log_level log_level = WW_LOG_INFO;
static bool to_journal;

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

int log_level_from_name(const char *name)
{
    for (int i = 0; i < (int)G_N_ELEMENTS(level_names); i++)
        if (strcmp(name, level_names[i]) == 0)
            return i;
    return -1;
}

#if HAVE_SYSTEMD
static void say_to_journal(enum ww_log_level level, const char *camera, const char *watch,
                           const char *text)
{
    static const int priorities[] = {3, 4, 6, 7, 7}; // of syslog(3)
    // Empty fields are legal in the journal, and fewer cases here.
    sd_journal_send("PRIORITY=%d", priorities[level], "CAMERA=%s", camera ? camera : "", "WATCH=%s",
                    watch ? watch : "", "MESSAGE=%s%s%s", camera ? camera : "", camera ? ": " : "",
                    text, NULL);
}
#else
static void say_to_journal(enum ww_log_level level, const char *camera, const char *watch,
                           const char *text)
{
    (void)level, (void)camera, (void)watch, (void)text;
}
#endif

static void say(enum ww_log_level level, const char *camera, const char *watch, const char *text)
{
    if (to_journal) {
        say_to_journal(level, camera, watch, text);
        return;
    }
    const char *grave = level == WW_LOG_ERROR ? "error: " : level == WW_LOG_WARN ? "warning: " : "";
    fprintf(stderr, "watchwordd: %s%s%s%s%s%s\n", camera ? camera : "", watch ? "/" : "",
            watch ? watch : "", camera ? ": " : "", grave, text); // one call: one whole line
}

static void from_library(void *opaque, enum ww_log_level level, const char *text)
{
    (void)opaque;
    say(level, NULL, NULL, text);
}

void log_init(enum ww_log_level level)
{
    log_level = level;
    to_journal = HAVE_SYSTEMD && g_getenv("JOURNAL_STREAM") != NULL;
    ww_log_set(from_library, NULL, level);
}

void log_say(enum ww_log_level level, const char *camera, const char *watch, const char *fmt, ...)
{
    if (level > log_level)
        return;
    va_list args;
    va_start(args, fmt);
    char *text = g_strdup_vprintf(fmt, args);
    va_end(args);
    ww_quote_tidy(text); // it may quote what a camera says, and a terminal obeys what it reads
    say(level, camera, watch, text);
    g_free(text);
}
