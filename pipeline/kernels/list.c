#include "detr.h"
#include "kernels.h"
#include "resample.h"
#include "swin.h"
#include "tokens.h"
#include "words.h"

const struct ww_kernel *const ww_kernels[] = {
    &ww_kernel_prepare, &ww_kernel_conv2d, &ww_kernel_pointwise, &ww_kernel_depthwise,
    &ww_kernel_separable, &ww_kernel_bottleneck, &ww_kernel_mean, &ww_kernel_upsample2, &ww_kernel_combine,
    &ww_kernel_peaks, &ww_kernel_keypoints,
    &ww_kernel_layernorm, &ww_kernel_embed, &ww_kernel_attention,
    &ww_kernel_matmul, &ww_kernel_lookup, &ww_kernel_rmsnorm, &ww_kernel_causal,
    &ww_kernel_deformable, &ww_kernel_groupnorm, &ww_kernel_topk, &ww_kernel_gather,
    &ww_kernel_sinecode, &ww_kernel_refine, &ww_kernel_keep, &ww_kernel_positions,
    &ww_kernel_maxpool, &ww_kernel_resample, &ww_kernel_resize,
    &ww_kernel_windows, &ww_kernel_merge,
    &ww_kernel_asweights, &ww_kernel_tops, &ww_kernel_bothways, &ww_kernel_pool, &ww_kernel_best, NULL};
