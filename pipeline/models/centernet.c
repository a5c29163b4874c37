// CenterNet: objects as points. Zhou, Wang and Krähenbühl, 2019, arXiv:1904.07850, with the trunk of
// MobileNetV3 (Howard et al., 2019, arXiv:1905.02244). Weights: 610265158/mobilenetv3_centernet, as
// models/nano/NOTICE says; where they and the papers disagree, the weights are followed: the laterals
// are taken from the expanded tensors inside two blocks, and convolutions between a window and its
// point have no activation.
//
//     frame -> stem -> blocks 0..14 -> extern -> up -> up -> up -> squeeze -+-> heat [classes, h/4, w/4]
//                       |3   |5   |11              |    |     |             +-> wh   [4, h/4, w/4]
//                       lateral 2, 3, 4 -----------+----+-----+
//
// "row" is a row of the network's table, for traces.

#include "centernet.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUM_BLOCKS = 15, NUM_UPS = 3, TOP = 480 };

// Inverted residual blocks: 1x1 expand, window, squeeze-and-excite, 1x1 project.
static const struct block_shape {
    int in, expand, out, k, stride, squeeze;
    enum ww_activation_fn act;
    struct {
        int expand, window, mean, reduce, excite, scale, project, add;
    } row;
} shape[NUM_BLOCKS] = {
    {16, 0, 16, 3, 1, 0, WW_ACT_RELU, {0, 2, 0, 0, 0, 0, 3, 4}},
    {16, 64, 24, 3, 2, 0, WW_ACT_RELU, {5, 6, 0, 0, 0, 0, 7, 0}},
    {24, 72, 24, 3, 1, 0, WW_ACT_RELU, {8, 9, 0, 0, 0, 0, 10, 11}},
    {24, 72, 32, 5, 2, 24, WW_ACT_RELU, {12, 14, 17, 18, 19, 20, 21, 0}},
    {32, 96, 32, 5, 1, 24, WW_ACT_RELU, {22, 23, 24, 25, 26, 27, 28, 29}},
    {32, 96, 32, 5, 1, 24, WW_ACT_RELU, {30, 32, 35, 36, 37, 38, 39, 40}},
    {32, 192, 64, 3, 2, 0, WW_ACT_HSWISH, {41, 42, 0, 0, 0, 0, 43, 0}},
    {64, 160, 64, 3, 1, 0, WW_ACT_HSWISH, {44, 45, 0, 0, 0, 0, 46, 47}},
    {64, 144, 64, 3, 1, 0, WW_ACT_HSWISH, {48, 49, 0, 0, 0, 0, 50, 51}},
    {64, 144, 64, 3, 1, 0, WW_ACT_HSWISH, {52, 53, 0, 0, 0, 0, 54, 55}},
    {64, 384, 88, 3, 1, 96, WW_ACT_HSWISH, {56, 57, 58, 59, 60, 61, 62, 0}},
    {88, 528, 88, 3, 1, 136, WW_ACT_HSWISH, {63, 64, 65, 66, 67, 68, 69, 70}},
    {88, 528, 120, 5, 2, 136, WW_ACT_HSWISH, {72, 75, 76, 77, 78, 79, 80, 0}},
    {120, 720, 120, 5, 1, 184, WW_ACT_HSWISH, {81, 82, 83, 84, 85, 86, 87, 88}},
    {120, 720, 120, 5, 1, 184, WW_ACT_HSWISH, {89, 90, 91, 92, 93, 94, 95, 96}},
};

// The way up: two separable branches over the same map, added, doubled, joined with a lateral.
static const struct up_shape {
    const char *name;   // of the branches
    int in, out;        // of both branches
    const char *lateral;
    int tap, middle, join; // channels of the lateral: where it is tapped, between, in the join
    struct {
        int window_x, window_y, point_x, point_y, add, up, join, reduce, lateral_window, lateral_point;
    } row;
} ups[NUM_UPS] = {
    {"c5", TOP, 128, "c4", 88, 22, 128, {98, 99, 100, 101, 102, 103, 104, 71, 73, 74}},
    {"c4", 256, 96, "c3", 96, 24, 96, {105, 106, 107, 108, 109, 110, 111, 31, 33, 34}},
    {"c3", 192, 64, "c2", 72, 18, 64, {112, 113, 114, 115, 116, 117, 118, 13, 15, 16}},
};

struct block {
    struct ww_filter expand, window, project, reduce, excite;
};

struct up {
    struct ww_filter window_x, window_y, point_x, point_y; // 3x3 and 5x5
    struct ww_filter reduce, lateral_window, lateral_point;
};

