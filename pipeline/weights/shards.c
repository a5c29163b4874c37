// Which files a checkpoint is made of: what a directory holds, what an index names, and the other
// parts of a GGUF file that is one of several.

#include "checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/json.h"

#define MAX_INDEX_BYTES 100000000
#define MAX_VALUES      (1 << 21) // of its JSON: one a tensor
#define MAX_PARTS       10000

static bool has_ending(const char *path, const char *ending)
{
    const size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcmp(path + length - tail, ending) == 0;
}

// A name of a file and no way out of the directory.
static bool is_plain(const char *name)
{
    return *name && *name != '.' && !strchr(name, '/') && !strchr(name, '\\');
}

static bool add_part(struct ww_arena *arena, struct ww_parts *parts, const char *path,
                     struct ww_error *err)
{
    if (parts->num_paths == MAX_PARTS)
        return ww_fail(err, WW_E_FILE, "more than %d files", MAX_PARTS);
    if (!parts->paths)
        parts->paths = ww_new_array(arena, const char *, MAX_PARTS);
    parts->paths[parts->num_paths++] = ww_arena_strdup(arena, path);
    return true;
}

struct place {
    const char *name;
    size_t at; // in the index
};

static int by_name(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

// Each file once, in the order in which the index first names them.
static bool add_places(struct ww_arena *arena, const char *dir, struct place *places, size_t count,
                       struct ww_parts *parts, struct ww_error *err)
{
    size_t num = 0;
    if (count)
        qsort(places, count, sizeof *places, by_name);
    for (size_t i = 0; i < count; i++)
        if (!num || strcmp(places[num - 1].name, places[i].name) != 0)
            places[num++] = places[i];
    if (num)
        qsort(places, num, sizeof *places, by_place);
    for (size_t i = 0; i < num; i++)
        if (!add_part(arena, parts, ww_arena_printf(arena, "%s%s", dir, places[i].name), err))
            return false;
    return true;
}

static bool read_places(const struct ww_json *map, struct place *places, struct ww_error *err)
{
    size_t num = 0;
    for (const struct ww_json *x = ww_json_first(map); x; x = ww_json_next(x)) {
        const char *name = ww_json_string(x);
        if (!name)
            return ww_fail(err, WW_E_FILE, "weight_map '%.200s' is %s, not the name of a file",
                           ww_json_name(x), ww_json_kind_name(ww_json_kind(x)));
        if (!is_plain(name))
            return ww_fail(err, WW_E_FILE,
                           "weight_map '%.200s' is '%.200s'; it must be the name of a file beside "
                           "the index",
                           ww_json_name(x), name);
        places[num] = (struct place){name, num};
        num++;
    }
    return true;
}

static bool read_map(struct ww_arena *arena, const char *dir, const struct ww_json *index,
                     struct ww_parts *parts, struct ww_error *err)
{
    if (ww_json_kind(index) != WW_JSON_OBJECT)
        return ww_fail(err, WW_E_FILE, "is %s, not an object",
                       ww_json_kind_name(ww_json_kind(index)));
    const struct ww_json *map = ww_json_need(index, "weight_map", WW_JSON_OBJECT, err);
    if (!map)
        return false;
    const size_t count = ww_json_count(map);
    struct place *places = malloc((count + 1) * sizeof *places);
    if (!places)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for a list of %zu tensors",
                       count);
    const bool ok = read_places(map, places, err) &&
                    add_places(arena, dir, places, count, parts, err);
    free(places);
    return ok;
}

static const char *directory_of(struct ww_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? ww_arena_strndup(arena, path, (size_t)(slash - path) + 1) : "";
}

static bool read_index(struct ww_arena *arena, const char *path, struct ww_parts *parts,
                       struct ww_error *err)
{
    parts->index_path = ww_arena_strdup(arena, path);
    parts->index = ww_json_load(path, MAX_INDEX_BYTES,
                                ww_json_params(.max_depth = 8, .max_values = MAX_VALUES), err);
    if (!parts->index)
        return false;
    return read_map(arena, directory_of(arena, path), parts->index, parts, err) ||
           ww_within(err, "%s", path);
}

