#include "family.h"
#include "grounding-dino-original.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_CONFIG_BYTES = 1 << 20 };

static const struct ww_family *const families[] = {&ww_family_nano, &ww_family_deformable_detr,
                                                  &ww_family_grounding_dino};

const struct ww_family *ww_family_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i]->name, name))
            return families[i];
    return NULL;
}

static bool has_config(const char *dir, char *path, size_t size)
{
    struct stat st;
    snprintf(path, size, "%s/config.json", dir);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool ww_family_is_model(const char *dir)
{
    char path[4200];
    return has_config(dir, path, sizeof path) || ww_gdino_is_original(dir);
}

const char *ww_family_variant(const char *model, const char *dir)
{
    const char *colon = strrchr(model, ':');
    return colon && strcmp(model, dir) ? colon + 1 : ""; // a directory may have a colon of its own
}

struct ww_json *ww_family_config(const char *dir, struct ww_error *err)
{
    char path[4200];
    return has_config(dir, path, sizeof path) ? ww_json_load(path, MAX_CONFIG_BYTES, NULL, err)
                                              : ww_gdino_original_config(dir, err);
}

void ww_words_free(struct ww_words **pointer)
{
    struct ww_words *words = *pointer;
    if (!words)
        return;
    for (int i = 0; i < words->num_phrases; i++) {
        if (words->understood)
            free((char *)words->understood[i].meant);
        free(words->phrases[i]);
    }
    free(words->understood);
    free(words->phrases);
    free(words->targets);
    free(words->given);
    free(words->thresholds);
    free(words);
    *pointer = NULL;
}
