#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "params.glsl"

// A region of a picture, resized to the tensor: bilinear with half-pixel centres, R'G'B' 0..255,
// then times `gain` plus `lift`. Each plane is sampled at its own resolution, colour converted after
// that. Reductions of more than 2:1 average several samples along that axis. Parameters: from
// `region` on, one vec4 for each of the batch: x, y, width, height in px of the picture; what lies
// outside the picture is black, what lies outside the region repeats its edge.
//
// The picture is packed: rows padded to whole words, planes one after the other.
layout(constant_id = 1) const uint FORMAT = 0;  // enum ww_format
layout(constant_id = 2) const bool CLIP = true; // a region may leave the picture
layout(constant_id = 3) const bool ONE = false; // a sample each: no reduction of more than 2:1
layout(constant_id = 4) const int TM = 4;       // a lane is so many rows of a column

PUSH(uint W; uint H; uint OW; uint OH; uint y_step; uint region; uint stride0; uint stride1;
     uint plane1; uint plane2; float y_gain; float y_lift; float r_v; float g_u; float g_v;
     float b_u; float gain; float lift;)
INPUT_WORDS(0)

const uint NV12 = 0, I420 = 1, RGB = 2, BGR = 3, RGBA = 4, BGRA = 5, GRAY8 = 6;

float byte_at(uint at)
{
    return float(word0(at >> 2) >> (at & 3) * 8 & 0xff);
}

// What is outside is black.
float sample_at(bool inside, uint at, float black)
{
    return !CLIP || inside ? byte_at(!CLIP || inside ? at : 0) : black;
}

struct Taps {
    ivec2 lo, hi;
    vec2 part;
};

// Where to sample a plane of half (0.5) or full (1.0) resolution; `at` in px from the region's corner.
Taps taps(vec4 region, vec2 at, float resolution)
{
    const vec2 first = floor(region.xy * resolution);
    const vec2 last = max(ceil((region.xy + region.zw) * resolution) - 1.0, first);
    const vec2 p = clamp((region.xy + at) * resolution - 0.5, first, last);
    Taps t;
    t.lo = ivec2(floor(p));
    t.part = p - vec2(t.lo);
    t.hi = min(t.lo + 1, ivec2(last));
    return t;
}

float bilinear(Taps t, uvec2 size, uint base, uint stride, uint pixel, float black)
{
    const bool x0 = t.lo.x >= 0 && t.lo.x < int(size.x), x1 = t.hi.x >= 0 && t.hi.x < int(size.x);
    const bool y0 = t.lo.y >= 0 && t.lo.y < int(size.y), y1 = t.hi.y >= 0 && t.hi.y < int(size.y);
    const uint row0 = base + uint(t.lo.y) * stride, row1 = base + uint(t.hi.y) * stride;
    const float a = sample_at(x0 && y0, row0 + uint(t.lo.x) * pixel, black);
    const float b = sample_at(x1 && y0, row0 + uint(t.hi.x) * pixel, black);
    const float c = sample_at(x0 && y1, row1 + uint(t.lo.x) * pixel, black);
    const float d = sample_at(x1 && y1, row1 + uint(t.hi.x) * pixel, black);
    return mix(mix(a, b, t.part.x), mix(c, d, t.part.x), t.part.y);
}

vec3 colour(vec4 region, vec2 at)
{
    const uvec2 size = uvec2(push.W, push.H), half_ = (size + 1) / 2;
    const Taps t = taps(region, at, 1.0);
    if (FORMAT == NV12 || FORMAT == I420) {
        const Taps c = taps(region, at, 0.5);
        const float black = -push.y_lift / push.y_gain;
        const float y = bilinear(t, size, 0, push.stride0, 1, black) * push.y_gain + push.y_lift;
        const uint pixel = FORMAT == NV12 ? 2 : 1;
        const float u = bilinear(c, half_, push.plane1, push.stride1, pixel, 128.0) - 128.0;
        const float v = bilinear(c, half_, push.plane2, push.stride1, pixel, 128.0) - 128.0;
        return clamp(vec3(y + push.r_v * v, y + push.g_u * u + push.g_v * v, y + push.b_u * u),
                     0.0, 255.0);
    }
    if (FORMAT == GRAY8)
        return vec3(bilinear(t, size, 0, push.stride0, 1, 0.0));
    const uint pixel = FORMAT == RGB || FORMAT == BGR ? 3 : 4;
    const vec3 rgb = vec3(bilinear(t, size, 0, push.stride0, pixel, 0.0),
                          bilinear(t, size, 1, push.stride0, pixel, 0.0),
                          bilinear(t, size, 2, push.stride0, pixel, 0.0));
    return FORMAT == BGR || FORMAT == BGRA ? rgb.bgr : rgb;
}

vec3 averaged(vec4 region, vec2 at, vec2 scale)
{
    const uvec2 n = uvec2(max(ceil(scale / 2.0), vec2(1)));
    vec3 sum = vec3(0);
    for (uint j = 0; j < n.y; j++)
        for (uint i = 0; i < n.x; i++)
            sum += colour(region, (at + (vec2(i, j) + 0.5) / vec2(n)) * scale);
    return n == uvec2(1) ? sum : sum / float(n.x * n.y);
}

void main()
{
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, y0 = gl_WorkGroupID.y * TM;
    const uint batch = gl_WorkGroupID.z;
    const vec4 region = params.at[push.region + batch];
    const vec2 scale = region.zw / vec2(push.OW, push.OH);
    UNROLL for (int m = 0; m < TM; m++) {
        const vec2 at = vec2(x, y0 + m);
        const vec3 rgb = ONE ? colour(region, (at + 0.5) * scale) : averaged(region, at, scale);
        if (x < push.OW && y0 + m < push.OH)
            store(0, batch * push.y_step + (y0 + m) * push.OW + x,
                  vec4(rgb * push.gain + push.lift, 0));
    }
}
