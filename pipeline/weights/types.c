// Element types: their names, widths, and the way up to float.

#include "weights.h"

#include <assert.h>
#include <string.h>

// Of a block type: elements and bytes of a block, and no bits, for an element has no whole number.
static const struct {
    const char *name;
    unsigned char bits;
    unsigned short block, block_bytes;
} types[WW_NUM_TYPES] = {
    [WW_F32] = {"F32", 32},
    [WW_F16] = {"F16", 16},
    [WW_BF16] = {"BF16", 16},
    [WW_I32] = {"I32", 32},
    [WW_I64] = {"I64", 64},
    [WW_I8] = {"I8", 8},
    [WW_U8] = {"U8", 8},
    [WW_I16] = {"I16", 16},
    [WW_U16] = {"U16", 16},
    [WW_BOOL] = {"BOOL", 8},
    [WW_F64] = {"F64", 64},
    [WW_U32] = {"U32", 32},
    [WW_U64] = {"U64", 64},
    [WW_C64] = {"C64", 64},
    [WW_F8_E4M3] = {"F8_E4M3", 8},
    [WW_F8_E5M2] = {"F8_E5M2", 8},
    [WW_F8_E8M0] = {"F8_E8M0", 8},
    [WW_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [WW_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [WW_F6_E2M3] = {"F6_E2M3", 6},
    [WW_F6_E3M2] = {"F6_E3M2", 6},
    [WW_F4] = {"F4", 4},
    [WW_Q4_0] = {"Q4_0", 0, 32, 18},
    [WW_Q4_1] = {"Q4_1", 0, 32, 20},
    [WW_Q5_0] = {"Q5_0", 0, 32, 22},
    [WW_Q5_1] = {"Q5_1", 0, 32, 24},
    [WW_Q8_0] = {"Q8_0", 0, 32, 34},
    [WW_Q2_K] = {"Q2_K", 0, 256, 84},
    [WW_Q3_K] = {"Q3_K", 0, 256, 110},
    [WW_Q4_K] = {"Q4_K", 0, 256, 144},
    [WW_Q5_K] = {"Q5_K", 0, 256, 176},
    [WW_Q6_K] = {"Q6_K", 0, 256, 210},
    [WW_IQ4_NL] = {"IQ4_NL", 0, 32, 18},
    [WW_IQ4_XS] = {"IQ4_XS", 0, 256, 136},
};

const char *ww_type_name(enum ww_type type)
{
    return (unsigned)type < WW_NUM_TYPES ? types[type].name : NULL;
}

size_t ww_type_bits(enum ww_type type)
{
    assert((unsigned)type < WW_NUM_TYPES);
    return types[type].bits;
}

size_t ww_type_bytes(enum ww_type type)
{
    return ww_type_bits(type) / 8;
}

size_t ww_type_block(enum ww_type type)
{
    assert((unsigned)type < WW_NUM_TYPES);
    return types[type].block ? types[type].block : 1;
}

size_t ww_type_block_bytes(enum ww_type type)
{
    assert((unsigned)type < WW_NUM_TYPES);
    return types[type].block ? types[type].block_bytes : types[type].bits / 8u;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

// IEEE 754 binary16: sign 1, exponent 5 (bias 15), fraction 10. Every one of them is a float.
static float half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t exponent = (h >> 10) & 31, fraction = h & 1023;
    if (exponent == 31) // infinity, or NaN with its payload
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { // zero or subnormal: fraction x 2^-24, exact in float
        const float value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    return from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

static uint32_t little(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

float ww_type_float(enum ww_type type, const void *at)
{
    switch (type) {
    case WW_F32:
        return from_bits(little(at, 4));
    case WW_F16:
        return half((uint16_t)little(at, 2));
    case WW_BF16:
        return from_bits(little(at, 2) << 16); // the upper half of a float
    default:
        assert(!"a type that is no float of this kind");
        return 0;
    }
}

float ww_weight_float(const struct ww_weight *weight, size_t i)
{
    const size_t bytes = ww_type_bytes(weight->type);
    assert(weight->data && bytes && i < weight->bytes / bytes);
    return ww_type_float(weight->type, (const char *)weight->data + i * bytes);
}
