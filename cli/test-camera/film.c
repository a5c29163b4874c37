// film.c: reading a film's access units, and encoding it where it is in another codec.

#include <errno.h>
#include <gst/app/gstappsink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "film.h"

// A key frame every ten frames: a client that comes in the middle of the film sees a picture within
// a second at 10 fps. Constant quantisers, so that the result depends on nothing but the film. One
// slice a picture: FFmpeg takes the second slice of a key frame that comes by RTP for another frame.
static const struct codec {
    const char *name, *caps, *parse, *encode;
} codecs[] = {
    {"h264", "video/x-h264,stream-format=byte-stream,alignment=au", "h264parse config-interval=-1",
     "x264enc pass=quant quantizer=20 speed-preset=veryfast tune=zerolatency key-int-max=10 "
     "bframes=0 threads=1 ! h264parse"},
    {"h265", "video/x-h265,stream-format=byte-stream,alignment=au", "h265parse config-interval=-1",
     "x265enc qp=22 speed-preset=ultrafast tune=zerolatency key-int-max=10 "
     "option-string=pools=2:frame-threads=1:log-level=none ! h265parse"},
    {"mjpeg", "image/jpeg", "jpegparse", "jpegenc quality=90 ! jpegparse"},
};

static const struct codec *find_codec(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(codecs); i++)
        if (!strcmp(codecs[i].name, name))
            return &codecs[i];
    return NULL;
}

gboolean film_codec_known(const char *codec)
{
    return find_codec(codec) != NULL;
}

static gboolean fail(GError **error, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (error && !*error)
        *error = g_error_new_valist(GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, fmt, args);
    va_end(args);
    return FALSE;
}

// Takes the first error off the pipeline's bus.
static gboolean bus_error(GstElement *pipeline, const char *path, GError **error)
{
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    gst_object_unref(bus);
    if (!message)
        return FALSE;
    GError *cause = NULL;
    gst_message_parse_error(message, &cause, NULL);
    fail(error, "%s: %s", path, cause->message);
    g_error_free(cause);
    gst_message_unref(message);
    return TRUE;
}

static void set_location(GstElement *pipeline, const char *name, const char *path)
{
    GstElement *element = gst_bin_get_by_name(GST_BIN(pipeline), name);
    g_object_set(element, "location", path, NULL);
    gst_object_unref(element);
}

static int by_time(const void *a, const void *b, void *units)
{
    GstClockTime x = GST_BUFFER_PTS(g_ptr_array_index((GPtrArray *)units, *(const int *)a));
    GstClockTime y = GST_BUFFER_PTS(g_ptr_array_index((GPtrArray *)units, *(const int *)b));
    return (x > y) - (x < y);
}

// Frames that others refer to backwards are sent before their turn; their times tell the turn.
static int *display_order(GPtrArray *units)
{
    int *sent = g_new(int, units->len), *display = g_new(int, units->len);
    for (guint i = 0; i < units->len; i++)
        sent[i] = (int)i;
    g_qsort_with_data(sent, (int)units->len, sizeof *sent, by_time, units);
    for (guint i = 0; i < units->len; i++)
        display[sent[i]] = (int)i;
    g_free(sent);
    return display;
}

static gboolean describe(struct film *film, const char *path, GError **error)
{
    if (!film->caps || !film->units->len)
        return fail(error, "%s: no video", path);
    const GstStructure *s = gst_caps_get_structure(film->caps, 0);
    int num = 0, den = 0;
    gst_structure_get_int(s, "width", &film->width);
    gst_structure_get_int(s, "height", &film->height);
    gst_structure_get_fraction(s, "framerate", &num, &den);
    film->display = display_order(film->units);
    film->fps = den > 0 ? (double)num / den : 0;
    if (film->fps <= 0 && film->units->len > 1) {
        GstBuffer *first = g_ptr_array_index(film->units, 0);
        GstBuffer *last = g_ptr_array_index(film->units, film->units->len - 1);
        double seconds = ((double)GST_BUFFER_PTS(last) - (double)GST_BUFFER_PTS(first)) / GST_SECOND;
        film->fps = seconds > 0 ? (film->units->len - 1) / seconds : 0;
    }
    if (film->fps <= 0)
        film->fps = 25;
    return TRUE;
}

// Pulls units until the end or `num_frames`. False if the pipeline fails first.
static gboolean pull_units(struct film *film, GstElement *pipeline, const char *path,
                           int num_frames, GError **error)
{
    GstAppSink *sink = GST_APP_SINK(gst_bin_get_by_name(GST_BIN(pipeline), "out"));
    gboolean sound = TRUE;
    while (sound && (num_frames <= 0 || film->units->len < (guint)num_frames)) {
        GstSample *sample = gst_app_sink_try_pull_sample(sink, 20 * GST_MSECOND);
        if (sample) {
            GstBuffer *unit = gst_sample_get_buffer(sample);
            gst_caps_replace(&film->caps, gst_sample_get_caps(sample));
            film->bytes += gst_buffer_get_size(unit);
            g_ptr_array_add(film->units, gst_buffer_copy_deep(unit));
            gst_sample_unref(sample);
        } else if (gst_app_sink_is_eos(sink)) {
            break;
        } else {
            sound = !bus_error(pipeline, path, error);
        }
    }
    gst_object_unref(sink);
    return sound;
}

