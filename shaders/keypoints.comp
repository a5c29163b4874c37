#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// MoveNet's decoding of one person (spec: nano, single pose). A workgroup is one keypoint of one
// crop; all lanes scan the cells, the first of the largest wins. Output [n][17]: y, x in cells with
// their offset, score, cell.
PUSH(uint H; uint W; uint heat_step; uint regress_step; uint center_step; uint offset_step;
     uint y_step;)
INPUT_QUADS(0) // heat, 17 channels
INPUT_QUADS(1) // regress, 34: y and x of each keypoint, from the centre
INPUT_QUADS(2) // centre, 1
INPUT_QUADS(3) // offset, 34
INPUT_QUADS(4) // prior, 1: what the centre's score is multiplied with

// The larger score, and of equals the smaller cell.
void better(inout float best, inout uint cell, float other, uint at)
{
    if (other > best || (other == best && at < cell)) {
        best = other;
        cell = at;
    }
}

uint first_of_largest(float best, uint cell)
{
    UNROLL for (uint d = 1; d < TEAM; d *= 2)
        better(best, cell, subgroupShuffleXor(best, d), subgroupShuffleXor(cell, d));
    return cell;
}

void main()
{
    const uint lane = gl_LocalInvocationID.x & 7, k = gl_WorkGroupID.x, batch = gl_WorkGroupID.z;
    const uint cells = push.H * push.W;
    float best = -1;
    uint cell = 0; // where every score is a NaN
    for (uint p = lane; p < cells; p += TEAM)
        better(best, cell, quad2(batch * push.center_step + p).x * quad4(p).x, p);
    const uint centre = first_of_largest(best, cell);

    const uint yq = (2 * k) / 4 * cells, xk = (2 * k) & 3;
    const vec4 r = quad1(batch * push.regress_step + yq + centre);
    const vec2 expected = vec2(centre / push.W, centre % push.W) +
                          (xk == 0 ? r.xy : r.zw);
    best = -1;
    cell = 0;
    const uint heat = batch * push.heat_step + k / 4 * cells;
    for (uint p = lane; p < cells; p += TEAM) {
        const vec2 d = vec2(p / push.W, p % push.W) - expected;
        const vec4 h = quad0(heat + p);
        const float score = (k & 2) == 0 ? ((k & 1) == 0 ? h.x : h.y) : ((k & 1) == 0 ? h.z : h.w);
        better(best, cell, score / (sqrt(dot(d, d)) + 1.7998046875), p);
    }
    const uint at = first_of_largest(best, cell);
    const vec4 h = quad0(heat + at);
    const float score = (k & 2) == 0 ? ((k & 1) == 0 ? h.x : h.y) : ((k & 1) == 0 ? h.z : h.w);
    const vec4 o = quad3(batch * push.offset_step + yq + at);
    if (gl_LocalInvocationID.x == 0)
        store(0, batch * push.y_step + k,
              vec4(vec2(at / push.W, at % push.W) + (xk == 0 ? o.xy : o.zw), score, at));
}
