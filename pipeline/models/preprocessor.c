#include "preprocessor.h"
#include "config.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SIDE = WW_INPUT_MAX_SIDE, MAX_BYTES = 1 << 20, BILINEAR = 2 };

static bool read_size(const struct ww_json *config, struct ww_preprocessor *p, struct ww_error *err)
{
    const struct ww_json *size = ww_json_get(config, "size");
    if (!size || ww_json_kind(size) == WW_JSON_NULL)
        return true;
    if (ww_json_kind(size) == WW_JSON_NUMBER) // before the library named the edges
        return ww_config_integer(config, "size", 0, 1, MAX_SIDE, &p->shortest, err) &&
               ww_config_integer(config, "max_size", p->longest, 1, MAX_SIDE, &p->longest, err);
    if (ww_json_get(size, "height") || ww_json_get(size, "width")) {
        p->shortest = 0;
        return (ww_config_integer(size, "height", 0, 1, MAX_SIDE, &p->height, err) &&
                ww_config_integer(size, "width", 0, 1, MAX_SIDE, &p->width, err)) ||
               ww_within(err, "'size'");
    }
    return (ww_config_integer(size, "shortest_edge", 0, 1, MAX_SIDE, &p->shortest, err) &&
            ww_config_integer(size, "longest_edge", MAX_SIDE, 1, MAX_SIDE, &p->longest, err)) ||
           ww_within(err, "'size'");
}

// Three numbers, one a colour.
static bool read_colours(const struct ww_json *config, const char *field, double low, double out[3],
                         struct ww_error *err)
{
    const struct ww_json *list = ww_json_get(config, field);
    if (!list || ww_json_kind(list) == WW_JSON_NULL)
        return true;
    int i = 0;
    for (const struct ww_json *x = ww_json_first(list); x && i < 3; x = ww_json_next(x), i++)
        if (!ww_json_number(x, &out[i]) || !(out[i] >= low && out[i] <= 1e6))
            i = 3;
    return (i == 3 && ww_json_count(list) == 3 && out[2] >= low) ||
           ww_fail(err, WW_E_FILE, "'%s' must be three numbers, from %g to 1e6", field, low);
}

static bool read_levels(const struct ww_json *config, struct ww_preprocessor *p,
                        struct ww_error *err)
{
    double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    double factor = 1 / 255.0;
    bool rescale, normalise;
    if (!ww_config_bool(config, "do_rescale", true, &rescale, err) ||
        !ww_config_bool(config, "do_normalize", true, &normalise, err) ||
        !ww_config_real(config, "rescale_factor", factor, 0, 1, &factor, err) ||
        !read_colours(config, "image_mean", 0, mean, err) ||
        !read_colours(config, "image_std", 1e-6, deviation, err))
        return false;
    for (int i = 0; i < 3; i++) {
        p->gain[i] = (float)((rescale ? factor : 1) / (normalise ? deviation[i] : 1));
        p->lift[i] = normalise ? (float)(-mean[i] / deviation[i]) : 0;
    }
    return true;
}

bool ww_preprocessor_parse(const struct ww_json *config, struct ww_preprocessor *p,
                           struct ww_error *err)
{
    int filter;
    *p = (struct ww_preprocessor){.shortest = 800, .longest = 1333};
    if (!ww_config_bool(config, "do_resize", true, &p->resize, err) ||
        !ww_config_integer(config, "resample", BILINEAR, 0, 5, &filter, err))
        return false;
    if (p->resize && filter != BILINEAR)
        return ww_fail(err, WW_E_UNSUPPORTED, "'resample' is %d; only %d, bilinear, can be computed",
                       filter, BILINEAR);
    return read_size(config, p, err) && read_levels(config, p, err);
}

bool ww_preprocessor_read(const char *dir, struct ww_preprocessor *out, struct ww_error *err)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/preprocessor_config.json", dir);
    if (access(path, F_OK))
        return ww_preprocessor_parse(NULL, out, err);
    struct ww_json *config = ww_json_load(path, MAX_BYTES, NULL, err);
    const bool ok = config && (ww_preprocessor_parse(config, out, err) || ww_within(err, "%s", path));
    ww_json_free(&config);
    return ok;
}

// The shorter edge becomes `shortest`, or less where the longer would exceed `longest`; the other
// follows, rounded down. Of what the limit makes of the shorter edge, the library takes the number with
// its fraction for the other edge, the first releases the rounded one.
static void fit(int shortest, int longest, bool rounded, int *w, int *h)
{
    const int in_short = *w < *h ? *w : *h, in_long = *w < *h ? *h : *w;
    double size = shortest, factor = shortest;
    if ((double)in_long / in_short * shortest > longest) {
        factor = (double)longest * in_short / in_long;
        size = nearbyint(factor); // half to even
        if (rounded)
            factor = size;
    }
    if (in_short == (int)size)
        return;
    const int out_short = size < 1 ? 1 : (int)size;
    const int out_long = (int)(factor * in_long / in_short);
    const bool tall = *h > *w;
    *w = tall ? out_short : out_long;
    *h = tall ? out_long : out_short;
    *w = *w < 1 ? 1 : *w;
    *h = *h < 1 ? 1 : *h;
}

bool ww_preprocessor_size(const struct ww_preprocessor *p, const struct ww_look_params *look, int *w,
                          int *h, struct ww_error *err)
{
    *w = look->width;
    *h = look->height;
    if (look->input_width || look->input_height) {
        *w = look->input_width;
        *h = look->input_height;
    } else if (look->input_size) {
        fit(look->input_size, look->input_size, p->rounded, w, h);
    } else if (look->shortest_edge || look->longest_edge) {
        fit(look->shortest_edge ? look->shortest_edge : p->shortest,
            look->longest_edge ? look->longest_edge : MAX_SIDE, p->rounded, w, h);
    } else if (p->resize && p->shortest) {
        fit(p->shortest, p->longest, p->rounded, w, h);
    } else if (p->resize) {
        *w = p->width;
        *h = p->height;
    }
    return (*w >= 1 && *h >= 1 && *w <= MAX_SIDE && *h <= MAX_SIDE) ||
           ww_fail(err, WW_E_CONFIG, "input of %dx%d: width and height must be from 1 to %d", *w, *h,
                   MAX_SIDE);
}
