// trace.h: run a model once and keep its stages, to compare it with another implementation.

#pragma once

#include <watchword/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WW_TRACE_IDS 4096

struct ww_trace_params {
    const char *model;         // name or directory
    enum ww_task task;
    const struct ww_frame *images;
    int num_images;
    const char *const *texts; // for a model that reads words, as it reads them: one for each image, or one
    int num_texts;            // for all
    const uint32_t *ids; // in place of images, for a language model: a directory or GGUF file of LLaMA's
    int num_ids;         // architecture; at most WW_TRACE_IDS
    int input_size, input_width, input_height; // as in ww_watch_params
    int shortest_edge, longest_edge; // of the input, px, for models that are told so; 0: their own
    float threshold;                 // of what is reported; 0: all but noise
    const char *stages;        // glob over stage names ("head.*"); NULL: all
    const char *out;           // safetensors file to write
};
#define ww_trace_params(...) (&(struct ww_trace_params){__VA_ARGS__})

// Writes the stages as float32 tensors, named as the golden sets name them ("row.012",
// "head.heat", "final"; with several images "<n>.row.012", or one batch of them where the model can),
// whole under a temporary name that is renamed at the end.
WW_API bool ww_trace(struct ww_engine *engine, const struct ww_trace_params *params,
                     struct ww_error *err);

#ifdef __cplusplus
}
#endif