// NULL if the file is not in `codec` or cannot be read.
static struct film *read_film(const char *path, const struct codec *codec, int num_frames,
                              GError **error)
{
    char *text = g_strdup_printf("filesrc name=in ! parsebin ! %s ! %s ! appsink name=out "
                                 "sync=false max-buffers=50",
                                 codec->parse, codec->caps);
    GstElement *pipeline = gst_parse_launch(text, error);
    g_free(text);
    if (!pipeline)
        return NULL;
    set_location(pipeline, "in", path);

    struct film *film = g_new0(struct film, 1);
    g_strlcpy(film->codec, codec->name, sizeof film->codec);
    film->units = g_ptr_array_new_with_free_func((GDestroyNotify)gst_buffer_unref);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    if (!pull_units(film, pipeline, path, num_frames, error) || !describe(film, path, error))
        film_close(&film);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return film;
}

// The start of an encoding pipeline: the film's pictures, or those of the pattern.
static char *source_text(const char *path, int num_frames, GError **error)
{
    if (!g_str_has_prefix(path, "pattern:"))
        return num_frames > 0
                   ? g_strdup_printf("filesrc name=in ! decodebin ! identity eos-after=%d",
                                     num_frames)
                   : g_strdup("filesrc name=in ! decodebin");
    int width, height, fps, end = 0;
    if (sscanf(path, "pattern:%dx%d@%d%n", &width, &height, &fps, &end) != 3 || path[end] ||
        width < 16 || height < 16 || width > 8192 || height > 8192 || fps < 1 || fps > 240) {
        fail(error, "%s: not pattern:WIDTHxHEIGHT@FPS", path);
        return NULL;
    }
    return g_strdup_printf("videotestsrc pattern=ball num-buffers=%d ! "
                           "video/x-raw,width=%d,height=%d,framerate=%d/1",
                           num_frames > 0 ? num_frames : 10 * fps, width, height, fps);
}

// Writes under a temporary name first, so that no reader ever meets half a film.
static gboolean encode(const char *path, const struct codec *codec, int num_frames, const char *to,
                       GError **error)
{
    char *source = source_text(path, num_frames, error);
    if (!source)
        return FALSE;
    char *text = g_strdup_printf("%s ! videoconvert ! video/x-raw,format=I420 ! %s ! matroskamux ! "
                                 "filesink name=out",
                                 source, codec->encode);
    GstElement *pipeline = gst_parse_launch(text, error);
    g_free(source);
    g_free(text);
    if (!pipeline)
        return FALSE;
    char *part = g_strdup_printf("%s.%d.part", to, (int)getpid());
    if (!g_str_has_prefix(path, "pattern:"))
        set_location(pipeline, "in", path);
    set_location(pipeline, "out", part);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);

    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE,
                                                     GST_MESSAGE_ERROR | GST_MESSAGE_EOS);
    gboolean sound = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
    if (!sound) {
        GError *cause = NULL;
        gst_message_parse_error(message, &cause, NULL);
        fail(error, "%s: %s", path, cause->message);
        g_error_free(cause);
    }
    gst_message_unref(message);
    gst_object_unref(bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    if (sound && rename(part, to))
        sound = fail(error, "%s: %s", to, g_strerror(errno));
    if (!sound)
        unlink(part);
    g_free(part);
    return sound;
}

// Adds the film's bytes, or the pattern's name, to what the cached name is made from.
static gboolean add_content(GChecksum *sum, const char *path, GError **error)
{
    char *data = NULL;
    gsize size = 0;
    if (g_str_has_prefix(path, "pattern:")) {
        g_checksum_update(sum, (const guchar *)path, -1);
        return TRUE;
    }
    if (!g_file_get_contents(path, &data, &size, error))
        return FALSE;
    g_checksum_update(sum, (guchar *)data, (gssize)size);
    g_free(data);
    return TRUE;
}

// "<cache>/vtest-9f3a61c20d4e-h264.mkv": the same film, length and way to encode have the same name.
static char *cached_name(const struct film_params *params, const struct codec *codec, GError **error)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    char *name = NULL;
    g_checksum_update(sum, (const guchar *)codec->encode, -1);
    g_checksum_update(sum, (const guchar *)&params->num_frames, sizeof params->num_frames);
    if (add_content(sum, params->path, error)) {
        char *base = g_path_get_basename(params->path);
        base[strcspn(base, ".:")] = 0;
        name = g_strdup_printf("%s/%s-%.12s-%s.mkv", params->cache, base,
                               g_checksum_get_string(sum), codec->name);
        g_free(base);
    }
    g_checksum_free(sum);
    return name;
}

struct film *film_open(const struct film_params *params, GError **error)
{
    const struct codec *codec = find_codec(params->codec);
    if (!codec) {
        fail(error, "'%s' is no codec; there are h264, h265 and mjpeg", params->codec);
        return NULL;
    }
    if (!g_str_has_prefix(params->path, "pattern:")) {
        struct film *film = read_film(params->path, codec, params->num_frames, NULL);
        if (film)
            return film;
    }
    char *name = cached_name(params, codec, error);
    if (!name)
        return NULL;
    struct film *film = NULL;
    if (g_mkdir_with_parents(params->cache, 0755)) {
        fail(error, "%s: %s", params->cache, g_strerror(errno));
    } else {
        if (!g_file_test(name, G_FILE_TEST_EXISTS)) {
            if (params->on_encode)
                params->on_encode(params->path, params->codec, name);
            if (!encode(params->path, codec, params->num_frames, name, error))
                goto end;
        }
        film = read_film(name, codec, params->num_frames, error);
    }
end:
    g_free(name);
    return film;
}

void film_close(struct film **film)
{
    if (!*film)
        return;
    g_ptr_array_unref((*film)->units);
    gst_clear_caps(&(*film)->caps);
    g_free((*film)->display);
    g_free(*film);
    *film = NULL;
}

int film_next_key(const struct film *film, int unit)
{
    int n = (int)film->units->len;
    for (int i = 0; i < n; i++) {
        int at = (unit + i) % n;
        GstBuffer *buffer = g_ptr_array_index(film->units, at);
        if (!GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))
            return at;
    }
    return 0;
}