struct ww_centernet {
    const struct ww_weights *weights;
    struct ww_storage *storage[8];
    int num_storages;
    struct ww_filter stem, top;
    struct block block[NUM_BLOCKS];
    struct up up[NUM_UPS];
    struct ww_filter squeeze, excite;
    struct ww_filter heat_window, wh_window, wh_point;
};

static void load_block(struct ww_loader *l, struct block *b, int i)
{
    const struct block_shape *s = &shape[i];
    const int wide = s->expand ? s->expand : s->in;
    char base[64], w[160], bias[160];
    if (i == 0)
        snprintf(base, sizeof base, "MobilenetV3/expanded_conv");
    else
        snprintf(base, sizeof base, "MobilenetV3/expanded_conv_%d", i);
#define NAME(to, prefix, rest) (snprintf(to, sizeof to, "%s%s%s", prefix, base, rest), to)
    if (s->expand)
        ww_load_conv(l, &b->expand, 1, s->in, wide, NAME(w, "tower_0/", "/expand/Conv2D_weights"),
                     NAME(bias, "tower_0/", "/expand/Conv2D_bn_offset"));
    ww_load_window(l, &b->window, s->k, wide, NAME(w, "tower_0/", "/depthwise/depthwise_weights"),
                   NAME(bias, "tower_0/", "/depthwise/depthwise_bn_offset"));
    if (s->squeeze) {
        ww_load_conv(l, &b->reduce, 1, wide, s->squeeze, NAME(w, "", "/squeeze_excite/Conv/weights"),
                     NAME(bias, "", "/squeeze_excite/Conv/biases"));
        ww_load_conv(l, &b->excite, 1, s->squeeze, wide,
                     NAME(w, "", "/squeeze_excite/Conv_1/weights"),
                     NAME(bias, "", "/squeeze_excite/Conv_1/biases"));
    }
    ww_load_conv(l, &b->project, 1, wide, s->out, NAME(w, "tower_0/", "/project/Conv2D_weights"),
                 NAME(bias, "tower_0/", "/project/Conv2D_bn_offset"));
#undef NAME
}

// One separable convolution of the head; weights without normalisation lack the "tower_0/".
static void load_separable(struct ww_loader *l, struct ww_filter *window, struct ww_filter *point,
                           int k, int in, int out, const char *name)
{
    char w[160], bias[160];
    snprintf(w, sizeof w, "CenternetHead/%s/depthwise_weights", name);
    ww_load_window(l, window, k, in, w, NULL);
    snprintf(w, sizeof w, "tower_0/CenternetHead/%s/separable_conv2d_weights", name);
    snprintf(bias, sizeof bias, "tower_0/CenternetHead/%s/separable_conv2d_bn_offset", name);
    ww_load_conv(l, point, 1, in, out, w, bias);
}

static void load_up(struct ww_loader *l, struct up *u, const struct up_shape *s)
{
    char name[64], w[160], bias[160];
    snprintf(name, sizeof name, "%s_upsample/branch_x_upsample_resize", s->name);
    load_separable(l, &u->window_x, &u->point_x, 3, s->in, s->out, name);
    snprintf(name, sizeof name, "%s_upsample/branch_y_upsample_resize", s->name);
    load_separable(l, &u->window_y, &u->point_y, 5, s->in, s->out, name);
    snprintf(w, sizeof w, "tower_0/CenternetHead/%s_reverse/1x1/Conv2D_weights", s->lateral);
    snprintf(bias, sizeof bias, "tower_0/CenternetHead/%s_reverse/1x1/Conv2D_bn_offset", s->lateral);
    ww_load_conv(l, &u->reduce, 1, s->tap, s->middle, w, bias);
    snprintf(name, sizeof name, "%s_reverse/3x3", s->lateral); // called so, but 5x5
    load_separable(l, &u->lateral_window, &u->lateral_point, 5, s->middle, s->join, name);
}

