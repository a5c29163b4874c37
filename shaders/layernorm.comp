#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[c] = (x[c] - mean) / sqrt(variance + eps) gain[c] + lift[c], over the channels of a pixel.
//
// A lane is a pixel and walks its channels three times: the sum of squares about the mean loses
// nothing where the mean is large, and a row of channels is still in the cache. The second
// walk also finds how far the mean is from its right place: Vulkan's division may miss by 2.5 units in
// the last place, which 1 / sqrt(eps) multiplies where all channels are equal.
PUSH(uint pixels; uint y_pixels; uint Q; uint x_step; uint y_step; float channels; float eps;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // gain and lift of a quad, one after the other

void main()
{
    const uint p = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint from = batch * push.x_step + min(p, push.pixels - 1);
    vec4 sum = vec4(0);
    for (uint q = 0; q < push.Q; q++)
        sum += quad0(from + q * push.pixels);
    const float mean = ((sum.x + sum.y) + (sum.z + sum.w)) / push.channels;

    vec4 squares = vec4(0), rest = vec4(0);
    for (uint q = 0; q < push.Q; q++) {
        // Lanes past the last channel are zero, not mean.
        const vec4 d = mix(quad0(from + q * push.pixels) - mean, vec4(0),
                           greaterThanEqual(vec4(4 * q) + vec4(0, 1, 2, 3), vec4(push.channels)));
        squares += d * d;
        rest += d;
    }
    const float shift = ((rest.x + rest.y) + (rest.z + rest.w)) / push.channels;
    const float square = ((squares.x + squares.y) + (squares.z + squares.w)) / push.channels;
    const float variance = max(square - shift * shift, 0.0);
    const float scale = 1.0 / sqrt(variance + push.eps);

    for (uint q = 0; q < push.Q; q++) {
        const vec4 y = (quad0(from + q * push.pixels) - mean - shift) * scale * quad1(2 * q) +
                       quad1(2 * q + 1);
        if (p < push.y_pixels)
            store(0, batch * push.y_step + q * push.y_pixels + p, p < push.pixels ? y : vec4(0));
    }
}
