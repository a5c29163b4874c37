#include <watchword/log.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static const char *const names[] = {"error", "warn", "info", "debug", "trace"};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // over the sink, and while it is called
static ww_log_fn sink;
static void *sink_opaque;
static atomic_int verbosity = WW_LOG_WARN; // read without the lock: a line not wanted costs a load

static void to_stderr(void *opaque, enum ww_log_level level, const char *text)
{
    (void)opaque;
    fprintf(stderr, "watchword: %s: %s\n", names[level], text);
}

static void read_environment(void)
{
    sink = to_stderr;
    const char *wanted = getenv("WATCHWORD_LOG");
    if (!wanted || !*wanted)
        return;
    for (int level = WW_LOG_ERROR; level <= WW_LOG_TRACE; level++) {
        if (strcmp(wanted, names[level]) == 0) {
            atomic_store(&verbosity, level);
            return;
        }
    }
    fprintf(stderr,
            "watchword: warn: WATCHWORD_LOG is '%s'; it takes error, warn, info, debug or "
            "trace\n",
            wanted);
}

void ww_log_set(ww_log_fn fn, void *opaque, enum ww_log_level level)
{
    pthread_once(&once, read_environment);
    pthread_mutex_lock(&lock);
    sink = fn ? fn : to_stderr;
    sink_opaque = opaque;
    atomic_store(&verbosity, level);
    pthread_mutex_unlock(&lock);
}

void ww_log(enum ww_log_level level, const char *fmt, ...)
{
    pthread_once(&once, read_environment);
    if ((int)level > atomic_load_explicit(&verbosity, memory_order_relaxed))
        return;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ww_utf8_tidy(text);
    pthread_mutex_lock(&lock);
    sink(sink_opaque, level, text);
    pthread_mutex_unlock(&lock);
}
