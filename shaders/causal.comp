#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "matrix.glsl"

// y[r] = sum over p <= position of softmax_p(q[r].k[p] / sqrt(head)) v[p]
//
// Many rows of one sequence: a lane is a row of a head. Eight lanes fetch a key each and hand it
// round; maximum and sum are corrected together, eight keys at a time (Milakov and Gimelshein, 2018).
layout(constant_id = 7) const int D = 16; // quads of a head
layout(constant_id = 8) const uint HALF = 0; // of the cache
PUSH(uint rows; uint slots; uint group; uint keys; float scale; uint ring;)
INPUT_QUADS(0) // q
INPUT_QUADS(1) // cache
INPUT_BITS(1)  // ... as halves, two quads a texel
INPUT_BITS(2)  // rows: token, position, row of the cache, the sequence's first there

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
    const uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.x;
    const uint r0 = gl_WorkGroupID.z * 32 + gl_WorkGroupID.y * 8;
    const uint r = min(r0 + lane, push.rows - 1);
    const uint first = bits2(min(r0, push.rows - 1)).w, count = min(bits2(r).y + 1, push.ring);
    uint most = 0;
    UNROLL for (int l = 0; l < 8; l++)
        most = max(most, subgroupShuffle(count, l));
    most = min(most, push.slots - first);
    vec4 q[D], o[D];
    UNROLL for (int d = 0; d < D; d++) {
        q[d] = quad0((head * D + d) * push.rows + r) * push.scale;
        o[d] = vec4(0);
    }
    const uint k_at = head / push.group * (HALF == 1 ? D / 2 : D) * push.slots + first;
    const uint v_at = k_at + push.keys * push.slots;
    float largest = -1e30, sum = 0;
    for (uint p = 0; p < most; p += 8) {
        const uint mine = min(p + (lane & 7), most - 1);
        float s[8];
        UNROLL for (int j = 0; j < 8; j++)
            s[j] = 0;
        UNROLL for (int d = 0; d < D; d++) {
            const vec4 k = cached(k_at, d, mine);
            UNROLL for (int j = 0; j < 8; j++)
                s[j] += dot(q[d], subgroupShuffle(k, j));
        }
        float top = largest;
        UNROLL for (int j = 0; j < 8; j++) {
            s[j] = p + j < count ? s[j] : -1e30;
            top = max(top, s[j]);
        }
        const float shrink = exp2(largest - top);
        largest = top;
        sum *= shrink;
        UNROLL for (int j = 0; j < 8; j++) {
            s[j] = exp2(s[j] - top);
            sum += s[j];
        }
        UNROLL for (int d = 0; d < D; d++) {
            const vec4 v = cached(v_at, d, mine);
            vec4 to = o[d] * shrink;
            UNROLL for (int j = 0; j < 8; j++)
                to += s[j] * subgroupShuffle(v, j);
            o[d] = to;
        }
    }
    if (r0 + lane < push.rows)
        UNROLL for (int d = 0; d < D; d++)
            store(0, (head * D + d) * push.rows + r, o[d] / sum);
}
