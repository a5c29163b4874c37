// A recording made ready to replay: memory, descriptors, pipelines, commands; and its replays.

#include "compile.h"
#include "base/clock.h"
#include "weights/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/log.h>

#define WAIT_NS      (30ull * 1000000000)
#define INPUT_HALVES ((1u << WW_MAX_INPUTS) - 1) // of a pipeline's `halves`: outputs have no binding

struct ww_plan {
    struct ww_device *device;
    struct recording recording;      // taken over
    struct ww_storage *arena;        // its texel 0 is zero, never written: what lies outside a picture
    struct ww_storage *results;      // read by the host
    struct ww_storage *uploads;      // written by the host
    struct ww_storage *control;      // parameter block, then one indirect dispatch a launch
    VkDescriptorPool descriptors;
    VkCommandBuffer *pieces; // submitted one after the other, so that none keeps the device for long
    int num_pieces;
    VkSemaphore done;
    uint64_t submitted;
    int batch; // of the indirect dispatches as they stand
};

static void use_storage(struct recording *r, enum memory_kind kind, struct ww_storage *storage)
{
    for (int i = 0; i < r->num_memory; i++)
        if (r->memory[i].kind == kind)
            r->memory[i].storage = storage;
}

// Notes for each launch which operands are stored as halves, and so whether it may compute with them.
static void note_halves(struct recording *r, const struct ww_profile *profile)
{
    const uint32_t first = 1 | 1u << WW_MAX_INPUTS;
    for (int i = 0; i < r->num_launches; i++) {
        struct launch *l = &r->launches[i];
        l->key.halves = 0;
        for (int k = 0; k < WW_MAX_INPUTS; k++)
            l->key.halves |= (uint32_t)r->memory[l->in[k].id].halves << k;
        for (int o = 0; o < WW_MAX_OUTPUTS; o++)
            l->key.halves |= (uint32_t)r->memory[l->out[o].id].halves << (WW_MAX_INPUTS + o);
        if (profile->half_sums && (l->key.halves & first) == first && l->key.shader->in_halves)
            l->key.shader = &l->kernel->shaders[l->key.shader->in_halves];
    }
}

static bool allocate(struct ww_plan *plan, struct ww_error *err)
{
    struct ww_device *device = plan->device;
    struct recording *r = &plan->recording;
    const uint64_t arena = ww_place_arena(r) * UNIT_BYTES, reach = (uint64_t)device->profile.max_texels * 16;
    bool reached = arena <= reach;
    for (int i = 0; i < r->num_memory; i++) // a view of halves reaches half as far
        if (r->memory[i].halves)
            reached &= (r->memory[i].base + units(&r->memory[i])) * UNIT_BYTES <= reach / 2;
    if (!reached)
        return ww_fail(err, WW_E_MEMORY, "activations of %.1f MB exceed this device's %.1f MB",
                       (double)arena / 1e6, (double)reach / 1e6);
    plan->arena = ww_storage_create(device, arena, WW_PLACE_DEVICE, err);
    plan->results = ww_storage_create(device, ww_place_stack(r, MEMORY_RESULT) * UNIT_BYTES, WW_PLACE_READBACK, err);
    plan->uploads = ww_storage_create(device, ww_place_stack(r, MEMORY_UPLOAD) * UNIT_BYTES, WW_PLACE_UPLOAD, err);
    plan->control = ww_storage_create(
        device, WW_PARAM_BYTES + sizeof(VkDispatchIndirectCommand) * (size_t)(r->num_launches + 1),
        WW_PLACE_UPLOAD, err);
    if (!plan->arena || !plan->results || !plan->uploads || !plan->control)
        return false;
    use_storage(r, MEMORY_ARENA, plan->arena);
    use_storage(r, MEMORY_RESULT, plan->results);
    use_storage(r, MEMORY_UPLOAD, plan->uploads);
    memset(plan->control->map, 0, plan->control->bytes);
    static const float zero[16];
    return ww_storage_write(device, plan->arena, 0, zero, sizeof zero, err) &&
           ww_storage_write(device, plan->results, 0, zero, sizeof zero, err) &&
           ww_storage_write(device, plan->uploads, 0, zero, sizeof zero, err);
}

