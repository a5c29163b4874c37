// MoveNet single pose, lightning and thunder: MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381), a
// feature pyramid, and four heads in the manner of CenterNet. Weights: Google's, as models/nano/NOTICE
// says. Decoding is kernels/keypoints.c.
//
//     crop -> stem -> blocks 1..16 -> top -> up + lateral -> up + lateral -> up + lateral -> 4 heads
//                       |2  |5  |9 ------------+----------------+----------------+
//
// "row" is a row of the network's table, for traces.

#include "movenet.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUM_BLOCKS = 16, NUM_UPS = 3, NUM_HEADS = 4, TOP = 1280, PYRAMID = 64, HIDDEN = 96 };

struct size {
    int side, stem, first; // input; channels of the stem and of its projection
    int width[7];          // channels by stage
    float unit;
};
static const struct size sizes[] = {
    [WW_MOVENET_LIGHTNING] = {192, 32, 16, {24, 32, 64, 96, 160, 320}, 0.0208282470703125f},
    [WW_MOVENET_THUNDER] = {256, 56, 32, {40, 56, 112, 168, 280, 560}, 0.015625f},
};

// Of block i + 1: which width, and whether it halves the map.
static const struct {
    int stage, stride;
} block_shape[NUM_BLOCKS] = {{0, 2}, {0, 1}, {1, 2}, {1, 1}, {1, 1}, {2, 2}, {2, 1}, {2, 1},
                             {2, 1}, {3, 1}, {3, 1}, {3, 1}, {4, 2}, {4, 1}, {4, 1}, {5, 1}};

// Laterals: after which block, channels, name; then the separable convolution after the sum.
static const struct {
    int block, lateral;
    const char *name, *separable;
    int out;
} up_shape[NUM_UPS] = {
    {9, 64, "conv2d_1", "separable_conv2d", 32},
    {5, 32, "conv2d_2", "separable_conv2d_1", 24},
    {2, 24, "conv2d_3", "separable_conv2d_2", 24},
};

// In the order of the table.
static const struct {
    const char *name;
    int separable, conv, out;
    enum ww_activation_fn act;
} head_shape[NUM_HEADS] = {
    {"kpt_heatmap", 4, 5, 17, WW_ACT_SIGMOID},
    {"kpt_regress", 5, 6, 34, WW_ACT_NONE},
    {"center", 3, 4, 1, WW_ACT_SIGMOID},
    {"kpt_offset", 6, 7, 34, WW_ACT_NONE},
};

struct ww_movenet {
    const struct size *size;
    struct ww_storage *storage[8];
    int num_storages;
    struct ww_filter stem, first_window, first_project;
    struct {
        struct ww_filter expand, window, project;
    } block[NUM_BLOCKS];
    struct ww_filter top, top_lateral;
    struct {
        struct ww_filter lateral, window, point;
    } up[NUM_UPS];
    struct {
        struct ww_filter window, hidden, out;
    } head[NUM_HEADS];
    struct ww_filter prior;
};

#define TRUNK "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/"

// A layer of the trunk whose normalisation is folded in.
static void load_folded(struct ww_loader *l, struct ww_filter *f, bool window, int k, int c_in,
                        int c_out, const char *name)
{
    char w[200], bias[200];
    snprintf(w, sizeof w, TRUNK "%s%s", name, window ? "depthwise_weights" : "Conv2D_weights");
    snprintf(bias, sizeof bias, TRUNK "%s%s", name,
             window ? "depthwise_bn_offset" : "Conv2D_bn_offset");
    if (window)
        ww_load_window(l, f, k, c_in, w, bias);
    else
        ww_load_conv(l, f, k, c_in, c_out, w, bias);
}

static void load_lateral(struct ww_loader *l, struct ww_filter *f, int c_in, int c_out,
                         const char *name)
{
    char w[200], bias[200];
    snprintf(w, sizeof w, TRUNK "%s/Conv2D/ReadVariableOp", name);
    snprintf(bias, sizeof bias, TRUNK "%s/BiasAdd/ReadVariableOp", name);
    ww_load_conv(l, f, 1, c_in, c_out, w, bias);
}

