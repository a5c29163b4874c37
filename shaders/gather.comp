#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[r] = x[rows[r].x]; a number past the end is the last row's.
PUSH(uint rows; uint x_rows; uint x_step; uint y_step; uint r_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // numbers, as floats

void main()
{
    const uint r = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    const float row = quad1(batch * push.r_step + min(r, push.rows - 1)).x;
    const uint from = min(uint(max(row, 0.0)), push.x_rows - 1);
    const vec4 v = quad0(batch * push.x_step + q * push.x_rows + from);
    if (r < push.rows)
        store(0, batch * push.y_step + q * push.rows + r, v);
}
