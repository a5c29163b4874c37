// Reads catalogues. They may be written by anybody: all that becomes a part of a path or of a URL is
// held against a short list of characters here, once, and is safe everywhere else.

#include <watchword/catalogue.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/utf8.h"
#include "watch/install_paths.h" // WW_CATALOGUE

#define MAX_CATALOGUE_BYTES (4 << 20)
#define MAX_MODEL_BYTES     (INT64_C(1) << 50)
#define MAX_PART            100 // of a file's name
#define MAX_PARTS           4
#define MAX_URL             400
#define MAX_TEXT            100 // what is only shown

struct ww_catalogue {
    struct ww_arena *arena;
    struct ww_catalogue_model *models;
    int num_models;
};

static bool is_one_of(char c, const char *others)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(others, c));
}

// The first `size` bytes of `text` name a file or folder, and no other.
static bool is_part(const char *text, size_t size)
{
    if (size < 1 || size > MAX_PART || !is_one_of(text[0], "_+"))
        return false;
    for (size_t i = 1; i < size; i++)
        if (!is_one_of(text[i], "._+-"))
            return false;
    return true;
}

// Parts with a '/' between them, from `least` to `most` of them.
static bool is_path(const char *text, int least, int most)
{
    for (int parts = 1;; parts++) {
        const size_t size = strcspn(text, "/");
        if (parts > most || !is_part(text, size))
            return false;
        text += size;
        if (!*text)
            return parts >= least;
        text++;
    }
}

