// Which models are installed: the folders they may lie in, and what lies there.

#include <watchword/models.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/json.h"
#include "models/family.h"
#include "models/picture.h"
#include "watch/install_paths.h" // WW_MODELS_DIR

#define MAX_ROOTS        32

struct roots {
    struct ww_arena *arena;
    const char *path[MAX_ROOTS];
    int num_paths;
};

static void add_root(struct roots *roots, const char *path)
{
    for (int i = 0; i < roots->num_paths; i++)
        if (strcmp(roots->path[i], path) == 0)
            return;
    if (*path && roots->num_paths < MAX_ROOTS)
        roots->path[roots->num_paths++] = path;
}

// Of the user whom the environment names, or NULL.
static const char *find_home(struct ww_arena *arena)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data == '/')
        return ww_arena_printf(arena, "%s/watchword/models", data);
    return home && *home == '/' ? ww_arena_printf(arena, "%s/.local/share/watchword/models", home) : NULL;
}

// As models.h gives them, most personal first.
static struct roots *find_roots(void)
{
    struct ww_arena *arena = ww_arena_create();
    struct roots *roots = ww_new(arena, struct roots);
    roots->arena = arena;
    const char *listed = getenv("WATCHWORD_MODELS");
    if (listed) {
        char *rest = ww_arena_strdup(arena, listed);
        for (char *path; (path = strsep(&rest, ":"));)
            add_root(roots, path);
    }
    const char *home = find_home(arena);
    if (home)
        add_root(roots, home);
    add_root(roots, "/var/lib/watchword/models");
    add_root(roots, WW_MODELS_DIR);
    return roots;
}

