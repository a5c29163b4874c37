#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "matrix.glsl"

// y[r] = the row of W that rows[r].x names, or given[r]; a lane is 32 channels of a row.
layout(constant_id = 7) const int TEXELS = 4; // T, as a trip count
layout(constant_id = 8) const bool GIVEN = false;
PUSH(uint rows; uint blocks; uint last;)
INPUT_BITS(0)
INPUT_BITS(1)
INPUT_QUADS(2)

float one(vec4 v, uint i)
{
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

void main()
{
    const uint r = (gl_WorkGroupID.z * 4 + gl_WorkGroupID.x) * LX + gl_LocalInvocationID.x;
    const uint block = gl_WorkGroupID.y;
    if (r >= push.rows)
        return;
    const uint named = bits0(r).x, id = min(named, push.last), o = id & 3;
    const uint base = (id / 32 * push.blocks + block) * P * BESIDE + id / 4 % 8;
    float v[32];
    UNROLL for (int t = 0; t < TEXELS; t++) {
        const uvec4 w = bits1(base + BESIDE * t);
        uvec4 more = uvec4(0), s = uvec4(0);
        if (HIGH != 0)
            more = bits1(base + BESIDE * (T + (HIGH == 2 ? t / 2 : 0)));
        if (SCALE != 0)
            s = bits1(base + BESIDE * (T + HIGH + (SCALE == 4 ? t / 2 : 0)));
        const vec4 d = SCALE < 3 ? lower(s) : uintBitsToFloat(s);
        vec4 least = SCALE == 2 ? upper(s) : d * float(OFFSET);
        if (SCALE == 3)
            least = uintBitsToFloat(bits1(base + BESIDE * (T + HIGH + 1)));
        UNROLL for (int e = 0; e < E; e++) {
            vec4 q = number(w, e);
            if (HIGH != 0)
                q += vec4(ivec4(high(more, t, e)));
            v[t * E + e] = one(SCALE == 0 ? q : SCALE == 1 || SCALE == 4 ? d * (q + float(OFFSET))
                                                                        : q * d + least, o);
        }
    }
    UNROLL for (int q = 0; q < 8; q++) {
        const uint at = (block * 8 + q) * push.rows + r;
        vec4 y = vec4(v[4 * q], v[4 * q + 1], v[4 * q + 2], v[4 * q + 3]);
        if (GIVEN && named == 0xffffffffu)
            y = quad2(at);
        store(0, at, y);
    }
}
