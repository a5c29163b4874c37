// sanitize.h: what the address sanitizer is told in programs that load GLib.
//
// GLib's constructor drops its first table of quarks when it grows, on purpose: readers take no
// lock. GLib has no frame pointers, so the sanitizer must unwind the slow way to see the
// constructor.

#pragma once

const char *__asan_default_options(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

const char *__lsan_default_suppressions(void)
{
    return "leak:call_init\nleak:gst_init_check\nleak:libfontconfig\n";
}
