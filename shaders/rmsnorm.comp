#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "matrix.glsl"

// y[r] = x[from] gain / sqrt(mean(x[from]^2) + eps); a lane is a row.
layout(constant_id = 7) const bool PICKED = false;
PUSH(uint rows; uint from; uint q; float inverse_width; float eps;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // gain
INPUT_BITS(2)  // picks

void main()
{
    const uint r = (gl_WorkGroupID.z * 4 + gl_WorkGroupID.x) * LX + gl_LocalInvocationID.x;
    if (r >= push.rows)
        return;
    uint at = r;
    if (PICKED)
        at = min(bits2(r).x, push.from - 1);
    vec4 squares = vec4(0);
    for (uint q = 0; q < push.q; q++) {
        const vec4 x = quad0(q * push.from + at);
        squares += x * x;
    }
    const float factor = inversesqrt(
        (squares.x + squares.y + squares.z + squares.w) * push.inverse_width + push.eps);
    for (uint q = 0; q < push.q; q++)
        store(0, q * push.rows + r, quad0(q * push.from + at) * factor * quad1(q));
}
