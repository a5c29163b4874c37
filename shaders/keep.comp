#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[r] = x[r] where row r is kept, else 0, whatever stands there.
PUSH(uint rows; uint x_step; uint k_step; uint y_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // kept: not 0

void main()
{
    const uint r = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    const bool kept = quad1(batch * push.k_step + min(r, push.rows - 1)).x != 0.0;
    const vec4 v = quad_or_zero0(kept, batch * push.x_step + q * push.rows + min(r, push.rows - 1));
    if (r < push.rows)
        store(0, batch * push.y_step + q * push.rows + r, v);
}
