// resnet.h: residual networks, the backbone of detectors. Sizes are read from the checkpoint.

#pragma once

#include "torch.h"

#define WW_RESNET_STAGES 4

struct ww_resnet;

// Names as torchvision has them (conv1, bn1, layer1.0.conv1 ...) behind `prefix`; bottlenecks or basic
// blocks, as many and as wide as there are. `dilated`: the last stage keeps its stride and dilates
// instead. Filters go to the loader's bank, so that the network must live until that is uploaded. NULL:
// the loader failed.
struct ww_resnet *ww_resnet_load(struct ww_loader *l, const char *prefix, bool dilated);
void ww_resnet_destroy(struct ww_resnet **net);
int ww_resnet_channels(const struct ww_resnet *net, int stage); // that a stage gives out

// x [n][3][h][w] of any size, normalised. `out`: what each stage gives out, at strides 4, 8, 16 and 32.
// Stages are told as PREFIXpool, PREFIXlayer1.0 and so on.
void ww_resnet(struct ww_cmd *g, const struct ww_resnet *net, struct ww_tensor x,
               struct ww_tensor out[WW_RESNET_STAGES], const char *prefix);
