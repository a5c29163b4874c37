// json_check.h: is this JSON? The half of json.h that reads bytes.

#pragma once

#include "json.h"

// Whether all of `text` is one JSON value of RFC 8259 within the limits of json.h (duplicate names
// are not looked for). WW_E_FILE says line, column, which value and what is wrong.
bool ww_json_check(const char *text, size_t size, const struct ww_json_params *params,
                   struct ww_error *err);
