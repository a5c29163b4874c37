#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[c] = (x[c] - mean) / sqrt(variance + eps) gain[c] + lift[c], over a group of channels and all
// pixels. A lane is TM pixels of a quad of channels, each of which has a group of its own; what
// moments.comp found out about its pieces is joined by every workgroup anew.
layout(constant_id = 1) const int TM = 16;
layout(constant_id = 2) const bool SHARED = false; // a quad's channels are all of one group

PUSH(uint pixels; uint channels; uint groups; uint pieces; uint x_step; uint m_step; uint y_step;
     uint rows; uint at; float eps;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // gain and lift of a quad, one after the other
INPUT_QUADS(2) // count, mean, squares about it [groups][pieces]

// The mean and variance of a group: pieces joined as Chan, Golub and LeVeque do.
vec2 join(uint at)
{
    vec4 all = quad2(at);
    for (uint i = 1; i < push.pieces; i++) {
        const vec4 more = quad2(at + i);
        const float count = all.x + more.x, d = more.y - all.y;
        all = vec4(count, all.y + d * more.x / count,
                   all.z + more.z + d * d * (all.x * more.x / count), 0);
    }
    return vec2(all.y, all.z / all.x);
}

void main()
{
    const uint p0 = gl_WorkGroupID.x * LX * TM + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    const uint size = push.channels / push.groups;
    vec4 mean, scale;
    UNROLL for (uint c = 0; c < 4; c++) {
        if (SHARED && c > 0) {
            mean[c] = mean[0];
            scale[c] = scale[0];
            continue;
        }
        const uint group = min(4 * q + c, push.channels - 1) / size;
        const vec2 m = join(batch * push.m_step + group * push.pieces);
        mean[c] = m.x;
        scale[c] = 1.0 / sqrt(m.y + push.eps);
    }
    scale *= quad1(2 * q);
    const vec4 lift = quad1(2 * q + 1);
    UNROLL for (int m = 0; m < TM; m++) {
        const uint p = p0 + m * LX;
        if (p < push.pixels)
            store(0, batch * push.y_step + q * push.rows + push.at + p,
                  (quad0(batch * push.x_step + q * push.pixels + p) - mean) * scale + lift);
    }
}
