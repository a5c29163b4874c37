// swin.h: Swin Transformer, a backbone of detectors. Loads what the transformers library saves
// (embeddings.norm, encoder.layers.0 ...) and the names of the first release (patch_embed.norm,
// layers.0 ...).

#pragma once

#include "config.h"
#include "torch.h"

#define WW_SWIN_STAGES 4

// What a configuration says, or what tensors show; checked.
struct ww_swin_shape {
    int patch, embed;           // px of a token's side; channels of the first stage, twice as many in
    int window;                 // each that follows
    int stages;
    int depths[WW_SWIN_STAGES]; // blocks
    int heads[WW_SWIN_STAGES];
    bool out[WW_SWIN_STAGES];   // whether the stage gives something out
    float eps;                  // of norms
};

// Reads the configuration of the backbone; a field that is absent has the value that the transformers
// library gives it. WW_E_FILE names the field, WW_E_UNSUPPORTED says what cannot be computed.
bool ww_swin_read_shape(const struct ww_json *config, struct ww_swin_shape *out, struct ww_error *err);
// The same from the tensors behind `prefix`, where no configuration is written down.
bool ww_swin_find_shape(const struct ww_weights *weights, const char *prefix,
                        struct ww_swin_shape *out, struct ww_error *err);

struct ww_swin;

// Names begin with `prefix`: "model.backbone.conv_encoder.model.", "model/module.backbone.0.". Weights go
// to the loader's bank, so that the backbone must live until that is uploaded. NULL: the loader failed.
struct ww_swin *ww_swin_load(struct ww_loader *l, const char *prefix, const struct ww_swin_shape *shape);
void ww_swin_destroy(struct ww_swin **swin);
const struct ww_swin_shape *ww_swin_shape(const struct ww_swin *swin);
int ww_swin_channels(const struct ww_swin *swin, int stage);

// x [n][3][h][w] of any size, normalised. `out`: what each stage gives out, normed, at strides `patch`
// and twice that for each further stage, no tensor where it gives nothing. Stages are told as
// PREFIXembed, PREFIXstage0.block0, PREFIXstage0.merge, PREFIXfeature1 and so on.
void ww_swin(struct ww_cmd *g, const struct ww_swin *swin, struct ww_tensor x,
             struct ww_tensor out[WW_SWIN_STAGES], const char *prefix);
