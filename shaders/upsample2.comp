#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"

// y = act(x doubled in height and width, bilinear + r). HALF: half-pixel centres, weights 1/4 and
// 3/4; else source = i/2, weights 1 and 1/2 (TensorFlow's older way). A lane is 2x2 outputs.
layout(constant_id = 1) const bool HALF = false;
layout(constant_id = 2) const uint ACT = 0;
layout(constant_id = 3) const bool RESIDUAL = false;

PUSH(uint H; uint W; uint x_step; uint y_step; uint r_step;)
INPUT_QUADS(0)
INPUT_QUADS(2)

uint base;

vec4 at(int y, int x)
{
    return quad0(base + uint(clamp(y, 0, int(push.H) - 1)) * push.W +
                 uint(clamp(x, 0, int(push.W) - 1)));
}

void put(uint batch, uint to, vec4 v)
{
    if (RESIDUAL)
        v += quad2(batch * push.r_step + to);
    store(0, batch * push.y_step + to, activate(ACT, v));
}

void main()
{
    const int x = int(gl_WorkGroupID.x * LX + gl_LocalInvocationID.x);
    const int y = int(gl_WorkGroupID.y % push.H);
    const uint q = gl_WorkGroupID.y / push.H, batch = gl_WorkGroupID.z;
    base = batch * push.x_step + q * push.H * push.W;
    vec4 o[4];
    if (HALF) {
        const vec4 a = at(y - 1, x - 1), b = at(y - 1, x), c = at(y - 1, x + 1);
        const vec4 d = at(y, x - 1), e = at(y, x), f = at(y, x + 1);
        const vec4 g = at(y + 1, x - 1), h = at(y + 1, x), i = at(y + 1, x + 1);
        // Columns first, then rows, as the reference does.
        const vec4 t0 = 0.25 * a + 0.75 * b, t1 = 0.75 * b + 0.25 * c;
        const vec4 m0 = 0.25 * d + 0.75 * e, m1 = 0.75 * e + 0.25 * f;
        const vec4 b0 = 0.25 * g + 0.75 * h, b1 = 0.75 * h + 0.25 * i;
        o[0] = 0.25 * t0 + 0.75 * m0;
        o[1] = 0.25 * t1 + 0.75 * m1;
        o[2] = 0.75 * m0 + 0.25 * b0;
        o[3] = 0.75 * m1 + 0.25 * b1;
    } else {
        const vec4 e = at(y, x), f = at(y, x + 1), h = at(y + 1, x), i = at(y + 1, x + 1);
        o[0] = e;
        o[1] = 0.5 * (e + f);
        o[2] = 0.5 * (e + h);
        o[3] = 0.5 * (0.5 * (e + f) + 0.5 * (h + i));
    }
    if (x < int(push.W)) {
        const uint to = (q * 2 * push.H + 2 * y) * 2 * push.W + 2 * x;
        put(batch, to, o[0]);
        put(batch, to + 1, o[1]);
        put(batch, to + 2 * push.W, o[2]);
        put(batch, to + 2 * push.W + 1, o[3]);
    }
}