static bool ends_in(const char *text, const char *ending)
{
    const size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

// A folder that files are read from: https, or http where nobody stands between.
static bool is_url(const char *url)
{
    static const char *const mine[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    const char *rest = NULL;
    if (has_prefix(url, "https://") && url[8] != '/')
        rest = url + 8;
    for (size_t i = 0; i < sizeof(mine) / sizeof(mine[0]); i++)
        if (has_prefix(url, mine[i]) && strchr(":/", url[strlen(mine[i])]))
            rest = url + strlen(mine[i]);
    if (!rest || !*rest || strlen(url) > MAX_URL || !ends_in(url, "/"))
        return false;
    for (const char *p = rest; *p; p++)
        if (!is_one_of(*p, "._+-~%:/[]"))
            return false;
    return !strstr(rest, "/./") && !strstr(rest, "/../");
}

// Every member is one of `names`, which NULL ends: a name mistyped would otherwise go unseen.
static bool knows_members(const struct ww_json *object, const char *const *names, struct ww_error *err)
{
    for (const struct ww_json *x = ww_json_first(object); x; x = ww_json_next(x)) {
        const char *const *name = names;
        while (*name && strcmp(*name, ww_json_name(x)) != 0)
            name++;
        if (!*name)
            return ww_fail(err, WW_E_FILE, "there is no field '%.60s'", ww_json_name(x));
    }
    return true;
}

// A text to show. NULL: not there, which is told.
static const char *need_text(struct ww_arena *arena, const struct ww_json *object, const char *field,
                             struct ww_error *err)
{
    const struct ww_json *value = ww_json_need(object, field, WW_JSON_STRING, err);
    if (!value)
        return NULL;
    const char *text = ww_json_string(value);
    if (!*text || strlen(text) > MAX_TEXT) {
        ww_fail(err, WW_E_FILE, "'%s' has %zu bytes; it takes 1 to %d", field, strlen(text), MAX_TEXT);
        return NULL;
    }
    char *shown = ww_arena_strdup(arena, text);
    ww_utf8_tidy(shown);
    return shown;
}

// The string's bytes if it is there and holds, "" if it is not there, NULL with an error otherwise.
static const char *take(struct ww_arena *arena, const struct ww_json *object, const char *field,
                        bool (*holds)(const char *text), const char *rule, struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(object, field);
    if (!value)
        return "";
    const char *text = ww_json_string(value);
    if (!text)
        ww_fail(err, WW_E_FILE, "'%s' is %s, not %s", field, ww_json_kind_name(ww_json_kind(value)), rule);
    else if (!holds(text))
        ww_fail(err, WW_E_FILE, "'%s' is '%.100s', not %s", field, text, rule);
    else
        return ww_arena_strdup(arena, text);
    return NULL;
}

static bool is_model_name(const char *text)
{
    return is_path(text, 1, 1);
}

static bool is_hub(const char *text)
{
    return is_path(text, 2, 2);
}

// ".part" and what belongs to it are names of ours.
static bool is_file_name(const char *text)
{
    return is_path(text, 1, MAX_PARTS) && !ends_in(text, ".part") && !ends_in(text, ".part-of");
}

static bool is_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

#define CHARACTERS "letters, digits and '._+-', not beginning with '.' or '-'"

static bool read_bytes(const struct ww_json *entry, int64_t *bytes, struct ww_error *err)
{
    *bytes = -1;
    const struct ww_json *value = ww_json_get(entry, "bytes");
    if (value && (!ww_json_integer(value, bytes) || *bytes < 1 || *bytes > MAX_MODEL_BYTES))
        return ww_fail(err, WW_E_FILE, "'bytes' is no whole number from 1 to 2^50");
    return true;
}

static bool read_file(struct ww_arena *arena, const struct ww_json *entry,
                      struct ww_catalogue_file *file, struct ww_error *err)
{
    static const char *const members[] = {"name", "bytes", "sha256", NULL};
    if (ww_json_kind(entry) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "is %s, not an object", ww_json_kind_name(ww_json_kind(entry)));
    if (!knows_members(entry, members, err) || !ww_json_need(entry, "name", WW_JSON_STRING, err))
        return false;
    file->name = take(arena, entry, "name", is_file_name,
                      "the path of a file below the model's folder: up to 4 parts of " CHARACTERS
                      ", and no '.part' at its end", err);
    const char *sha256 = take(arena, entry, "sha256", is_sha256, "64 hexadecimal digits in lower case", err);
    if (!file->name || !sha256)
        return false;
    file->sha256 = *sha256 ? sha256 : NULL;
    return read_bytes(entry, &file->bytes, err);
}

static int by_name(const void *a, const void *b)
{
    const struct ww_catalogue_file *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

// No name twice, and none that another one needs for a folder.
static bool check_names(struct ww_arena *arena, const struct ww_catalogue_model *model,
                        struct ww_error *err)
{
    const size_t count = (size_t)model->num_files;
    const struct ww_catalogue_file **sorted = ww_new_array(arena, const struct ww_catalogue_file *, count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &model->files[i];
    qsort(sorted, count, sizeof(*sorted), by_name);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return ww_fail(err, WW_E_FILE, "'files' has '%s' twice", sorted[i]->name);
    for (size_t i = 0; i < count; i++) {
        for (const char *end = strchr(sorted[i]->name, '/'); end; end = strchr(end + 1, '/')) {
            const struct ww_catalogue_file folder = {
                .name = ww_arena_strndup(arena, sorted[i]->name, (size_t)(end - sorted[i]->name))};
            const struct ww_catalogue_file *key = &folder;
            if (bsearch(&key, sorted, count, sizeof(*sorted), by_name))
                return ww_fail(err, WW_E_FILE, "'files' has '%s' as a file and as a folder", folder.name);
        }
    }
    return true;
}

static bool read_files(struct ww_arena *arena, const struct ww_json *list,
                       struct ww_catalogue_model *model, struct ww_error *err)
{
    const size_t count = ww_json_count(list);
    if (count < 1)
        return ww_fail(err, WW_E_FILE, "'files' is empty");
    struct ww_catalogue_file *files = ww_new_array(arena, struct ww_catalogue_file, count);
    model->files = files;
    int64_t known = 0;
    bool all_known = true;
    for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x)) {
        struct ww_catalogue_file *file = &files[model->num_files];
        if (!read_file(arena, x, file, err))
            return ww_within(err, "files[%d]", model->num_files);
        model->num_files++;
        known += file->bytes > 0 ? file->bytes : 0;
        all_known &= file->bytes >= 0;
        if (known > MAX_MODEL_BYTES)
            return ww_fail(err, WW_E_FILE, "'files' have more than 2^50 bytes");
    }
    model->bytes = all_known ? known : -1;
    return check_names(arena, model, err);
}

static bool read_origin(struct ww_arena *arena, const struct ww_json *entry,
                        struct ww_catalogue_model *model, struct ww_error *err)
{
    const char *hub = take(arena, entry, "hub", is_hub, "'OWNER/REPOSITORY', each of " CHARACTERS, err);
    const char *revision =
        hub ? take(arena, entry, "revision", is_model_name, "a commit or branch of " CHARACTERS, err) : NULL;
    const char *url = revision ? take(arena, entry, "url", is_url,
                                      "the 'https://' address of a folder, which ends in '/' (this "
                                      "machine may have 'http://')", err) : NULL;
    if (!url)
        return false;
    if (!*hub == !*url)
        return ww_fail(err, WW_E_FILE, "one of 'hub' and 'url' must say where its files are");
    if (!*hub && *revision)
        return ww_fail(err, WW_E_FILE, "'revision' is one of a 'hub', and there is none");
    model->hub = *hub ? hub : NULL;
    model->revision = !*hub ? NULL : *revision ? revision : "main";
    model->url = *url ? url : NULL;
    return true;
}

static bool read_model(struct ww_arena *arena, const struct ww_json *entry,
                       struct ww_catalogue_model *model, struct ww_error *err)
{
    static const char *const members[] = {"name", "family", "licence", "hub", "revision", "url", "files",
                                          NULL};
    if (ww_json_kind(entry) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "is %s, not an object", ww_json_kind_name(ww_json_kind(entry)));
    if (!knows_members(entry, members, err) || !ww_json_need(entry, "name", WW_JSON_STRING, err))
        return false;
    model->name = take(arena, entry, "name", is_model_name, "a name of " CHARACTERS, err);
    model->family = model->name ? need_text(arena, entry, "family", err) : NULL;
    model->licence = model->family ? need_text(arena, entry, "licence", err) : NULL;
    if (!model->licence || !read_origin(arena, entry, model, err))
        return false;
    const struct ww_json *files = ww_json_need(entry, "files", WW_JSON_ARRAY, err);
    return files && read_files(arena, files, model, err);
}

static const struct ww_catalogue_model *find(const struct ww_catalogue *c, const char *name, int from,
                                             int end)
{
    for (int i = from; i < end; i++)
        if (strcmp(c->models[i].name, name) == 0)
            return &c->models[i];
    return NULL;
}

static bool read_models(struct ww_catalogue *c, const struct ww_json *document, const char *path,
                        struct ww_error *err)
{
    static const char *const members[] = {"catalogue", "models", NULL};
    int64_t version = 0;
    if (ww_json_kind(document) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "is %s, not an object", ww_json_kind_name(ww_json_kind(document)));
    if (!ww_json_integer(ww_json_get(document, "catalogue"), &version) || version != 1)
        return ww_fail(err, WW_E_FILE, "'catalogue' must be 1: the form that this version reads");
    const struct ww_json *list = ww_json_need(document, "models", WW_JSON_ARRAY, err);
    if (!list || !knows_members(document, members, err))
        return false;
    // Behind those of the catalogue before, which win.
    const int before = c->num_models;
    struct ww_catalogue_model *models =
        ww_new_array(c->arena, struct ww_catalogue_model, (size_t)before + ww_json_count(list));
    if (before)
        memcpy(models, c->models, (size_t)before * sizeof(*models));
    c->models = models;
    int index = 0, end = before; // [before, end) are this file's, of which some are not kept
    const char *kept = ww_arena_strdup(c->arena, path);
    for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x), index++) {
        struct ww_catalogue_model *model = &models[end];
        *model = (struct ww_catalogue_model){.catalogue = kept};
        if (!read_model(c->arena, x, model, err))
            return ww_within(err, model->name ? "models[%d] ('%.60s')" : "models[%d]", index,
                             model->name ? model->name : "");
        if (find(c, model->name, before, end))
            return ww_fail(err, WW_E_FILE, "models[%d]: '%s' is there twice", index, model->name);
        end += !find(c, model->name, 0, before);
    }
    c->num_models = end;
    return true;
}

