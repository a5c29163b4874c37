#include "recording.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *ww_append(void *list, int *num, int *cap, size_t bytes)
{
    void **base = list;
    if (*num == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        *base = realloc(*base, bytes * (size_t)*cap);
        if (!*base)
            abort();
    }
    return memset((char *)*base + bytes * (size_t)(*num)++, 0, bytes);
}

struct ww_cmd *ww_cmd_create(struct ww_device *device)
{
    struct ww_cmd *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    g->device = device;
    WW_APPEND(&g->recording, memory); // id 0 is no tensor
    return g;
}

void ww_cmd_destroy(struct ww_cmd **pointer)
{
    struct ww_cmd *g = *pointer;
    if (!g)
        return;
    free(g->recording.parts);
    free(g->recording.memory);
    free(g->recording.launches);
    free(g->recording.stages);
    free(g);
    *pointer = NULL;
}

bool ww_expect_(struct ww_cmd *g, bool ok, const char *what, const char *where)
{
    if (!ok && !g->error.code)
        ww_fail(&g->error, WW_E_UNSUPPORTED, "%s%s%s: expected %s", g->label,
                g->label[0] ? ": " : "", where, what);
    return ok;
}

bool ww_cmd_sound(const struct ww_cmd *g)
{
    return !g->error.code;
}

static struct ww_tensor add_tensor(struct ww_cmd *g, enum memory_kind kind, int n, int c, int h,
                                   int w)
{
    struct ww_tensor t = {.n = n, .c = c, .h = h, .w = w};
    if (!ww_expect(g, n > 0 && c > 0 && h > 0 && w > 0))
        return (struct ww_tensor){0};
    // Kernels count the pixels of a picture with an int, and texels with 32 bits.
    const uint64_t step = (uint64_t)ww_quads(t) * (uint64_t)h * (uint64_t)w;
    if (h > INT32_MAX / w || step > UINT32_MAX / (uint32_t)n) {
        if (!g->error.code)
            ww_fail(&g->error, WW_E_UNSUPPORTED,
                    "%s%s%d pictures of %d x %d pixels and %d channels are more numbers than can be counted: take "
                    "smaller pictures or fewer at a time",
                    g->label, g->label[0] ? ": " : "", n, w, h, c);
        return (struct ww_tensor){0};
    }
    t.step = (uint32_t)step;
    t.id = g->recording.num_memory;
    struct memory *m = WW_APPEND(&g->recording, memory);
    *m = (struct memory){.kind = kind, .texels = step * (uint64_t)n, .born = -1, .dies = -1};
    return t;
}

struct ww_tensor ww_activation(struct ww_cmd *g, int n, int c, int h, int w)
{
    return add_tensor(g, MEMORY_ARENA, n, c, h, w);
}

struct ww_tensor ww_half_activation(struct ww_cmd *g, int n, int c, int h, int w)
{
    const struct ww_tensor t = ww_activation(g, n, c, h, w);
    g->recording.memory[t.id].halves = ww_some(t) && g->device->halves;
    return t;
}

struct ww_tensor ww_activation_as(struct ww_cmd *g, struct ww_tensor x, int n, int c, int h, int w)
{
    return g->recording.memory[x.id].halves ? ww_half_activation(g, n, c, h, w)
                                            : ww_activation(g, n, c, h, w);
}

struct ww_tensor ww_like(struct ww_cmd *g, struct ww_tensor x, int c)
{
    return ww_activation_as(g, x, x.n, c, x.h, x.w);
}

int ww_texel_bytes(const struct ww_cmd *g, struct ww_tensor x)
{
    return (int)texel_bytes(&g->recording.memory[x.id]);
}

struct ww_tensor ww_input_tensor(struct ww_cmd *g, int n, int c, int h, int w)
{
    const struct ww_tensor t = ww_activation(g, n, c, h, w);
    g->recording.memory[t.id].born = 0;
    return t;
}

struct ww_tensor ww_result_tensor(struct ww_cmd *g, int n, int c, int h, int w)
{
    return add_tensor(g, MEMORY_RESULT, n, c, h, w);
}

struct ww_tensor ww_upload_tensor(struct ww_cmd *g, int n, int c, int h, int w)
{
    return add_tensor(g, MEMORY_UPLOAD, n, c, h, w);
}

struct ww_tensor ww_stored_as(struct ww_cmd *g, bool halves, struct ww_storage *storage, uint32_t first,
                              int n, int c, int h, int w)
{
    struct ww_tensor t = add_tensor(g, MEMORY_STORED, n, c, h, w);
    struct memory *m = &g->recording.memory[t.id];
    m->halves = ww_some(t) && halves;
    if (ww_some(t) && ww_expect(g, ((uint64_t)first + units(m)) * UNIT_BYTES <= storage->bytes)) {
        m->storage = storage;
        m->base = first;
    }
    return t;
}

