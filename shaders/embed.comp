#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[p] = word[id[p].x] + position[id[p].y] + type[id[p].z]; a lane is a token.
PUSH(uint pixels; uint Q; uint id_step; uint y_step; uint words; uint positions; uint types;)
INPUT_QUADS(0) // ids, as numbers
INPUT_QUADS(1) // tables: rows of Q texels
INPUT_QUADS(2)
INPUT_QUADS(3)

void main()
{
    const uint p = gl_WorkGroupID.x * LX + gl_LocalInvocationID.x;
    const uint q = gl_WorkGroupID.y, batch = gl_WorkGroupID.z;
    if (p < push.pixels) {
        const uvec3 id = min(uvec3(max(quad0(batch * push.id_step + p).xyz, vec3(0))),
                             uvec3(push.words, push.positions, push.types) - 1u) * push.Q + q;
        store(0, batch * push.y_step + q * push.pixels + p,
              quad1(id.x) + quad2(id.y) + quad3(id.z));
    }
}
