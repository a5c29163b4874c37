#include "compile.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 8
#define LONG_NS     (30 * 1000000ll)  // a dispatch of nothing that takes longer compiles
#define SETTLE_NS   (100 * 1000000ll) // until what was compiled lies in the cache on disk
#define MAX_MISSES  2                  // then there is no such cache, or none that devices share

enum state {
    UNMADE,
    MAKING,    // a thread creates the pipeline
    MADE,      // never dispatched
    ELSEWHERE, // being dispatched on a worker's own device
    CACHED,    // has been
    USING,     // being dispatched here
    USED
};

struct job {
    int launch;
    enum state state;
    VkResult result;
    VkPipeline pipeline;
    int64_t cached_at, took; // ns: when a worker was done with it, and how long that took
};

struct compile {
    struct ww_device *device;
    struct recording *recording;
    const struct ww_storage *rest;
    struct job *jobs;
    int num_jobs;
    pthread_mutex_t mutex; // what follows, and every job's state
    pthread_cond_t changed;
    int64_t using_since; // when the dispatch began that goes on here; 0: none does
    int misses;           // dispatches that compiled again what a worker had compiled
    bool over;
    bool hung; // a worker's device does
};

static struct launch *launch_of(const struct compile *c, const struct job *job)
{
    return &c->recording->launches[job->launch];
}

// A worker's device ---------------------------------------------------------------------------------

struct elsewhere {
    struct ww_device *device;
    struct ww_storage *storage[2]; // [1] of a size that is a power of two
    VkDescriptorPool descriptors;
};

static bool open_elsewhere(struct elsewhere *e, const struct ww_device *like)
{
    struct ww_error err = {0};
    e->device = ww_device_twin(like, &err);
    if (!e->device)
        return false;
    e->storage[0] = ww_storage_create(e->device, 1024 + 64, WW_PLACE_DEVICE, &err);
    e->storage[1] = ww_storage_create(e->device, 1024, WW_PLACE_DEVICE, &err);
    const VkDescriptorPoolSize size[] = {
        {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, 1},
        {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, WW_MAX_INPUTS * WW_NUM_BOUND}};
    const VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = 1,
                                             .poolSizeCount = 2,
                                             .pPoolSizes = size};
    return e->storage[0] && e->storage[1] &&
           vkCreateDescriptorPool(e->device->vk, &info, NULL, &e->descriptors) == VK_SUCCESS;
}

static void close_elsewhere(struct elsewhere *e)
{
    if (!e->device)
        return;
    if (!e->device->hangs)
        vkDestroyDescriptorPool(e->device->vk, e->descriptors, NULL);
    for (int i = 0; i < 2; i++)
        ww_storage_destroy(e->device, &e->storage[i]);
    ww_device_close(&e->device);
}

static bool is_power_of_two(uint64_t x)
{
    return (x & (x - 1)) == 0;
}

// Compiles what the dispatch here will ask for: the driver's code depends on how the inputs are viewed and
// on whether their buffers' sizes are powers of two.
static void use_elsewhere(struct elsewhere *e, const struct compile *c, const struct launch *l)
{
    struct ww_device *device = e->device;
    const struct ww_storage *in[WW_MAX_INPUTS];
    for (int i = 0; i < WW_MAX_INPUTS; i++) {
        const struct ww_storage *here =
            ww_some(l->in[i]) ? c->recording->memory[l->in[i].id].storage : c->rest;
        in[i] = e->storage[is_power_of_two(here->bytes)];
    }
    VkPipeline pipeline = VK_NULL_HANDLE;
    VkCommandBuffer buffer = VK_NULL_HANDLE;
    VkDescriptorSet set;
    VkFence fence = VK_NULL_HANDLE;
    struct ww_error err = {0};
    const VkFenceCreateInfo fence_info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    const VkDescriptorSetAllocateInfo set_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = e->descriptors,
        .descriptorSetCount = 1,
        .pSetLayouts = &device->set_layout};
    const VkCommandBufferAllocateInfo buffer_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = device->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VK_TRY(device, &err, vkResetDescriptorPool(device->vk, e->descriptors, 0));
    VK_TRY(device, &err, vkAllocateDescriptorSets(device->vk, &set_info, &set));
    ww_write_set(device, set, e->storage[0]->buffer, 1024, in, l->key.halves);
    VK_TRY(device, &err, vkCreateFence(device->vk, &fence_info, NULL, &fence));
    VK_TRY(device, &err, ww_pipeline_make(device, &l->key, &pipeline));
    VK_TRY(device, &err, vkAllocateCommandBuffers(device->vk, &buffer_info, &buffer));
    VK_TRY(device, &err, vkBeginCommandBuffer(buffer, &begin));
    vkCmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vkCmdBindDescriptorSets(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, device->layout, 0, 1, &set, 0, NULL);
    vkCmdDispatch(buffer, 0, 1, 1);
    VK_TRY(device, &err, vkEndCommandBuffer(buffer));
    const VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                                 .commandBufferCount = 1,
                                 .pCommandBuffers = &buffer};
    VK_TRY(device, &err, vkQueueSubmit(device->queue, 1, &submit, fence));
    ww_vk_waited(device, &err, vkWaitForFences(device->vk, 1, &fence, VK_TRUE, COMPILE_NS),
                 "vkWaitForFences");
