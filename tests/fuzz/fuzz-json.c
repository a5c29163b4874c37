// Any bytes as JSON: refused with a sentence, or a tree of finite numbers and UTF-8. What our own
// check takes, cJSON must take as well.

#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "fuzz.h"

static void walk(const struct ww_json *value)
{
    double number = 0;
    int64_t whole = 0;
    const char *text = ww_json_string(value), *name = ww_json_name(value);
    EXPECT(!ww_json_number(value, &number) || isfinite(number));
    EXPECT(!ww_json_integer(value, &whole) || llabs(whole) <= WW_JSON_MAX_INTEGER);
    EXPECT(!text || ww_utf8_valid(text, strlen(text)));
    EXPECT(!name || ww_utf8_valid(name, strlen(name)));
    for (const struct ww_json *part = ww_json_first(value); part; part = ww_json_next(part)) {
        if (ww_json_kind(value) == WW_JSON_OBJECT)
            EXPECT(ww_json_get(value, ww_json_name(part)) == part); // no name is there twice
        walk(part);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ww_error err = {0};
    char *exact = malloc(size); // the sanitizer knows where it ends
    if (size)
        memcpy(exact, data, size);
    struct ww_json *json = ww_json_parse(exact, size, NULL, &err);
    free(exact);
    if (json) {
        walk(json);
    } else {
        EXPECT(err.code == WW_E_FILE); // WW_E_MEMORY would be cJSON's refusal
        EXPECT(*err.text && ww_utf8_valid(err.text, strlen(err.text)));
    }
    ww_json_free(&json);
    return 0;
}
