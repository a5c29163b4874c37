// What TM rows of a column of outputs see of one quad of channels through a window that slides:
// x[S (y0 + m) + ky - PAD][S x + kx - PAD].
//
// A row that is fetched serves every output row it reaches, and a fetched column every lane: a team
// fetches the 8 S columns under its outputs and hands them round by shuffles, which cost a tenth of a
// fetch. Of what lies beside them (the halo) a row needs few columns: a fetch has those of several
// rows. All is fetched before the first is used, or each row would wait for memory anew.
//
// Needs: K (5 at most), S (1 or 2), PAD, TM, ROWS = S (TM - 1) + K; x and y0, the first output.
const int LEFT = PAD, HALO = K - S;                           // columns of a row's halo
const int SLOTS = HALO <= 1 ? 1 : HALO <= 2 ? 2 : 4;          // lanes that fetch them
const int HALOS = (ROWS * SLOTS + 7) / 8;                     // fetches for all rows

// Column d of a lane's window in row r; d counts from S times the lane's own column.
vec4 column(vec4 own[ROWS][S], vec4 halo[HALOS], int r, int d)
{
    const uint team = gl_SubgroupInvocationID & ~7u;
    const int c = S * int(gl_SubgroupInvocationID & 7) + d, part = d & (S - 1);
    if (d == part)
        return own[r][part];
    const int slot = r * SLOTS % 8 + (c < 0 ? LEFT + c : LEFT + c - 8 * S);
    const vec4 inside = subgroupShuffle(own[r][part], team | uint((c >> (S - 1)) & 7));
    const vec4 outside = subgroupShuffle(halo[r * SLOTS / 8], team | uint(slot & 7));
    return c >= 0 && c < 8 * S ? inside : outside;
}

// Where a lane's rows and halo are: rows begin at `top`, the lane's own columns at `ix`; of the halo the
// lane has the column `beside`, its place among SLOTS.
#define WINDOW_PLACE                                                                               \
    const int ix = S * int(x), i = int(gl_LocalInvocationID.x & 7), top = S * int(y0) - PAD;       \
    const int place = i % SLOTS, first = ix - S * i;                                               \
    const int beside = first + (place < LEFT ? place - LEFT : place - LEFT + 8 * S);

bool row_inside(int row, uint rows)
{
    return row >= 0 && row < int(rows);
}

// Fetches what the window reaches for TM rows of outputs. Declares own and halo.
#define WINDOW(QUAD_X, x_base)                                                                     \
    vec4 own[ROWS][S], halo[HALOS];                                                                \
    {                                                                                              \
        WINDOW_PLACE                                                                               \
        UNROLL for (int r = 0; r < ROWS; r++) {                                                    \
            const bool row = row_inside(top + r, push.H);                                          \
            const uint at = (x_base) + (top + r) * push.W + ix;                                    \
            UNROLL for (int s = 0; s < S; s++)                                                     \
                own[r][s] = QUAD_X(row && ix + s < int(push.W), at + s);                           \
        }                                                                                          \
        UNROLL for (int h = 0; h < HALOS; h++) {                                                   \
            const int r = h * 8 / SLOTS + i / SLOTS;                                               \
            const bool row = place < HALO && r < ROWS && row_inside(top + r, push.H);              \
            halo[h] = QUAD_X(row && beside >= 0 && beside < int(push.W),                           \
                             (x_base) + (top + r) * push.W + beside);                              \
        }                                                                                          \
    }

// there[]: what of it, rows first and then the halo, is in the picture.
#define WINDOW_INSIDE(there)                                                                       \
    {                                                                                              \
        WINDOW_PLACE                                                                               \
        UNROLL for (int p = 0; p < ROWS * S; p++)                                                  \
            there[p] = row_inside(top + p / S, push.H) && ix + p % S < int(push.W);                \
        UNROLL for (int h = 0; h < HALOS; h++)                                                     \
            there[ROWS * S + h] = row_inside(top + h * 8 / SLOTS + i / SLOTS, push.H) &&           \
                                  beside >= 0 && beside < int(push.W);                             \
    }
