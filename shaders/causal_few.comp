#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "matrix.glsl"

// As causal.comp for few rows, each of its own sequence: a group is a row of a head, a lane every
// eighth position, with a maximum and a sum of its own; the eight are put together at the end.
layout(constant_id = 7) const int D = 16;
layout(constant_id = 8) const uint HALF = 0;
PUSH(uint rows; uint slots; uint group; uint keys; float scale; uint ring;)
INPUT_QUADS(0)
INPUT_QUADS(1)
INPUT_BITS(1)
INPUT_BITS(2)

// Quad `d` of a head whose keys or values begin at texel `head_at`.
vec4 cached(uint head_at, int d, uint slot)
{
    if (HALF == 0)
        return quad1(head_at + d * push.slots + slot);
    const uvec4 t = bits1(head_at + d / 2 * push.slots + slot);
    const uvec2 h = d % 2 == 0 ? t.xy : t.zw;
    return vec4(unpackHalf2x16(h.x), unpackHalf2x16(h.y));
}

void main()
{
    const uint lane = gl_LocalInvocationID.x & 7, head = gl_WorkGroupID.x, r = gl_WorkGroupID.y;
    const uvec4 info = bits2(r);
    const uint count = min(min(info.y + 1, push.ring), push.slots - info.w);
    vec4 q[D], o[D];
    UNROLL for (int d = 0; d < D; d++) {
        q[d] = quad0((head * D + d) * push.rows + r) * push.scale;
        o[d] = vec4(0);
    }
    const uint k_at = head / push.group * (HALF == 1 ? D / 2 : D) * push.slots + info.w;
    const uint v_at = k_at + push.keys * push.slots;
    float largest = -1e30, sum = 0;
    for (uint p = 0; p < count; p += 8) {
        const uint at = min(p + lane, count - 1);
        vec4 products = vec4(0);
        UNROLL for (int d = 0; d < D; d++)
            products += q[d] * cached(k_at, d, at);
        const float s = products.x + products.y + products.z + products.w;
        const float top = max(largest, s), shrink = exp2(largest - top);
        const float weight = p + lane < count ? exp2(s - top) : 0;
        largest = top;
        sum = sum * shrink + weight;
        UNROLL for (int d = 0; d < D; d++)
            o[d] = o[d] * shrink + weight * cached(v_at, d, at);
    }
    float top = largest;
    UNROLL for (int l = 0; l < 8; l++)
        top = max(top, subgroupShuffle(largest, l));
    const float mine = exp2(largest - top);
    float all = 0;
    sum *= mine;
    UNROLL for (int l = 0; l < 8; l++)
        all += subgroupShuffle(sum, l);
    UNROLL for (int d = 0; d < D; d++) {
        const vec4 part = o[d] * mine;
        vec4 y = vec4(0);
        UNROLL for (int l = 0; l < 8; l++)
            y += subgroupShuffle(part, l);
        if (lane == 0)
            store(0, (head * D + d) * push.rows + r, y / all);
    }
}
