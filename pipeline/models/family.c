#include "family.h"

#include <stdlib.h>
#include <string.h>

static const struct ww_family *const families[] = {&ww_family_nano, &ww_family_deformable_detr,
                                                  &ww_family_grounding_dino};

const struct ww_family *ww_family_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i]->name, name))
            return families[i];
    return NULL;
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
    free(words);
    *pointer = NULL;
}
