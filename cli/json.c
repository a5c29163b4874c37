#include "json.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cJSON *json_parse(const char *text, size_t size)
{
    return cJSON_ParseWithLength(text, size);
}

struct cJSON *json_load(const char *path, struct ww_error *err)
{
    enum { MAX_BYTES = 16 << 20 };
    FILE *file = fopen(path, "rb");
    if (!file) {
        ww_fail(err, WW_E_FILE, "%s: %m", path);
        return NULL;
    }
    char *text = malloc(MAX_BYTES);
    if (!text)
        abort();
    const size_t size = fread(text, 1, MAX_BYTES, file);
    const bool whole = !ferror(file) && size < MAX_BYTES;
    fclose(file);
    struct cJSON *document = whole ? cJSON_ParseWithLength(text, size) : NULL;
    if (!whole)
        ww_fail(err, WW_E_FILE, "%s: cannot be read, or is longer than 16 MiB", path);
    else if (!document)
        ww_fail(err, WW_E_FILE, "%s: is no JSON", path);
    free(text);
    return document;
}

void json_free(struct cJSON *document)
{
    cJSON_Delete(document);
}

const struct cJSON *json_at(const struct cJSON *value, const char *path)
{
    while (value && *path) {
        char name[64];
        const size_t n = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)n, path);
        value = cJSON_GetObjectItemCaseSensitive(value, name);
        path += n + (path[n] == '.');
    }
    return value;
}

const char *json_text(const struct cJSON *value, const char *path, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(json_at(value, path));
    return text ? text : otherwise;
}

double json_number(const struct cJSON *value, const char *path, double otherwise)
{
    const struct cJSON *number = json_at(value, path);
    return cJSON_IsNumber(number) ? number->valuedouble : otherwise;
}

int json_count(const struct cJSON *array)
{
    return cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0;
}

const struct cJSON *json_item(const struct cJSON *array, int index)
{
    return cJSON_IsArray(array) ? cJSON_GetArrayItem(array, index) : NULL;
}

const struct cJSON *json_first(const struct cJSON *array)
{
    return cJSON_IsArray(array) ? array->child : NULL;
}

const struct cJSON *json_next(const struct cJSON *item)
{
    return item->next;
}