static void free_roots(struct roots *roots)
{
    struct ww_arena *arena = roots->arena; // holds `roots` itself
    ww_arena_destroy(&arena);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// The model's directory, or NULL; memory is the arena's.
static const char *find_name(const struct roots *roots, const char *name)
{
    for (int i = 0; i < roots->num_paths; i++) {
        const char *dir = ww_arena_printf(roots->arena, "%s/%s", roots->path[i], name);
        if (ww_family_is_model(dir))
            return dir;
    }
    return NULL;
}

static bool fail_not_found(const struct roots *roots, const char *name, struct ww_error *err)
{
    const char *places = "";
    for (int i = 0; i < roots->num_paths; i++)
        places = ww_arena_printf(roots->arena, "%s%s%s", places, i ? ", " : "", roots->path[i]);
    return ww_fail(err, WW_E_FILE,
                   "no model '%s': there is no such directory with a config.json in %s", name,
                   places);
}

static bool find(const struct roots *roots, const char *model, const char **dir,
                 struct ww_error *err)
{
    // "nano:thunder" names a variant of "nano"; but a directory may have a colon in its own name.
    const char *colon = strrchr(model, ':');
    const char *name = colon && !is_directory(model)
                           ? ww_arena_strndup(roots->arena, model, (size_t)(colon - model))
                           : model;
    if (!*name)
        return ww_fail(err, WW_E_FILE, "the name of the model is empty");
    const bool is_path = strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    *dir = is_path ? NULL : find_name(roots, name);
    if (*dir)
        return true;
    // An installed model comes before a directory here that happens to have its name.
    if (ww_family_is_model(name)) {
        *dir = name;
        return true;
    }
    if (!is_path)
        return fail_not_found(roots, name, err);
    return is_directory(name)
               ? ww_fail(err, WW_E_FILE, "%s: no model, for it has no config.json", name)
               : ww_fail(err, WW_E_FILE, "%s: no such directory", name);
}

bool ww_model_find(const char *model, char *dir, size_t size, struct ww_error *err)
{
    struct roots *roots = find_roots();
    const char *found;
    bool ok = find(roots, model, &found, err);
    if (ok && strlen(found) >= size)
        ok = ww_fail(err, WW_E_FILE, "%s: the path is longer than %zu bytes", found, size - 1);
    if (ok)
        memcpy(dir, found, strlen(found) + 1);
    free_roots(roots);
    return ok;
}

bool ww_model_home(char *dir, size_t size, struct ww_error *err)
{
    struct ww_arena *arena = ww_arena_create();
    const char *home = find_home(arena);
    bool ok = home || ww_fail(err, WW_E_FILE, "neither XDG_DATA_HOME nor HOME says where models go");
    if (ok && strlen(home) >= size)
        ok = ww_fail(err, WW_E_FILE, "%s: the path is longer than %zu bytes", home, size - 1);
    if (ok)
        memcpy(dir, home, strlen(home) + 1);
    ww_arena_destroy(&arena);
    return ok;
}

// What its config.json says, whose it is and where; NULL: none, or nobody's.
static struct ww_json *read_config(const char *model, const struct ww_family **family, char dir[512],
                                   struct ww_error *err)
{
    if (!ww_model_find(model, dir, 512, err))
        return NULL;
    struct ww_json *config = ww_family_config(dir, err);
    if (!config)
        return NULL;
    const char *type = ww_json_string(ww_json_get(config, "model_type"));
    *family = ww_family_find(type);
    if (!*family) {
        ww_fail(err, WW_E_UNSUPPORTED, "%s/config.json: model_type '%.60s' is no family that this build has",
                dir, type ? type : "");
        ww_json_free(&config);
    }
    return config;
}

bool ww_model_check(const char *model, enum ww_task task, const char *const *phrases,
                    int num_phrases, struct ww_error *err)
{
    char dir[512];
    const struct ww_family *family;
    struct ww_json *config = read_config(model, &family, dir, err);
    const char *variant = config ? ww_family_variant(model, dir) : "";
    const bool ok = config && (!family->check || family->check(dir, config, *variant ? variant : NULL, task,
                                                               phrases, num_phrases, err));
    ww_json_free(&config);
    return ok;
}

bool ww_model_check_input(const char *model, int size, int width, int height, struct ww_error *err)
{
    char dir[512];
    const struct ww_family *family;
    struct ww_json *config = read_config(model, &family, dir, err);
    const bool ok = config && ww_input_check(size, width, height, family->step, err);
    ww_json_free(&config);
    return ok;
}

// The family that a model's config.json names; "" if it cannot be read.
static void read_family(const char *dir, char *family, size_t size)
{
    struct ww_json *config = ww_family_config(dir, NULL);
    const char *type = ww_json_string(ww_json_get(config, "model_type"));
    snprintf(family, size, "%s", type ? type : "");
    ww_json_free(&config);
}

// Whether a directory of that name comes earlier in the search.
static bool is_hidden(const struct roots *roots, int root, const char *name)
{
    for (int i = 0; i < root; i++)
        if (ww_family_is_model(ww_arena_printf(roots->arena, "%s/%s", roots->path[i], name)))
            return true;
    return false;
}

void ww_model_list(void (*each)(void *opaque, const struct ww_model_info *info), void *opaque)
{
    struct roots *roots = find_roots();
    for (int i = 0; i < roots->num_paths; i++) {
        struct dirent **entries;
        const int count = scandir(roots->path[i], &entries, NULL, alphasort);
        for (int k = 0; k < count; k++) {
            const char *name = entries[k]->d_name;
            const char *dir = ww_arena_printf(roots->arena, "%s/%s", roots->path[i], name);
            struct ww_model_info info = {0};
            if (*name != '.' && strlen(name) < sizeof(info.name) &&
                strlen(dir) < sizeof(info.dir) && ww_family_is_model(dir) &&
                !is_hidden(roots, i, name)) {
                memcpy(info.name, name, strlen(name) + 1);
                memcpy(info.dir, dir, strlen(dir) + 1);
                read_family(dir, info.family, sizeof(info.family));
                each(opaque, &info);
            }
            free(entries[k]);
        }
        if (count >= 0)
            free(entries);
    }
    free_roots(roots);
}
