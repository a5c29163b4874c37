#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[oy][ox][4 parts of C] = x[2 oy + part % 2][2 ox + part / 2][C], zero beyond the map.
//
// A lane is an output pixel and walks Q quads of its channels, a part where channels are whole quads.
layout(constant_id = 1) const bool WHOLE = true;

PUSH(uint h; uint w; uint oh; uint ow; uint channels; uint Q; uint x_step; uint y_step;)
INPUT_QUADS(0)

vec4 part_quad(uint batch, uvec2 o, uint part, uint quad)
{
    const uint x = 2 * o.x + part / 2, y = 2 * o.y + part % 2;
    return quad_or_zero0(x < push.w && y < push.h,
                         batch * push.x_step + (quad * push.h + y) * push.w + x);
}

void main()
{
    const uint pixels = push.oh * push.ow, batch = gl_WorkGroupID.z;
    const uint p = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, part = gl_WorkGroupID.y;
    const uvec2 o = uvec2(p % push.ow, p / push.ow);
    for (uint i = 0; i < push.Q; i++) {
        const uint quad = part * push.Q + i;
        vec4 v;
        if (WHOLE) {
            v = part_quad(batch, o, part, i);
        } else {
            UNROLL for (int k = 0; k < 4; k++) {
                const uint c = 4 * quad + k, from = c % push.channels;
                v[k] = part_quad(batch, o, c / push.channels, from / 4)[from % 4];
            }
        }
        if (p < pixels && quad < push.channels) // 4 C channels are C quads
            store(0, batch * push.y_step + quad * pixels + p, v);
    }
}
