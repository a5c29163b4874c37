// What becomes of a quad of outputs of a row: stored; added to; a gate that opens for another; or
// turned by its position and put where attention finds it.
//
// Needs END, a specialisation constant.

#define PLAIN    0
#define RESIDUAL 1
#define GATED    2
#define TURNED   3
#define HALVED   4 // as before, but keys and values as halves, two quads a texel

PUSH(uint rows; uint blocks; uint n_step; float inverse_width; float eps; uint first; uint q; uint qk;
     uint turn; uint slots;)
INPUT_QUADS(0) // x
INPUT_BITS(1)  // W
INPUT_QUADS(2) // residual, or
INPUT_BITS(2)  // rows: token, position, row of the cache, first row of the sequence there
INPUT_QUADS(3) // gain of the norm before, if it is fused
INPUT_QUADS(4) // turns: for each position cosine and sine of two pairs a texel

void put(uint quad, uint row, vec4 v, vec4 opened)
{
    if (END >= TURNED) {
        const uint at = push.first + quad; // among queries, keys and values, end to end
        const uvec4 info = bits2(row);
        if (at < push.qk) {
            const vec4 c = quad4(info.y * push.turn + at % push.turn);
            v = vec4(v.x * c.x - v.y * c.y, v.y * c.x + v.x * c.y, v.z * c.z - v.w * c.w,
                     v.w * c.z + v.z * c.w);
        }
        if (at < push.q)
            store(0, at * push.rows + row, v);
        else if (END == HALVED)
            Halves(out_[1]).at[2 * ((at - push.q) / 2 * push.slots + info.z) + at % 2] =
                packUint2x32(uvec2(packHalf2x16(v.xy), packHalf2x16(v.zw)));
        else
            store(1, (at - push.q) * push.slots + info.z, v);
        return;
    }
    if (END == RESIDUAL)
        v += quad2(quad * push.rows + row);
    if (END == GATED)
        v = v / (1.0 + exp(-v)) * opened;
    store(0, quad * push.rows + row, v);
}
