#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[i F + 2 k], y[i F + 2 k + 1] = sin, cos of 2 pi x[order[i]] / temperature^(2 k / F): the code of
// each coordinate, F numbers long. A quad is two frequencies.
layout(constant_id = 1) const bool Y_FIRST = false;
layout(constant_id = 2) const bool SHARED = false; // of the picture, not of its valid part

PUSH(uint rows; uint F; uint x_step; uint y_step; uint s_step; float log_temperature;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // levels, of which the first counts

void main()
{
    const uint r = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    const uint i = 4 * q / push.F, k = 4 * q % push.F / 2; // frequencies k and k + 1
    const vec4 x = quad0(batch * push.x_step + min(r, push.rows - 1)) *
                   (SHARED ? quad1(batch * push.s_step + 1).zwzw : vec4(1));
    const vec4 ordered = Y_FIRST ? x.yxzw : x;
    const float t = 6.283185307179586 * (i == 0   ? ordered.x
                                          : i == 1 ? ordered.y
                                          : i == 2 ? ordered.z
                                                   : ordered.w);
    const vec2 a = t * exp(-push.log_temperature * (2.0 / float(push.F)) * vec2(k, k + 1));
    if (r < push.rows)
        store(0, batch * push.y_step + q * push.rows + r, vec4(sin(a.x), cos(a.x), sin(a.y), cos(a.y)));
}
