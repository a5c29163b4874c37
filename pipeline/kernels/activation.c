#include "kernel.h"

#include <math.h>

static float relu6(float x)
{
    return fminf(fmaxf(x, 0), 6);
}

float ww_activate(enum ww_activation_fn act, float x)
{
    const float sixth = 0.1666259765625f; // 1/6 in half precision, as the nano networks have it
    switch (act) {
    case WW_ACT_RELU:
        return fmaxf(x, 0);
    case WW_ACT_RELU6:
        return relu6(x);
    case WW_ACT_HSWISH:
        return x * sixth * relu6(x + 3);
    case WW_ACT_HSIGMOID:
        return relu6(x + 3) * sixth;
    case WW_ACT_SIGMOID:
        return 1 / (1 + expf(-x));
    case WW_ACT_TIMES16:
        return x * 16;
    case WW_ACT_GELU:
        return (float)(0.5 * x * erfc(-(double)x * 0.7071067811865476));
    case WW_ACT_GELU_TANH: // 0.7978845608 = sqrt(2 / pi)
        return (float)(0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * pow(x, 3)))));
    case WW_ACT_GELU_QUICK:
        return (float)(x / (1 + exp(-1.702 * x)));
    case WW_ACT_TANH:
        return tanhf(x);
    case WW_ACT_NONE:
        break;
    }
    return x;
}