fail: // whatever it was, the dispatch here meets it, too, and says so
    if (device->hangs)
        return;
    if (buffer)
        vkFreeCommandBuffers(device->vk, device->pool, 1, &buffer);
    vkDestroyFence(device->vk, fence, NULL);
    vkDestroyPipeline(device->vk, pipeline, NULL);
}

// Threads -------------------------------------------------------------------------------------------

static struct job *first_in(struct compile *c, enum state state)
{
    for (int i = 0; i < c->num_jobs; i++)
        if (c->jobs[i].state == state)
            return &c->jobs[i];
    return NULL;
}

static struct job *last_in(struct compile *c, enum state state)
{
    for (int i = c->num_jobs; i-- > 0;)
        if (c->jobs[i].state == state)
            return &c->jobs[i];
    return NULL;
}

// With the mutex held; it is let go meanwhile.
static void make_job(struct compile *c, struct job *job)
{
    job->state = MAKING;
    pthread_mutex_unlock(&c->mutex);
    const VkResult result = ww_pipeline_make(c->device, &launch_of(c, job)->key, &job->pipeline);
    pthread_mutex_lock(&c->mutex);
    job->result = result;
    job->state = MADE;
    pthread_cond_broadcast(&c->changed);
}

// Waits for a change, but not for longer. With the mutex held.
static void wait_ns(struct compile *c, int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&c->changed, &c->mutex, &until);
}

static void *work(void *opaque)
{
    struct compile *c = opaque;
    struct elsewhere e = {0};
    bool open = false, alone = !c->device->profile.software;
    pthread_mutex_lock(&c->mutex);
    while (!c->over) {
        struct job *job = first_in(c, UNMADE);
        if (job) {
            make_job(c, job);
            continue;
        }
        job = last_in(c, MADE);
        if (alone || c->misses >= MAX_MISSES || !job)
            break;
        if (!c->using_since || ww_now_ns() - c->using_since < LONG_NS) {
            wait_ns(c, LONG_NS);
            continue;
        }
        job->state = ELSEWHERE;
        pthread_mutex_unlock(&c->mutex);
        if (!open)
            alone = !open_elsewhere(&e, c->device);
        open = true;
        const int64_t begin = ww_now_ns();
        if (!alone) {
            use_elsewhere(&e, c, launch_of(c, job));
            alone = e.device->lost; // then the job is the first device's
        }
        pthread_mutex_lock(&c->mutex);
        job->cached_at = ww_now_ns();
        job->took = job->cached_at - begin;
        job->state = alone ? MADE : CACHED;
        pthread_cond_broadcast(&c->changed);
    }
    c->hung |= e.device && e.device->hangs;
    pthread_mutex_unlock(&c->mutex);
    close_elsewhere(&e);
    return NULL;
}

// What to dispatch next: what a worker compiled, once it lies in the cache, else what nobody has. NULL:
// nothing is left. With the mutex held.
static struct job *next(struct compile *c)
{
    for (;;) {
        // Workers come from the end: the last is the oldest.
        struct job *cached = last_in(c, CACHED), *job = first_in(c, MADE);
        const int64_t now = ww_now_ns();
        if (cached && now - cached->cached_at >= SETTLE_NS)
            return cached;
        if (job)
            return job;
        job = first_in(c, UNMADE);
        if (job)
            make_job(c, job);
        else if (cached)
            wait_ns(c, cached->cached_at + SETTLE_NS - now);
        else if (first_in(c, MAKING) || first_in(c, ELSEWHERE))
            pthread_cond_wait(&c->changed, &c->mutex);
        else
            return NULL;
    }
}

