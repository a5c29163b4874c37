// Where activations go: never over one that is alive at the same time, and in little more room than the
// largest set alive at once takes.

#include "check.h"
#include "vk/recording.h"

#include <stdlib.h>

static uint32_t state = 1;

static int any(int below)
{
    state = state * 1664525u + 1013904223u;
    return (int)((state >> 8) % (uint32_t)below);
}

static void add(struct recording *r, int texels, int born, int dies)
{
    struct memory *m = WW_APPEND(r, memory);
    *m = (struct memory){.kind = MEMORY_ARENA, .texels = (uint64_t)texels, .born = born, .dies = dies};
    r->num_launches = dies >= r->num_launches ? dies + 1 : r->num_launches;
}

static bool collide(const struct memory *a, const struct memory *b)
{
    return a->born <= b->dies && b->born <= a->dies && a->base < b->base + b->texels &&
           b->base < a->base + a->texels;
}

// `most`: what the arena may be of the largest set alive, and the cache lines that tensors begin at.
static void check_placed(struct recording *r, const char *what, double most)
{
    const uint64_t arena = ww_place_arena(r), live = ww_place_live(r);
    check_about("%s", what);
    CHECK_CMP((double)arena, <=, most * (double)live + 8);
    CHECK_CMP(arena, >=, live);
    for (int i = 0; i < r->num_memory; i++) {
        CHECK_CMP(r->memory[i].base, >=, 4); // the first texels stay zero
        CHECK_CMP(r->memory[i].base + r->memory[i].texels, <=, arena);
        for (int k = 0; k < i; k++)
            CHECK(!collide(&r->memory[k], &r->memory[i]));
    }
    free(r->memory);
}

int main(void)
{
    // A chain: each is read by the next alone.
    struct recording chain = {0};
    for (int i = 0; i < 40; i++)
        add(&chain, 4 * (100 + any(100)), i, i + 1);
    check_placed(&chain, "chain", 1.35);

    // Layers whose middle is made and used up in pieces, two in turn, beside what goes in and comes out.
    struct recording feed = {0};
    for (int layer = 0; layer < 6; layer++) {
        const int at = 41 * layer;
        add(&feed, 17820, at, at + 40);
        add(&feed, 17820, at + 1, at + 41);
        add(&feed, 8192, at + 1, at + 36);
        add(&feed, 8192, at + 2, at + 38);
        add(&feed, 17820, at + 40, at + 42);
        add(&feed, 64, at, at + 42);
    }
    check_placed(&feed, "feed forward", 1.05);

    struct recording wild = {0};
    for (int i = 0; i < 300; i++) {
        const int born = any(200);
        add(&wild, 1 + any(5000), born, born + any(20));
    }
    check_placed(&wild, "wild", 1.3);
    return check_done();
}
