// grounding-dino-hall.h: where frames are looked at, and what each is asked: for the files that load, look and
// tell stages.

#pragma once

#include "grounding-dino-phrases.h"
#include "inlet.h"
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

struct ww_gdino_seat {
    struct ww_gdino_hall *hall;
    struct ww_inlet inlet;
    const struct ww_words *asked; // borrowed
    struct ww_gdino_prompt *prompt;
    struct ww_gdino_words *words; // of each caption
    int num_words;
    uint64_t serial; // of these words, of which a hall never has the same twice
    float threshold; // of the last look
    struct ww_gdino_found *found; // of all captions, in the last look
    int num_found, max_found;
    bool broken; // something in the last look is no number
};

struct ww_gdino_hall {
    struct ww_device *device;
    const struct ww_gdino_model *model;
    struct ww_hall_params params;
    struct ww_plan *reader;
    struct ww_gdino_reading reading;
    uint64_t serials;
    struct ww_tensor input;
    struct ww_plan *plan; // pictures, and the first caption of each
    struct ww_gdino_pass pass;
    struct ww_storage *tokens; // of the pictures, for further captions; NULL: there are none
    struct ww_plan *again;     // those
    struct ww_gdino_pass again_pass;
    struct ww_gdino_place {
        struct ww_gdino_seat *seat; // in the last look
        int w, h;                   // px that the plans were told are the picture's
        uint64_t serial;            // of the words that `plan` was told
    } places[WW_GDINO_MAX_BATCH];
    int num; // pictures of the last look
};

// grounding-dino-family.c: what `phrases` come to as texts.
struct ww_gdino_prompt *ww_gdino_ask(const struct ww_gdino_model *m, bool as_given,
                                     const char *const *phrases, int num_phrases, struct ww_error *err);

// grounding-dino-look.c, of the family.
bool ww_gdino_measure(const void *model, const struct ww_look_params *params, const struct ww_words *words,
                      bool together, struct ww_extent *out, struct ww_error *err);
void *ww_gdino_open(struct ww_device *device, const void *model, const struct ww_hall_params *params,
                    struct ww_error *err);
void ww_gdino_close(struct ww_device *device, void *hall);
void *ww_gdino_sit(void *hall, const struct ww_look_params *params, const struct ww_words *words,
                   struct ww_error *err);
void ww_gdino_rise(void *seat);
bool ww_gdino_reword(void *seat, const struct ww_words *words);
bool ww_gdino_look(void *hall, const struct ww_look *looks, int num, struct ww_error *err);
struct ww_plan *ww_gdino_plan(void *hall, int i);
int ww_gdino_rows(void *hall, const char *stage);

// A box in px of the frame, not clamped: x0, y0, x1, y1.
void ww_gdino_box(const struct ww_gdino_seat *seat, const struct ww_gdino_found *found, float out[4]);

void ww_gdino_trace(void *hall,
                    void (*each)(void *opaque, const char *name, int rank, const int64_t *dim,
                                 const float *data),
                    void *opaque);