static void tell(struct compile *c, const struct job *job, int done)
{
    char text[96];
    snprintf(text, sizeof text, "compiling kernels, %d of %d: %s", done, c->num_jobs,
             launch_of(c, job)->kernel->name);
    if (c->device->activity)
        c->device->activity(c->device->activity_opaque, text);
}

// Dispatches everything once, in this thread, with a pause behind each. With the mutex held.
static bool use_all(struct compile *c, bool (*use)(void *opaque, int launch, struct ww_error *err),
                    void *opaque, struct ww_error *err)
{
    struct job *job;
    for (int done = 1; (job = next(c)); done++) {
        struct launch *l = launch_of(c, job);
        if (job->result != VK_SUCCESS) {
            ww_vk_fail(c->device, err, job->result, "vkCreateComputePipelines");
            return ww_within(err, "kernel '%s'", l->kernel->name);
        }
        l->pipeline = job->pipeline;
        const bool cached = job->state == CACHED;
        job->state = USING;
        c->using_since = ww_now_ns();
        pthread_mutex_unlock(&c->mutex);
        tell(c, job, done);
        const bool ok = use(opaque, job->launch, err);
        pthread_mutex_lock(&c->mutex);
        const int64_t took = ww_now_ns() - c->using_since;
        c->misses += cached && took > LONG_NS && took > job->took / 2;
        c->using_since = 0;
        job->state = ok ? USED : MADE;
        if (!ok)
            return ww_within(err, "kernel '%s'", l->kernel->name);
        pthread_mutex_unlock(&c->mutex);
        if (c->device->pause)
            c->device->pause(c->device->pause_opaque);
        pthread_mutex_lock(&c->mutex);
        if (c->device->lost)
            return ww_fail(err, WW_E_DEVICE, "the device was lost");
    }
    return true;
}

// Jobs for what no plan had before; launches of the rest have their pipelines.
static void list_jobs(struct compile *c)
{
    for (int i = 0; i < c->recording->num_launches; i++) {
        struct launch *l = &c->recording->launches[i];
        l->pipeline = ww_pipeline_find(c->device, &l->key);
        bool listed = l->pipeline != VK_NULL_HANDLE;
        for (int k = 0; k < c->num_jobs && !listed; k++)
            listed = ww_pipeline_same(&launch_of(c, &c->jobs[k])->key, &l->key);
        if (!listed)
            c->jobs[c->num_jobs++] = (struct job){.launch = i};
    }
}

bool ww_compile(struct ww_device *device, struct recording *recording, const struct ww_storage *rest,
                bool (*use)(void *opaque, int launch, struct ww_error *err), void *opaque,
                struct ww_error *err)
{
    struct compile c = {.device = device, .recording = recording, .rest = rest};
    c.jobs = calloc((size_t)recording->num_launches + 1, sizeof *c.jobs);
    if (!c.jobs)
        abort();
    list_jobs(&c);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c.changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&c.mutex, NULL);

    pthread_t worker[MAX_WORKERS];
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int num_workers = 0;
    while (num_workers < MAX_WORKERS && num_workers + 1 < cores && num_workers + 1 < c.num_jobs &&
           !pthread_create(&worker[num_workers], NULL, work, &c))
        pthread_setname_np(worker[num_workers++], "ww-compile");
    pthread_mutex_lock(&c.mutex);
    const bool ok = use_all(&c, use, opaque, err);
    c.over = true;
    pthread_cond_broadcast(&c.changed);
    pthread_mutex_unlock(&c.mutex);
    for (int i = 0; i < num_workers; i++)
        pthread_join(worker[i], NULL);
    pthread_mutex_destroy(&c.mutex);
    pthread_cond_destroy(&c.changed);

    for (int i = 0; i < c.num_jobs; i++) {
        if (c.jobs[i].state == USED)
            ww_pipeline_keep(device, &launch_of(&c, &c.jobs[i])->key, c.jobs[i].pipeline);
        else if (!device->hangs)
            vkDestroyPipeline(device->vk, c.jobs[i].pipeline, NULL);
    }
    device->twin_hangs |= c.hung;
    free(c.jobs);
    for (int i = 0; ok && i < recording->num_launches; i++)
        recording->launches[i].pipeline = ww_pipeline_find(device, &recording->launches[i].key);
    return ok;
}