// What launch `l` reads; the arena in place of what it does not.
static void inputs_of(const struct ww_plan *plan, const struct launch *l,
                      const struct ww_storage *in[WW_MAX_INPUTS])
{
    for (int i = 0; i < WW_MAX_INPUTS; i++)
        in[i] = ww_some(l->in[i]) ? plan->recording.memory[l->in[i].id].storage : plan->arena;
}

static bool same_storages(const struct recording *r, const struct launch *a, const struct launch *b)
{
    if ((a->key.halves ^ b->key.halves) & INPUT_HALVES)
        return false;
    for (int i = 0; i < WW_MAX_INPUTS; i++) {
        const struct ww_storage *x = ww_some(a->in[i]) ? r->memory[a->in[i].id].storage : NULL;
        const struct ww_storage *y = ww_some(b->in[i]) ? r->memory[b->in[i].id].storage : NULL;
        if (x != y)
            return false;
    }
    return true;
}

// Launches that read the same storages the same way share a descriptor set: most do, offsets are pushed.
static bool create_sets(struct ww_plan *plan, struct ww_error *err)
{
    struct recording *r = &plan->recording;
    int *owner = calloc((size_t)r->num_launches + 1, sizeof *owner), num = 0;
    if (!owner)
        abort();
    for (int i = 0; i < r->num_launches; i++) {
        owner[i] = i;
        for (int k = 0; k < i && owner[i] == i; k++)
            if (same_storages(r, &r->launches[k], &r->launches[i]))
                owner[i] = owner[k];
        num += owner[i] == i;
    }
    const VkDescriptorPoolSize size[] = {
        {VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER, (uint32_t)num + 1},
        {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER,
         (uint32_t)(num + 1) * WW_MAX_INPUTS * WW_NUM_BOUND}};
    const VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                             .maxSets = (uint32_t)num + 1,
                                             .poolSizeCount = 2,
                                             .pPoolSizes = size};
    VK_TRY(plan->device, err,
           vkCreateDescriptorPool(plan->device->vk, &info, NULL, &plan->descriptors));
    const VkDescriptorSetAllocateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = plan->descriptors,
        .descriptorSetCount = 1,
        .pSetLayouts = &plan->device->set_layout};
    for (int i = 0; i < r->num_launches; i++) {
        struct launch *l = &r->launches[i];
        if (owner[i] == i) {
            VK_TRY(plan->device, err, vkAllocateDescriptorSets(plan->device->vk, &set, &l->set));
            const struct ww_storage *in[WW_MAX_INPUTS];
            inputs_of(plan, l, in);
            ww_write_set(plan->device, l->set, plan->control->buffer, WW_PARAM_BYTES, in, l->key.halves);
        } else {
            l->set = r->launches[owner[i]].set;
        }
    }
    free(owner);
    return true;
fail:
    free(owner);
    return false;
}

static uint64_t indirect_offset(int launch)
{
    return WW_PARAM_BYTES + sizeof(VkDispatchIndirectCommand) * (size_t)launch;
}