static void load_trunk(struct ww_loader *l, struct ww_movenet *net)
{
    const struct size *s = net->size;
    load_folded(l, &net->stem, false, 3, 3, s->stem, "model/Conv1/");
    load_folded(l, &net->first_window, true, 3, s->stem, 0, "model/expanded_conv_depthwise/");
    load_folded(l, &net->first_project, false, 1, s->stem, s->first,
                "model/expanded_conv_project/");
    int in = s->first;
    for (int i = 0; i < NUM_BLOCKS; i++) {
        const int out = s->width[block_shape[i].stage], wide = 6 * in;
        char name[64];
        snprintf(name, sizeof name, "model/block_%d_expand/", i + 1);
        load_folded(l, &net->block[i].expand, false, 1, in, wide, name);
        snprintf(name, sizeof name, "model/block_%d_depthwise/", i + 1);
        load_folded(l, &net->block[i].window, true, 3, wide, 0, name);
        snprintf(name, sizeof name, "model/block_%d_project/", i + 1);
        load_folded(l, &net->block[i].project, false, 1, wide, out, name);
        in = out;
    }
    load_folded(l, &net->top, false, 1, in, TOP, "model/Conv_1/");
    load_lateral(l, &net->top_lateral, TOP, PYRAMID, "conv2d");
}

static void load_pyramid(struct ww_loader *l, struct ww_movenet *net)
{
    for (int i = 0; i < NUM_UPS; i++) {
        const int tap = net->size->width[block_shape[up_shape[i].block - 1].stage];
        char w[200], bias[200];
        load_lateral(l, &net->up[i].lateral, tap, up_shape[i].lateral, up_shape[i].name);
        snprintf(w, sizeof w, TRUNK "%s/separable_conv2d/ReadVariableOp", up_shape[i].separable);
        ww_load_window(l, &net->up[i].window, 3, up_shape[i].lateral, w, NULL);
        snprintf(w, sizeof w, TRUNK "%s/separable_conv2d_weights", up_shape[i].separable);
        snprintf(bias, sizeof bias, TRUNK "%s/separable_conv2d_bn_offset", up_shape[i].separable);
        ww_load_conv(l, &net->up[i].point, 1, up_shape[i].lateral, up_shape[i].out, w, bias);
    }
}

static void load_heads(struct ww_loader *l, struct ww_movenet *net)
{
    for (int i = 0; i < NUM_HEADS; i++) {
        char base[100], w[200], bias[200];
        snprintf(base, sizeof base, "StatefulPartitionedCall/%s_0", head_shape[i].name);
        snprintf(w, sizeof w, "%s/separable_conv2d_%d/separable_conv2d/ReadVariableOp", base,
                 head_shape[i].separable);
        ww_load_window(l, &net->head[i].window, 3, 24, w, NULL);
        snprintf(w, sizeof w, "%s/separable_conv2d_%d/separable_conv2d/ReadVariableOp_1", base,
                 head_shape[i].separable);
        snprintf(bias, sizeof bias, "%s/separable_conv2d_%d/BiasAdd/ReadVariableOp", base,
                 head_shape[i].separable);
        ww_load_conv(l, &net->head[i].hidden, 1, 24, HIDDEN, w, bias);
        snprintf(w, sizeof w, "%s/conv2d_%d/Conv2D/ReadVariableOp", base, head_shape[i].conv);
        snprintf(bias, sizeof bias, "%s/conv2d_%d/BiasAdd/ReadVariableOp", base, head_shape[i].conv);
        ww_load_conv(l, &net->head[i].out, 1, HIDDEN, head_shape[i].out, w, bias);
    }
    ww_load_image(l, &net->prior, net->size->side / 4, net->size->side / 4,
                  "ConstantFolding/StatefulPartitionedCall/truediv_2_recip");
}

struct ww_movenet *ww_movenet_load(struct ww_device *device, const struct ww_weights *weights,
                                   enum ww_movenet_size size, struct ww_error *err)
{
    struct ww_movenet *net = calloc(1, sizeof *net);
    if (!net)
        abort();
    net->size = &sizes[size];
    struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = err};
    load_trunk(&l, net);
    load_pyramid(&l, net);
    load_heads(&l, net);
    const bool ok = !l.failed && ww_bank_upload(l.bank, device, net->storage, 8,
                                                &net->num_storages, err);
    ww_bank_destroy(&l.bank);
    if (!ok)
        ww_movenet_destroy(device, &net);
    return net;
}

void ww_movenet_destroy(struct ww_device *device, struct ww_movenet **pointer)
{
    struct ww_movenet *net = *pointer;
    if (!net)
        return;
    for (int i = 0; i < net->num_storages; i++)
        ww_storage_destroy(device, &net->storage[i]);
    free(net);
    *pointer = NULL;
}

