// models.h: which models are installed, and are they sound?

#pragma once

#include <watchword/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where models are looked for, in this order, most personal first: $WATCHWORD_MODELS (colon
// separated), ~/.local/share/watchword/models, /var/lib/watchword/models, and the ones that came
// with the library (<prefix>/share/watchword/models, or the build tree's when run from there).

// Turns "nano", "nano:thunder" or a directory into a directory. WW_E_FILE lists where it looked.
WW_API bool ww_model_find(const char *model, char *dir, size_t size, struct ww_error *err);

// Calls `each` for every model directory found, a name once (the first wins).
WW_API void ww_model_list(void (*each)(void *opaque, const struct ww_model_info *info),
                          void *opaque);

// Reads everything that loading would read, and says what it is in `report` (lines of text).
// False: not sound, and `err` names file and field.
WW_API bool ww_model_verify(const char *dir_or_file, char *report, size_t size,
                            struct ww_error *err);

#ifdef __cplusplus
}
#endif
