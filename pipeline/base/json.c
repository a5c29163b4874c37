#include "json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "json_check.h"

// A struct ww_json is a cJSON under another name; nothing but these two knows it.
static const cJSON *inside(const struct ww_json *value)
{
    return (const cJSON *)value;
}

static const struct ww_json *outside(const cJSON *value)
{
    return (const struct ww_json *)value;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

// Depth is bounded by ww_json_check, and with it this recursion.
static bool check_names(const cJSON *value, struct ww_error *err)
{
    bool sound = true;
    const size_t count = ww_json_count(outside(value));
    if (cJSON_IsObject(value) && count > 1) {
        const cJSON **members = malloc(count * sizeof(*members));
        if (!members)
            return ww_fail(err, WW_E_MEMORY, "no memory left on this host to read JSON");
        size_t n = 0;
        for (const cJSON *member = value->child; member; member = member->next)
            members[n++] = member;
        qsort(members, count, sizeof(*members), by_name);
        for (size_t i = 1; i < count && sound; i++)
            if (strcmp(members[i - 1]->string, members[i]->string) == 0)
                sound = ww_fail(err, WW_E_FILE, "'%s' is given twice", members[i]->string);
        free(members);
    }
    if (cJSON_IsObject(value) || cJSON_IsArray(value))
        for (const cJSON *part = value->child; part && sound; part = part->next)
            sound = check_names(part, err) ||
                    (part->string ? ww_within(err, "'%.200s'", part->string) : false);
    return sound;
}

struct ww_json *ww_json_parse(const char *text, size_t size, const struct ww_json_params *params,
                              struct ww_error *err)
{
    if (!ww_json_check(text, size, params, err))
        return NULL;
    cJSON *document = cJSON_ParseWithLength(text, size);
    if (!document) {
        ww_fail(err, WW_E_MEMORY, "no memory left on this host to read JSON");
        return NULL;
    }
    if (!check_names(document, err)) {
        cJSON_Delete(document);
        return NULL;
    }
    return (struct ww_json *)document;
}

void ww_json_free(struct ww_json **document)
{
    if (!document || !*document)
        return;
    cJSON_Delete((cJSON *)*document);
    *document = NULL;
}

struct ww_json *ww_json_load(const char *path, size_t max_bytes,
                             const struct ww_json_params *params, struct ww_error *err)
{
    size_t size;
    char *text = ww_read_whole(path, max_bytes, &size, err);
    if (!text)
        return NULL;
    struct ww_json *document = ww_json_parse(text, size, params, err);
    if (!document)
        ww_within(err, "%s", path);
    free(text);
    return document;
}

enum ww_json_kind ww_json_kind(const struct ww_json *value)
{
    const cJSON *v = inside(value);
    return cJSON_IsBool(v)     ? WW_JSON_BOOL
           : cJSON_IsNumber(v) ? WW_JSON_NUMBER
           : cJSON_IsString(v) ? WW_JSON_STRING
           : cJSON_IsArray(v)  ? WW_JSON_ARRAY
           : cJSON_IsObject(v) ? WW_JSON_OBJECT
                               : WW_JSON_NULL;
}

const char *ww_json_kind_name(enum ww_json_kind kind)
{
    static const char *const names[] = {
        [WW_JSON_NULL] = "null",       [WW_JSON_BOOL] = "a boolean", [WW_JSON_NUMBER] = "a number",
        [WW_JSON_STRING] = "a string", [WW_JSON_ARRAY] = "a list",   [WW_JSON_OBJECT] = "an object",
    };
    return names[kind];
}

const struct ww_json *ww_json_first(const struct ww_json *value)
{
    const cJSON *v = inside(value);
    return cJSON_IsArray(v) || cJSON_IsObject(v) ? outside(v->child) : NULL;
}

const struct ww_json *ww_json_next(const struct ww_json *value)
{
    return outside(inside(value)->next);
}

size_t ww_json_count(const struct ww_json *value)
{
    size_t count = 0;
    for (const struct ww_json *part = ww_json_first(value); part; part = ww_json_next(part))
        count++;
    return count;
}

const char *ww_json_name(const struct ww_json *value)
{
    return inside(value)->string;
}

const struct ww_json *ww_json_get(const struct ww_json *object, const char *name)
{
    // Not cJSON_GetObjectItem, which takes "DType" for "dtype".
    return outside(cJSON_GetObjectItemCaseSensitive(inside(object), name));
}

const struct ww_json *ww_json_need(const struct ww_json *object, const char *name,
                                   enum ww_json_kind kind, struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(object, name);
    if (!value) {
        ww_fail(err, WW_E_FILE, "'%s' is missing", name);
        return NULL;
    }
    if (ww_json_kind(value) != kind) {
        ww_fail(err, WW_E_FILE, "'%s' is %s, not %s", name, ww_json_kind_name(ww_json_kind(value)),
                ww_json_kind_name(kind));
        return NULL;
    }
    return value;
}

const char *ww_json_string(const struct ww_json *value)
{
    return cJSON_GetStringValue(inside(value));
}

bool ww_json_number(const struct ww_json *value, double *out)
{
    if (!cJSON_IsNumber(inside(value)))
        return false;
    *out = inside(value)->valuedouble; // `valueint` saturates at 32 bits
    return true;
}

bool ww_json_integer(const struct ww_json *value, int64_t *out)
{
    double number;
    if (!ww_json_number(value, &number) || number != floor(number) ||
        fabs(number) > (double)WW_JSON_MAX_INTEGER)
        return false;
    *out = (int64_t)number;
    return true;
}

bool ww_json_bool(const struct ww_json *value, bool *out)
{
    if (!cJSON_IsBool(inside(value)))
        return false;
    *out = cJSON_IsTrue(inside(value));
    return true;
}
