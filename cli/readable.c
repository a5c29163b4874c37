#include "readable.h"

#include <string.h>

#include "cli.h"
#include "json.h"

enum { MOST_OBJECTS = 4 }; // a line has room for

static void print_object(FILE *file, const struct cJSON *object)
{
    const struct cJSON *box = json_at(object, "box");
    const double x0 = json_number(json_item(box, 0), "", 0),
                 y0 = json_number(json_item(box, 1), "", 0),
                 x1 = json_number(json_item(box, 2), "", 0),
                 y1 = json_number(json_item(box, 3), "", 0);
    print_clean(file, json_text(object, "label", "?"));
    fprintf(file, " %.2f at %.0f,%.0f %.0fx%.0f", json_number(object, "score", 0), x0, y0, x1 - x0,
            y1 - y0);
    const struct cJSON *keypoints = json_at(object, "keypoints");
    int seen = 0;
    for (const struct cJSON *k = json_first(keypoints); k; k = json_next(k))
        seen += json_number(json_item(k, 2), "", 0) >= 0.2;
    if (keypoints)
        fprintf(file, " (%d of %d keypoints)", seen, json_count(keypoints));
}

static void print_seen(FILE *file, const struct cJSON *message)
{
    const struct cJSON *objects = json_at(message, "objects");
    const int count = json_count(objects);
    int shown = 0;
    fprintf(file, "frame %.0f  ", json_number(message, "frame.index", 0));
    if (count == 0)
        fputs("nothing seen", file);
    for (const struct cJSON *o = json_first(objects); o && shown < MOST_OBJECTS;
         o = json_next(o), shown++) {
        if (shown > 0)
            fputs("; ", file);
        print_object(file, o);
    }
    if (count > shown)
        fprintf(file, "; %d more", count - shown);
    const double total = json_number(message, "latency_ms.total", -1);
    if (total >= 0)
        fprintf(file, "  %.0f ms", total);
}

// Of a camera or of the daemon itself.
static void print_status(FILE *file, const struct cJSON *message)
{
    fputs(json_text(message, "state", "?"), file);
    const char *cause = json_text(message, "cause.text", NULL);
    if (cause) {
        fputs(": ", file);
        print_clean(file, cause);
    }
    const char *activity = json_text(message, "activity", NULL);
    if (activity && strcmp(activity, "ready") != 0) {
        fputs("; ", file);
        print_clean(file, activity);
    }
    const double fps = json_number(message, "fps", 0);
    if (fps > 0)
        fprintf(file, "; %.1f frames a second", fps);
    for (const struct cJSON *w = json_first(json_at(message, "watches")); w; w = json_next(w)) {
        const char *error = json_text(w, "error", NULL);
        if (!error)
            continue;
        fputs("; watch '", file);
        print_clean(file, json_text(w, "name", "?"));
        fputs("': ", file);
        print_clean(file, error);
    }
}

void readable_print(FILE *file, const struct cJSON *message)
{
    const char *kind = json_text(message, "kind", "?");
    const bool status = strcmp(kind, "status") == 0;
    // Times are "2026-11-22T10:15:04.120Z": the day is known to who is watching.
    const char *time = json_text(message, status ? "at" : "frame.captured_at", "");
    time = strlen(time) == 24 ? time + 11 : "            ";
    fprintf(file, "%.12s  ", time);
    print_clean(file, json_text(message, "stream", "watchwordd"));
    fputs("  ", file);
    print_clean(file, kind);
    const char *watch = json_text(message, "watch", NULL);
    if (watch) {
        fputc(' ', file);
        print_clean(file, watch);
    }
    fputs("  ", file);
    if (json_at(message, "objects"))
        print_seen(file, message);
    else if (status)
        print_status(file, message);
}
