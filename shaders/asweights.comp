#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// Rows x [heads Q][rows] as weights of a product: bias, then [outputs / 16][inputs / 4][4][4] texels of four
// outputs of an input. TURNED: channels come in and rows go out, so that a texel is one number of
// four rows; else it is four channels of a row, as they lie.
layout(constant_id = 1) const bool TURNED = false;
layout(constant_id = 2) const bool BIAS = false;

PUSH(uint texels; uint rows; uint heads; uint Q; uint x_step; uint b_step; uint y_step;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // bias [heads / 4][rows]

void main()
{
    const uint t = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint from = batch * push.x_step, all = push.heads * push.rows;
    const uint outputs = TURNED ? all / 4 : push.Q; // quads
    const uint inputs = TURNED ? push.Q : all / 4;
    if (t >= push.texels)
        return;
    vec4 y = vec4(0);
    if (t < outputs) {
        if (BIAS) {
            const uint head = 4 * t / push.rows, row = 4 * t % push.rows;
            UNROLL for (int i = 0; i < 4; i++)
                y[i] = quad1(batch * push.b_step + head / 4 * push.rows + row + i)[head % 4];
        }
    } else {
        const uint u = t - outputs, i = u % 4, q = u / 16 % inputs, o = u / 16 / inputs * 4 + u % 16 / 4;
        if (o < outputs) {
            if (TURNED) {
                const uint head = 4 * o / push.rows, row = 4 * o % push.rows;
                UNROLL for (int k = 0; k < 4; k++)
                    y[k] = quad0(from + (head * push.Q + q) * push.rows + row + k)[i];
            } else {
                const uint r = 4 * q + i;
                y = quad0(from + (r / push.rows * push.Q + o) * push.rows + r % push.rows);
            }
        }
    }
    store(0, batch * push.y_step + t, y);
}