static bool read_catalogue(struct ww_catalogue *c, const char *path, struct ww_error *err)
{
    struct ww_json *document = ww_json_load(path, MAX_CATALOGUE_BYTES, NULL, err);
    if (!document)
        return false;
    const bool read = read_models(c, document, path, err) || ww_within(err, "%s", path);
    ww_json_free(&document);
    return read;
}

// The user's own file; NULL if the environment names no home.
static const char *own_path(struct ww_arena *arena)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config && *config == '/')
        return ww_arena_printf(arena, "%s/watchword/catalogue.json", config);
    return home && *home == '/' ? ww_arena_printf(arena, "%s/.config/watchword/catalogue.json", home) : NULL;
}

static bool read_all(struct ww_catalogue *c, struct ww_error *err)
{
    const char *own = own_path(c->arena), *named = getenv("WATCHWORD_CATALOGUE");
    if (own && access(own, F_OK) == 0 && !read_catalogue(c, own, err))
        return false;
    return read_catalogue(c, named && *named ? named : WW_CATALOGUE, err);
}

struct ww_catalogue *ww_catalogue_open(const char *path, struct ww_error *err)
{
    struct ww_arena *arena = ww_arena_create();
    struct ww_catalogue *c = ww_new(arena, struct ww_catalogue);
    c->arena = arena;
    if (path ? !read_catalogue(c, path, err) : !read_all(c, err))
        ww_catalogue_close(&c);
    return c;
}

void ww_catalogue_close(struct ww_catalogue **catalogue)
{
    if (!catalogue || !*catalogue)
        return;
    struct ww_arena *arena = (*catalogue)->arena; // holds the catalogue itself
    ww_arena_destroy(&arena);
    *catalogue = NULL;
}

int ww_catalogue_count(const struct ww_catalogue *c)
{
    return c->num_models;
}

const struct ww_catalogue_model *ww_catalogue_at(const struct ww_catalogue *c, int index)
{
    assert(index >= 0 && index < c->num_models);
    return &c->models[index];
}

const struct ww_catalogue_model *ww_catalogue_find(const struct ww_catalogue *c, const char *name)
{
    return find(c, name, 0, c->num_models);
}
