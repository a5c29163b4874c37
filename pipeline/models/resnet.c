// Residual networks. He, Zhang, Ren and Sun, 2015, arXiv:1512.03385, with the stride in the bottleneck's
// 3x3 (as torchvision has them), and batch normalisation folded into the convolution before it.
//
//     7x7 / 2 -> max 3x3 / 2 -> blocks -> blocks / 2 -> blocks / 2 -> blocks / 2
//     block: x -+-> 1x1 -> 3x3 -> 1x1 -> + -> ReLU
//               +------- (1x1) ----------+

#include "resnet.h"

#include "base/room.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BLOCKS = 64, MAX_WIDTH = 1 << 14 };
static const float norm_eps = 1e-5f;

struct block {
    struct ww_filter conv[3], shortcut;
    int num_convs; // 3: a bottleneck
    int stride, dilation;
    bool has_shortcut; // else x itself
};

struct ww_resnet {
    struct ww_filter stem;
    struct block *blocks[WW_RESNET_STAGES];
    int num_blocks[WW_RESNET_STAGES], channels[WW_RESNET_STAGES];
};

// Weights -----------------------------------------------------------------------------------------

// [c_out][c_in][k][k] of a convolution that must be there.
static const struct ww_weight *window_of(struct ww_loader *l, const char *name, int k)
{
    char full[192];
    snprintf(full, sizeof full, "%s.weight", name);
    const struct ww_weight *w =
        l->failed ? NULL
                  : ww_weights_need(l->weights, full, l->err, 4, (int64_t)-1, (int64_t)-1,
                                    (int64_t)k, (int64_t)k);
    if (w && (w->dim[0] > MAX_WIDTH || w->dim[1] > MAX_WIDTH)) {
        ww_fail(l->err, WW_E_UNSUPPORTED, "%s: tensor '%s' is wider than %d channels",
                ww_weights_path(l->weights), full, MAX_WIDTH);
        w = NULL;
    }
    l->failed |= !w;
    return w;
}

static bool there_is(const struct ww_loader *l, const char *name, const char *part)
{
    char full[192];
    snprintf(full, sizeof full, "%s%s", name, part);
    return ww_weights_find(l->weights, full) != NULL;
}

// Convolution i of a block and its normalisation; returns the channels it gives out.
static int load_conv(struct ww_loader *l, struct ww_filter *f, const char *block, int i, int k,
                     int c_in)
{
    char conv[160], norm[160];
    snprintf(conv, sizeof conv, "%s.conv%d", block, i);
    snprintf(norm, sizeof norm, "%s.bn%d", block, i);
    const struct ww_weight *w = window_of(l, conv, k);
    const int c_out = w ? (int)w->dim[0] : 0;
    ww_load_conv_norm(l, f, k, c_in, c_out, norm_eps, conv, norm);
    return c_out;
}

static int load_block(struct ww_loader *l, struct block *b, const char *name, int c_in)
{
    char conv[160], norm[160];
    b->num_convs = there_is(l, name, ".conv3.weight") ? 3 : 2;
    int c = c_in;
    for (int i = 0; i < b->num_convs && !l->failed; i++)
        c = load_conv(l, &b->conv[i], name, i + 1, b->num_convs == 2 || i == 1 ? 3 : 1, c);
    b->has_shortcut = there_is(l, name, ".downsample.0.weight");
    if (b->has_shortcut) {
        snprintf(conv, sizeof conv, "%s.downsample.0", name);
        snprintf(norm, sizeof norm, "%s.downsample.1", name);
        ww_load_conv_norm(l, &b->shortcut, 1, c_in, c, norm_eps, conv, norm);
    } else if (!l->failed && (c != c_in || b->stride > 1)) {
        l->failed = !ww_fail(l->err, WW_E_FILE, "%s: no tensor '%s.downsample.0.weight'",
                             ww_weights_path(l->weights), name);
    }
    return c;
}

static int load_stage(struct ww_loader *l, struct ww_resnet *net, int s, const char *prefix, int c,
                      bool dilated)
{
    char name[128];
    int num = 0;
    for (; num < MAX_BLOCKS; num++) {
        snprintf(name, sizeof name, "%slayer%d.%d", prefix, s + 1, num);
        if (!there_is(l, name, ".conv1.weight"))
            break;
    }
    net->num_blocks[s] = num;
    net->blocks[s] = l->failed ? NULL : ww_room_for((size_t)num + 1, sizeof *net->blocks[s], l->err);
    l->failed |= !net->blocks[s];
    if (num == 0 && !l->failed)
        l->failed = !ww_fail(l->err, WW_E_FILE, "%s: no tensor '%s.conv1.weight'",
                             ww_weights_path(l->weights), name);
    for (int i = 0; i < num && !l->failed; i++) {
        struct block *b = &net->blocks[s][i];
        b->stride = i == 0 && s > 0 && !dilated ? 2 : 1;
        b->dilation = dilated && i > 0 ? 2 : 1;
        snprintf(name, sizeof name, "%slayer%d.%d", prefix, s + 1, i);
        c = load_block(l, b, name, c);
    }
    return net->channels[s] = c;
}

