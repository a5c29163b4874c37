#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[r] = x[r] + the code of r's row beside that of its column, each half as many channels.
layout(constant_id = 1) const bool ADDED = false;

PUSH(uint rows; uint half_; uint num_codes; uint x_step; uint y_step; uint cell_step; uint code_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // cells: the numbers of their codes
INPUT_QUADS(2) // codes

void main()
{
    const uint r = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    if (r < push.rows) {
        const vec4 cell = quad1(batch * push.cell_step + r);
        const bool second = q >= push.half_;
        const uint code = min(uint(second ? cell.y : cell.x), push.num_codes - 1);
        const uint from = second ? q - push.half_ : q, to = q * push.rows + r;
        vec4 v = quad2(batch * push.code_step + from * push.num_codes + code);
        if (ADDED)
            v += quad0(batch * push.x_step + to);
        store(0, batch * push.y_step + to, v);
    }
}
