#include <stdlib.h>
#include <string.h>
#include <watchword/decode.h>
#include <watchword/draw.h>

#include "cli.h"
#include "demo.h"
#include "json.h"

// A pose is looked for now and then only: so long it is shown on, in frames.
enum { POSE_LASTS = 2, MAX_FRAMES = 1 << 22, MAX_OBJECTS = 128, MAX_KEYPOINTS = 32 };

void record_add(struct record *r, struct cJSON *message)
{
    const char *kind = json_text(message, "kind", "");
    const double number = json_number(message, "frame.index", -1);
    if (!json_at(message, "objects") || !(number >= 0 && number < MAX_FRAMES)) {
        json_free(message);
        return;
    }
    const int index = (int)number;
    if (index >= r->num_frames) {
        r->frames = realloc(r->frames, (size_t)(index + 1) * sizeof(*r->frames));
        if (!r->frames)
            abort();
        memset(r->frames + r->num_frames, 0,
               (size_t)(index + 1 - r->num_frames) * sizeof(*r->frames));
        r->num_frames = index + 1;
    }
    r->latencies_ms =
        realloc(r->latencies_ms, (size_t)(r->num_results + 1) * sizeof(*r->latencies_ms));
    if (!r->latencies_ms)
        abort();
    r->latencies_ms[r->num_results++] = json_number(message, "latency_ms.total", 0);
    struct cJSON **place =
        strcmp(kind, "pose") == 0 ? &r->frames[index].pose : &r->frames[index].detection;
    json_free(*place);
    *place = message;
}

void record_free(struct record *r)
{
    for (int i = 0; i < r->num_frames; i++) {
        json_free(r->frames[i].detection);
        json_free(r->frames[i].pose);
    }
    free(r->frames);
    free(r->latencies_ms);
    *r = (struct record){0};
}

int record_best_frame(const struct record *r)
{
    int best = -1, most = 0;
    for (int i = 0; i < r->num_frames; i++) {
        const int seen = json_count(json_at(r->frames[i].detection, "objects")) +
                         2 * json_count(json_at(r->frames[i].pose, "objects"));
        if (seen > most) {
            most = seen;
            best = i;
        }
    }
    return best;
}

struct drawing {
    struct ww_object objects[MAX_OBJECTS];
    struct ww_keypoint keypoints[MAX_OBJECTS][MAX_KEYPOINTS];
    struct ww_frame frame; // a copy that may be drawn into
    uint8_t *pixels;
};

static void draw_message(struct drawing *d, const struct cJSON *message, bool labels)
{
    struct ww_result result = {
        .width = d->frame.width,
        .height = d->frame.height,
        .keypoint_set = json_text(message, "keypoint_set", NULL),
        .objects = d->objects,
    };
    const struct cJSON *objects = json_at(message, "objects");
    for (const struct cJSON *o = json_first(objects); o && result.num_objects < MAX_OBJECTS;
         o = json_next(o)) {
        const struct cJSON *box = json_at(o, "box"), *keypoints = json_at(o, "keypoints");
        struct ww_keypoint *points = d->keypoints[result.num_objects];
        struct ww_object *object = &d->objects[result.num_objects++];
        *object = (struct ww_object){
            .label = json_text(o, "label", "?"),
            .score = (float)json_number(o, "score", 0),
            .x0 = (float)json_number(json_item(box, 0), "", 0),
            .y0 = (float)json_number(json_item(box, 1), "", 0),
            .x1 = (float)json_number(json_item(box, 2), "", 0),
            .y1 = (float)json_number(json_item(box, 3), "", 0),
            .keypoints = points,
        };
        for (const struct cJSON *k = json_first(keypoints);
             k && object->num_keypoints < MAX_KEYPOINTS; k = json_next(k))
            points[object->num_keypoints++] = (struct ww_keypoint){
                .x = (float)json_number(json_item(k, 0), "", 0),
                .y = (float)json_number(json_item(k, 1), "", 0),
                .score = (float)json_number(json_item(k, 2), "", 0),
            };
    }
    ww_draw(&d->frame, &result, ww_draw_params(.no_labels = !labels, .no_scores = !labels));
}

// The newest message about this frame or a little earlier.
static const struct cJSON *newest(const struct record *r, int index, bool pose, int lasts)
{
    for (int i = index; i >= 0 && i > index - lasts; i--) {
        const struct cJSON *message = pose ? r->frames[i].pose : r->frames[i].detection;
        if (message)
            return message;
    }
    return NULL;
}

static bool draw_frame(struct drawing *d, const struct record *r, const struct ww_frame *frame,
                       const char *picture, struct ww_writer *clip, struct ww_error *err)
{
    const int index = (int)frame->index;
    copy_frame(frame, &d->frame, &d->pixels);
    const struct cJSON *detection = newest(r, index, false, 1);
    const struct cJSON *pose = newest(r, index, true, POSE_LASTS);
    if (detection)
        draw_message(d, detection, true);
    if (pose)
        draw_message(d, pose, !detection); // one label a person is enough
    if (index == record_best_frame(r)) {
        struct ww_writer *writer = ww_writer_open(picture, 0, err);
        const bool added = writer && ww_writer_add(writer, &d->frame, err);
        if (!ww_writer_close(&writer, added ? err : NULL) || !added)
            return false;
    }
    return ww_writer_add(clip, &d->frame, err);
}

bool record_draw(const struct record *r, const char *film, const char *clip, const char *picture,
                 struct ww_error *err)
{
    struct drawing *d = calloc(1, sizeof(*d));
    struct ww_writer *writer = NULL;
    struct progress progress;
    struct ww_reader_info info = {0};
    struct ww_reader *reader = ww_reader_open_until(film, &stopped, err);
    bool drawn = d && reader;
    if (drawn) {
        ww_reader_info(reader, &info);
        writer = ww_writer_open(clip, info.fps, err);
        drawn = writer != NULL;
    }
    progress_begin(&progress, "drawing", r->num_frames);
    for (int i = 0; drawn && i < r->num_frames; i++) {
        struct ww_frame frame;
        const int got = ww_reader_next(reader, &frame, err);
        if (got == 0)
            break; // the camera plays films in a loop, too
        drawn = got > 0 && draw_frame(d, r, &frame, picture, writer, err);
        progress_show(&progress, i + 1);
    }
    progress_clear();
    if (!ww_writer_close(&writer, drawn ? err : NULL))
        drawn = false;
    ww_reader_close(&reader);
    if (d)
        free(d->pixels);
    free(d);
    return drawn;
}