struct ww_tensor ww_stored_tensor(struct ww_cmd *g, struct ww_storage *storage, uint32_t first,
                                  int n, int c, int h, int w)
{
    return ww_stored_as(g, false, storage, first, n, c, h, w);
}

// Makes workgroups larger, as long as enough of them are left for every core or multiprocessor and no more
// than a 16th of the lanes is behind the end.
static void merge_groups(struct launch *l, enum ww_lanes lanes)
{
    enum { LEFT = 64, MOST = 8 };
    if (lanes == WW_LANES_FIXED)
        return;
    uint32_t *const along = &l->groups[lanes - WW_LANES_X];
    const uint64_t all = (uint64_t)l->groups[0] * l->groups[1] * l->groups[2];
    for (uint32_t by = MOST; by > 1; by /= 2) {
        const uint32_t merged = (*along + by - 1) / by;
        if (all / by < LEFT || (merged * by - *along) * 16 > *along)
            continue;
        *along = merged;
        l->key.spec[0] *= by;
        return;
    }
}

void ww_launch(struct ww_cmd *g, const struct ww_kernel *kernel,
               const struct ww_launch_params *params)
{
    if (!ww_cmd_sound(g))
        return;
    ww_expect(g, params->push_bytes <= WW_PUSH_BYTES && params->num_spec <= WW_MAX_SPEC);
    ww_expect(g, params->variant < kernel->num_shaders || g->device->profile.reference);
    if (!ww_cmd_sound(g))
        return;
    const int index = g->recording.num_launches;
    struct launch *l = WW_APPEND(&g->recording, launches);
    l->kernel = kernel;
    l->key.shader = g->device->profile.reference ? NULL : &kernel->shaders[params->variant];
    memcpy(l->out, params->out, sizeof l->out);
    memcpy(l->in, params->in, sizeof l->in);
    if (params->push_bytes)
        memcpy(l->push, params->push, (size_t)params->push_bytes);
    l->push_bytes = params->push_bytes;
    if (params->num_spec)
        memcpy(l->key.spec, params->spec, sizeof *l->key.spec * (size_t)params->num_spec);
    l->key.num_spec = params->num_spec;
    for (int d = 0; d < 3; d++)
        l->groups[d] = params->groups[d] ? params->groups[d] : 1;
    merge_groups(l, params->lanes);
    for (int d = 0; d < 3; d++)
        ww_expect(g, l->groups[d] <= 65535);
    l->batched = params->batched;
    l->macs = params->macs;
    snprintf(l->label, sizeof l->label, "%s", g->label);

    for (int i = 0; i < WW_MAX_OPERANDS; i++) {
        const struct ww_tensor t = i < WW_MAX_OUTPUTS ? l->out[i] : l->in[i - WW_MAX_OUTPUTS];
        struct memory *m = &g->recording.memory[t.id];
        if (!ww_some(t))
            continue;
        if (m->born < 0)
            m->born = index;
        m->dies = index;
        ww_expect(g, !m->halves || (i < WW_MAX_OUTPUTS ? !kernel->exact
                                                       : kernel->view[i - WW_MAX_OUTPUTS] == WW_VIEW_F32X4));
    }
}

void ww_part(struct ww_cmd *g)
{
    struct part *part = WW_APPEND(&g->recording, parts);
    part->first_launch = g->recording.num_launches;
}

void ww_label(struct ww_cmd *g, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(g->label, sizeof g->label, fmt, args);
    va_end(args);
}

bool ww_for_software(const struct ww_cmd *g)
{
    return g->device->profile.software;
}

bool ww_for_card(const struct ww_cmd *g)
{
    return g->device->profile.card;
}

bool ww_keeps_stages(const struct ww_cmd *g)
{
    return g->keep_stages;
}

void ww_keep_stages(struct ww_cmd *g, bool keep)
{
    g->keep_stages = keep;
}

static void WW_PRINTF(4, 0) add_stage(struct ww_cmd *g, struct ww_tensor t, enum ww_stage_kind kind,
                                      const char *fmt, va_list args)
{
    if (!g->keep_stages || !ww_some(t))
        return;
    struct stage *s = WW_APPEND(&g->recording, stages);
    vsnprintf(s->name, sizeof s->name, fmt, args);
    s->kind = kind;
    s->tensor = t;
    g->recording.memory[t.id].kept = true;
}

#define ADD_STAGE(kind)                                                                            \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, fmt);                                                                       \
        add_stage(g, t, kind, fmt, args);                                                          \
        va_end(args);                                                                              \
    } while (0)

void ww_stage(struct ww_cmd *g, struct ww_tensor t, const char *fmt, ...)
{
    ADD_STAGE(WW_STAGE_PIXELS);
}

void ww_stage_map(struct ww_cmd *g, struct ww_tensor t, const char *fmt, ...)
{
    ADD_STAGE(WW_STAGE_MAP);
}

void ww_stage_rows(struct ww_cmd *g, struct ww_tensor t, const char *fmt, ...)
{
    ADD_STAGE(WW_STAGE_ROWS);
}
