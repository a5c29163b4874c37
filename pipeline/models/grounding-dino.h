// grounding-dino.h: Grounding DINO, a detector that is asked in words.
//
// Three recordings, each of which needs only what the one before gives: words (ww_gdino_read, once for
// each text), tokens of the picture (ww_gdino_tokens), and both together (ww_gdino).

#pragma once

#include "bert.h"
#include "deformable.h"
#include "pyramid.h"

#define WW_GDINO_MAX_TOKENS 256 // of a text: the width of the logits
#define WW_GDINO_MAPS       3   // of the backbone, at strides 8, 16 and 32

// Whose checkpoint it is: what a box's logit is clamped by differs.
enum ww_gdino_layout {
    WW_GDINO_LIBRARY, // the transformers library's
    WW_GDINO_ORIGINAL // the first release's
};

// What a configuration says, checked.
struct ww_gdino_shape {
    struct ww_bert_shape text;
    struct ww_deformable_shape encoder, decoder;
    int encoder_layers, decoder_layers;
    int levels, queries;
    int max_tokens;   // of a text, at most WW_GDINO_MAX_TOKENS
    int side_heads;   // of what the encoder does to words, and between words and picture
    int side_inner;   // likewise
    float temperature; // of the code of a picture's places
};
bool ww_gdino_read_shape(const struct ww_json *config, struct ww_gdino_shape *out,
                         struct ww_error *err);

struct ww_gdino;

// Loads either layout, which the names of the tensors tell, but for the backbone, whose maps have
// `channels`. The storages are the model's.
struct ww_gdino *ww_gdino_load(struct ww_device *device, const struct ww_weights *weights,
                               const struct ww_gdino_shape *shape,
                               const int channels[WW_GDINO_MAPS], struct ww_error *err);
void ww_gdino_destroy(struct ww_device *device, struct ww_gdino **gdino);
const struct ww_gdino_shape *ww_gdino_shape(const struct ww_gdino *gdino);

// Which layout it is, and what stands before the names of the backbone's tensors. WW_E_FILE: it is neither.
bool ww_gdino_layout(const struct ww_weights *weights, enum ww_gdino_layout *out, char prefix[64],
                     struct ww_error *err);

// Words -------------------------------------------------------------------------------------------

// A text as the encoder reads it: words see their own phrase alone, and are counted within it.
struct ww_gdino_text {
    int num;                            // tokens, with [CLS] and [SEP]
    int32_t ids[WW_GDINO_MAX_TOKENS];
    int position[WW_GDINO_MAX_TOKENS];
    int block[WW_GDINO_MAX_TOKENS];     // its number; tokens of one see each other
};
// Fills in positions and blocks. A phrase ends with what is one of `ends` (".", "?", [CLS], [SEP]), which
// belongs to it; what no such token ends is seen by nobody else.
#define WW_GDINO_ENDS 4
void ww_gdino_divide(struct ww_gdino_text *text, const int32_t ends[WW_GDINO_ENDS]);

// What a text is to the model, all that does not depend on a picture. `words` tokens wide, a multiple of
// 4, of which the text's come first. A plan of its own: written, replayed and read by ww_gdino_listen.
struct ww_gdino_reading {
    int words;
    struct ww_tensor ids, mask;
    struct ww_tensor states, keys, values; // results, for struct ww_gdino_pass
};
struct ww_gdino_reading ww_gdino_read(struct ww_cmd *g, const struct ww_gdino *gdino, int words);

struct ww_gdino_words {
    struct ww_gdino_text text;
    int words;
    float *states, *keys, *values; // as they lie
};
// Reads `text` of at most `reading->words` tokens into `out`, whose arrays it makes where they are NULL.
bool ww_gdino_listen(struct ww_plan *plan, const struct ww_gdino_reading *reading,
                     const struct ww_gdino_text *text, struct ww_gdino_words *out,
                     struct ww_error *err);
void ww_gdino_forget(struct ww_gdino_words *words);

// Picture, and both ---------------------------------------------------------------------------------

// The backbone's maps as tokens, [n][width][1][tokens]. `pyramid` comes with the padded picture's size.
struct ww_tensor ww_gdino_tokens(struct ww_cmd *g, const struct ww_gdino *gdino,
                                 const struct ww_tensor map[WW_GDINO_MAPS], struct ww_pyramid *pyramid);

// What the host writes before the first replay, and reads after each.
struct ww_gdino_pass {
    struct ww_pyramid pyramid;
    int words;
    struct ww_tensor levels, references, anchors, kept, shown; // written by ww_gdino_place
    struct ww_token_positions positions;                        // likewise
    struct ww_tensor lengths, mask, code, states, keys, values;           // by ww_gdino_say
    struct ww_tensor logits; // [n][words][1][queries]; behind the end of a text they are nobody's
    struct ww_tensor boxes;  // [n][4][1][queries]: middle and size, in [0, 1] of the picture
};
struct ww_gdino_pass ww_gdino(struct ww_cmd *g, const struct ww_gdino *gdino, struct ww_tensor tokens,
                              const struct ww_pyramid *pyramid, int words);
// Says how much of picture `b` of the batch is one, px, and what it is asked.
void ww_gdino_place(struct ww_plan *plan, const struct ww_gdino *gdino,
                    const struct ww_gdino_pass *pass, int b, int valid_h, int valid_w);
void ww_gdino_say(struct ww_plan *plan, const struct ww_gdino *gdino, const struct ww_gdino_pass *pass,
                  int b, const struct ww_gdino_words *words);
// The cells of `b`'s levels that count, as placed.
const struct ww_level *ww_gdino_levels(struct ww_plan *plan, const struct ww_gdino_pass *pass, int b);
