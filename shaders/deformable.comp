#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[q] = sum over levels l and points p of softmax(a[q])[l, p] value_l at (reference[q] + offset[q, l, p]),
// for a head.
//
// A lane is a query; its offsets, weights and places are its own business, so that nothing passes
// between lanes but what the cache holds of neighbours' values. The loop over levels stays a loop:
// unrolled it would be 512 fetches long.
layout(constant_id = 1) const int K = 4;  // points of a level
layout(constant_id = 2) const int D = 8;  // quads of a head's values
layout(constant_id = 3) const int KA = 1; // quads of a level's weights
layout(constant_id = 4) const int KO = 2; // and of its offsets
layout(constant_id = 5) const bool PLACES = false; // tell where it looked, too

PUSH(uint queries; uint tokens; uint levels; uint v_step; uint o_step; uint a_step; uint r_step;
     uint l_step; uint y_step; uint p_step; float reach;)
INPUT_QUADS(0) // value [heads D][tokens]
INPUT_QUADS(1) // offsets [heads][levels][KO][queries]
INPUT_QUADS(2) // weights before the softmax [heads][levels][KA][queries]
INPUT_QUADS(3) // reference: x, y, width, height
INPUT_QUADS(4) // of each level: width, height, first token, -; valid width and height, their shares

void main()
{
    const uint query = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    const uint q = min(query, push.queries - 1);
    const vec4 reference = quad3(batch * push.r_step + q);
    const uint o_at = batch * push.o_step + head * push.levels * KO * push.queries + q;
    const uint a_at = batch * push.a_step + head * push.levels * KA * push.queries + q;
    const uint v_at = batch * push.v_step + head * D * push.tokens;

    // The softmax needs its maximum and sum before the first sample is weighed.
    float most = -3.402823466e38, sum = 0;
    for (uint i = 0; i < push.levels * KA; i++) {
        const vec4 a = quad2(a_at + i * push.queries);
        UNROLL for (int p = 0; p < 4; p++)
            most = i % KA * 4 + p < K ? max(most, a[p]) : most;
    }
    for (uint i = 0; i < push.levels * KA; i++) {
        const vec4 a = exp(quad2(a_at + i * push.queries) - most);
        UNROLL for (int p = 0; p < 4; p++)
            sum += i % KA * 4 + p < K ? a[p] : 0.0;
    }

    vec4 acc[D];
    UNROLL for (int d = 0; d < D; d++)
        acc[d] = vec4(0);
    for (uint l = 0; l < push.levels; l++) {
        const vec4 size = quad4(batch * push.l_step + 2 * l);
        const vec4 valid = quad4(batch * push.l_step + 2 * l + 1);
        const vec4 r = reference * valid.zwzw;
        vec4 offset[KO], weight[KA];
        UNROLL for (int i = 0; i < KO; i++)
            offset[i] = quad1(o_at + (l * KO + i) * push.queries);
        UNROLL for (int i = 0; i < KA; i++)
            weight[i] = exp(quad2(a_at + (l * KA + i) * push.queries) - most) / sum;
        UNROLL for (int p = 0; p < K; p++) {
            const vec2 o = (p & 1) == 0 ? offset[p / 2].xy : offset[p / 2].zw;
            const float a = weight[p / 4][p % 4];
            // A point reaches in cells; a box in its own halves, shared among the points.
            const vec2 at = r.xy * size.xy + (push.reach == 0.0 ? o : o * push.reach * r.zw * size.xy);
            if (PLACES && query < push.queries)
                store(1, batch * push.p_step + ((head * push.levels + l) * K + p) * push.queries + q,
                      vec4(at / size.xy, a, 0));
            // Far outside is as good as just outside, and stays an integer.
            const vec2 c = clamp(at - 0.5, vec2(-2), size.xy + 1.0), low = floor(c), part = c - low;
            const bvec2 in0 = bvec2(low.x >= 0.0 && low.x < valid.x, low.y >= 0.0 && low.y < valid.y);
            const bvec2 in1 = bvec2(low.x >= -1.0 && low.x < valid.x - 1.0,
                                    low.y >= -1.0 && low.y < valid.y - 1.0);
            const vec2 w0 = vec2(in0.x ? 1.0 - part.x : 0.0, in0.y ? 1.0 - part.y : 0.0);
            const vec2 w1 = vec2(in1.x ? part.x : 0.0, in1.y ? part.y : 0.0);
            const uint x0 = in0.x ? uint(low.x) : 0, x1 = in1.x ? uint(low.x + 1.0) : 0;
            const uint row = uint(size.x), base = v_at + uint(size.z);
            const uint y0 = base + (in0.y ? uint(low.y) : 0) * row;
            const uint y1 = base + (in1.y ? uint(low.y + 1.0) : 0) * row;
            const vec4 w = a * vec4(w0.x * w0.y, w1.x * w0.y, w0.x * w1.y, w1.x * w1.y);
            UNROLL for (int d = 0; d < D; d++) {
                const uint plane = d * push.tokens;
                acc[d] += (w.x * quad0(y0 + x0 + plane) + w.y * quad0(y0 + x1 + plane)) +
                          (w.z * quad0(y1 + x0 + plane) + w.w * quad0(y1 + x1 + plane));
            }
        }
    }
    if (query < push.queries)
        UNROLL for (int d = 0; d < D; d++)
            store(0, batch * push.y_step + (head * D + d) * push.queries + q, acc[d]);
}
