#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"

// y[c] = act(b[c] + x[c] * w[c]), a window for each channel. A lane is TM rows of one column.
layout(constant_id = 1) const int TM = 4;
layout(constant_id = 2) const int K = 3;
layout(constant_id = 3) const int S = 1;
layout(constant_id = 4) const int ROWS = 6;
layout(constant_id = 5) const int FETCHES = 2;
layout(constant_id = 6) const uint DW_ACT = 0;
layout(constant_id = 7) const int PAD = 1;

PUSH(uint H; uint W; uint OH; uint OW; uint x_step; uint y_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // w
#include "depthwise.glsl"

void main()
{
    const uint strips = (push.OH + TM - 1) / TM;
    const uint x = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint q = gl_WorkGroupID.y / strips, y0 = gl_WorkGroupID.y % strips * TM;
    vec4 a[TM];
    DEPTHWISE(a, quad_or_zero0, batch * push.x_step + q * push.H * push.W, quad1, q * FETCHES * 8,
              1.0)
    UNROLL for (int m = 0; m < TM; m++)
        if (x < push.OW && y0 + m < push.OH)
            store(0, batch * push.y_step + (q * push.OH + y0 + m) * push.OW + x, a[m]);
}
