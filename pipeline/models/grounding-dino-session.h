// grounding-dino-session.h: one recorded batch of pictures and what each is asked, for the file that looks
// and the one that tells stages.

#pragma once

#include "family.h"
#include "grounding-dino-phrases.h"
#include "kernels/resample.h"
#include "preprocessor.h"
#include "swin.h"

#define WW_GDINO_MAX_BATCH 64

struct ww_gdino_model {
    struct ww_gdino *gdino;
    enum ww_gdino_layout layout;
    struct ww_swin *swin;
    struct ww_storage *storage[8]; // of the backbone
    int num_storages;
    struct ww_preprocessor preprocessor;
    struct ww_tokenizer *tokenizer;
    struct ww_gdino_vocabulary vocabulary;
    bool whole; // phrases are scored as a whole
};

// A query that was taken for a phrase.
struct ww_gdino_found {
    float score;
    int query, phrase, caption;
    float box[4]; // as it is given out: middle and size, in [0, 1]
    char words[WW_WORDS_BYTES];
};

// One picture of the batch.
struct ww_gdino_picture {
    struct ww_look_params params;
    int w, h; // px of the input that are the picture's
    struct ww_storage *storage;
    struct ww_resampling resampling;
    const struct ww_words *asked; // borrowed
    struct ww_gdino_prompt *prompt;
    struct ww_gdino_words *words; // of each caption
    int num_words;
    struct ww_gdino_found *found; // of all captions, in the last look
    int num_found, max_found;
};

struct ww_gdino_session {
    struct ww_device *device;
    const struct ww_gdino_model *model;
    int num;
    struct ww_gdino_picture *pictures;
    int words;    // tokens that texts have room for
    int captions; // the most that a picture has
    struct ww_plan *reader;
    struct ww_gdino_reading reading;
    struct ww_plan *plan; // pictures, and the first caption of each
    struct ww_gdino_pass pass;
    struct ww_storage *tokens; // of the pictures, for further captions; NULL: there are none
    struct ww_plan *again;     // those
    struct ww_gdino_pass again_pass;
    float threshold; // of the last look
};

// A box in px of the frame, not clamped: x0, y0, x1, y1.
void ww_gdino_box(const struct ww_gdino_picture *p, const struct ww_gdino_found *found, float out[4]);

void ww_gdino_trace(void *session,
                    void (*each)(void *opaque, const char *name, int rank, const int64_t *dim,
                                 const float *data),
                    void *opaque);
