// After the first frame: no allocation in the engine's frame path, and no pipeline. Every allocation of
// the library and every call that makes a pipeline goes through the linker's --wrap to a counter; the
// driver's own allocations are its business and not counted.

#include "check.h"

#include <stdatomic.h>
#include <vulkan/vulkan.h>
#include <watchword/decode.h>
#include <watchword/language.h>
#include <watchword/watch.h>

static atomic_int allocations, pipelines;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t num, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
VkResult __real_vkCreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t num,
                                         const VkComputePipelineCreateInfo *info,
                                         const VkAllocationCallbacks *allocator, VkPipeline *out);
VkResult __real_vkAllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
                                 const VkAllocationCallbacks *allocator, VkDeviceMemory *out);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t num, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
VkResult __wrap_vkCreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t num,
                                         const VkComputePipelineCreateInfo *info,
                                         const VkAllocationCallbacks *allocator, VkPipeline *out);
VkResult __wrap_vkAllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
                                 const VkAllocationCallbacks *allocator, VkDeviceMemory *out);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t num, size_t bytes)
{
    allocations++;
    return __real_calloc(num, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    allocations++;
    return __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    allocations++;
    return __real_aligned_alloc(alignment, bytes);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes)
{
    allocations++;
    return __real_posix_memalign(out, alignment, bytes);
}

char *__wrap_strdup(const char *text)
{
    allocations++;
    return __real_strdup(text);
}

VkResult __wrap_vkCreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t num,
                                         const VkComputePipelineCreateInfo *info,
                                         const VkAllocationCallbacks *allocator, VkPipeline *out)
{
    pipelines++;
    return __real_vkCreateComputePipelines(device, cache, num, info, allocator, out);
}

VkResult __wrap_vkAllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
                                 const VkAllocationCallbacks *allocator, VkDeviceMemory *out)
{
    allocations++;
    return __real_vkAllocateMemory(device, info, allocator, out);
}

static atomic_int seen;

static void count(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    (void)opaque;
    (void)err;
    seen += result != NULL;
}

// Grey noise that changes from frame to frame; poses are looked for wherever it is taken for a person.
static void paint(uint8_t *pixels, size_t bytes, unsigned *random)
{
    for (size_t i = 0; i < bytes; i++) {
        *random = *random * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(*random >> 24);
    }
}

// Other words are in force with the next frame. Where they only choose among results, nothing is
// recorded for them.
static void check_rewording(struct ww_engine *engine, struct ww_watch *watch,
                            const struct ww_frame *frame)
{
    struct ww_error err = {0};
    struct ww_model_info model;
    struct ww_engine_stats before, after;
    ww_watch_model(watch, &model);
    if (!strcmp(model.family, "nano")) // computes no class that nobody asked for
        return;
    ww_engine_stats(engine, &before);
    const char *phrases[] = {"person", "car"};
    CHECK_CMP(ww_watch_set_phrases(watch, phrases, NULL, 2, &err), ==, 2u);
    allocations = 0;
    const struct ww_result *result = ww_watch_look(watch, frame, &err);
    CHECK(result && result->revision == 2);
    ww_engine_stats(engine, &after);
    CHECK_CMP(after.plans_recorded, ==, before.plans_recorded);
    CHECK_CMP((int)allocations, ==, 0);
}

// A threshold this low finds something in noise, so that results have contents.
static void check_watch(struct ww_engine *engine, const char *model, enum ww_task task,
                        float threshold, int frames)
{
    enum { W = 320, H = 240, BYTES = W * H * 3 / 2 };
    struct ww_error err = {0};
    unsigned random = 1;
    uint8_t *pixels = malloc(BYTES);
    struct ww_watch *watch =
        ww_watch_create(engine,
                        ww_watch_params(.model = model, .task = task, .input_size = 256,
                                        .phrases = (const char *[]){"person"}, .num_phrases = 1,
                                        .threshold = threshold, .on_result = count),
                        &err);
    if (!CHECK(watch && pixels)) {
        printf("%s\n", err.text);
        return;
    }
    const struct ww_frame frame = {.format = WW_FORMAT_NV12,
                                   .width = W,
                                   .height = H,
                                   .plane = {pixels, pixels + W * H},
                                   .stride = {W, W}};
    // The first sets up; so does the first that has a person to crop.
    for (int i = 0; i < 5; i++) {
        paint(pixels, BYTES, &random);
        CHECK(ww_watch_look(watch, &frame, &err));
    }
    allocations = pipelines = 0;
    int objects = 0;
    for (int i = 0; i < frames; i++) {
        paint(pixels, BYTES, &random);
        const struct ww_result *result = ww_watch_look(watch, &frame, &err);
        if (CHECK(result))
            objects += result->num_objects;
    }
    CHECK_CMP((int)allocations, ==, 0);
    CHECK_CMP((int)pipelines, ==, 0);
    seen = 0;
    for (int i = 0; i < frames; i++) {
        CHECK(ww_watch_offer(watch, &frame, &err));
        ww_watch_drain(watch);
    }
    CHECK_CMP((int)seen, ==, frames);
    CHECK_CMP((int)allocations, ==, 0);
    CHECK_CMP((int)pipelines, ==, 0);
    CHECK_CMP(objects, >, 0);
    check_rewording(engine, watch, &frame);
    printf("  %s, %s: %d frames, %d objects\n", model, ww_task_name(task), frames, objects);
    ww_watch_destroy(&watch);
    free(pixels);
}

