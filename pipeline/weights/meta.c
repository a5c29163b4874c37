#include "meta.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct ww_meta *)a)->key, ((const struct ww_meta *)b)->key);
}

const struct ww_meta *ww_weights_meta(const struct ww_weights *w, const char *key)
{
    const struct ww_meta wanted = {.key = key};
    return w->num_metas ? bsearch(&wanted, w->metas, w->num_metas, sizeof(*w->metas), by_key)
                        : NULL;
}

size_t ww_weights_num_metas(const struct ww_weights *w)
{
    return w->num_metas;
}

const struct ww_meta *ww_weights_meta_at(const struct ww_weights *w, size_t i)
{
    assert(i < w->num_metas);
    return &w->metas[i];
}

static const struct {
    const char *one, *many;
    int bytes;
    bool is_signed;
} kinds[WW_NUM_META_TYPES] = {
    [WW_META_U8] = {"an integer", "an array of integers", 1, false},
    [WW_META_I8] = {"an integer", "an array of integers", 1, true},
    [WW_META_U16] = {"an integer", "an array of integers", 2, false},
    [WW_META_I16] = {"an integer", "an array of integers", 2, true},
    [WW_META_U32] = {"an integer", "an array of integers", 4, false},
    [WW_META_I32] = {"an integer", "an array of integers", 4, true},
    [WW_META_U64] = {"an integer", "an array of integers", 8, false},
    [WW_META_I64] = {"an integer", "an array of integers", 8, true},
    [WW_META_F32] = {"a real number", "an array of real numbers", 0, false},
    [WW_META_F64] = {"a real number", "an array of real numbers", 0, false},
    [WW_META_BOOL] = {"a boolean", "an array of booleans", 0, false},
    [WW_META_STRING] = {"a string", "an array of strings", 0, false},
    [WW_META_ARRAY] = {"an array", "an array of arrays", 0, false},
};

const char *ww_meta_kind(const struct ww_meta *meta)
{
    return meta->is_array ? kinds[meta->type].many : kinds[meta->type].one;
}

bool ww_meta_integer(const struct ww_meta *meta, size_t i, int64_t *out)
{
    const int bytes = meta ? kinds[meta->type].bytes : 0;
    if (bytes == 0)
        return false;
    assert(i < meta->count);
    uint64_t value = ww_little(meta->at + i * (size_t)bytes, bytes);
    if (!kinds[meta->type].is_signed && value > INT64_MAX)
        return false;
    if (kinds[meta->type].is_signed && bytes < 8 && value >> (8 * bytes - 1))
        value |= UINT64_MAX << 8 * bytes; // the sign
    memcpy(out, &value, sizeof(value));
    return true;
}

bool ww_meta_real(const struct ww_meta *meta, size_t i, double *out)
{
    int64_t whole;
    if (ww_meta_integer(meta, i, &whole)) {
        *out = (double)whole;
        return true;
    }
    if (!meta || (meta->type != WW_META_F32 && meta->type != WW_META_F64))
        return false;
    assert(i < meta->count);
    if (meta->type == WW_META_F32) {
        *out = (double)ww_type_float(WW_F32, meta->at + i * 4);
        return true;
    }
    const uint64_t bits = ww_little(meta->at + i * 8, 8);
    memcpy(out, &bits, sizeof(bits));
    return true;
}

bool ww_meta_bool(const struct ww_meta *meta, size_t i, bool *out)
{
    if (!meta || meta->type != WW_META_BOOL)
        return false;
    assert(i < meta->count);
    *out = meta->at[i] != 0;
    return true;
}

bool ww_meta_text(const struct ww_meta *meta, size_t i, struct ww_text *out)
{
    if (!meta || meta->type != WW_META_STRING)
        return false;
    assert(i < meta->count);
    const char *length = meta->header + meta->begin[i];
    *out = (struct ww_text){.at = length + 8, .bytes = (size_t)ww_little(length, 8)};
    return true;
}

// The value of a key; NULL, with `ok` telling whether that is fine.
static const struct ww_meta *look_up(const struct ww_weights *w, const char *key, bool needed,
                                     bool *ok, struct ww_error *err)
{
    const struct ww_meta *meta = ww_weights_meta(w, key);
    *ok = meta || !needed || ww_fail(err, WW_E_FILE, "%s: no key '%s'", w->path, key);
    return meta;
}

static bool fail_kind(const struct ww_weights *w, const struct ww_meta *meta, const char *wanted,
                      struct ww_error *err)
{
    return ww_fail(err, WW_E_FILE, "%s: key '%s' is %s, not %s", w->path, meta->key,
                   ww_meta_kind(meta), wanted);
}

bool ww_weights_integer(const struct ww_weights *w, const char *key, bool needed, int64_t min,
                        int64_t max, int64_t *out, struct ww_error *err)
{
    bool ok;
    const struct ww_meta *meta = look_up(w, key, needed, &ok, err);
    if (!meta)
        return ok;
    int64_t value;
    if (meta->is_array || !ww_meta_integer(meta, 0, &value))
        return fail_kind(w, meta, "an integer", err);
    if (value < min || value > max)
        return ww_fail(err, WW_E_FILE, "%s: key '%s' is %lld; it must be from %lld to %lld",
                       w->path, key, (long long)value, (long long)min, (long long)max);
    *out = value;
    return true;
}

bool ww_weights_real(const struct ww_weights *w, const char *key, bool needed, double min,
                     double max, double *out, struct ww_error *err)
{
    bool ok;
    const struct ww_meta *meta = look_up(w, key, needed, &ok, err);
    if (!meta)
        return ok;
    double value;
    if (meta->is_array || !ww_meta_real(meta, 0, &value))
        return fail_kind(w, meta, "a number", err);
    if (!(value >= min && value <= max)) // nor NaN
        return ww_fail(err, WW_E_FILE, "%s: key '%s' is %g; it must be from %g to %g", w->path, key,
                       value, min, max);
    *out = value;
    return true;
}

bool ww_weights_bool(const struct ww_weights *w, const char *key, bool needed, bool *out,
                     struct ww_error *err)
{
    bool ok;
    const struct ww_meta *meta = look_up(w, key, needed, &ok, err);
    if (!meta)
        return ok;
    return (!meta->is_array && ww_meta_bool(meta, 0, out)) || fail_kind(w, meta, "a boolean", err);
}

bool ww_weights_text(const struct ww_weights *w, const char *key, bool needed, struct ww_text *out,
                     struct ww_error *err)
{
    bool ok;
    const struct ww_meta *meta = look_up(w, key, needed, &ok, err);
    if (!meta)
        return ok;
    return (!meta->is_array && ww_meta_text(meta, 0, out)) || fail_kind(w, meta, "a string", err);
}

bool ww_weights_array(const struct ww_weights *w, const char *key, bool needed,
                      enum ww_meta_type kind, const struct ww_meta **out, struct ww_error *err)
{
    bool ok;
    *out = NULL;
    const struct ww_meta *meta = look_up(w, key, needed, &ok, err);
    if (!meta)
        return ok;
    const bool same = kinds[kind].bytes ? kinds[meta->type].bytes > 0
                                        : strcmp(kinds[meta->type].one, kinds[kind].one) == 0;
    if (!meta->is_array || !same)
        return fail_kind(w, meta, kinds[kind].many, err);
    *out = meta;
    return true;
}
