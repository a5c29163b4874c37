// A trace of a language model: the stages of one prompt, as the golden sets have them.

#include "trace-language.h"

#include "models/llama.h"
#include "weights/weights.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct tracing {
    const struct ww_trace_params *params;
    struct ww_error *err;
    bool ok;
};

static bool ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);
    return n >= e && !strcmp(name + n - e, end);
}

// [rows][channels], without what fills channels up; of turned heads [heads][rows][width], pairs that
// turn together half a head apart.
static void add(struct ww_weights_writer *writer, const struct ww_llama_shape *s, const char *name,
                int rows, const float *from, int c)
{
    const bool keys = ends_in(name, ".k_rope"), turned = keys || ends_in(name, ".q_rope");
    const int heads = !turned ? 1 : keys ? s->kv_heads : s->heads;
    const int width = turned ? s->head : !strcmp(name, "logits") ? s->vocabulary : s->hidden;
    const int64_t dim[3] = {heads, rows, width};
    float *out = malloc(sizeof *out * (size_t)heads * (size_t)rows * (size_t)width), *to = out;
    if (!out)
        abort();
    for (int h = 0; h < heads; h++)
        for (int r = 0; r < rows; r++)
            for (int d = 0; d < width; d++) {
                const int laced = turned ? d % (width / 2) * 2 + d / (width / 2) : d;
                *to++ = from[(size_t)r * (size_t)c + (size_t)(h * width + laced)];
            }
    ww_weights_write_add(writer, name, WW_F32, turned ? 3 : 2, turned ? dim : dim + 1, out);
    free(out);
}

static bool add_stages(struct tracing *t, struct ww_weights_writer *writer,
                       const struct ww_llama_shape *shape, struct ww_plan *plan)
{
    bool ok = true;
    for (int i = 0; ok && i < ww_plan_num_stages(plan); i++) {
        struct ww_tensor s;
        const char *name = ww_plan_stage(plan, i, &s);
        if (t->params->stages && fnmatch(t->params->stages, name, 0))
            continue;
        float *data = malloc(sizeof *data * (size_t)s.w * (size_t)s.c);
        if (!data)
            abort();
        ok = ww_plan_read_stage(plan, i, data, t->err);
        if (ok)
            add(writer, shape, name, t->params->num_ids, data, s.c);
        free(data);
    }
    return ok;
}

static void trace_job(struct ww_engine *engine, void *opaque)
{
    struct tracing *t = opaque;
    const struct ww_trace_params *p = t->params;
    struct ww_device *device = ww_engine_need_device(engine, t->err);
    struct ww_llama *model = device ? ww_llama_load(device, p->model, t->err) : NULL;
    struct ww_llama_session *s =
        model ? ww_llama_open(device, model,
                              ww_llama_params(.context = p->num_ids, .stretch = p->num_ids,
                                              .keep_stages = true),
                              t->err)
              : NULL;
    struct ww_llama_row *rows = calloc((size_t)p->num_ids, sizeof *rows);
    if (!rows)
        abort();
    for (int i = 0; i < p->num_ids; i++)
        rows[i] = (struct ww_llama_row){.token = p->ids[i], .position = i,
                                        .picked = i == p->num_ids - 1};
    struct ww_weights_writer *writer = ww_weights_write_begin();
    t->ok = s && ww_llama_run(s, rows, p->num_ids, t->err) &&
            add_stages(t, writer, ww_llama_shape(model), ww_llama_plan(s));
    t->ok = ww_weights_write_end(&writer, t->ok ? p->out : "", t->err) && t->ok;
    free(rows);
    if (device) {
        ww_llama_close(device, &s);
        ww_llama_unload(device, &model);
    }
}

bool ww_trace_language(struct ww_engine *engine, const struct ww_trace_params *params,
                       struct ww_error *err)
{
    struct tracing t = {.params = params, .err = err};
    if (params->num_images > 0)
        return ww_fail(err, WW_E_CONFIG, "a trace of token numbers takes no image");
    if (params->num_ids > WW_TRACE_IDS)
        return ww_fail(err, WW_E_CONFIG, "a trace of %d tokens: at most %d are possible", params->num_ids,
                       WW_TRACE_IDS);
    ww_engine_do(engine, trace_job, &t);
    return t.ok;
}