// Watches whose frames are always looked at together: the first one's results offer for all of them.
enum { TOGETHER = 3 };
static struct ww_watch *together[TOGETHER];
static struct ww_frame shared;
static int rounds;

static void offer_all(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    (void)err;
    seen += result != NULL;
    for (int i = 0; i < TOGETHER && opaque && rounds > 0; i++)
        ww_watch_offer(together[i], &shared, NULL);
    rounds -= opaque != NULL;
}

static void run_rounds(int num)
{
    rounds = num - 1;
    seen = 0;
    for (int i = TOGETHER - 1; i >= 0; i--) // or its results would offer anew what waits still
        CHECK(ww_watch_offer(together[i], &shared, NULL));
    for (int i = 0; i < TOGETHER; i++)
        ww_watch_drain(together[i]);
    CHECK_CMP((int)seen, ==, TOGETHER * num);
}

static void check_batches(struct ww_engine *engine, const char *model)
{
    enum { W = 320, H = 240, ROUNDS = 8 };
    static uint8_t pixels[W * H];
    struct ww_error err = {0};
    struct ww_engine_stats before, after;
    unsigned random = 1;
    shared = (struct ww_frame){
        .format = WW_FORMAT_GRAY8, .width = W, .height = H, .plane = {pixels}, .stride = {W}};
    paint(pixels, sizeof pixels, &random);
    for (int i = 0; i < TOGETHER; i++) {
        together[i] = ww_watch_create(
            engine,
            ww_watch_params(.model = model, .input_size = 256, .phrases = (const char *[]){"person"},
                            .num_phrases = 1, .threshold = 0.01f, .batch = 4, .on_result = offer_all,
                            .opaque = i == 0 ? &shared : NULL),
            &err);
        if (!CHECK(together[i])) {
            printf("%s\n", err.text);
            return;
        }
    }
    for (int i = 0; i < 2 * TOGETHER; i++) // the last comes to a hall that the others made room in
        CHECK(ww_watch_look(together[i % TOGETHER], &shared, &err));
    run_rounds(3); // the first of each size
    allocations = pipelines = 0;
    ww_engine_stats(engine, &before);
    run_rounds(ROUNDS);
    ww_engine_stats(engine, &after);
    CHECK_CMP((int)allocations, ==, 0);
    CHECK_CMP((int)pipelines, ==, 0);
    CHECK_CMP(after.plans_recorded, ==, before.plans_recorded);
    CHECK_CMP(after.inferences - before.inferences, ==, TOGETHER * ROUNDS);
    CHECK_CMP(after.passes - before.passes, <=, ROUNDS + TOGETHER - 1); // the very first may go alone
    printf("  %d frames in %d passes\n", TOGETHER * ROUNDS, (int)(after.passes - before.passes));
    for (int i = 0; i < TOGETHER; i++)
        ww_watch_destroy(&together[i]);
}

// Neither a prompt nor a token takes memory, drawn or likeliest.
static void check_language(struct ww_engine *engine, const char *model)
{
    enum { PROMPT = 200, TOKENS = 40 };
    struct ww_error err = {0};
    uint32_t prompt[PROMPT];
    for (uint32_t i = 0; i < PROMPT; i++)
        prompt[i] = i * 7 % 300;
    struct ww_language *l = ww_language_open(
        engine, ww_language_params(.model = model, .sequences = 2, .context = PROMPT + TOKENS), &err);
    if (!CHECK(l)) {
        printf("%s\n", err.text);
        return;
    }
    struct ww_generated done;
    struct ww_generate_params p = {.prompt = prompt, .num_prompt = PROMPT, .max_tokens = 2};
    CHECK(ww_language_generate(l, &p, &done, &err));
    p.max_tokens = TOKENS;
    for (int i = 0; i < 2; i++) {
        p.temperature = (float)i;
        p.top_k = 40 * i;
        p.top_p = 0.9f * (float)i;
        allocations = pipelines = 0;
        CHECK(ww_language_generate(l, &p, &done, &err));
        CHECK_CMP(done.tokens, ==, TOKENS);
        CHECK_CMP((int)allocations, ==, 0);
        CHECK_CMP((int)pipelines, ==, 0);
    }
    printf("  %s: %d tokens after %d\n", model, done.tokens, PROMPT);
    ww_language_close(&l);
}

int main(void)
{
    struct ww_error err = {0};
    struct ww_engine *engine = ww_engine_open(ww_engine_params(0), &err);
    if (!CHECK(engine)) {
        printf("%s\n", err.text);
        return check_done();
    }
    check_about("detect");
    check_watch(engine, "nano", WW_TASK_DETECT, 0.01f, 30);
    check_about("pose");
    check_watch(engine, "nano", WW_TASK_POSE, 0.05f, 5);
    char path[4096];
    snprintf(path, sizeof path, "%s/tests/models/deformable-detr/two-stage/model",
             getenv("WATCHWORD_SOURCE"));
    check_about("Deformable DETR");
    check_watch(engine, path, WW_TASK_DETECT, 0.01f, 5);
    check_about("batches");
    check_batches(engine, path);
    snprintf(path, sizeof path, "%s/tests/models/llama/gqa/model", getenv("WATCHWORD_SOURCE"));
    check_about("LLaMA");
    check_language(engine, path);
    ww_engine_close(&engine);
    return check_done();
}
