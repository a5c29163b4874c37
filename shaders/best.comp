#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[r] = the largest of the first lengths[batch] channels of row r. A lane is a row.
PUSH(uint rows; uint Q; uint x_step; uint y_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // lengths

const float LOWEST = -3.402823466e38;

void main()
{
    const uint r = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const float length = quad1(batch).x;
    vec4 best = vec4(LOWEST);
    for (uint q = 0; q < push.Q; q++)
        best = max(best, mix(vec4(LOWEST),
                             quad0(batch * push.x_step + q * push.rows + min(r, push.rows - 1)),
                             lessThan(vec4(0, 1, 2, 3) + float(4 * q), vec4(length))));
    if (r < push.rows)
        store(0, batch * push.y_step + r,
              vec4(max(max(best.x, best.y), max(best.z, best.w)), 0, 0, 0));
}
