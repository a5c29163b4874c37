// notify.h: what systemd is told. Without systemd, or without its library, all of it does nothing.
// Thread-safety: the main thread.

#pragma once

#include <glib.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

// One line for `systemctl status`.
void notify_status(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

// How often the watchdog wants to be fed, in microseconds; 0: not at all. Half of what the unit says.
guint64 notify_watchdog_us(void);
void notify_alive(void);
