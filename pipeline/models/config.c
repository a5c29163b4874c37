#include "config.h"

#include <string.h>

bool ww_config_integer(const struct ww_json *config, const char *field, int usual, int low, int high,
                       int *out, struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(config, field);
    int64_t number = usual;
    if (value && !ww_json_integer(value, &number))
        return ww_fail(err, WW_E_FILE, "'%s' is %s; it must be a whole number from %d to %d", field,
                       ww_json_kind_name(ww_json_kind(value)), low, high);
    if (number < low || number > high)
        return ww_fail(err, WW_E_FILE, "'%s' is %lld; it must be from %d to %d", field,
                       (long long)number, low, high);
    *out = (int)number;
    return true;
}

bool ww_config_real(const struct ww_json *config, const char *field, double usual, double low,
                    double high, double *out, struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(config, field);
    double number = usual;
    if (value && !ww_json_number(value, &number))
        return ww_fail(err, WW_E_FILE, "'%s' is %s; it must be a number from %g to %g", field,
                       ww_json_kind_name(ww_json_kind(value)), low, high);
    if (!(number >= low && number <= high))
        return ww_fail(err, WW_E_FILE, "'%s' is %g; it must be from %g to %g", field, number, low,
                       high);
    *out = number;
    return true;
}

bool ww_config_bool(const struct ww_json *config, const char *field, bool usual, bool *out,
                    struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(config, field);
    *out = usual;
    return !value || ww_json_kind(value) == WW_JSON_NULL || ww_json_bool(value, out) ||
           ww_fail(err, WW_E_FILE, "'%s' is %s; it must be true or false", field,
                   ww_json_kind_name(ww_json_kind(value)));
}

bool ww_config_word(const struct ww_json *config, const char *field, const char *word,
                    struct ww_error *err)
{
    const struct ww_json *value = ww_json_get(config, field);
    const char *found = value ? ww_json_string(value) : word;
    return (found && !strcmp(found, word)) ||
           ww_fail(err, WW_E_UNSUPPORTED, "'%s' is '%.40s'; only '%s' can be computed", field,
                   found ? found : ww_json_kind_name(ww_json_kind(value)), word);
}

bool ww_config_is_beside(const char *name)
{
    return *name && *name != '.' && !strpbrk(name, "/\\");
}
