#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y = sigmoid(x + logit(reference)), of a point by its two coordinates alone. The logit is clamped:
// log(max(r, eps) / max(1 - r, eps)), or log(c / (1 - c)) of c = r clamped to [eps, 1 - eps].
layout(constant_id = 1) const bool POINTS = false;
layout(constant_id = 2) const bool INNER = false;

PUSH(uint rows; uint x_step; uint r_step; uint y_step; float eps;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // reference

void main()
{
    const uint r = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint at = min(r, push.rows - 1);
    const vec4 reference = clamp(quad1(batch * push.r_step + at), vec4(0), vec4(1));
    const vec4 c = clamp(reference, vec4(push.eps), vec4(1.0 - push.eps));
    const vec4 logit = INNER ? log(c / (1.0 - c))
                             : log(max(reference, vec4(push.eps)) / max(1.0 - reference, vec4(push.eps)));
    const vec4 x = quad0(batch * push.x_step + at) + (POINTS ? vec4(logit.xy, 0, 0) : logit);
    if (r < push.rows)
        store(0, batch * push.y_step + r, 1.0 / (1.0 + exp(-x)));
}
