// meta.h: results as metadata of buffers, and back. docs/elements.md says what the fields are.

#pragma once

#include <gst/video/video.h>
#include <stdbool.h>
#include <watchword/watch.h>

// Makes the metadata known to GStreamer; once, before anything else here.
void ww_meta_register(void);

// Adds a result to a buffer, which must be writable: a region of interest for every object, and a
// WatchwordResult that says that somebody looked.
void ww_meta_add(GstBuffer *buffer, const struct ww_result *result);

// Adds to `to`, which must be writable, what `from` has.
void ww_meta_copy(GstBuffer *to, GstBuffer *from);

// Lists of numbers, as the metadata and the message both carry them: the four edges of the box; x,
// y and score of each keypoint in turn.
void ww_meta_set_box(GstStructure *structure, const struct ww_object *object);
void ww_meta_set_keypoints(GstStructure *structure, const struct ww_object *object);

// What a buffer says was seen; keeps its memory from buffer to buffer.
struct ww_seen {
    struct ww_result result; // only what is drawn: objects, keypoint_set, width and height
    GArray *objects;         // struct ww_object
    GArray *keypoints;       // struct ww_keypoint
};

void ww_seen_init(struct ww_seen *seen);
void ww_seen_finish(struct ww_seen *seen);

// Reads the regions of interest of a buffer with pictures of width x height, whoever added them.
// Boxes are where the region is now; keypoints are moved and scaled as their region was since
// wwinfer added it. A region without a score gets -1. Returns false, and leaves `seen` as it was,
// if the buffer has neither regions nor a WatchwordResult: nobody looked.
bool ww_seen_read(struct ww_seen *seen, GstBuffer *buffer, int width, int height);
