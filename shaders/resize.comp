#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[p] = x at scale (p + shift) - shift, bilinear; HOW 2: the pixel at floor(scale p). A lane is a pixel.
layout(constant_id = 1) const uint HOW = 0;

PUSH(uint H; uint W; uint OH; uint OW; uint x_step; uint y_step; float sy; float sx; float shift;)
INPUT_QUADS(0)

// Where an output lies among the inputs: the one before, the one after, and the latter's share.
vec3 place(uint i, float scale, uint n)
{
    const float last = float(n - 1);
    if (HOW == 2)
        return vec3(min(floor(float(i) * scale), last), 0, 0);
    const float at = max(scale * (float(i) + push.shift) - push.shift, 0.0);
    const float before = min(floor(at), last);
    return vec3(before, min(before + 1.0, last), at - before);
}

void main()
{
    const uint ox = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint oy = gl_WorkGroupID.y % push.OH, q = gl_WorkGroupID.y / push.OH;
    const uint batch = gl_WorkGroupID.z;
    const vec3 v = place(oy, push.sy, push.H), u = place(min(ox, push.OW - 1), push.sx, push.W);
    const uint plane = batch * push.x_step + q * push.H * push.W;
    const uint top = plane + uint(v.x) * push.W, low = plane + uint(v.y) * push.W;
    const uint a = uint(u.x), b = uint(u.y);
    vec4 o = quad0(top + a);
    if (HOW != 2)
        o = mix(mix(o, quad0(top + b), u.z), mix(quad0(low + a), quad0(low + b), u.z), v.z);
    if (ox < push.OW)
        store(0, batch * push.y_step + (q * push.OH + oy) * push.OW + ox, o);
}
