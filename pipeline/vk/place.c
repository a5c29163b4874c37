// Where activations go: one after the other takes the lowest gap in the arena that no tensor alive at the
// same time overlaps, either in the order they are born or the largest first, whichever needs less. For
// networks, which are chains with short side branches, that comes within a few per cent of the largest
// set alive at once: chains of like sizes do so by birth, a few large ones among many small by size.

#include "recording.h"

#include <stdlib.h>

#define ALIGN_UNITS 4u // 64 bytes: a cache line

static int by_birth(const void *a, const void *b)
{
    const struct memory *x = *(struct memory *const *)a, *y = *(struct memory *const *)b;
    return x->born != y->born ? (x->born > y->born) - (x->born < y->born)
                              : (units(x) < units(y)) - (units(x) > units(y));
}

static int by_size(const void *a, const void *b)
{
    const struct memory *x = *(struct memory *const *)a, *y = *(struct memory *const *)b;
    return units(x) != units(y) ? (units(x) < units(y)) - (units(x) > units(y)) : by_birth(a, b);
}

// Places a list in its order; returns where the arena ends.
static uint64_t place(struct memory **list, int num)
{
    uint64_t top = ALIGN_UNITS; // unit 0 stays zero
    for (int i = 0; i < num; i++) {
        uint64_t at = ALIGN_UNITS;
        for (bool moved = true; moved;) {
            moved = false;
            for (int k = 0; k < i; k++) {
                const bool together = list[k]->dies >= list[i]->born && list[i]->dies >= list[k]->born;
                const uint64_t end = list[k]->base + units(list[k]);
                if (together && at < end && list[k]->base < at + units(list[i])) {
                    at = (end + ALIGN_UNITS - 1) / ALIGN_UNITS * ALIGN_UNITS;
                    moved = true;
                }
            }
        }
        list[i]->base = (uint32_t)at;
        if (at + units(list[i]) > top)
            top = at + units(list[i]);
    }
    return top;
}

uint64_t ww_place_arena(struct recording *r)
{
    struct memory **list = calloc((size_t)r->num_memory, sizeof *list);
    if (!list)
        abort();
    int num = 0;
    for (int i = 0; i < r->num_memory; i++)
        if (r->memory[i].kind == MEMORY_ARENA && r->memory[i].born >= 0)
            list[num++] = &r->memory[i];
    for (int i = 0; i < num; i++)
        if (list[i]->kept)
            list[i]->dies = r->num_launches;
    qsort(list, (size_t)num, sizeof *list, by_birth);
    const uint64_t births = place(list, num);
    qsort(list, (size_t)num, sizeof *list, by_size);
    uint64_t top = place(list, num);
    if (births < top) {
        qsort(list, (size_t)num, sizeof *list, by_birth);
        top = place(list, num);
    }
    free(list);
    return top;
}

uint64_t ww_place_live(const struct recording *r)
{
    uint64_t most = 0;
    for (int launch = 0; launch < r->num_launches; launch++) {
        uint64_t alive = 0;
        for (int i = 0; i < r->num_memory; i++) {
            const struct memory *m = &r->memory[i];
            if (m->kind == MEMORY_ARENA && m->born >= 0 && m->born <= launch && launch <= m->dies)
                alive += units(m);
        }
        most = alive > most ? alive : most;
    }
    return most;
}

uint64_t ww_place_stack(struct recording *r, enum memory_kind kind)
{
    uint64_t top = ALIGN_UNITS;
    for (int i = 0; i < r->num_memory; i++) {
        if (r->memory[i].kind != kind)
            continue;
        r->memory[i].base = (uint32_t)top;
        top += (units(&r->memory[i]) + ALIGN_UNITS - 1) / ALIGN_UNITS * ALIGN_UNITS;
    }
    return top;
}

struct span ww_span(const struct recording *r, struct ww_tensor t)
{
    const struct memory *m = &r->memory[t.id];
    const uint64_t begin = (uint64_t)m->base * UNIT_BYTES + (uint64_t)t.first * texel_bytes(m);
    const uint64_t last = (uint64_t)(t.n - 1) * t.step;
    const uint64_t texels = last + (uint64_t)ww_quads(t) * (uint64_t)t.h * (uint64_t)t.w;
    return (struct span){m->storage, begin, begin + texels * texel_bytes(m)};
}

static bool overlap(struct span a, struct span b)
{
    return a.storage == b.storage && a.begin < b.end && b.begin < a.end;
}

// Whether launch `b` must wait for launch `a`: one writes what the other touches.
static bool depends(const struct recording *r, const struct launch *a, const struct launch *b)
{
    for (int o = 0; o < WW_MAX_OUTPUTS; o++) {
        for (int k = 0; k < WW_MAX_OPERANDS; k++) {
            const bool output = k < WW_MAX_OUTPUTS;
            const struct ww_tensor tb = output ? b->out[k] : b->in[k - WW_MAX_OUTPUTS];
            const struct ww_tensor ta = output ? a->out[k] : a->in[k - WW_MAX_OUTPUTS];
            if (ww_some(a->out[o]) && ww_some(tb) &&
                overlap(ww_span(r, a->out[o]), ww_span(r, tb)))
                return true;
            if (ww_some(b->out[o]) && ww_some(ta) &&
                overlap(ww_span(r, b->out[o]), ww_span(r, ta)))
                return true;
        }
    }
    return false;
}

void ww_place_barriers(struct recording *r)
{
    int since = 0; // the first launch after the last barrier
    for (int i = 0; i < r->num_launches; i++)
        for (int k = since; k < i; k++)
            if (depends(r, &r->launches[k], &r->launches[i])) {
                r->launches[i].barrier = true;
                since = i;
                break;
            }
}
