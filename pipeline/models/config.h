// config.h: fields of a model's config.json, checked: where the transformers library leaves a field out,
// it has the library's own value.

#pragma once

#include "base/json.h"

// A whole number from `low` to `high`, or `usual` where there is none. WW_E_FILE names the field.
bool ww_config_integer(const struct ww_json *config, const char *field, int usual, int low, int high,
                       int *out, struct ww_error *err);
bool ww_config_real(const struct ww_json *config, const char *field, double usual, double low,
                    double high, double *out, struct ww_error *err);
bool ww_config_bool(const struct ww_json *config, const char *field, bool usual, bool *out,
                    struct ww_error *err);
// Whether it names a file or folder in the model's own directory: no path, and nothing hidden.
bool ww_config_is_beside(const char *name);
// Must be that word, if it is there. WW_E_UNSUPPORTED.
bool ww_config_word(const struct ww_json *config, const char *field, const char *word,
                    struct ww_error *err);