struct ww_resnet *ww_resnet_load(struct ww_loader *l, const char *prefix, bool dilated)
{
    struct ww_resnet *net = calloc(1, sizeof *net);
    if (!net)
        abort();
    char conv[160], norm[160];
    snprintf(conv, sizeof conv, "%sconv1", prefix);
    snprintf(norm, sizeof norm, "%sbn1", prefix);
    const struct ww_weight *w = window_of(l, conv, 7);
    int c = w ? (int)w->dim[0] : 0;
    ww_load_conv_norm(l, &net->stem, 7, 3, c, norm_eps, conv, norm);
    for (int s = 0; s < WW_RESNET_STAGES && !l->failed; s++)
        c = load_stage(l, net, s, prefix, c, dilated && s == WW_RESNET_STAGES - 1);
    if (l->failed)
        ww_resnet_destroy(&net);
    return net;
}

void ww_resnet_destroy(struct ww_resnet **pointer)
{
    struct ww_resnet *net = *pointer;
    if (!net)
        return;
    for (int s = 0; s < WW_RESNET_STAGES; s++)
        free(net->blocks[s]);
    free(net);
    *pointer = NULL;
}

int ww_resnet_channels(const struct ww_resnet *net, int stage)
{
    return net->channels[stage];
}

// Forward -----------------------------------------------------------------------------------------

static struct ww_tensor conv(struct ww_cmd *g, struct ww_tensor x, const struct ww_filter *w,
                             int stride, int dilation, enum ww_activation_fn act)
{
    const int reach = (w->k - 1) * dilation + 1, pad = w->k / 2 * dilation;
    const struct ww_tensor y = ww_activation(g, x.n, w->c_out, ww_padded(x.h, reach, pad, stride),
                                             ww_padded(x.w, reach, pad, stride));
    if (w->k == 1 && stride == 1)
        ww_pointwise(g, y, x, w, ww_conv_params(.act = act));
    else
        ww_conv2d(g, y, x, w,
                  ww_conv_params(.stride = stride, .dilation = dilation, .padded = true, .pad = pad,
                                 .act = act));
    return y;
}

static struct ww_tensor residual(struct ww_cmd *g, const struct block *b, struct ww_tensor x)
{
    const struct ww_tensor shortcut =
        b->has_shortcut ? conv(g, x, &b->shortcut, b->stride, 1, WW_ACT_NONE) : x;
    const struct ww_filter *last = &b->conv[b->num_convs - 1];
    for (int i = 0; i + 1 < b->num_convs; i++) {
        const bool wide = b->conv[i].k == 3; // the first of them has the stride
        x = conv(g, x, &b->conv[i], wide ? b->stride : 1, wide ? b->dilation : 1, WW_ACT_RELU);
    }
    const struct ww_tensor y = ww_activation(g, x.n, last->c_out, x.h, x.w);
    if (last->k == 1)
        ww_pointwise(g, y, x, last,
                     ww_conv_params(.act = WW_ACT_RELU, .residual = shortcut, .residual_first = true));
    else
        ww_combine(g, y, conv(g, x, last, 1, b->dilation, WW_ACT_NONE), (struct ww_tensor){0},
                   shortcut, WW_ACT_RELU);
    return y;
}

void ww_resnet(struct ww_cmd *g, const struct ww_resnet *net, struct ww_tensor x,
               struct ww_tensor out[WW_RESNET_STAGES], const char *prefix)
{
    ww_label(g, "stem");
    x = conv(g, x, &net->stem, 2, 1, WW_ACT_RELU);
    const struct ww_tensor pool = ww_activation(g, x.n, x.c, ww_padded(x.h, 3, 1, 2),
                                                ww_padded(x.w, 3, 1, 2));
    ww_maxpool(g, pool, x, ww_maxpool_params(.k = 3, .stride = 2, .pad = 1));
    ww_stage_map(g, x = pool, "%spool", prefix);
    for (int s = 0; s < WW_RESNET_STAGES; s++) {
        for (int i = 0; i < net->num_blocks[s]; i++) {
            ww_label(g, "layer%d.%d", s + 1, i);
            x = residual(g, &net->blocks[s][i], x);
            ww_stage_map(g, x, "%slayer%d.%d", prefix, s + 1, i);
        }
        out[s] = x;
    }
}
