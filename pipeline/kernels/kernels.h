// kernels.h: the kernels that models call, each in a file of its name.
//
// A call records; `y` must have the shape that comes out, and may be a slice. Padding is
// TensorFlow's "same": out = ceil(in / stride), total = max((out - 1) stride + k - in, 0), the
// smaller half before; or as PyTorch has it, where a convolution says so.

#pragma once

#include "kernel.h"

#include <watchword/frame.h>

// Weights of a convolution as kernels read them: texels in a storage, packed by filter.h.
struct ww_filter {
    struct ww_storage *storage;
    uint32_t first, texels;
    int k, c_in, c_out; // window k x k
    bool tiled; // outputs lie by tiles of four quads, as pointwise alone reads them
    bool halves; // texels are of halves; `first` counts texels of floats all the same
};

struct ww_conv_params {
    int stride;                 // 0: 1
    int dilation;               // 0: 1; conv2d alone
    bool padded;                // conv2d alone: by `pad` cells before each axis; y's size says how
    int pad;                    // far the windows go behind it
    enum ww_activation_fn act;
    enum ww_activation_fn inner; // separable, bottleneck: between their parts
    struct ww_tensor scale;      // [n][c][1][1], times x; none: 1
    struct ww_tensor residual;   // added after the activation; none: 0
    bool residual_first;         // pointwise alone: before the activation
    int from; // pointwise alone: where x and y differ in size, the smaller one is pixels from here on
};
#define ww_conv_params(...) (&(struct ww_conv_params){__VA_ARGS__})

// y = act(b + x w) + residual, all of k = 1. Of x and y one may be a slice of the other's pixels, end to
// end: some of x are read, or some of y written, beside which the rest stays as it is.
void ww_pointwise(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, const struct ww_conv_params *params);
// y = act(b + x * w), a window for each channel.
void ww_depthwise(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, const struct ww_conv_params *params);
// Depthwise, then pointwise; what lies between stays in registers.
void ww_separable(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *depthwise, const struct ww_filter *pointwise,
                  const struct ww_conv_params *params);
// Pointwise, `inner`, depthwise, `inner`, pointwise, + residual, as one pass, where it fits: few channels in
// (WW_BOTTLENECK_IN) and out, a 3 x 3 window.
#define WW_BOTTLENECK_IN  32
#define WW_BOTTLENECK_OUT 64
bool ww_bottleneck_fits(struct ww_tensor x, const struct ww_filter *depthwise,
                        const struct ww_filter *project, int stride);
void ww_bottleneck(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                   const struct ww_filter *expand, const struct ww_filter *depthwise,
                   const struct ww_filter *project, const struct ww_conv_params *params);
// Any window over all channels.
void ww_conv2d(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, const struct ww_filter *w,
               const struct ww_conv_params *params);

// The largest of each k x k window, of which `pad` <= k / 2 cells may lie before the map, and as many as
// y's size says behind it; those do not count.
struct ww_maxpool_params {
    int k, stride, pad;
};
#define ww_maxpool_params(...) (&(struct ww_maxpool_params){__VA_ARGS__})
void ww_maxpool(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                const struct ww_maxpool_params *params);

// y [n][c][1][1]: over all pixels.
void ww_mean(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x);
// y = act(double(x) + residual); half: half-pixel centres, else source = i / 2.
void ww_upsample2(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, bool half,
                  enum ww_activation_fn act, struct ww_tensor residual);
// x at the size of y.
enum ww_resize_how {
    WW_RESIZE_CENTRES, // bilinear, by the centres of pixels
    WW_RESIZE_CORNERS, // bilinear, the outermost pixels stay where they are
    WW_RESIZE_NEAREST, // source = floor(i in / out)
};
void ww_resize(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, enum ww_resize_how how);
// y = act(x scale + residual), elementwise.
void ww_combine(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x, struct ww_tensor scale,
                struct ww_tensor residual, enum ww_activation_fn act);

// y = (x - mean) / sqrt(variance + eps) gain + lift, over the channels of each pixel; y may be x.
// It may have more pixels, which are zero.
void ww_layernorm(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor x,
                  const struct ww_filter *w, float eps);

// y[p] = the sum of one row of each table; `ids` [n][3][h][w] are the rows' numbers, those past the
// end the last.
void ww_embed(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor ids,
              const struct ww_filter *word, const struct ww_filter *position,
              const struct ww_filter *type);