static void record_launch(struct ww_plan *plan, VkCommandBuffer buffer, int index, bool barrier)
{
    const struct recording *r = &plan->recording;
    const struct launch *l = &r->launches[index];
    if (barrier) {
        const VkMemoryBarrier info = {
            .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
            .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
            .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
        vkCmdPipelineBarrier(buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                             VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &info, 0, NULL, 0, NULL);
    }
    struct ww_header header = {0};
    for (int o = 0; o < WW_MAX_OUTPUTS; o++) {
        const struct span span = ww_span(r, l->out[o]);
        if (ww_some(l->out[o]))
            header.out[o] = span.storage->address + span.begin;
    }
    for (int i = 0; i < WW_MAX_INPUTS; i++) {
        const unsigned view = l->key.halves & (1u << i) ? WW_VIEW_F16X4 : l->kernel->view[i];
        if (ww_some(l->in[i]))
            header.in[i] = (uint32_t)(ww_span(r, l->in[i]).begin / WW_TEXEL_BYTES(view));
    }
    const struct span span = ww_span(r, l->out[0]);
    if (!ww_some(l->in[WW_MAX_INPUTS - 1]) && span.storage == plan->arena) // for shaders/warm.glsl
        header.in[WW_MAX_INPUTS - 1] = (uint32_t)(span.begin / WW_TEXEL_BYTES(WW_VIEW_U32));
    vkCmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, l->pipeline);
    vkCmdBindDescriptorSets(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, plan->device->layout, 0, 1,
                            &l->set, 0, NULL);
    vkCmdPushConstants(buffer, plan->device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof header,
                       &header);
    if (l->push_bytes)
        vkCmdPushConstants(buffer, plan->device->layout, VK_SHADER_STAGE_COMPUTE_BIT, sizeof header,
                           (uint32_t)(l->push_bytes + 3) / 4 * 4, l->push);
    if (l->batched)
        vkCmdDispatchIndirect(buffer, plan->control->buffer, indirect_offset(index));
    else
        vkCmdDispatch(buffer, l->groups[0], l->groups[1], l->groups[2]);
}

static bool begin(struct ww_plan *plan, VkCommandBuffer *buffer, struct ww_error *err)
{
    const VkCommandBufferAllocateInfo allocate_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = plan->device->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1};
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VK_TRY(plan->device, err,
           vkAllocateCommandBuffers(plan->device->vk, &allocate_info, buffer));
    VK_TRY(plan->device, err, vkBeginCommandBuffer(*buffer, &info));
    return true;
fail:
    return false;
}

// Makes what the host wrote visible, and in the end what the device wrote; submitting does the
// first by itself (Vulkan 1.2, 7.9), the last needs a barrier.
static bool finish(struct ww_plan *plan, VkCommandBuffer buffer, struct ww_error *err)
{
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    vkCmdPipelineBarrier(buffer, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                         0, 1, &barrier, 0, NULL, 0, NULL);
    VK_TRY(plan->device, err, vkEndCommandBuffer(buffer));
    return true;
fail:
    return false;
}

static bool submit(struct ww_plan *plan, VkCommandBuffer buffer, uint64_t patience_ns,
                   struct ww_error *err)
{
    const uint64_t value = ++plan->submitted;
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &value};
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .pNext = &timeline,
                               .commandBufferCount = 1,
                               .pCommandBuffers = &buffer,
                               .signalSemaphoreCount = 1,
                               .pSignalSemaphores = &plan->done};
    const VkSemaphoreWaitInfo wait = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &plan->done,
                                      .pValues = &value};
    VK_TRY(plan->device, err, vkQueueSubmit(plan->device->queue, 1, &info, VK_NULL_HANDLE));
    const VkResult result = vkWaitSemaphores(plan->device->vk, &wait, patience_ns);
    if (result == VK_TIMEOUT) { // nothing but reopening helps
        plan->device->lost = plan->device->hangs = true;
        return ww_fail(err, WW_E_DEVICE, "the device did not finish within %d s",
                       (int)(patience_ns / 1000000000));
    }
    return ww_vk_waited(plan->device, err, result, "vkWaitSemaphores");
fail:
    return false;
}

// Dispatches a launch with no groups, for ww_compile.
static bool use_once(void *opaque, int index, struct ww_error *err)
{
    struct ww_plan *plan = opaque;
    struct launch *l = &plan->recording.launches[index];
    VkCommandBuffer buffer = VK_NULL_HANDLE;
    const uint32_t x = l->groups[0];
    const bool batched = l->batched;
    bool ok = begin(plan, &buffer, err);
    if (ok) {
        l->groups[0] = 0;
        l->batched = false;
        record_launch(plan, buffer, index, false);
        l->groups[0] = x;
        l->batched = batched;
        ok = finish(plan, buffer, err) && submit(plan, buffer, COMPILE_NS, err);
    }
    if (buffer && !plan->device->hangs)
        vkFreeCommandBuffers(plan->device->vk, plan->device->pool, 1, &buffer);
    return ok;
}

