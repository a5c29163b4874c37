// As exhaustion.c for what is loaded onto a device, the reference: without memory for what is as large as
// a file says, be it the host's or a tensor's, opening a model is an error that says so, and nothing
// leaks. Each allocation that a model takes is the first that fails, or the only one; where there are more than
// MOST, every n-th: those for texts and lists, of which a header alone takes thousands, by themselves.

#include "base/json.h"
#include "models/bert.h"
#include "models/family.h"
#include "models/llama.h"
#include "shortage.h"

enum { MOST = 40 };

static struct ww_device *device;

struct family {
    const struct ww_family *family;
    const char *dir, *variant;
};

static bool load_family(const void *what, struct ww_error *err)
{
    const struct family *f = what;
    struct ww_model_info info = {0};
    struct ww_json *config = ww_family_config(f->dir, err);
    void *model = config ? f->family->load(device, f->dir, config, f->variant, &info, err) : NULL;
    const bool worked = model != NULL;
    if (model)
        f->family->unload(device, model);
    ww_json_free(&config);
    return worked;
}

static bool load_bert(const void *dir, struct ww_error *err)
{
    char path[4096];
    struct ww_bert_shape shape;
    snprintf(path, sizeof path, "%s/config.json", (const char *)dir);
    struct ww_json *config = ww_json_load(path, 1 << 20, NULL, err);
    struct ww_weights *weights =
        config && ww_bert_read_shape(config, &shape, err) ? ww_weights_open(dir, err) : NULL;
    struct ww_bert *bert = weights ? ww_bert_load(device, weights, NULL, &shape, err) : NULL;
    const bool worked = bert != NULL;
    ww_bert_destroy(device, &bert);
    ww_weights_close(&weights);
    ww_json_free(&config);
    return worked;
}

static bool load_llama(const void *path, struct ww_error *err)
{
    struct ww_llama *llama = ww_llama_load(device, path, err);
    const bool worked = llama != NULL;
    ww_llama_unload(device, &llama);
    return worked;
}

static bool open_session(const void *llama, struct ww_error *err)
{
    struct ww_llama_session *session =
        ww_llama_open(device, llama, ww_llama_params(.context = 32, .stretch = 16), err);
    const bool worked = session != NULL;
    ww_llama_close(device, &session);
    return worked;
}

static void starve_of(int of, const char *name, bool (*attempt)(const void *what, struct ww_error *err),
                      const void *what)
{
    check_about("%s", name);
    const uint64_t before = device->bytes;
    if (!CHECK(with_memory_for(1 << 30, of, true, attempt, what).worked))
        return;
    const long all = shortage.calls, step = 1 + all / MOST;
    CHECK_CMP(all, >, 3);
    for (long allowed = 0; allowed < all; allowed += step)
        for (int once = 0; once < 2; once++) {
            check_about("%s, %ld of %ld allocations%s", name, allowed, all, once ? ", one fails" : "");
            const struct outcome o = with_memory_for(allowed, of, once, attempt, what);
            if (!o.sound || !CHECK(once || !o.worked) || !CHECK_CMP(device->bytes, ==, before))
                return;
        }
    printf("%-50s %s: %5ld allocations, each %ld. failed\n", name,
           of & SHORT_OF_TEXT ? "text   " : "numbers", all, step);
}

static void starve(const char *name, bool (*attempt)(const void *what, struct ww_error *err), const void *what)
{
    starve_of(SHORT_OF_TEXT | SHORT_OF_LISTS, name, attempt, what);
    starve_of(SHORT_OF_NUMBERS | SHORT_OF_DEVICE, name, attempt, what);
}

// A hall of Deformable DETR, with room for every class of every query, as many as its file says.
static bool open_hall(const void *model, struct ww_error *err)
{
    const struct ww_family *family = &ww_family_deformable_detr;
    void *hall = family->open(device, model, &(struct ww_hall_params){.extent = {96, 64, 0, 0}, .room = 1}, err);
    if (hall)
        family->close(device, hall);
    return hall != NULL;
}

static void starve_hall(const char *source)
{
    char path[4096];
    struct ww_error err = {0};
    struct ww_model_info info = {0};
    snprintf(path, sizeof path, "%s/tests/models/deformable-detr/plain/model", source);
    struct ww_json *config = ww_family_config(path, &err);
    void *model = config ? ww_family_deformable_detr.load(device, path, config, NULL, &info, &err) : NULL;
    if (CHECK(model != NULL))
        starve_of(SHORT_OF_NUMBERS | SHORT_OF_DEVICE, "a hall", open_hall, model);
    ww_family_deformable_detr.unload(device, model);
    ww_json_free(&config);
}

int main(void)
{
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE does not say where the source tree is; run it by meson test");
    shortage_of_json();
    struct ww_error err = {0};
    device = ww_device_open("reference", &err);
    if (!CHECK(device != NULL))
        return check_done();
    char path[4096];
    const struct {
        const struct ww_family *family;
        const char *dir, *variant;
    } families[] = {
        {&ww_family_nano, "models/nano", NULL},
        {&ww_family_nano, "models/nano", "thunder"},
        {&ww_family_deformable_detr, "tests/models/deformable-detr/plain/model", NULL},
        {&ww_family_deformable_detr, "tests/models/deformable-detr/two-stage/model", NULL},
        {&ww_family_grounding_dino, "tests/models/grounding-dino/model", NULL},
        {&ww_family_grounding_dino, "tests/models/grounding-dino/model-original", NULL},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        snprintf(path, sizeof path, "%s/%s", source, families[i].dir);
        starve(families[i].dir, load_family,
               &(struct family){families[i].family, path, families[i].variant});
    }
    snprintf(path, sizeof path, "%s/tests/models/bert/model", source);
    starve("bert", load_bert, path);
    static const char *const llamas[] = {"gqa/model", "gqa/gguf/Q4_1.gguf", "mha/model"};
    for (size_t i = 0; i < sizeof llamas / sizeof *llamas; i++) {
        snprintf(path, sizeof path, "%s/tests/models/llama/%s", source, llamas[i]);
        starve(llamas[i], load_llama, path);
    }
    struct ww_llama *llama = ww_llama_load(device, path, &err);
    if (CHECK(llama != NULL))
        starve_of(SHORT_OF_NUMBERS | SHORT_OF_DEVICE, "a session", open_session, llama);
    ww_llama_unload(device, &llama);
    starve_hall(source);
    ww_device_close(&device);
    return check_done();
}
