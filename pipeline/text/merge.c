#include "inner.h"

#include <stdlib.h>

struct candidate {
    double order; // least first; then the leftmost
    int64_t left, right;
    uint32_t bytes, id;
};

struct ww_merger {
    struct ww_symbol *symbols;
    struct candidate *heap;
    size_t room, num, heap_room;
};

struct ww_merger *ww_merger_create(void)
{
    struct ww_merger *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    return m;
}

void ww_merger_destroy(struct ww_merger **merger)
{
    if (!*merger)
        return;
    free((*merger)->symbols);
    free((*merger)->heap);
    free(*merger);
    *merger = NULL;
}

// The heap holds at most a candidate for each symbol and two for each merge.
struct ww_symbol *ww_merger_symbols(struct ww_merger *m, size_t num)
{
    if (num > m->room) {
        m->room = 2 * num;
        m->symbols = reallocarray(m->symbols, m->room, sizeof *m->symbols);
        m->heap = reallocarray(m->heap, 3 * m->room, sizeof *m->heap);
        if (!m->symbols || !m->heap)
            abort();
    }
    return m->symbols;
}

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->order != b->order ? a->order < b->order : a->left < b->left;
}

static void push(struct ww_merger *m, struct candidate c)
{
    size_t at = m->num++;
    for (; at > 0 && before(&c, &m->heap[(at - 1) / 2]); at = (at - 1) / 2)
        m->heap[at] = m->heap[(at - 1) / 2];
    m->heap[at] = c;
}

static struct candidate pop(struct ww_merger *m)
{
    const struct candidate top = m->heap[0], last = m->heap[--m->num];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < m->num; at = child) {
        if (child + 1 < m->num && before(&m->heap[child + 1], &m->heap[child]))
            child++;
        if (!before(&m->heap[child], &last))
            break;
        m->heap[at] = m->heap[child];
    }
    m->heap[at] = last;
    return top;
}

static void consider(struct ww_merger *m, const struct ww_tokenizer *t, int64_t left, int64_t right)
{
    if (left < 0 || right < 0)
        return;
    const struct ww_symbol *a = &m->symbols[left], *b = &m->symbols[right];
    struct candidate c = {.left = left, .right = right, .bytes = a->bytes + b->bytes};
    if (t->pieces && !t->num_merges) {
        if (c.bytes > t->longest)
            return;
        c.id = ww_find_text(t, &t->by_text, a->text, c.bytes);
        if (c.id == WW_NO_TOKEN)
            return;
        c.order = -(double)t->tokens[c.id].score;
    } else {
        const struct ww_merge *merge = ww_find_merge(t, a->id, b->id);
        if (!merge)
            return;
        c.id = merge->result;
        c.order = merge->rank;
    }
    push(m, c);
}

void ww_merger_run(struct ww_merger *m, const struct ww_tokenizer *t, size_t num)
{
    m->num = 0;
    for (size_t i = 0; i < num; i++) {
        m->symbols[i].previous = (int64_t)i - 1;
        m->symbols[i].next = i + 1 < num ? (int64_t)i + 1 : -1;
    }
    for (size_t i = 0; i + 1 < num; i++)
        consider(m, t, (int64_t)i, (int64_t)i + 1);
    while (m->num) {
        const struct candidate c = pop(m);
        struct ww_symbol *a = &m->symbols[c.left], *b = &m->symbols[c.right];
        if (!a->bytes || !b->bytes || a->next != c.right || a->bytes + b->bytes != c.bytes)
            continue; // one of them has changed since
        a->bytes = c.bytes;
        a->id = c.id;
        a->next = b->next;
        b->bytes = 0;
        if (a->next >= 0)
            m->symbols[a->next].previous = c.left;
        consider(m, t, a->previous, c.left);
        consider(m, t, c.left, a->next);
    }
}