struct ww_centernet *ww_centernet_load(struct ww_device *device, const struct ww_weights *weights,
                                       struct ww_error *err)
{
    struct ww_centernet *net = calloc(1, sizeof *net);
    if (!net)
        abort();
    net->weights = weights;
    struct ww_loader l = {.weights = weights, .bank = ww_bank_create(), .err = err};
    ww_load_conv(&l, &net->stem, 3, 3, 16, "tower_0/MobilenetV3/Conv/Conv2D_weights",
                 "tower_0/MobilenetV3/Conv/Conv2D_bn_offset");
    for (int i = 0; i < NUM_BLOCKS; i++)
        load_block(&l, &net->block[i], i);
    ww_load_conv(&l, &net->top, 1, 120, TOP, "tower_0/extern1/Conv2D_weights",
                 "tower_0/extern1/Conv2D_bn_offset");
    for (int i = 0; i < NUM_UPS; i++)
        load_up(&l, &net->up[i], &ups[i]);
    ww_load_conv(&l, &net->squeeze, 1, 128, 32, "tower_0/CenternetHead/conv1x1_se_a/Conv2D_weights",
                 "tower_0/CenternetHead/conv1x1_se_a/Conv2D_bn_offset");
    ww_load_conv(&l, &net->excite, 1, 32, 128, "CenternetHead/conv1x1_se_b/weights", NULL);
    ww_load_window(&l, &net->heat_window, 3, 128,
                   "CenternetHead/centernet_cls_output/depthwise_weights", NULL);
    ww_load_window(&l, &net->wh_window, 3, 128,
                   "CenternetHead/centernet_wh_output/depthwise_weights", NULL);
    ww_load_conv(&l, &net->wh_point, 1, 128, 4,
                 "CenternetHead/centernet_wh_output/pointwise_weights",
                 "CenternetHead/centernet_wh_output/biases");
    const bool ok = !l.failed && ww_bank_upload(l.bank, device, net->storage, 8,
                                                &net->num_storages, err);
    ww_bank_destroy(&l.bank);
    if (!ok)
        ww_centernet_destroy(device, &net);
    return net;
}

void ww_centernet_destroy(struct ww_device *device, struct ww_centernet **pointer)
{
    struct ww_centernet *net = *pointer;
    if (!net)
        return;
    for (int i = 0; i < net->num_storages; i++)
        ww_storage_destroy(device, &net->storage[i]);
    free(net);
    *pointer = NULL;
}

bool ww_class_head_load(struct ww_device *device, const struct ww_centernet *net,
                        const int *classes, int num_classes, struct ww_class_head *head,
                        struct ww_error *err)
{
    struct ww_loader l = {.weights = net->weights, .bank = ww_bank_create(), .err = err};
    *head = (struct ww_class_head){.num_classes = num_classes};
    ww_load_some(&l, &head->filter, 128, WW_CENTERNET_CLASSES, classes, num_classes,
                 "CenternetHead/centernet_cls_output/pointwise_weights",
                 "CenternetHead/centernet_cls_output/biases");
    int made = 0;
    const bool ok = !l.failed && ww_bank_upload(l.bank, device, &head->storage, 1, &made, err);
    ww_bank_destroy(&l.bank);
    if (!ok)
        ww_class_head_free(device, head);
    return ok;
}

void ww_class_head_free(struct ww_device *device, struct ww_class_head *head)
{
    ww_storage_destroy(device, &head->storage);
}

// s = act(excite(relu(reduce(mean of x)))): one factor a channel.
static struct ww_tensor squeeze(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *reduce,
                                const struct ww_filter *excite, enum ww_activation_fn act, int row)
{
    struct ww_tensor s = ww_activation(g, x.n, x.c, 1, 1);
    ww_mean(g, s, x);
    ww_stage(g, s, "row.%03d", row);
    s = ww_layer(g, s, .point = reduce, .act = WW_ACT_RELU, .rows = {.point = row + 1});
    return ww_layer(g, s, .point = excite, .act = act, .rows = {.point = row + 2});
}

// `tap`: the expanded tensor, for laterals; none of a block without squeeze.
static struct ww_tensor bottleneck(struct ww_cmd *g, const struct block *b,
                                   const struct block_shape *s, struct ww_tensor x,
                                   struct ww_tensor *tap)
{
    const struct ww_tensor in = x;
    const struct ww_tensor residual = s->row.add ? in : (struct ww_tensor){0};
    *tap = (struct ww_tensor){0};
    if (!s->squeeze) {
        if (s->expand)
            ww_label(g, "row %d expand, window, project", s->row.expand);
        else
            ww_label(g, "row %d window, project", s->row.window);
        return ww_layer(g, x, .expand = s->expand ? &b->expand : NULL, .window = &b->window,
                        .point = &b->project, .stride = s->stride, .inner = s->act,
                        .residual = residual,
                        .rows = {.expand = s->row.expand, .window = s->row.window,
                                 .point = s->row.project, .add = s->row.add});
    }
    ww_label(g, "row %d expand", s->row.expand);
    if (s->expand)
        x = ww_layer(g, x, .point = &b->expand, .act = s->act, .rows = {.point = s->row.expand});
    *tap = x;
    ww_label(g, "row %d window", s->row.window);
    x = ww_layer(g, x, .window = &b->window, .stride = s->stride, .act = s->act,
                 .rows = {.window = s->row.window});
    ww_label(g, "row %d squeeze", s->row.mean);
    const struct ww_tensor factor =
        squeeze(g, x, &b->reduce, &b->excite, WW_ACT_HSIGMOID, s->row.mean);
    ww_label(g, "row %d project", s->row.project);
    return ww_layer(g, x, .point = &b->project, .scale = factor, .residual = residual,
                    .rows = {.scale = s->row.scale, .point = s->row.project, .add = s->row.add});
}

