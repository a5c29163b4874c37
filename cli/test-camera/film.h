// film.h: a film as a camera's encoder would send it, encoded once and kept on disk.

#pragma once

#include <glib.h>
#include <gst/gst.h>

struct film {
    char codec[8];     // "h264", "h265", "mjpeg"
    GstCaps *caps;     // of the units
    GPtrArray *units;  // GstBuffer, in the order they are sent; PTS is not used
    int *display;      // display[i]: which frame of the film unit i is; i, where no frame is sent early
    int width, height; // px
    double fps;        // of the file
    gsize bytes;       // all units together
};

struct film_params {
    const char *path;  // any film GStreamer decodes, or "pattern:WIDTHxHEIGHT@FPS" for a moving ball
    const char *codec; // "h264", "h265" or "mjpeg"
    const char *cache; // folder for encoded films; made if missing
    int num_frames;    // 0: all
    // Called before a film is encoded, which takes a while. May be NULL.
    void (*on_encode)(const char *path, const char *codec, const char *to);
};

// Whether `codec` is one that a film can be in.
gboolean film_codec_known(const char *codec);

// Reads the whole film into memory. A file that is already in `codec` is sent as it is, bit by bit;
// another is encoded once into `cache`, under a name that its content, codec and length decide.
// NULL and `error` if there is no such file, no video in it, or an element is missing.
struct film *film_open(const struct film_params *params, GError **error);
void film_close(struct film **film);

// The unit at or after `unit` with which a decoder can begin, round the end of the film if needed.
int film_next_key(const struct film *film, int unit);
