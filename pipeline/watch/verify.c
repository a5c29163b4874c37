// Is a model sound? Reads all that loading it would read, and every number of its weights.

#include <watchword/models.h>

#include <assert.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/utf8.h"
#include "models/family.h"
#include "weights/weights.h"


// Lines of text in memory that the caller has. When it is full the last line says so, and no line
// is cut in the middle.
struct report {
    char *text;
    size_t size, length;
    bool full;
};

static void WW_PRINTF(2, 3) print(struct report *r, const char *fmt, ...)
{
    static const char more[] = "...\n";
    if (r->full)
        return;
    va_list args;
    va_start(args, fmt);
    const int length = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (length < 0 || r->length + (size_t)length + sizeof(more) > r->size) {
        r->full = true;
        if (r->length + sizeof(more) <= r->size)
            memcpy(r->text + r->length, more, sizeof(more));
        return;
    }
    va_start(args, fmt);
    vsnprintf(r->text + r->length, r->size - r->length, fmt, args);
    va_end(args);
    r->length += (size_t)length;
}

// A name from a file as part of a line.
static const char *show(struct ww_arena *arena, const char *name)
{
    char *text = ww_arena_strdup(arena, name);
    ww_utf8_tidy(text);
    return text;
}

// "[3, 3, 16, 1]" of an index or a shape.
static const char *show_dims(struct ww_arena *arena, int rank, const int64_t *dim)
{
    const char *text = "[";
    for (int i = 0; i < rank; i++)
        text = ww_arena_printf(arena, "%s%s%lld", text, i ? ", " : "", (long long)dim[i]);
    return ww_arena_printf(arena, "%s]", text);
}

static bool is_finite(enum ww_type type, const unsigned char *at)
{
    if (type == WW_F64) {
        double value;
        memcpy(&value, at, sizeof(value));
        return value - value == 0;
    }
    const float value = ww_type_float(type, at);
    return value - value == 0; // infinities and NaN give NaN
}

// Element i of a row-major tensor, as one index a dimension.
static const char *show_place(struct ww_arena *arena, const struct ww_weight *t, size_t i)
{
    int64_t place[WW_MAX_RANK] = {0};
    for (int d = t->rank - 1; d >= 0; d--) {
        place[d] = (int64_t)(i % (size_t)t->dim[d]);
        i /= (size_t)t->dim[d];
    }
    return show_dims(arena, t->rank, place);
}

// A weight that is no finite number makes every result that it touches none, too.
static bool check_numbers(struct ww_arena *arena, const struct ww_weights *weights,
                          const struct ww_weight *t, struct ww_error *err)
{
    const bool real =
        t->type == WW_F32 || t->type == WW_F16 || t->type == WW_BF16 || t->type == WW_F64;
    const size_t each = ww_type_bytes(t->type);
    unsigned char piece[1 << 14];
    for (size_t at = 0; real && at < t->bytes; at += sizeof(piece)) {
        const size_t bytes = t->bytes - at < sizeof(piece) ? t->bytes - at : sizeof(piece);
        if (!ww_weights_copy(weights, t, at, bytes, piece, err))
            return false;
        for (size_t k = 0; k < bytes; k += each)
            if (!is_finite(t->type, piece + k))
                return ww_fail(err, WW_E_FILE,
                               "%s: tensor '%s': element %zu, %s, is no finite number",
                               ww_weights_path(weights), t->name, (at + k) / each,
                               show_place(arena, t, (at + k) / each));
    }
    return true;
}

static bool verify_weights(struct ww_arena *arena, const char *path, struct report *summary,
                           struct report *details, struct ww_error *err)
{
    struct ww_weights *weights = ww_weights_open(path, err);
    if (!weights)
        return false;
    const char *name = show(arena, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    char digest[65];
    ww_weights_digest(weights, digest);
    bool sound = *digest || ww_fail(err, WW_E_FILE, "%s: became shorter while it was read", path);
    size_t bytes = 0;
    print(details, "%s\n", name);
    for (size_t i = 0; sound && i < ww_weights_count(weights); i++) {
        const struct ww_weight *t = ww_weights_at(weights, i);
        bytes += t->bytes;
        print(details, "  %s  %s %s  %zu bytes\n", show(arena, t->name), ww_type_name(t->type),
              show_dims(arena, t->rank, t->dim), t->bytes);
        sound = check_numbers(arena, weights, t, err);
    }
    print(summary, "  %s: %zu tensors, %zu bytes of weights\n    sha256:%s\n", name,
          ww_weights_count(weights), bytes, digest);
    ww_weights_close(&weights);
    return sound;
}

// What a model is made of, as its configuration says.
struct parts {
    struct ww_arena *arena;
    const char *dir;
    struct report *summary, *details;
};

// A file beside config.json: a name and no path, so that a model cannot point at what is not its
// own.
static bool verify_part(const struct parts *p, const struct ww_json *value, const char *field,
                        struct ww_error *err)
{
    if (!value)
        return ww_fail(err, WW_E_FILE, "'%s' is missing", field);
    const char *name = ww_json_string(value);
    if (!name)
        return ww_fail(err, WW_E_FILE, "'%s' is %s, not the name of a file", field,
                       ww_json_kind_name(ww_json_kind(value)));
    if (!*name || *name == '.' || strchr(name, '/'))
        return ww_fail(err, WW_E_FILE, "'%s' is '%s'; it must be the name of a file beside it",
                       field, name);
    // Its path stands in the error already.
    struct ww_error inner = {0};
    if (verify_weights(p->arena, ww_arena_printf(p->arena, "%s/%s", p->dir, name), p->summary,
                       p->details, &inner))
        return true;
    return ww_fail(err, inner.code, "'%s': %s", field, inner.text);
}

static bool check_names(const struct ww_json *config, const char *field, size_t count,
                        struct ww_error *err)
{
    const struct ww_json *list = ww_json_need(config, field, WW_JSON_ARRAY, err);
    if (!list)
        return false;
    if (ww_json_count(list) != count)
        return ww_fail(err, WW_E_FILE, "'%s' has %zu names; the weights have %zu", field,
                       ww_json_count(list), count);
    int i = 0;
    for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x), i++) {
        if (!ww_json_string(x) || !*ww_json_string(x))
            return ww_fail(err, WW_E_FILE, "'%s[%d]' is no name", field, i);
        for (const struct ww_json *y = ww_json_first(list); y != x; y = ww_json_next(y))
            if (strcmp(ww_json_string(x), ww_json_string(y)) == 0)
                return ww_fail(err, WW_E_FILE, "'%s' has '%s' twice", field, ww_json_string(x));
    }
    return true;
}