// relu(concat(lateral(tap), doubled(x(low) + y(low)))).
static struct ww_tensor up(struct ww_cmd *g, const struct up *u, const struct up_shape *s,
                           struct ww_tensor low, struct ww_tensor tap)
{
    const bool keep = ww_keeps_stages(g);
    const enum ww_activation_fn act = keep ? WW_ACT_NONE : WW_ACT_RELU;
    struct ww_tensor join = ww_activation(g, tap.n, s->join + s->out, tap.h, tap.w);
    ww_label(g, "row %d lateral", s->row.reduce);
    const struct ww_tensor reduced =
        ww_layer(g, tap, .point = &u->reduce, .act = WW_ACT_RELU, .rows = {.point = s->row.reduce});
    ww_label(g, "row %d lateral", s->row.lateral_window);
    ww_layer(g, reduced, .window = &u->lateral_window, .point = &u->lateral_point, .act = act,
             .into = ww_channels(join, 0, s->join),
             .rows = {.window = s->row.lateral_window, .point = s->row.lateral_point});
    ww_label(g, "row %d branch 3x3", s->row.window_x);
    const struct ww_tensor x = ww_layer(g, low, .window = &u->window_x, .point = &u->point_x,
                                        .rows = {.window = s->row.window_x,
                                                 .point = s->row.point_x});
    ww_label(g, "row %d branch 5x5", s->row.window_y);
    const struct ww_tensor sum =
        ww_layer(g, low, .window = &u->window_y, .point = &u->point_y, .residual = x,
                 .rows = {.window = s->row.window_y, .point = s->row.point_y, .add = s->row.add});
    ww_label(g, "row %d double", s->row.up);
    const struct ww_tensor slice = ww_channels(join, s->join, s->out);
    ww_upsample2(g, slice, sum, false, act, (struct ww_tensor){0});
    ww_stage(g, slice, "row.%03d", s->row.up);
    if (keep) {
        const struct ww_tensor none = {0};
        const struct ww_tensor y = ww_activation(g, join.n, join.c, join.h, join.w);
        ww_combine(g, y, join, none, none, WW_ACT_RELU);
        ww_stage(g, join = y, "row.%03d", s->row.join);
    }
    return join;
}

struct ww_centernet_out ww_centernet(struct ww_cmd *g, const struct ww_centernet *net,
                                     const struct ww_class_head *head, struct ww_tensor frame)
{
    ww_expect(g, frame.h % WW_CENTERNET_STEP == 0 && frame.w % WW_CENTERNET_STEP == 0);
    struct ww_tensor tap[NUM_BLOCKS];

    // MobileNetV3
    ww_label(g, "row 1 stem");
    struct ww_tensor x = ww_activation(g, frame.n, 16, frame.h / 2, frame.w / 2);
    ww_conv2d(g, x, frame, &net->stem, ww_conv_params(.stride = 2, .act = WW_ACT_HSWISH));
    ww_stage(g, x, "row.001");
    struct ww_tensor c4 = {0};
    for (int i = 0; i < NUM_BLOCKS; i++) {
        x = bottleneck(g, &net->block[i], &shape[i], x, &tap[i]);
        if (i == 11)
            c4 = x;
    }
    ww_label(g, "row 97 extern");
    x = ww_layer(g, x, .point = &net->top, .act = WW_ACT_HSWISH, .rows = {.point = 97});

    // Up to a quarter of the frame
    x = up(g, &net->up[0], &ups[0], x, c4);
    x = up(g, &net->up[1], &ups[1], x, tap[5]);
    x = up(g, &net->up[2], &ups[2], x, tap[3]);

    // Heads
    ww_label(g, "row 119 squeeze");
    const struct ww_tensor s = squeeze(g, x, &net->squeeze, &net->excite, WW_ACT_SIGMOID, 119);
    ww_label(g, "row 125 heat");
    const struct ww_tensor heat =
        ww_layer(g, x, .window = &net->heat_window, .point = &head->filter, .scale = s,
                 .act = WW_ACT_SIGMOID, .rows = {.scale = 122, .window = 123, .point = 125});
    ww_label(g, "row 126 sizes");
    const struct ww_tensor wh =
        ww_layer(g, x, .window = &net->wh_window, .point = &net->wh_point, .scale = s,
                 .act = WW_ACT_TIMES16, .rows = {.window = 124, .point = 126});
    ww_stage(g, heat, "head.heat");
    ww_stage(g, wh, "head.wh");
    return (struct ww_centernet_out){heat, wh};
}
