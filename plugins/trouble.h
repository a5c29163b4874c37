// trouble.h: the library's errors as messages of an element.

#pragma once

#include <gst/gst.h>
#include <watchword/error.h>

// Posts `err` as an element error or warning, whose text is the error's sentence.
void ww_trouble_post(GstElement *element, GstMessageType type, const struct ww_error *err);

// The same for something that may go wrong with every frame: at most one warning in ten seconds.
// `last_us` is when the last one was, at first 0; it may be called from several threads.
void ww_trouble_warn(GstElement *element, gint64 *last_us, const struct ww_error *err);

// Whether something that is told every `every_us` is to be told now; and then it was.
bool ww_trouble_due(GstElement *element, gint64 *last_us, gint64 every_us);