static bool verify_nano(const struct parts *p, const struct ww_json *config, struct ww_error *err)
{
    const struct ww_json *poses = ww_json_need(config, "pose", WW_JSON_OBJECT, err);
    if (!poses || !verify_part(p, ww_json_get(config, "detector"), "detector", err))
        return false;
    for (const struct ww_json *pose = ww_json_first(poses); pose; pose = ww_json_next(pose))
        if (!verify_part(p, pose, ww_arena_printf(p->arena, "pose.%s", ww_json_name(pose)), err))
            return false;
    const struct ww_json *usual = ww_json_need(config, "default_pose", WW_JSON_STRING, err);
    if (!usual)
        return false;
    if (!ww_json_get(poses, ww_json_string(usual)))
        return ww_fail(err, WW_E_FILE, "'default_pose' is '%s', which 'pose' does not have",
                       ww_json_string(usual));
    return ww_json_need(config, "keypoint_set", WW_JSON_STRING, err) &&
           check_names(config, "keypoints", 17, err) && check_names(config, "classes", 80, err);
}

static int is_safetensors(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return *entry->d_name != '.' && end && strcmp(end, ".safetensors") == 0;
}

// Any other family, also one that this version cannot run, has its weights in its directory.
static bool verify_directory(const struct parts *p, struct ww_error *err)
{
    struct dirent **entries;
    const int count = scandir(p->dir, &entries, is_safetensors, alphasort);
    bool sound = count >= 0 || ww_fail(err, WW_E_FILE, "%s: cannot be listed", p->dir);
    for (int i = 0; i < count; i++) {
        const char *path = ww_arena_printf(p->arena, "%s/%s", p->dir, entries[i]->d_name);
        sound = sound && verify_weights(p->arena, path, p->summary, p->details, err);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (sound && count == 0) // one in another format
        return verify_weights(p->arena, p->dir, p->summary, p->details, err);
    return sound;
}

// Whether the weights are those that the configuration asks for, and all else is there: it is loaded, to where
// no device is needed.
static bool verify_loading(const struct parts *p, const struct ww_family *family, const struct ww_json *config,
                           struct ww_error *err)
{
    struct ww_model_info info = {0};
    struct ww_device *device = ww_device_open("reference", err);
    void *model = device ? family->load(device, p->dir, config, NULL, &info, err) : NULL;
    const bool loads = model != NULL;
    if (loads)
        family->unload(device, model);
    ww_device_close(&device);
    return loads;
}

static bool verify_model(const struct parts *p, struct ww_error *err)
{
    const char *path = ww_arena_printf(p->arena, "%s/config.json", p->dir);
    struct ww_json *config = ww_family_config(p->dir, err);
    if (!config)
        return false;
    const struct ww_json *type = ww_json_need(config, "model_type", WW_JSON_STRING, err);
    bool sound = type != NULL;
    if (sound) {
        const struct ww_family *family = ww_family_find(ww_json_string(type));
        print(p->summary, "%s\n  family %s%s\n", show(p->arena, p->dir), show(p->arena, ww_json_string(type)),
              family ? "" : ", which this version cannot run");
        if (strcmp(ww_json_string(type), "nano") == 0)
            sound = verify_nano(p, config, err) || ww_within(err, "%s", path);
        else
            sound = verify_directory(p, err) && (!family || verify_loading(p, family, config, err) ||
                                                 ww_within(err, "%s", path));
    } else {
        ww_within(err, "%s", path);
    }
    ww_json_free(&config);
    return sound;
}

bool ww_model_verify(const char *dir_or_file, char *report, size_t size, struct ww_error *err)
{
    assert(size > 0);
    *report = '\0';
    struct ww_arena *arena = ww_arena_create();
    // The tensors, one a line, come behind the summary of all files.
    struct report summary = {.text = report, .size = size};
    struct report details = {.text = ww_arena_alloc(arena, size), .size = size};
    struct stat st;
    bool sound;
    if (stat(dir_or_file, &st) == 0 && !S_ISDIR(st.st_mode)) {
        print(&summary, "%s\n", show(arena, dir_or_file));
        sound = verify_weights(arena, dir_or_file, &summary, &details, err);
    } else {
        char dir[4096];
        sound = ww_model_find(dir_or_file, dir, sizeof(dir), err) &&
                verify_model(&(struct parts){arena, dir, &summary, &details}, err);
    }
    for (char *line = details.text, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        print(&summary, "%.*s\n", (int)(end - line), line);
    }
    ww_arena_destroy(&arena);
    return sound;
}
