// Selection against sorting everything, on logits of all sorts: the same token for the same state.
// unit-sample bench: how long a token takes, of 32,000 and of 128,000.

#include <time.h>

#include "check.h"
#include "watch/sample.h"

enum { MOST = 128000 };

static uint64_t seed = 1;

static double random_number(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(seed >> 11) * 0x1p-53;
}

static int falling(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

// What sample.h says, word by word.
static uint32_t by_sorting(const struct ww_generate_params *p, float *logits, float *sorted, int num,
                           uint64_t *state)
{
    uint32_t best = 0;
    for (int i = 1; i < num; i++)
        best = logits[i] > logits[best] ? (uint32_t)i : best;
    if (p->temperature < 1e-5f || !isfinite(logits[best]))
        return best;
    const float top = logits[best];
    for (int i = 0; i < num; i++) {
        logits[i] = expf((logits[i] - top) / p->temperature);
        logits[i] = logits[i] >= 0 ? logits[i] : 0;
    }
    memcpy(sorted, logits, sizeof *sorted * (size_t)num);
    qsort(sorted, (size_t)num, sizeof *sorted, falling);
    int keep = p->top_k > 0 && p->top_k < num ? p->top_k : num;
    while (keep < num && sorted[keep] == sorted[keep - 1])
        keep++;
    double sum = 0, mass = 0;
    for (int i = 0; i < keep; i++)
        sum += (double)sorted[i];
    if (p->top_p > 0 && p->top_p < 1) {
        int i = 0;
        while (i < keep && mass < (double)p->top_p * sum)
            mass += (double)sorted[i++];
        keep = i;
    }
    const float least = fmaxf(p->min_p, sorted[keep - 1]);
    sum = mass = 0;
    for (int i = 0; i < num; i++)
        sum += logits[i] >= least ? (double)logits[i] : 0;
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    const double drawn = (double)((z ^ z >> 31) >> 11) * 0x1p-53 * sum;
    for (int i = 0; i < num; i++) {
        mass += logits[i] >= least ? (double)logits[i] : 0;
        if (mass > drawn && logits[i] >= least && logits[i] > 0)
            return (uint32_t)i;
    }
    return best;
}

static float some_logit(int kind)
{
    const double x = random_number() + random_number() + random_number() - 1.5;
    switch (kind) {
    case 0:
        return (float)(8 * x);
    case 1:
        return (float)floor(4 * x); // ties
    case 2:
        return 3; // all alike
    case 3:
        return (float)(400 * x); // most shares are 0 or less than a normal number
    default:                     // what no model should give
        return random_number() < 0.8 ? (float)(8 * x)
               : random_number() < 0.5 ? NAN
                                       : -INFINITY;
    }
}

static void check_against_sorting(void)
{
    static float given[2000], logits[2][2000], scratch[2000];
    static const float top_p[] = {0, 0.05f, 0.5f, 0.9f, 0.99f, 0.99999f}, min_p[] = {0, 0.05f, 1};
    static const int top_k[] = {0, 1, 5, 40, 700}, sizes[] = {1, 2, 37, 2000};
    for (int round = 0; round < 5 * 4 * 6 * 5 * 3 * 3; round++) {
        const int kind = round % 5, num = sizes[round / 5 % 4];
        const struct ww_generate_params p = {
            .top_p = top_p[round / 20 % 6], .top_k = top_k[round / 120 % 5],
            .min_p = min_p[round / 600 % 3], .temperature = round / 1800 ? 0.7f : 1.3f};
        uint64_t state[2] = {(uint64_t)round, (uint64_t)round};
        for (int i = 0; i < num; i++)
            given[i] = some_logit(kind);
        if (kind == 4 && round % 2)
            given[num / 2] = INFINITY;
        check_about("kind %d, %d tokens, top_k %d, top_p %g, min_p %g", kind, num, p.top_k,
                    (double)p.top_p, (double)p.min_p);
        memcpy(logits[0], given, sizeof given);
        memcpy(logits[1], given, sizeof given);
        CHECK_CMP(ww_sample(&p, logits[0], scratch, num, &state[0]), ==,
                  by_sorting(&p, logits[1], scratch, num, &state[1]));
        CHECK(state[0] == state[1]);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void time_one(int num, const struct ww_generate_params *p, const char *name)
{
    static float given[MOST], logits[MOST], scratch[MOST];
    double best[2] = {1, 1};
    for (int i = 0; i < num; i++)
        given[i] = some_logit(0);
    for (int round = 0; round < 40; round++) {
        uint64_t state = (uint64_t)round;
        memcpy(logits, given, sizeof given);
        const double begin = now();
        (round % 2 ? by_sorting : ww_sample)(p, logits, scratch, num, &state);
        best[round % 2] = fmin(best[round % 2], now() - begin);
    }
    printf("%6d tokens, %-22s %7.3f ms, sorting everything %7.3f ms\n", num, name, best[0] * 1e3,
           best[1] * 1e3);
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "bench") != 0) {
        check_against_sorting();
        return check_done();
    }
    for (int num = 32000; num <= MOST; num *= 4) {
        time_one(num, ww_generate_params(.temperature = 1), "temperature alone");
        time_one(num, ww_generate_params(.temperature = 1, .top_k = 40), "top_k 40");
        time_one(num, ww_generate_params(.temperature = 1, .top_p = 0.95f), "top_p 0.95");
        time_one(num, ww_generate_params(.temperature = 1, .top_k = 40, .top_p = 0.95f), "both");
    }
    return 0;
}
