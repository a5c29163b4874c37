// json.h: JSON that the command reads: messages of the daemon, cases of a trace.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <watchword/error.h>

struct cJSON; // json.c is the one file here that knows cJSON

struct cJSON *json_parse(const char *text, size_t size);         // NULL: no JSON
struct cJSON *json_load(const char *path, struct ww_error *err); // NULL: WW_E_FILE
void json_free(struct cJSON *document);                          // NULL is fine

// The value at a path of member names, "frame.index"; NULL if there is none.
const struct cJSON *json_at(const struct cJSON *value, const char *path);
// What stands there, or `otherwise` if that is missing or of another kind.
const char *json_text(const struct cJSON *value, const char *path, const char *otherwise);
double json_number(const struct cJSON *value, const char *path, double otherwise);

// Elements of an array; other kinds have none.
int json_count(const struct cJSON *array);
const struct cJSON *json_item(const struct cJSON *array, int index);
const struct cJSON *json_first(const struct cJSON *array);
const struct cJSON *json_next(const struct cJSON *item);
