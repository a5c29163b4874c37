#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"

// y[i] = sum over keys j of softmax_j(scale q[i].k[j] + bias[i][j] + mask[i][j]) v[j], for a head.
//
// A lane is R queries, LX apart. Keys come eight at a time, one fetched by each lane of a team, and
// are handed round by constant shuffles. The softmax is online: maximum, sum and output are
// corrected as keys come, all within the lane, and no score is ever stored.
layout(constant_id = 1) const int R = 2;
layout(constant_id = 2) const int QD = 8; // quads of a head's queries and keys
layout(constant_id = 3) const int VD = 8; // quads of its values that this group makes
layout(constant_id = 4) const int RQD = 16; // R QD
layout(constant_id = 5) const int RVD = 16; // R VD
layout(constant_id = 6) const bool BIAS = false;
layout(constant_id = 7) const bool MASK = false;
layout(constant_id = 8) const bool LENGTHS = false;

PUSH(uint queries; uint keys; uint rows; uint parts; uint heads; float scale; uint q_step;
     uint k_step; uint v_step; uint y_step; uint b_step; uint b_n; uint b_heads; uint m_step;
     uint m_n; uint m_heads;)
INPUT_QUADS(0) // q
INPUT_QUADS(1) // k
INPUT_QUADS(2) // v
INPUT_QUADS(3) // bias [n][keys][heads][queries]
INPUT_QUADS(4) // mask, alike
INPUT_QUADS(5) // lengths, one a sequence

const float LOWEST = -3.402823466e38; // what is masked out, also beside something else that is

void main()
{
    const uint lane = gl_LocalInvocationID.x, team = lane & (TEAM - 1), batch = gl_WorkGroupID.z;
    const uint part = gl_WorkGroupID.y % push.parts;
    const uint head = gl_WorkGroupID.y / push.parts % push.heads;
    const uint row = gl_WorkGroupID.y / (push.parts * push.heads);
    const uint q_plane = push.rows * push.queries, k_plane = push.rows * push.keys;
    const uint sequence = batch * push.rows + row;
    const uint i0 = gl_WorkGroupID.x * LX * R + lane;

    uint at[R];
    vec4 q[RQD], o[RVD];
    float most[R], sum[R];
    UNROLL for (int r = 0; r < R; r++) {
        at[r] = min(i0 + r * LX, push.queries - 1);
        most[r] = LOWEST;
        sum[r] = 0;
        const uint from = batch * push.q_step + head * QD * q_plane + row * push.queries + at[r];
        UNROLL for (int d = 0; d < QD; d++)
            q[r * QD + d] = quad0(from + d * q_plane) * push.scale;
        UNROLL for (int d = 0; d < VD; d++)
            o[r * VD + d] = vec4(0);
    }
    const uint b_at = sequence % max(push.b_n, 1u) * push.b_step +
                      head % max(push.b_heads, 1u) * push.queries;
    const uint m_at = sequence % max(push.m_n, 1u) * push.m_step +
                      head % max(push.m_heads, 1u) * push.queries;
    const uint k_at = batch * push.k_step + head * QD * k_plane + row * push.keys;
    const uint v_at = batch * push.v_step + (head * push.parts + part) * VD * k_plane +
                      row * push.keys;
    const uint length = LENGTHS ? min(uint(max(quad5(sequence).x, 0.0)), push.keys) : push.keys;

    for (uint j0 = 0; j0 < length; j0 += TEAM) {
        const uint key = min(j0 + team, push.keys - 1);
        float s[8 * R];
        UNROLL for (int i = 0; i < 8 * R; i++)
            s[i] = 0;
        UNROLL for (int d = 0; d < QD; d++) {
            const vec4 mine = quad1(k_at + key + d * k_plane);
            UNROLL for (int j = 0; j < 8; j++) {
                const vec4 k = subgroupShuffle(mine, j);
                UNROLL for (int r = 0; r < R; r++)
                    s[8 * r + j] += dot(q[r * QD + d], k);
            }
        }
        UNROLL for (int r = 0; r < R; r++) {
            UNROLL for (int h = 0; h < 2; h++) { // two quads of keys
                const uint quad = min(j0 / 4 + h, (push.keys - 1) / 4);
                vec4 more = vec4(0);
                if (BIAS)
                    more += quad3(b_at + quad * push.b_heads * push.queries + at[r]);
                if (MASK)
                    more += quad4(m_at + quad * push.m_heads * push.queries + at[r]);
                if (BIAS || MASK)
                    UNROLL for (int j = 0; j < 4; j++)
                        s[8 * r + 4 * h + j] = max(s[8 * r + 4 * h + j] + more[j], LOWEST);
            }
            float top = most[r];
            UNROLL for (int j = 0; j < 8; j++) {
                s[8 * r + j] = j0 + j < length ? s[8 * r + j] : LOWEST;
                top = max(top, s[8 * r + j]);
            }
            const float less = exp(most[r] - top);
            most[r] = top;
            sum[r] *= less;
            UNROLL for (int j = 0; j < 8; j++) {
                s[8 * r + j] = j0 + j < length ? exp(s[8 * r + j] - top) : 0.0;
                sum[r] += s[8 * r + j];
            }
            UNROLL for (int d = 0; d < VD; d++)
                o[r * VD + d] *= less;
        }
        UNROLL for (int d = 0; d < VD; d++) {
            const vec4 mine = quad2(v_at + key + d * k_plane);
            UNROLL for (int j = 0; j < 8; j++) {
                const vec4 v = subgroupShuffle(mine, j);
                UNROLL for (int r = 0; r < R; r++)
                    o[r * VD + d] += s[8 * r + j] * v;
            }
        }
    }
    UNROLL for (int r = 0; r < R; r++)
        if (i0 + r * LX < push.queries) {
            const float share = 1.0 / max(sum[r], 1e-30); // no keys at all: zero
            const uint to = batch * push.y_step + (head * push.parts + part) * VD * q_plane +
                            row * push.queries + at[r];
            UNROLL for (int d = 0; d < VD; d++)
                store(0, to + d * q_plane, o[r * VD + d] * share);
        }
}
