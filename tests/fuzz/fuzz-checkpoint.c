// Any bytes as a checkpoint of whatever format they look like (GGUF, a PyTorch archive): refused
// with a sentence that names the file, or all that is handed out lies inside and is readable.

#include "weights/weights.h"

#include <string.h>

#include "base/utf8.h"
#include "weights/meta.h"
#include "fuzz.h"

static void check_tensors(const struct ww_weights *weights, size_t size)
{
    for (size_t i = 0; i < ww_weights_count(weights); i++) {
        const struct ww_weight *t = ww_weights_at(weights, i);
        EXPECT(ww_type_name(t->type) && t->rank >= 0 && t->rank <= WW_MAX_RANK);
        EXPECT(ww_weights_find(weights, t->name) == t);
        EXPECT(t->bytes <= size);
        uint8_t *copy = malloc(t->bytes + 1);
        EXPECT(copy && ww_weights_copy(weights, t, 0, t->bytes, copy, NULL));
        EXPECT(t->stride ? !t->data : memcmp(copy, t->data, t->bytes) == 0);
        free(copy);
    }
}

// Every element of every key, as everything.
static void check_metas(const struct ww_weights *weights)
{
    for (size_t i = 0; i < ww_weights_num_metas(weights); i++) {
        const struct ww_meta *meta = ww_weights_meta_at(weights, i);
        EXPECT(ww_weights_meta(weights, meta->key) == meta);
        unsigned sum = 0;
        for (size_t k = 0; k < meta->count; k++) {
            int64_t whole;
            double real;
            bool truth;
            struct ww_text text;
            ww_meta_integer(meta, k, &whole);
            ww_meta_real(meta, k, &real);
            ww_meta_bool(meta, k, &truth);
            if (ww_meta_text(meta, k, &text))
                for (size_t c = 0; c < text.bytes; c++)
                    sum += (unsigned char)text.at[c];
        }
        static volatile unsigned keep;
        keep = sum;
        (void)keep;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    struct ww_error err = {0};
    struct ww_weights *weights = ww_weights_open(path, &err);
    if (weights) {
        check_tensors(weights, size);
        check_metas(weights);
    } else {
        EXPECT(err.code == WW_E_FILE && strncmp(err.text, path, strlen(path)) == 0);
        EXPECT(ww_utf8_valid(err.text, strlen(err.text)) && !strchr(err.text, '\n'));
    }
    ww_weights_close(&weights);
    return 0;
}