// Where the piece that begins with launch `first` ends.
static int end_of_piece(const struct ww_plan *plan, int first)
{
    const struct recording *r = &plan->recording;
    double macs = 0;
    int end = first;
    int limit = r->num_launches;
    for (int p = r->num_parts - 1; p >= 0 && r->parts[p].first_launch > first; p--)
        limit = r->parts[p].first_launch;
    while (end < limit && macs < plan->device->profile.piece_macs)
        macs += r->launches[end++].macs;
    return end;
}

// The barrier before a piece covers what earlier ones and other plans wrote: its scope is all that was
// submitted before.
static bool record_pieces(struct ww_plan *plan, struct ww_error *err)
{
    struct recording *r = &plan->recording;
    for (int first = 0; first < r->num_launches; first = end_of_piece(plan, first)) {
        for (int p = 0; p < r->num_parts; p++)
            if (r->parts[p].first_launch == first)
                r->parts[p].first_piece = plan->num_pieces;
        plan->num_pieces++;
    }
    plan->pieces = calloc((size_t)plan->num_pieces + 1, sizeof *plan->pieces);
    if (!plan->pieces)
        abort();
    for (int p = 0, i = 0; p < plan->num_pieces; p++) {
        const int first = i, end = end_of_piece(plan, first);
        if (!begin(plan, &plan->pieces[p], err))
            return false;
        for (; i < end; i++)
            record_launch(plan, plan->pieces[p], i, r->launches[i].barrier || i == first);
        if (!finish(plan, plan->pieces[p], err))
            return false;
    }
    return true;
}

static bool record(struct ww_plan *plan, struct ww_error *err)
{
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                             .pNext = &type};
    VK_TRY(plan->device, err, vkCreateSemaphore(plan->device->vk, &semaphore, NULL, &plan->done));
    return create_sets(plan, err) &&
           ww_compile(plan->device, &plan->recording, plan->arena, use_once, plan, err) && record_pieces(plan, err);
fail:
    return false;
}

struct ww_plan *ww_plan_create(struct ww_cmd *g, struct ww_error *err)
{
    if (!ww_cmd_sound(g)) {
        ww_fail(err, g->error.code, "%s", g->error.text);
        return NULL;
    }
    struct ww_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        abort();
    plan->device = g->device;
    plan->recording = g->recording;
    g->recording = (struct recording){0};
    if (!allocate(plan, err))
        goto fail;
    ww_place_barriers(&plan->recording);
    note_halves(&plan->recording, &plan->device->profile);
    if (!plan->device->profile.reference && !record(plan, err))
        goto fail;
    return plan;
fail:
    ww_plan_destroy(&plan);
    return NULL;
}

void ww_plan_destroy(struct ww_plan **pointer)
{
    struct ww_plan *plan = *pointer;
    if (!plan)
        return;
    const VkDevice vk = plan->device->vk;
    const bool idle = vk && !plan->device->hangs;
    for (int p = 0; p < plan->num_pieces && idle; p++)
        if (plan->pieces[p])
            vkFreeCommandBuffers(vk, plan->device->pool, 1, &plan->pieces[p]);
    free(plan->pieces);
    if (idle) {
        vkDestroyDescriptorPool(vk, plan->descriptors, NULL);
        vkDestroySemaphore(vk, plan->done, NULL);
    }
    ww_storage_destroy(plan->device, &plan->arena);
    ww_storage_destroy(plan->device, &plan->results);
    ww_storage_destroy(plan->device, &plan->uploads);
    ww_storage_destroy(plan->device, &plan->control);
    free(plan->recording.parts);
    free(plan->recording.memory);
    free(plan->recording.launches);
    free(plan->recording.stages);
    free(plan);
    *pointer = NULL;
}

