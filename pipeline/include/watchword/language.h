// language.h: a language model alone: numbers of tokens in, numbers of tokens out, as they come.
//
// Several generations may run at once, each in a thread of its own: the engine takes a step of all of
// them together. Thread-safety: all calls may come from any thread.

#pragma once

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <watchword/engine.h>
#include <watchword/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_language;

struct ww_language_params {
    const char *model; // a directory with config.json and weights, or a GGUF file
    int sequences;     // generations at once, 1 to 8; 0: 1
    int context;       // tokens of each, prompt included; 0: the model's own, at most 4096
    // Where that is full, a generation goes on up to what the model was trained on, and forgets the oldest
    // tokens but for the first few.
    bool slides;
    bool half_cache; // what was read is kept in half precision, in half the memory
};
#define ww_language_params(...) (&(struct ww_language_params){__VA_ARGS__})

// Loads and makes ready; borrows the engine. WW_E_FILE, WW_E_MEMORY, WW_E_UNSUPPORTED.
// Where the device is lost, what is being generated fails with WW_E_DEVICE; the next generation loads the
// model again.
WW_API struct ww_language *ww_language_open(struct ww_engine *engine,
                                            const struct ww_language_params *params,
                                            struct ww_error *err);
WW_API void ww_language_close(struct ww_language **language); // no generation may be under way

struct ww_generate_params {
    const uint32_t *prompt;
    int num_prompt;
    int max_tokens;       // 0: as many as fit
    const uint32_t *ends; // tokens that end it; they are not handed out
    int num_ends;
    // Texts that end it, wherever in tokens they begin and end: UTF-8 of 1 to 256 bytes, 64 of them at
    // most, and then `tokenizer` is wanted. Neither they nor what follows is handed out.
    const char *const *stops;
    int num_stops;
    const struct ww_tokenizer *tokenizer; // NULL: tokens are handed out without text
    bool goes_on;                         // as in ww_decoder: text stands before
    float temperature;                    // 0: always the likeliest
    int top_k;                            // 0: all
    float top_p, min_p;                   // 0: all
    uint64_t seed; // the same seed draws the same tokens from the same logits
    // Called on the caller's thread for every token, with the text that is certain now that it is there:
    // whole characters, nothing that may yet turn out to begin one of `stops`; no NUL behind it. What
    // was held back for nothing comes last, with WW_NO_TOKEN. False stops, and is not called again.
    bool (*each)(void *opaque, uint32_t token, const char *text, size_t bytes);
    void *opaque;
    const volatile sig_atomic_t *until; // stops soon after it is no longer 0, as `each` can; may be NULL
};
#define ww_generate_params(...) (&(struct ww_generate_params){__VA_ARGS__})

enum ww_generate_end {
    WW_END_TOKEN,   // one of `ends`
    WW_END_TEXT,    // one of `stops`
    WW_END_LIMIT,   // max_tokens were handed out
    WW_END_CONTEXT, // no more fit
    WW_END_CALLER,  // `each` or `until`
};

struct ww_generated {
    int tokens; // handed out
    enum ww_generate_end end;
    int stop;   // WW_END_TEXT: which of `stops`, else -1
    uint64_t prompt_ns, tokens_ns;
};

// Blocks until the end. WW_E_UNSUPPORTED: all sequences are taken; WW_E_TEXT: the prompt is empty, does
// not fit, or has a number that is no token, or one of `stops` is none; WW_E_DEVICE; and of a model that is
// loaded again, all that ww_language_open fails with.
WW_API bool ww_language_generate(struct ww_language *language, const struct ww_generate_params *params,
                                 struct ww_generated *out, struct ww_error *err);
// Tokens that a prompt may have; of a generation as many, its prompt among them, unless it slides.
WW_API int ww_language_context(const struct ww_language *language);

#ifdef __cplusplus
}
#endif
