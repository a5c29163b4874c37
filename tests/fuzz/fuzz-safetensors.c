// Any bytes as a .safetensors file: refused with a sentence that names the file, or all that is
// handed out lies inside and is readable.

#include "weights/weights.h"

#include <string.h>

#include "base/utf8.h"
#include "fuzz.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static void check_tensors(const struct ww_weights *weights, const uint8_t *file, size_t size)
{
    const struct ww_weight *last = NULL;
    size_t total = 0;
    for (size_t i = 0; i < ww_weights_count(weights); i++) {
        const struct ww_weight *t = ww_weights_at(weights, i);
        EXPECT(ww_type_name(t->type) && t->rank >= 0 && t->rank <= WW_MAX_RANK);
        EXPECT(!last || strcmp(last->name, t->name) < 0);
        EXPECT(ww_weights_find(weights, t->name) == t);
        EXPECT(ww_utf8_valid(t->name, strlen(t->name)));
        int64_t bits = (int64_t)ww_type_bits(t->type);
        for (int d = 0; d < t->rank; d++) {
            EXPECT(t->dim[d] >= 0);
            bits *= t->dim[d];
        }
        EXPECT(bits % 8 == 0 && t->bytes == (size_t)bits / 8 && t->bytes <= size);
        uint8_t *copy = malloc(t->bytes + 1);
        EXPECT(ww_weights_copy(weights, t, 0, t->bytes, copy, NULL));
        EXPECT(memcmp(copy, t->data, t->bytes) == 0); // reads every byte through the map
        free(copy);
        if ((t->type == WW_F32 || t->type == WW_F16 || t->type == WW_BF16) && t->bytes)
            ww_weight_float(t, t->bytes / ww_type_bytes(t->type) - 1);
        total += t->bytes;
        last = t;
    }
    uint64_t header = 0;
    for (int i = 0; i < 8; i++)
        header |= (uint64_t)file[i] << 8 * i;
    EXPECT(8 + header + total == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    struct ww_error err = {0};
    struct ww_weights *weights = ww_weights_open(path, &err);
    if (weights) {
        EXPECT(err.code == WW_OK);
        if (strcmp(ww_weights_format(weights), "safetensors") == 0) // the mutator finds "GGUF", too
            check_tensors(weights, data, size);
    } else {
        EXPECT(err.code == WW_E_FILE);
        EXPECT(strncmp(err.text, path, strlen(path)) == 0);
        EXPECT(ww_utf8_valid(err.text, strlen(err.text)) && !strchr(err.text, '\n'));
    }
    ww_weights_close(&weights);
    return 0;
}

// Most changes to the JSON make its length wrong, and all that comes after would never be reached.
// So three times out of four only the JSON changes, and its length is put right.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint64_t header = 0;
    for (int i = 0; i < 8 && size >= 8; i++)
        header |= (uint64_t)data[i] << 8 * i;
    if (seed % 4 == 0 || size < 8 || header > size - 8 || header > 4096)
        return LLVMFuzzerMutate(data, size, max_size);
    uint8_t text[8192];
    const size_t behind = size - 8 - header; // the tensors
    size_t room = max_size - 8 - behind;
    if (room > sizeof(text))
        room = sizeof(text);
    if (room <= header)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(text, data + 8, header);
    const size_t length = LLVMFuzzerMutate(text, header, room);
    memmove(data + 8 + length, data + 8 + header, behind);
    memcpy(data + 8, text, length);
    for (int i = 0; i < 8; i++)
        data[i] = (uint8_t)((uint64_t)length >> 8 * i);
    return 8 + length + behind;
}