void *ww_plan_params(struct ww_plan *plan)
{
    return plan->control->map;
}

void *ww_plan_host(struct ww_plan *plan, struct ww_tensor t)
{
    const struct memory *m = &plan->recording.memory[t.id];
    return (char *)m->storage->map + 16 * ((size_t)m->base + t.first);
}

static void run_reference(struct ww_plan *plan, const struct launch *l, int n)
{
    struct ww_args args = {.push = l->push,
                           .spec = l->key.spec,
                           .params = plan->control->map,
                           .batch = l->batched ? n : 1};
    for (int o = 0; o < WW_MAX_OUTPUTS; o++) {
        args.out[o] = l->out[o];
        args.o[o] = ww_some(l->out[o]) ? ww_plan_host(plan, l->out[o]) : NULL;
    }
    for (int i = 0; i < WW_MAX_INPUTS; i++) {
        args.in[i] = l->in[i];
        args.i[i] = ww_some(l->in[i]) ? ww_plan_host(plan, l->in[i]) : NULL;
    }
    l->kernel->reference(&args);
}

static void set_batch(struct ww_plan *plan, int n)
{
    if (plan->batch == n)
        return;
    plan->batch = n;
    VkDispatchIndirectCommand *command =
        (void *)((char *)plan->control->map + indirect_offset(0));
    for (int i = 0; i < plan->recording.num_launches; i++) {
        const uint32_t *groups = plan->recording.launches[i].groups;
        command[i] = (VkDispatchIndirectCommand){groups[0], groups[1], (uint32_t)n};
    }
}

// False if the device was lost meanwhile, by another's plan.
static bool pause_before(struct ww_plan *plan, struct ww_error *err)
{
    if (plan->device->pause)
        plan->device->pause(plan->device->pause_opaque);
    return !plan->device->lost || ww_fail(err, WW_E_DEVICE, "the device was lost");
}

// Launches and pieces from those of one part to those of another.
static bool run(struct ww_plan *plan, struct part from, struct part to, int n, struct ww_error *err)
{
    if (plan->device->profile.reference) {
        for (int i = from.first_launch, end; i < to.first_launch; i = end) {
            if (!pause_before(plan, err))
                return false;
            end = end_of_piece(plan, i);
            for (int k = i; k < end; k++)
                run_reference(plan, &plan->recording.launches[k], n);
        }
        return true;
    }
    set_batch(plan, n);
    bool ok = true;
    for (int p = from.first_piece; ok && p < to.first_piece; p++)
        ok = pause_before(plan, err) && submit(plan, plan->pieces[p], WAIT_NS, err);
    return ok;
}

static struct part end_of(const struct ww_plan *plan)
{
    return (struct part){plan->recording.num_launches, plan->num_pieces};
}

bool ww_plan_run(struct ww_plan *plan, int n, struct ww_error *err)
{
    return run(plan, (struct part){0}, end_of(plan), n, err);
}

bool ww_plan_run_part(struct ww_plan *plan, int part, struct ww_error *err)
{
    const struct recording *r = &plan->recording;
    return run(plan, r->parts[part], part + 1 < r->num_parts ? r->parts[part + 1] : end_of(plan), 1, err);
}

bool ww_plan_has_halves(const struct ww_plan *plan, struct ww_tensor t)
{
    return plan->recording.memory[t.id].halves;
}

struct ww_storage *ww_plan_arena(struct ww_plan *plan)
{
    return plan->arena;
}

uint32_t ww_plan_texel(const struct ww_plan *plan, struct ww_tensor t)
{
    return plan->recording.memory[t.id].base + t.first;
}

uint64_t ww_plan_bytes(const struct ww_plan *plan)
{
    return plan->arena->bytes;
}

