#include "inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 24 };

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

// Whether two neighbours merge, into what, and how soon. `text`: of both.
static bool join(const struct ww_tokenizer *t, uint32_t left, uint32_t right, const char *text,
                 uint32_t bytes, double *order, uint32_t *id)
{
    const bool pair = !t->by_score || (left != WW_NO_TOKEN && right != WW_NO_TOKEN &&
                                       bytes <= WW_MAX_PAIR_BYTES);
    const struct ww_merge *merge = pair ? ww_find_merge(t, left, right) : NULL;
    if (merge)
        *id = merge->result;
    else if (pair || bytes > t->longest ||
             (*id = ww_find_text(t, &t->by_text, text, bytes)) == WW_NO_TOKEN)
        return false;
    const double when = merge && !t->by_score ? merge->rank : -(double)t->tokens[*id].score;
    if (!(when < INFINITY))
        return false; // never; or its score is no number
    *order = when;
    return true;
}

static void consider(struct ww_merger *m, const struct ww_tokenizer *t, int64_t left, int64_t right)
{
    if (left < 0 || right < 0)
        return;
    const struct ww_symbol *a = &m->symbols[left], *b = &m->symbols[right];
    struct candidate c = {.left = left, .right = right, .bytes = a->bytes + b->bytes};
    if (join(t, a->id, b->id, a->text, c.bytes, &c.order, &c.id))
        push(m, c);
}

// A few symbols, as most words are: the best pair is looked for among all of them each time. They
// close up as they merge, and go back in the end to where their texts begin.
static void run_few(struct ww_symbol *s, const struct ww_tokenizer *t, size_t num)
{
    struct {
        double order;          // of it and the one behind it; infinite: they do not merge
        uint32_t into;         // what these become
        uint32_t id, bytes, at; // `at`: in `s`
    } left[FEW];
    for (size_t i = 0; i < num; i++) {
        left[i].id = s[i].id;
        left[i].bytes = s[i].bytes;
        left[i].at = (uint32_t)i;
        left[i].order = INFINITY;
        if (i + 1 < num)
            join(t, s[i].id, s[i + 1].id, s[i].text, s[i].bytes + s[i + 1].bytes, &left[i].order,
                 &left[i].into);
        s[i].bytes = 0;
    }
    for (;;) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < num; i++)
            if (left[i].order < left[best].order)
                best = i;
        if (!num || left[best].order == INFINITY)
            break;
        left[best].bytes += left[best + 1].bytes;
        left[best].id = left[best].into;
        num--;
        memmove(&left[best + 1], &left[best + 2], (num - best - 1) * sizeof *left);
        for (size_t i = best ? best - 1 : 0; i <= best; i++) {
            left[i].order = INFINITY;
            if (i + 1 < num)
                join(t, left[i].id, left[i + 1].id, s[left[i].at].text,
                     left[i].bytes + left[i + 1].bytes, &left[i].order, &left[i].into);
        }
    }
    for (size_t i = 0; i < num; i++) {
        s[left[i].at].id = left[i].id;
        s[left[i].at].bytes = left[i].bytes;
    }
}

void ww_merger_run(struct ww_merger *m, const struct ww_tokenizer *t, size_t num)
{
    if (num <= FEW) {
        run_few(m->symbols, t, num);
        return;
    }
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
