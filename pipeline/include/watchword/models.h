// models.h: which models are installed, and are they sound?

#pragma once

#include <watchword/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where models are looked for, in this order, most personal first: $WATCHWORD_MODELS (colon
// separated), $XDG_DATA_HOME/watchword/models or else ~/.local/share/watchword/models,
// /var/lib/watchword/models, and the ones that came with the library
// (<prefix>/share/watchword/models). A model is a directory with a config.json whose "model_type" is
// its family. In a build tree, `meson devenv` sets $WATCHWORD_MODELS. Thread-safety: any thread.

// Turns "nano", "nano:thunder" or a directory into a directory. WW_E_FILE lists where it looked.
WW_API bool ww_model_find(const char *model, char *dir, size_t size, struct ww_error *err);

// The folder that this user's own models go to, the second of those above; it need not exist. WW_E_FILE:
// the environment names no home.
WW_API bool ww_model_home(char *dir, size_t size, struct ww_error *err);

// Whether the model is there, has the variant and the task and knows these words, as far as its configuration
// and vocabulary tell; neither weights nor a device are opened. WW_E_FILE, WW_E_CONFIG (variant),
// WW_E_UNSUPPORTED (task, family), WW_E_TEXT (the text lists the near words).
WW_API bool ww_model_check(const char *model, enum ww_task task, const char *const *phrases,
                           int num_phrases, struct ww_error *err);

// Whether the model is there and its network can have an input of that size, as in ww_watch_params; as far
// as its config.json tells. WW_E_FILE, WW_E_UNSUPPORTED (family), WW_E_CONFIG.
WW_API bool ww_model_check_input(const char *model, int size, int width, int height,
                                 struct ww_error *err);

// Calls `each` for every model directory found, a name once (the first wins). `digest` is "", for
// it takes reading all weights: ww_model_verify does that. `family` is "" if config.json is broken.
WW_API void ww_model_list(void (*each)(void *opaque, const struct ww_model_info *info),
                          void *opaque);

// Reads everything that loading would read, checks that all weights are finite numbers and, as far as this version
// can run the model, that they are those that the configuration asks for, and says what is there in `report`: lines
// of text, first the files with their sizes and sha256, then every tensor; 128 KiB hold all of nano, and a report
// that does not fit ends in a line "...". `dir_or_file` may also be a name. False: not sound, and `err` names file
// and field.
WW_API bool ww_model_verify(const char *dir_or_file, char *report, size_t size,
                            struct ww_error *err);

#ifdef __cplusplus
}
#endif
