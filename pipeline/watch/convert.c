// A conversion, and what a GGUF file needs beside weights to be a model by itself.

#include <watchword/convert.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "models/llama-gguf.h"

static bool ends_in_gguf(const char *path)
{
    const size_t length = strlen(path);
    return length > 5 && !strcasecmp(path + length - 5, ".gguf");
}

// A directory with a config.json, whose weights do not say themselves what they are of.
static bool is_bare_model(const char *in, bool *bare, struct ww_error *err)
{
    char path[4096];
    *bare = false;
    if (snprintf(path, sizeof path, "%s/config.json", in) >= (int)sizeof path || access(path, F_OK))
        return true;
    struct ww_weights *w = ww_weights_open(in, err);
    *bare = w && strcmp(ww_weights_format(w), "GGUF") != 0;
    const bool ok = w;
    ww_weights_close(&w);
    return ok;
}

bool ww_convert(const char *in, const char *out, const struct ww_convert_params *params,
                struct ww_conversion *conversion, struct ww_error *err)
{
    bool bare = false;
    if (ends_in_gguf(out) && !is_bare_model(in, &bare, err))
        return false;
    if (!bare)
        return ww_convert_weights(in, out, params, NULL, conversion, err);
    struct ww_llama_gguf *gguf = ww_llama_gguf_open(in, err);
    if (!gguf)
        return ww_within(err, "'%s' makes no GGUF file that is a model (its weights alone can be "
                         "converted: name the file)", in);
    const bool ok =
        ww_convert_weights(in, out, params, ww_llama_gguf_dress(gguf), conversion, err);
    ww_llama_gguf_close(&gguf);
    return ok;
}
