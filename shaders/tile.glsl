// A product as cards want it: a workgroup makes a tile of TX TM pixels times 4 TY TN outputs. Each step takes
// STEP quads of input into shared memory, where every number is read by all lanes of a row or column of
// the tile; what the next step needs is fetched while this one is computed. A lane is TM pixels, TX apart, times
// TN quads of outputs, TY apart: what it does with 4 TM + 4 TN numbers of shared memory is 16 TM TN products.
//
// With SUMS_OF_HALVES products are of halves, and so are sums of 4 STEP of them, which are summed up as
// floats. Such a sum is infinite beyond 65504: not while numbers and weights that meet stay below 63, as they do
// behind a norm.
layout(constant_id = 1) const int TM = 8;
layout(constant_id = 2) const int TN = 2;
layout(constant_id = 3) const uint ACT = 0;
layout(constant_id = 4) const bool SCALED = false;
layout(constant_id = 5) const bool RESIDUAL = false;
layout(constant_id = 6) const bool FIRST = false; // the residual comes before the activation
const int TX = 16, TY = 8, STEP = 4, LANES = TX * TY; // LX is LANES

#ifdef SUMS_OF_HALVES
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define NUMBER  float16_t
#define NUMBER4 f16vec4
#else
#define NUMBER  float
#define NUMBER4 vec4
#endif

PUSH(uint pixels; uint Q; uint N; uint x_step; uint y_step; uint r_step; uint s_step; uint pairs;
     uint w_step; uint w_tile; uint w_quad; uint block; uint x_plane; uint y_plane;)
INPUT_QUADS(0) // x
INPUT_QUADS(1) // w: N texels of bias, then [Q][N][4] or, by tiles, [N / 4][Q][4][4]
INPUT_QUADS(2) // r
INPUT_QUADS(3) // s

const int X_TEXELS = STEP * TX * TM, W_TEXELS = STEP * 4 * TY * TN;
const int X_EACH = X_TEXELS / LANES, W_EACH = W_TEXELS / LANES; // of a lane; TM is even
shared NUMBER4 x_tile[X_TEXELS]; // [STEP][TX TM]
shared NUMBER4 w_tile[W_TEXELS]; // [STEP][TY TN][4]: as they lie, so that neighbours are fetched together

void main()
{
    const uint lane = gl_LocalInvocationID.x, batch = gl_WorkGroupID.z;
    const uint tx = lane % TX, ty = lane / TX;
    const uint p0 = gl_WorkGroupID.y * TX * TM, n0 = gl_WorkGroupID.x * TY * TN;
    const uint x_at = batch * push.x_step, w_at = batch * push.w_step + push.N;

    vec4 acc[TM * TN];
    UNROLL for (int n = 0; n < TN; n++) {
        const uint to = min(n0 + ty + n * TY, push.N - 1);
        const vec4 bias = quad1(batch * push.w_step + to);
        UNROLL for (int m = 0; m < TM; m++) {
            acc[m * TN + n] = bias;
            if (FIRST)
                acc[m * TN + n] += quad2(batch * push.r_step + to * push.y_plane +
                                         min(p0 + tx + m * TX, push.pixels - 1));
        }
    }
    // Where a lane's share of a step lies; beyond the last quad of input both sides are zero.
    uint x_from[X_EACH], w_from[W_EACH];
    NUMBER4 x_next[X_EACH], w_next[W_EACH];
    UNROLL for (int i = 0; i < X_EACH; i++) {
        const uint share = lane + i * LANES;
        x_from[i] = x_at + share / (TX * TM) * push.x_plane + min(p0 + share % (TX * TM), push.pixels - 1);
    }
    UNROLL for (int i = 0; i < W_EACH; i++) {
        const uint share = lane + i * LANES, n = min(n0 + share / 4 % (TY * TN), push.N - 1);
        w_from[i] = w_at + share / (4 * TY * TN) * push.w_quad + n / 4 * push.w_tile + n % 4 * 4 + share % 4;
    }
    for (uint q0 = 0;; q0 += STEP) {
        if (q0 < push.Q) {
            UNROLL for (int i = 0; i < X_EACH; i++) {
                const uint q = q0 + (lane + i * LANES) / (TX * TM);
                vec4 x = quad_or_zero0(q < push.Q, x_from[i]);
                if (SCALED)
                    x *= quad3(batch * push.s_step + min(q, push.Q - 1));
                x_next[i] = NUMBER4(x);
                x_from[i] += STEP * push.x_plane;
            }
            UNROLL for (int i = 0; i < W_EACH; i++) {
                const uint q = q0 + (lane + i * LANES) / (4 * TY * TN);
                w_next[i] = NUMBER4(quad_or_zero1(q < push.Q, w_from[i]));
                w_from[i] += STEP * push.w_quad;
            }
        }
        if (q0 > 0) {
#ifdef SUMS_OF_HALVES
            f16vec4 part[TM * TN];
            UNROLL for (int i = 0; i < TM * TN; i++)
                part[i] = f16vec4(0);
#else
#define part acc
#endif
            for (int q = 0; q < STEP; q++) {
                NUMBER4 x[TM];
                UNROLL for (int m = 0; m < TM; m++)
                    x[m] = x_tile[q * TX * TM + tx + m * TX];
                UNROLL for (int n = 0; n < TN; n++)
                    UNROLL for (int k = 0; k < 4; k++) {
                        const NUMBER4 w = w_tile[(q * TY * TN + ty + n * TY) * 4 + k];
                        UNROLL for (int m = 0; m < TM; m++)
                            part[m * TN + n] += x[m][k] * w;
                    }
            }
#ifdef SUMS_OF_HALVES
            UNROLL for (int i = 0; i < TM * TN; i++)
                acc[i] += vec4(part[i]);
#endif
        }
        if (q0 >= push.Q)
            break;
        barrier(); // the last step was read
        UNROLL for (int i = 0; i < X_EACH; i++)
            x_tile[lane + i * LANES] = x_next[i];
        UNROLL for (int i = 0; i < W_EACH; i++)
            w_tile[lane + i * LANES] = w_next[i];
        barrier();
    }
    UNROLL for (int n = 0; n < TN; n++)
        UNROLL for (int m = 0; m < TM; m++) {
            const uint p = p0 + tx + m * TX, to = n0 + ty + n * TY;
            if (p < push.pixels && to < push.N) {
                vec4 y = activate(ACT, acc[m * TN + n]);
                if (RESIDUAL)
                    y += quad2(batch * push.r_step + to * push.y_plane + p);
                store(0, batch * push.y_step + to * push.y_plane + p, y);
            }
        }
}
