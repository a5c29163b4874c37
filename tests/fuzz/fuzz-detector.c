// Any JSON as a detector's config.json and as its preprocessor_config.json: refused with a field's name,
// or a shape that can be computed and sizes that frames of all shapes can be resized to.

#include "models/deformable-detr.h"
#include "models/preprocessor.h"

#include <math.h>

#include "fuzz.h"

static void check_shape(const struct ww_json *config)
{
    struct ww_error err = {0};
    struct ww_detr_shape s;
    if (!ww_detr_read_shape(config, &s, &err)) {
        EXPECT(err.code && err.text[0] == '\'');
        return;
    }
    EXPECT(s.levels >= 1 && s.levels <= WW_MAX_LEVELS && s.queries >= 1);
    EXPECT(s.encoder.width % s.encoder.heads == 0 && s.decoder.width % s.decoder.heads == 0);
    EXPECT(s.encoder.points >= 1 && s.decoder.points >= 1 && (!s.two_stage || s.refine));
}

static void check_sizes(const struct ww_json *config)
{
    static const int sizes[][2] = {{1, 1}, {16384, 1}, {1, 16384}, {1920, 1080}, {640, 480}, {31, 29}};
    struct ww_error err = {0};
    struct ww_preprocessor p;
    if (!ww_preprocessor_parse(config, &p, &err)) {
        EXPECT(err.code && err.text[0] == '\'');
        return;
    }
    for (int i = 0; i < 3; i++)
        EXPECT(isfinite(p.gain[i]) && isfinite(p.lift[i]));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct ww_look_params look = {.width = sizes[i][0], .height = sizes[i][1]};
        int w, h;
        if (ww_preprocessor_size(&p, &look, &w, &h, &err))
            EXPECT(w >= 1 && h >= 1 && w <= 4096 && h <= 4096);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_json *config = ww_json_parse((const char *)data, size, NULL, NULL);
    if (config) {
        check_shape(config);
        check_sizes(config);
    }
    ww_json_free(&config);
    return 0;
}
