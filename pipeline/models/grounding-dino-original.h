// grounding-dino-original.h: directories of the first release: its configuration in Python, the .pth
// and, in a directory that the configuration names, BERT's config.json and vocab.txt.

#pragma once

#include <stdbool.h>

#include "base/json.h"

// Whether there is such a configuration in `dir`.
bool ww_gdino_is_original(const char *dir);
// As config.json of the transformers library, with "text_encoder" for that directory and nothing of the
// backbone, which tensors tell. WW_E_FILE, WW_E_UNSUPPORTED name file and field.
struct ww_json *ww_gdino_original_config(const char *dir, struct ww_error *err);
