#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[p] = the largest of x in the K x K window that begins at S p - pad. What lies outside does not count.
layout(constant_id = 1) const int K = 3;

PUSH(uint H; uint W; uint OH; uint OW; uint x_step; uint y_step; uint stride; uint pad;)
INPUT_QUADS(0) // x

void main()
{
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint y = gl_WorkGroupID.y % push.OH, q = gl_WorkGroupID.y / push.OH;
    const uint plane = batch * push.x_step + q * push.H * push.W;
    vec4 largest = vec4(-3.402823466e38);
    for (int ky = 0; ky < K; ky++) {
        // Outside, the nearest cell inside: it is in the window, too.
        const int iy = clamp(int(y * push.stride) - int(push.pad) + ky, 0, int(push.H) - 1);
        UNROLL for (int kx = 0; kx < K; kx++) {
            const int ix = clamp(int(x * push.stride) - int(push.pad) + kx, 0, int(push.W) - 1);
            largest = max(largest, quad0(plane + uint(iy) * push.W + uint(ix)));
        }
    }
    if (x < push.OW)
        store(0, batch * push.y_step + (q * push.OH + y) * push.OW + x, largest);
}