uint64_t ww_plan_live_bytes(const struct ww_plan *plan)
{
    return ww_place_live(&plan->recording) * UNIT_BYTES;
}

int ww_plan_num_stages(const struct ww_plan *plan)
{
    return plan->recording.num_stages;
}

const char *ww_plan_stage(struct ww_plan *plan, int i, struct ww_tensor *shape)
{
    *shape = plan->recording.stages[i].tensor;
    return plan->recording.stages[i].name;
}

enum ww_stage_kind ww_plan_stage_kind(struct ww_plan *plan, int i)
{
    return plan->recording.stages[i].kind;
}

// As float32, whatever it is stored as; freed by the caller. NULL on failure.
static float *read_floats(struct ww_plan *plan, struct ww_tensor t, struct ww_error *err)
{
    const struct memory *m = &plan->recording.memory[t.id];
    const struct span span = ww_span(&plan->recording, t);
    const size_t bytes = span.end - span.begin, num = bytes / texel_bytes(m) * 4;
    float *data = malloc(num * sizeof *data);
    void *raw = m->halves ? malloc(bytes) : data;
    if (!data || !raw)
        abort();
    const bool ok = ww_storage_read(plan->device, m->storage, span.begin, raw, bytes, err);
    if (m->halves) {
        if (ok)
            ww_decode(WW_F16, raw, num, data);
        free(raw);
    }
    if (ok)
        return data;
    free(data);
    return NULL;
}

bool ww_plan_read_stage(struct ww_plan *plan, int i, float *out, struct ww_error *err)
{
    const struct ww_tensor t = plan->recording.stages[i].tensor;
    float *data = read_floats(plan, t, err);
    for (int n = 0; data && n < t.n; n++)
        for (int y = 0; y < t.h; y++)
            for (int x = 0; x < t.w; x++)
                for (int c = 0; c < t.c; c++)
                    *out++ = data[ww_at(t, n, c, y, x)];
    free(data);
    return data != NULL;
}

int ww_plan_num_launches(const struct ww_plan *plan)
{
    return plan->recording.num_launches;
}

bool ww_plan_time_launches(struct ww_plan *plan, int runs, struct ww_launch_info *out,
                           struct ww_error *err)
{
    const bool reference = plan->device->profile.reference;
    if (!reference)
        set_batch(plan, plan->batch ? plan->batch : 1);
    for (int i = 0; i < plan->recording.num_launches; i++) {
        const struct launch *l = &plan->recording.launches[i];
        out[i] = (struct ww_launch_info){.label = l->label,
                                         .kernel = l->kernel->name,
                                         .variant = reference ? "reference"
                                                              : l->key.shader->variant,
                                         .macs = l->macs,
                                         .time_ns = UINT64_MAX};
        for (int k = 0; k < WW_MAX_OPERANDS; k++) {
            const struct ww_tensor t = k < WW_MAX_OUTPUTS ? l->out[k] : l->in[k - WW_MAX_OUTPUTS];
            const struct span span = ww_span(&plan->recording, t);
            out[i].bytes += ww_some(t) ? span.end - span.begin : 0;
        }
        VkCommandBuffer buffer = VK_NULL_HANDLE;
        bool ok = reference || begin(plan, &buffer, err);
        if (ok && !reference) {
            record_launch(plan, buffer, i, false);
            ok = finish(plan, buffer, err);
        }
        for (int k = 0; ok && k < runs; k++) {
            const int64_t start = ww_now_ns();
            if (reference)
                run_reference(plan, l, 1);
            else
                ok = submit(plan, buffer, WAIT_NS, err);
            const uint64_t took = (uint64_t)(ww_now_ns() - start);
            out[i].time_ns = took < out[i].time_ns ? took : out[i].time_ns;
        }
        if (buffer && !plan->device->hangs)
            vkFreeCommandBuffers(plan->device->vk, plan->device->pool, 1, &buffer);
        if (!ok)
            return false;
    }
    return true;
}
