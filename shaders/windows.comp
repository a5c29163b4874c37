#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[i] = sum over j of softmax_j(scale q[i].k[j] + bias[i][j] + mask[i][j]) v[j], in a window, for a head.
//
// A lane is R queries of a window, LX apart; else as attention.comp. Where tokens of the window lie in
// the map is found on the way: nothing is rolled, padded, cut or put together. Keys come CHUNK at a
// time, each fetched by one lane of a team: seven of a 7 x 7 window, so that none is made for nothing. What
// is summed is summed to its end, R numbers at a time, which is what stays in registers.
layout(constant_id = 1) const int R = 7;
layout(constant_id = 2) const int D = 8;   // quads of a head
layout(constant_id = 3) const int RD = 56; // R D
layout(constant_id = 4) const uint SIDE = 7;
layout(constant_id = 5) const bool SHIFTED = false;
layout(constant_id = 6) const int CHUNK = 7;
const uint TOKENS = SIDE * SIDE;

PUSH(uint h; uint w; uint columns; uint rows; uint strips; uint heads; uint shift; float scale;
     uint q_step; uint k_step; uint v_step; uint y_step;)
INPUT_QUADS(0) // q
INPUT_QUADS(1) // k
INPUT_QUADS(2) // v
INPUT_QUADS(3) // bias, two quads of keys a chunk: [chunks][2][heads][queries]

const float LOWEST = -3.402823466e38;

// Where token t of the window lies, the pixel behind the last for padding.
uint place(uint t, uvec2 window)
{
    const uvec2 padded = SIDE * uvec2(push.columns, push.rows);
    uvec2 p = SIDE * window + uvec2(t % SIDE, t / SIDE);
    if (SHIFTED) {
        p += push.shift;
        p -= mix(uvec2(0), padded, greaterThanEqual(p, padded));
    }
    return p.x < push.w && p.y < push.h ? p.y * push.w + p.x : push.h * push.w;
}

// Tokens of one window see each other if neither or both came round an edge: a bit for each axis.
uint region(uint t, uvec2 window)
{
    const bvec2 last = equal(window + 1, uvec2(push.columns, push.rows));
    const bvec2 round = greaterThanEqual(uvec2(t % SIDE, t / SIDE), uvec2(SIDE - push.shift));
    return (last.x && round.x ? 1 : 0) + (last.y && round.y ? 2 : 0);
}

void main()
{
    const uint lane = gl_LocalInvocationID.x, team = lane & (TEAM - 1), batch = gl_WorkGroupID.z;
    const uvec2 window = uvec2(gl_WorkGroupID.x / push.strips, gl_WorkGroupID.y / push.heads);
    const uint head = gl_WorkGroupID.y % push.heads;
    const uint t0 = gl_WorkGroupID.x % push.strips * LX * R + lane;
    const uint pixels = push.h * push.w, plane = pixels + 1;

    uint at[R], mine_is[R];
    vec4 q[RD], o[RD];
    float most[R], sum[R];
    UNROLL for (int r = 0; r < R; r++) {
        at[r] = min(t0 + r * LX, TOKENS - 1);
        mine_is[r] = region(at[r], window);
        most[r] = LOWEST;
        sum[r] = 0;
        const uint from = batch * push.q_step + head * D * plane + place(at[r], window);
        UNROLL for (int d = 0; d < D; d++) {
            q[r * D + d] = quad0(from + d * plane) * push.scale;
            o[r * D + d] = vec4(0);
        }
    }
    const uint k_at = batch * push.k_step + head * D * plane;
    const uint v_at = batch * push.v_step + head * D * plane;

    for (uint j0 = 0; j0 < TOKENS; j0 += CHUNK) {
        const uint t = min(j0 + team, TOKENS - 1), key = place(t, window), key_is = region(t, window);
        vec4 mine[D];
        float s[R][CHUNK], less[R];
        UNROLL for (int d = 0; d < D; d++)
            mine[d] = quad1(k_at + key + d * plane);
        UNROLL for (int j = 0; j < CHUNK; j++) {
            UNROLL for (int r = 0; r < R; r++)
                s[r][j] = 0;
            UNROLL for (int d = 0; d < D; d++) {
                const vec4 k = subgroupShuffle(mine[d], j);
                UNROLL for (int r = 0; r < R; r++)
                    s[r][j] += dot(q[r * D + d], k);
            }
        }
        UNROLL for (int r = 0; r < R; r++) {
            const uint bias_at = (j0 / CHUNK * 2 * push.heads + head) * TOKENS + at[r];
            const vec4 bias[2] = {quad3(bias_at), quad3(bias_at + push.heads * TOKENS)};
            float top = most[r];
            UNROLL for (int j = 0; j < CHUNK; j++) {
                s[r][j] += bias[j / 4][j % 4];
                if (SHIFTED)
                    s[r][j] -= subgroupShuffle(key_is, j) == mine_is[r] ? 0.0 : 100.0;
                if (TOKENS % CHUNK != 0)
                    s[r][j] = j0 + j < TOKENS ? s[r][j] : LOWEST;
                top = max(top, s[r][j]);
            }
            less[r] = exp(most[r] - top);
            most[r] = top;
            sum[r] *= less[r];
            UNROLL for (int j = 0; j < CHUNK; j++) {
                s[r][j] = exp(s[r][j] - top);
                sum[r] += s[r][j];
            }
        }
        UNROLL for (int d = 0; d < D; d++) {
            const vec4 value = quad2(v_at + key + d * plane);
            UNROLL for (int c = 0; c < 4; c++) {
                float part[R];
                UNROLL for (int r = 0; r < R; r++)
                    part[r] = o[r * D + d][c] * less[r];
                UNROLL for (int j = 0; j < CHUNK; j++) {
                    const float v = subgroupShuffle(value[c], j);
                    UNROLL for (int r = 0; r < R; r++)
                        part[r] += s[r][j] * v;
                }
                UNROLL for (int r = 0; r < R; r++)
                    o[r * D + d][c] = part[r];
            }
        }
    }
    UNROLL for (int r = 0; r < R; r++) {
        const uint p = place(at[r], window);
        if (t0 + r * LX < TOKENS && p < pixels) {
            const float share = 1.0 / sum[r];
            const uint to = batch * push.y_step + head * D * pixels + p;
            UNROLL for (int d = 0; d < D; d++)
                store(0, to + d * pixels, o[r * D + d] * share);
        }
    }
}
