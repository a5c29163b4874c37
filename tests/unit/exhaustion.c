// Where the size of an allocation follows from a file, a host without memory is an error that names
// the file, and nothing leaks or is read half made. (Arenas abort, by design: what they hold is
// small and ours.)

#include <unistd.h>
#include <watchword/catalogue.h>
#include <watchword/tokenizer.h>

#include "base/json.h"
#include "shortage.h"
#include "weights/weights.h"

// Fails the first, the second, ... allocation and all after it, until one try gets through. Returns how
// many failed.
static long until_it_works(bool (*attempt)(const void *path, struct ww_error *err), const char *path)
{
    for (long allowed = 0;; allowed++) {
        check_about("%s, %ld allocations", path, allowed);
        const struct outcome o = with_memory_for(allowed, SHORT_OF_ALL, false, attempt, path);
        if (o.worked || !o.sound)
            return allowed;
    }
}

static bool open_weights(const void *path, struct ww_error *err)
{
    struct ww_weights *weights = ww_weights_open(path, err);
    const bool worked = weights != NULL;
    ww_weights_close(&weights);
    return worked;
}

static bool open_tokenizer(const void *path, struct ww_error *err)
{
    struct ww_tokenizer *tokenizer = ww_tokenizer_open(path, err);
    const bool worked = tokenizer != NULL;
    ww_tokenizer_close(&tokenizer);
    return worked;
}

static bool load_json(const void *path, struct ww_error *err)
{
    struct ww_json *json = ww_json_load(path, 1 << 20, NULL, err);
    const bool worked = json != NULL;
    ww_json_free(&json);
    return worked;
}

static bool open_catalogue(const void *path, struct ww_error *err)
{
    struct ww_catalogue *catalogue = ww_catalogue_open(path, err);
    const bool worked = catalogue != NULL;
    ww_catalogue_close(&catalogue);
    return worked;
}

int main(void)
{
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE does not say where the source tree is; run it by meson test");
    shortage_of_json();
    char path[4096];
    snprintf(path, sizeof(path), "%s/tests/formats/safetensors/ok-names.safetensors", source);
    CHECK_CMP(until_it_works(open_weights, path), >, 50); // a few for each of six tensors
    snprintf(path, sizeof(path), "%s/tests/formats/gguf/ok-tokens.gguf", source);
    CHECK_CMP(until_it_works(open_weights, path), >, 2); // header, keys, strings
    snprintf(path, sizeof(path), "%s/tests/formats/torch/ok-state-dict.pth", source);
    CHECK_CMP(until_it_works(open_weights, path), >, 2); // directory, byte order, pickle
    snprintf(path, sizeof(path), "%s/tests/models/llama/gqa/model", source);
    CHECK_CMP(until_it_works(open_weights, path), >, 100); // the index, and each shard's tensors
    snprintf(path, sizeof(path), "%s/models/nano/config.json", source);
    CHECK_CMP(until_it_works(load_json, path), >, 200);
    snprintf(path, sizeof(path), "%s/models/catalogue.json", source);
    CHECK_CMP(until_it_works(open_catalogue, path), >, 200);
    static const struct {
        const char *name;
        int least; // allocations
    } tokenizers[] = {
        {"bert", 10},                 // vocab.txt: the file, tables, its configuration
        {"llama", 100},               // tokenizer.model, and a configuration of many tokens
        {"llama.gguf", 8},            // SentencePiece's
        {"small/bytes.gguf", 7},      // byte-level BPE
        {"small/clip/vocab.json", 100},
        {"small/clip", 100},          // tokenizer.json, of each kind
        {"small/bytes", 100},
        {"small/words", 100},
        {"small/pieces", 100},
    };
    for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++) {
        snprintf(path, sizeof(path), "%s/tests/unit/tokenizers/%s", source, tokenizers[i].name);
        CHECK_CMP(until_it_works(open_tokenizer, path), >, tokenizers[i].least);
    }
    return check_done();
}