static bool is_number(const char *text, int digits)
{
    for (int i = 0; i < digits; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

// "NAME-00002-of-00003.gguf": its length without the ending, and how many there are; 0: no such
// name.
static int count_parts(const char *path, size_t *stem)
{
    static const char form[] = "-00000-of-00000.gguf";
    const size_t length = strlen(path), tail = sizeof(form) - 1;
    if (length <= tail)
        return 0;
    const char *end = path + length - tail;
    if (end[0] != '-' || !is_number(end + 1, 5) || strncmp(end + 6, "-of-", 4) != 0 ||
        !is_number(end + 10, 5) || strcmp(end + 15, ".gguf") != 0)
        return 0;
    *stem = length - tail;
    return atoi(end + 10);
}

static bool add_file(struct ww_arena *arena, const char *path, struct ww_parts *parts,
                     struct ww_error *err)
{
    size_t stem;
    const int count = count_parts(path, &stem);
    if (has_ending(path, ".index.json"))
        return read_index(arena, path, parts, err);
    if (count < 2)
        return add_part(arena, parts, path, err);
    for (int i = 1; i <= count; i++)
        if (!add_part(arena, parts,
                      ww_arena_printf(arena, "%.*s-%05d-of-%05d.gguf", (int)stem, path, i, count),
                      err))
            return ww_within(err, "%s", path);
    return true;
}

// In the order in which they are looked for. Where several files of a kind lie side by side only
// their owner knows which is meant.
static const struct {
    const char *name, *ending;
} usual[] = {
    {"model.safetensors", NULL},
    {"model.safetensors.index.json", NULL},
    {NULL, ".safetensors.index.json"},
    {NULL, ".safetensors"},
    {"pytorch_model.bin", NULL},
    {"pytorch_model.bin.index.json", NULL},
    {NULL, ".gguf"},
    {NULL, ".pth"},
    {NULL, ".pt"},
    {NULL, ".ckpt"},
    {NULL, ".bin"},
};

// Later parts of a GGUF file are no choice of their own.
static bool is_later_part(const char *name)
{
    size_t stem;
    return count_parts(name, &stem) > 1 && strncmp(name + stem, "-00001", 6) != 0;
}

// The file of that kind; NULL with `count` 0 or more than 1.
static const char *choose(struct dirent **entries, int num_entries, const char *name,
                          const char *ending, int *count)
{
    const char *found = NULL;
    *count = 0;
    for (int i = 0; i < num_entries; i++) {
        const char *entry = entries[i]->d_name;
        if (*entry == '.' ||
            (name ? strcmp(entry, name) != 0 : !has_ending(entry, ending) || is_later_part(entry)))
            continue;
        found = entry;
        ++*count;
    }
    return *count == 1 ? found : NULL;
}

static bool find_in_directory(struct ww_arena *arena, const char *dir, struct ww_parts *parts,
                              struct ww_error *err)
{
    struct dirent **entries;
    const int num_entries = scandir(dir, &entries, NULL, alphasort);
    if (num_entries < 0)
        return ww_fail(err, errno == ENOMEM ? WW_E_MEMORY : WW_E_FILE, "%s: %s", dir,
                       strerror(errno));
    const char *found = NULL, *several = NULL;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && !found && !several; i++) {
        int count;
        found = choose(entries, num_entries, usual[i].name, usual[i].ending, &count);
        several = count > 1 ? usual[i].ending : NULL;
    }
    bool ok;
    if (found)
        ok = add_file(arena, ww_arena_printf(arena, "%s/%s", dir, found), parts, err);
    else if (several)
        ok = ww_fail(err, WW_E_FILE, "%s: several files end in '%s'; name the one that is meant",
                     dir, several);
    else
        ok = ww_fail(err, WW_E_FILE,
                     "%s: no weights in it: no .safetensors, .gguf, .bin, .pth, .pt or .ckpt", dir);
    for (int i = 0; i < num_entries; i++)
        free(entries[i]);
    free(entries);
    return ok;
}

bool ww_find_parts(struct ww_arena *arena, const char *path, struct ww_parts *parts,
                   struct ww_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return find_in_directory(arena, path, parts, err);
    return add_file(arena, path, parts, err);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool ww_check_index(struct ww_weights *w, const struct ww_parts *parts, struct ww_error *err)
{
    const struct ww_json *map = ww_json_get(parts->index, "weight_map");
    const size_t count = ww_json_count(map);
    struct ww_weight *kept = calloc(count + 1, sizeof(*kept));
    if (!kept)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for a list of %zu tensors",
                       count);
    size_t num_kept = 0;
    bool ok = true;
    for (const struct ww_json *x = ww_json_first(map); ok && x; x = ww_json_next(x)) {
        const struct ww_weight *t = ww_weights_find(w, ww_json_name(x));
        const char *file = ww_json_string(x);
        if (!t)
            ok = ww_fail(err, WW_E_FILE, "weight_map '%.200s' is in no file", ww_json_name(x));
        else if (strcmp(base_name(w->files[t->file].path), file) != 0)
            ok = ww_fail(err, WW_E_FILE, "weight_map '%.200s' is '%.200s', but it lies in '%.200s'",
                         ww_json_name(x), file, base_name(w->files[t->file].path));
        else
            kept[num_kept++] = *t;
    }
    free(w->tensors);
    w->tensors = kept;
    w->num_tensors = num_kept;
    w->room = count + 1;
    return ok || ww_within(err, "%s", parts->index_path);
}