// y[i] = sum over j of softmax_j(scale q[i].k[j] + bias[i][j] + mask[i][j]) v[j].
//
// q [n][heads width][rows][queries], k alike with keys, v [n][heads wide][rows][keys], y
// [n][heads wide][rows][queries]. Every row is a sequence of its own, which sees its own keys: so may
// sequences of one length, or the windows of a picture, lie side by side and other kernels take them
// for one. `width` and `wide` are multiples of 4, `width` at most 128.
struct ww_attention_params {
    int heads;
    float scale; // 0: 1 / sqrt(width)
    // Added to the scores, [m][keys][1 or heads][queries], sequence i taking number i modulo m; -inf
    // and the lowest float both hide a key. A query that sees no key takes the mean of all values.
    struct ww_tensor bias, mask;
    struct ww_tensor lengths; // [1][1][1][n rows]: keys of each sequence, the rest is padding; none: all
};
#define ww_attention_params(...) (&(struct ww_attention_params){__VA_ARGS__})
void ww_attention(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor q, struct ww_tensor k,
                  struct ww_tensor v, const struct ww_attention_params *params);

// Picture to tensor [n][3][h][w]: the regions params[region + i] (x, y, width, height in px) of a
// packed picture. R'G'B' 0..255 times gain plus lift.
struct ww_prepare_params {
    enum ww_format format;
    enum ww_matrix matrix;
    enum ww_range range;
    int width, height; // of the picture
    int region;        // index of the first vec4 in the parameter block
    bool inside;       // no region leaves the picture
    float gain, lift;
};
#define ww_prepare_params(...) (&(struct ww_prepare_params){__VA_ARGS__})
void ww_prepare(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor picture,
                const struct ww_prepare_params *params);
// Bytes of a packed picture, and how its planes lie in it.
struct ww_packing {
    uint32_t stride[3], plane[3]; // bytes; from the start
    uint32_t bytes;
};
struct ww_packing ww_packing(enum ww_format format, int width, int height);

// Local maxima of at least params[floor_at].x, with the numbers of `side` at the cell. `list` is
// [1][4][1][1 + 2 cap]; the host sets its first word to 0 before each replay.
void ww_peaks(struct ww_cmd *g, struct ww_tensor list, struct ww_tensor x, struct ww_tensor side,
              int floor_at);

// MoveNet: y [n][4][1][17], each (row, column, score, cell).
void ww_keypoints(struct ww_cmd *g, struct ww_tensor y, struct ww_tensor heat,
                  struct ww_tensor regress, struct ww_tensor centre, struct ww_tensor offset,
                  struct ww_tensor prior);

struct ww_same {
    int out, before;
};
static inline struct ww_same ww_same(int in, int k, int stride)
{
    const int out = (in + stride - 1) / stride;
    const int total = (out - 1) * stride + k - in;
    return (struct ww_same){out, total > 0 ? total / 2 : 0};
}

// PyTorch's: windows that begin within `pad` cells before the first and end within as many behind the
// last.
static inline int ww_padded(int in, int reach, int pad, int stride)
{
    return (in + 2 * pad - reach) / stride + 1;
}

// A filter as an operand.
static inline struct ww_tensor ww_filter_tensor(struct ww_cmd *g, const struct ww_filter *f)
{
    return ww_stored_as(g, f->halves, f->storage, f->first, 1, 4, 1, (int)f->texels);
}

// Random filters for attempts.
struct ww_filter ww_try_conv(struct ww_try *t, int k, int c_in, int c_out);
struct ww_filter ww_try_linear(struct ww_try *t, int c_in, int c_out); // by tiles
struct ww_filter ww_try_window(struct ww_try *t, int k, int c);
struct ww_filter ww_try_norm(struct ww_try *t, int c);
struct ww_filter ww_try_rows(struct ww_try *t, int rows, int c);

// One number of a depthwise output, as the references of all kernels with such a part need it.
float ww_depthwise_at(const float *x, struct ww_tensor shape, const float *w, int k, int stride,
                      int pad, const float *scale, int c, int oy, int ox);

extern const struct ww_kernel ww_kernel_resize, ww_kernel_prepare, ww_kernel_conv2d, ww_kernel_pointwise,
    ww_kernel_depthwise, ww_kernel_separable, ww_kernel_bottleneck, ww_kernel_mean,
    ww_kernel_upsample2, ww_kernel_combine, ww_kernel_peaks, ww_kernel_keypoints,
    ww_kernel_layernorm, ww_kernel_embed, ww_kernel_attention, ww_kernel_maxpool;
// A list whose first word counts: uploaded as 0, compared as a number.
struct ww_tensor ww_try_count(struct ww_try *t, int entries);
// Random bytes.
struct ww_tensor ww_try_bytes(struct ww_try *t, uint32_t bytes);
// Random whole numbers in [0, below).
struct ww_tensor ww_try_whole(struct ww_try *t, int n, int c, int h, int w, int below);
