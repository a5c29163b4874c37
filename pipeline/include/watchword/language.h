// language.h: a language model alone: numbers of tokens in, numbers of tokens out, as they come.
//
// Several generations may run at once, each in a thread of its own: the engine takes a step of all of
// them together. Thread-safety: all calls may come from any thread.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_language;

struct ww_language_params {
    const char *model; // a directory with config.json and weights, or a GGUF file
    int sequences;     // generations at once, 1 to 8; 0: 1
    int context;       // tokens of each, prompt included; 0: the model's own, at most 4096
};
#define ww_language_params(...) (&(struct ww_language_params){__VA_ARGS__})

// Loads and makes ready; borrows the engine. WW_E_FILE, WW_E_MEMORY, WW_E_UNSUPPORTED.
WW_API struct ww_language *ww_language_open(struct ww_engine *engine,
                                            const struct ww_language_params *params,
                                            struct ww_error *err);
WW_API void ww_language_close(struct ww_language **language); // no generation may be under way

struct ww_generate_params {
    const uint32_t *prompt;
    int num_prompt;
    int max_tokens;      // 0: as many as fit
    const uint32_t *ends; // tokens that end it; they are not handed out
    int num_ends;
    float temperature;   // 0: always the likeliest
    int top_k;           // 0: all
    float top_p, min_p;  // 0: all
    uint64_t seed;       // the same seed draws the same tokens from the same logits
    // Called for every token on the caller's thread; false stops.
    bool (*each)(void *opaque, uint32_t token);
    void *opaque;
};
#define ww_generate_params(...) (&(struct ww_generate_params){__VA_ARGS__})

struct ww_generated {
    int tokens;          // handed out
    bool ended;          // by one of `ends`
    uint64_t prompt_ns, tokens_ns;
};

// Blocks until the end. WW_E_UNSUPPORTED: all sequences are taken; WW_E_TEXT: the prompt is empty, does
// not fit, or has a number that is no token; WW_E_DEVICE.
WW_API bool ww_language_generate(struct ww_language *language, const struct ww_generate_params *params,
                                 struct ww_generated *out, struct ww_error *err);

#ifdef __cplusplus
}
#endif