int ww_movenet_side(const struct ww_movenet *net)
{
    return net->size->side;
}

float ww_movenet_unit(const struct ww_movenet *net)
{
    return net->size->unit;
}

struct ww_movenet_out ww_movenet(struct ww_cmd *g, const struct ww_movenet *net,
                                 struct ww_tensor crops)
{
    struct ww_tensor lateral[NUM_UPS] = {{0}};
    int row = 1;

    // MobileNetV2
    ww_label(g, "row 1 stem");
    struct ww_tensor x = ww_activation(g, crops.n, net->stem.c_out, crops.h / 2, crops.w / 2);
    ww_conv2d(g, x, crops, &net->stem, ww_conv_params(.stride = 2, .act = WW_ACT_RELU6));
    ww_stage(g, x, "row.%03d", row++);
    ww_label(g, "row 2 window, project");
    x = ww_layer(g, x, .window = &net->first_window, .point = &net->first_project,
                 .inner = WW_ACT_RELU6, .rows = {.window = 2, .point = 3});
    row = 4;
    for (int i = 0; i < NUM_BLOCKS; i++) {
        const bool add = x.c == net->block[i].project.c_out && block_shape[i].stride == 1;
        ww_label(g, "row %d expand, window, project", row);
        x = ww_layer(g, x, .expand = &net->block[i].expand, .window = &net->block[i].window,
                     .point = &net->block[i].project, .stride = block_shape[i].stride,
                     .inner = WW_ACT_RELU6, .residual = add ? x : (struct ww_tensor){0},
                     .rows = {.expand = row, .window = row + 1, .point = row + 2, .add = row + 3});
        row += add ? 4 : 3;
        for (int u = 0; u < NUM_UPS; u++)
            if (up_shape[u].block == i + 1) {
                ww_label(g, "row %d lateral", row);
                lateral[u] = ww_layer(g, x, .point = &net->up[u].lateral, .rows = {.point = row++});
            }
    }
    ww_label(g, "row %d top", row);
    x = ww_layer(g, x, .point = &net->top, .act = WW_ACT_RELU6, .rows = {.point = row});
    x = ww_layer(g, x, .point = &net->top_lateral, .rows = {.point = row + 1});
    row += 2;

    // Pyramid
    for (int u = 0; u < NUM_UPS; u++) {
        struct ww_tensor sum = ww_activation(g, x.n, x.c, 2 * x.h, 2 * x.w);
        ww_label(g, "row %d double, add", row);
        if (ww_keeps_stages(g)) {
            const struct ww_tensor none = {0}, doubled = ww_activation(g, x.n, x.c, sum.h, sum.w);
            ww_upsample2(g, doubled, x, true, WW_ACT_NONE, none);
            ww_stage(g, doubled, "row.%03d", row);
            ww_combine(g, sum, doubled, none, lateral[u], WW_ACT_NONE);
            ww_stage(g, sum, "row.%03d", row + 1);
        } else {
            ww_upsample2(g, sum, x, true, WW_ACT_NONE, lateral[u]);
        }
        ww_label(g, "row %d pyramid", row + 2);
        x = ww_layer(g, sum, .window = &net->up[u].window, .point = &net->up[u].point,
                     .act = WW_ACT_RELU, .rows = {.window = row + 2, .point = row + 3});
        row += 4;
    }

    // Heads
    struct ww_tensor out[NUM_HEADS];
    for (int i = 0; i < NUM_HEADS; i++) {
        ww_label(g, "row %d head %s", row + i, head_shape[i].name);
        const struct ww_tensor hidden =
            ww_layer(g, x, .window = &net->head[i].window, .point = &net->head[i].hidden,
                     .act = WW_ACT_RELU,
                     .rows = {.window = row + i, .point = row + NUM_HEADS + i});
        out[i] = ww_layer(g, hidden, .point = &net->head[i].out, .act = head_shape[i].act,
                          .rows = {.point = row + 2 * NUM_HEADS + i});
    }
    static const char *const stages[NUM_HEADS] = {"heat", "regress", "center", "offset"};
    for (int i = 0; i < NUM_HEADS; i++)
        ww_stage(g, out[i], "head.%s", stages[i]);
    const int cells = net->size->side / 4;
    return (struct ww_movenet_out){
        .heat = out[0],
        .regress = out[1],
        .centre = out[2],
        .offset = out[3],
        .prior = ww_stored_tensor(g, net->prior.storage, net->prior.first, 1, 1, cells, cells)};
}
