#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// p[i] = exp(z[i] - max) / sum over the words of a head, zero behind the text's end;
// e[i] = exp(z[i] - top[i]), top being the channel's over all tokens; zero where the token is not shown.
// A lane is a token of one head.
PUSH(uint tokens; uint heads; uint Q; uint z_step; uint t_step; uint s_step; uint p_step; uint e_step;)
INPUT_QUADS(0) // z [heads Q][tokens]
INPUT_QUADS(1) // top [heads Q]
INPUT_QUADS(2) // shown
INPUT_QUADS(3) // lengths, one a text

const float LOWEST = -3.402823466e38;

void main()
{
    const uint s = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint head = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    const uint at = head * push.Q * push.tokens + min(s, push.tokens - 1);
    const uint z_at = batch * push.z_step + at;
    const float length = quad3(batch).x;
    const vec4 places = vec4(0, 1, 2, 3);

    vec4 tops = vec4(LOWEST), sums = vec4(0);
    for (uint q = 0; q < push.Q; q++)
        tops = max(tops, mix(vec4(LOWEST), quad0(z_at + q * push.tokens),
                             lessThan(places + float(4 * q), vec4(length))));
    const float most = max(max(tops.x, tops.y), max(tops.z, tops.w));
    for (uint q = 0; q < push.Q; q++)
        sums += mix(vec4(0), exp(min(quad0(z_at + q * push.tokens) - most, vec4(0))),
                    lessThan(places + float(4 * q), vec4(length)));
    const float share = 1.0 / max((sums.x + sums.y) + (sums.z + sums.w), 1e-30);
    const float shown = quad2(batch * push.s_step + min(s, push.tokens - 1)).x != 0.0 ? 1.0 : 0.0;

    for (uint q = 0; q < push.Q; q++) {
        const vec4 z = quad0(z_at + q * push.tokens);
        const vec4 top = quad1(batch * push.t_step + head * push.Q + q);
        const vec4 p = mix(vec4(0), exp(min(z - most, vec4(0))) * share,
                           lessThan(places + float(4 * q), vec4(length)));
        if (s < push.tokens) {
            // Where no token is shown, no top is.
            store(1, batch * push.e_step + at + q * push.tokens,
                  shown == 0.0 ? vec4(0) : exp(z - top));
            store(0, batch * push.p_step + at + q * push.tokens, p);
        }
    }
}
