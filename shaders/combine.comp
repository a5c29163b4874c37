#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"

// y = act(x s + r), elementwise; s is one number a channel.
layout(constant_id = 1) const uint ACT = 0;
layout(constant_id = 2) const bool SCALED = false;
layout(constant_id = 3) const bool RESIDUAL = false;

PUSH(uint pixels; uint x_step; uint y_step; uint r_step; uint s_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(2) // r
INPUT_QUADS(3) // s

void main()
{
    const uint p = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    if (p < push.pixels) {
        const uint to = q * push.pixels + p;
        vec4 v = quad0(batch * push.x_step + to);
        if (SCALED)
            v *= quad3(batch * push.s_step + q);
        if (RESIDUAL)
            v += quad2(batch * push.r_step + to);
        store(0, batch * push.y_step + to, activate(ACT, v));
    }
}
