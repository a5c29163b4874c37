#include "notify.h"

#include "daemon-config.h"

#if HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

void notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = g_strdup_vprintf(fmt, args);
    va_end(args);
    sd_notifyf(0, "STATUS=%s", text);
    g_free(text);
}

guint64 notify_watchdog_us(void)
{
    uint64_t us;
    return sd_watchdog_enabled(0, &us) > 0 ? us / 2 : 0;
}

void notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

#else

void notify_ready(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

void notify_status(const char *fmt, ...)
{
    (void)fmt;
}

guint64 notify_watchdog_us(void)
{
    return 0;
}

void notify_alive(void)
{
}

#endif
