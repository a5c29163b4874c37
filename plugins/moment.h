// moment.h: when a frame was, which the library does not need to know but the message tells.

#pragma once

#include <gst/gst.h>
#include <stdbool.h>

struct ww_moment {
    guint64 index;               // of the frame
    GstClockTime running_time;   // GST_CLOCK_TIME_NONE: unknown
    guint64 arrival;             // ns since 1970, system time
    guint64 reference;           // of the buffer's GstReferenceTimestampMeta
    const char *reference_clock; // name of that meta's caps, interned; NULL: there is none
};

// Takes down the moment of a buffer that has just arrived.
struct ww_moment ww_moment_of(GstBuffer *buffer, const GstSegment *segment, guint64 index);

// The moments of frames that are with the engine. A result names its frame by index, and results
// come in order, but a frame that was replaced never has one. So this is a ring: it forgets the
// oldest after 1024 frames, which is half a minute of looking at a single one.
enum { WW_MOMENTS = 1024 };

struct ww_moments {
    struct ww_moment ring[WW_MOMENTS];
    unsigned num_added;
};

void ww_moments_add(struct ww_moments *moments, const struct ww_moment *moment);

// The moment of frame `index`; false if it was forgotten, and then `out` has only the index.
bool ww_moments_find(const struct ww_moments *moments, guint64 index, struct ww_moment *out);
