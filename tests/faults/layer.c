#include "layer.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_DEVICES 16

extern struct faults watchword_faults;
EXPORT struct faults watchword_faults;

// Calls that make something of which the device may run short, and their opposites.
#define CREATORS(X)                                                                                \
    X(CommandPool, MEMORY)                                                                         \
    X(PipelineCache, MEMORY)                                                                       \
    X(DescriptorSetLayout, MEMORY)                                                                 \
    X(PipelineLayout, MEMORY)                                                                      \
    X(Buffer, MEMORY)                                                                              \
    X(BufferView, MEMORY)                                                                          \
    X(DescriptorPool, MEMORY)                                                                      \
    X(Semaphore, MEMORY)                                                                           \
    X(ShaderModule, COMPILE)

// The next layer's functions for one device, found by what its handles begin with.
struct device {
    void *key; // NULL: free
    bool lost;
    PFN_vkGetDeviceProcAddr get;
    PFN_vkDestroyDevice DestroyDevice;
#define FIELDS(name, kind) PFN_vkCreate##name Create##name; PFN_vkDestroy##name Destroy##name;
    CREATORS(FIELDS)
#undef FIELDS
    PFN_vkCreateComputePipelines CreateComputePipelines;
    PFN_vkDestroyPipeline DestroyPipeline;
    PFN_vkAllocateMemory AllocateMemory;
    PFN_vkFreeMemory FreeMemory;
    PFN_vkBindBufferMemory BindBufferMemory;
    PFN_vkMapMemory MapMemory;
    PFN_vkAllocateDescriptorSets AllocateDescriptorSets;
    PFN_vkAllocateCommandBuffers AllocateCommandBuffers;
    PFN_vkBeginCommandBuffer BeginCommandBuffer;
    PFN_vkEndCommandBuffer EndCommandBuffer;
    PFN_vkQueueSubmit QueueSubmit;
    PFN_vkQueueWaitIdle QueueWaitIdle;
    PFN_vkWaitSemaphores WaitSemaphores;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device devices[MAX_DEVICES];
static VkInstance instance;
static PFN_vkGetInstanceProcAddr next_instance_proc;

static struct device *find(const void *handle)
{
    void *key = *(void *const *)handle;
    struct device *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_DEVICES && !found; i++)
        if (devices[i].key == key)
            found = &devices[i];
    pthread_mutex_unlock(&lock);
    if (!found)
        abort();
    return found;
}

// Counts a call; true: it is to fail.
static bool strikes(enum fault kind)
{
    const int call = atomic_fetch_add(&watchword_faults.calls[kind], 1) + 1;
    const int at = atomic_load(&watchword_faults.at[kind]);
    if (!at || !(call == at || (call > at && atomic_load(&watchword_faults.lasting))))
        return false;
    atomic_fetch_add(&watchword_faults.struck, 1);
    return true;
}

static VkResult made(VkResult result)
{
    if (result == VK_SUCCESS)
        atomic_fetch_add(&watchword_faults.objects, 1);
    return result;
}

static void unmade(bool some)
{
    if (some)
        atomic_fetch_sub(&watchword_faults.objects, 1);
}

#define WRAP(name, kind)                                                                    \
    static VKAPI_ATTR VkResult VKAPI_CALL layer_Create##name(                                      \
        VkDevice device, const Vk##name##CreateInfo *info, const VkAllocationCallbacks *allocator, \
        Vk##name *out)                                                                             \
    {                                                                                              \
        if (strikes(FAULT_##kind))                                                                 \
            return VK_ERROR_OUT_OF_DEVICE_MEMORY;                                                  \
        return made(find(device)->Create##name(device, info, allocator, out));                     \
    }                                                                                              \
    static VKAPI_ATTR void VKAPI_CALL layer_Destroy##name(                                         \
        VkDevice device, Vk##name object, const VkAllocationCallbacks *allocator)                  \
    {                                                                                              \
        unmade(object != VK_NULL_HANDLE);                                                          \
        find(device)->Destroy##name(device, object, allocator);                                    \
    }
CREATORS(WRAP)
#undef WRAP

// One at a time: the engine makes them so.
static VKAPI_ATTR VkResult VKAPI_CALL
layer_CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t num,
                             const VkComputePipelineCreateInfo *info,
                             const VkAllocationCallbacks *allocator, VkPipeline *out)
{
    if (strikes(FAULT_COMPILE)) {
        memset(out, 0, num * sizeof *out);
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    return made(find(device)->CreateComputePipelines(device, cache, num, info, allocator, out));
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyPipeline(VkDevice device, VkPipeline pipeline,
                                                        const VkAllocationCallbacks *allocator)
{
    unmade(pipeline != VK_NULL_HANDLE);
    find(device)->DestroyPipeline(device, pipeline, allocator);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_AllocateMemory(VkDevice device,
                                                           const VkMemoryAllocateInfo *info,
                                                           const VkAllocationCallbacks *allocator,
                                                           VkDeviceMemory *out)
{
    if (strikes(FAULT_MEMORY))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return made(find(device)->AllocateMemory(device, info, allocator, out));
}

static VKAPI_ATTR void VKAPI_CALL layer_FreeMemory(VkDevice device, VkDeviceMemory memory,
                                                   const VkAllocationCallbacks *allocator)
{
    unmade(memory != VK_NULL_HANDLE);
    find(device)->FreeMemory(device, memory, allocator);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_BindBufferMemory(VkDevice device, VkBuffer buffer,
                                                             VkDeviceMemory memory,
                                                             VkDeviceSize offset)
{
    if (strikes(FAULT_MEMORY))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return find(device)->BindBufferMemory(device, buffer, memory, offset);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_MapMemory(VkDevice device, VkDeviceMemory memory,
                                                      VkDeviceSize offset, VkDeviceSize size,
                                                      VkMemoryMapFlags flags, void **out)
{
    if (strikes(FAULT_MEMORY))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return find(device)->MapMemory(device, memory, offset, size, flags, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_AllocateDescriptorSets(
    VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out)
{
    if (strikes(FAULT_MEMORY)) {
        memset(out, 0, info->descriptorSetCount * sizeof *out);
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    return find(device)->AllocateDescriptorSets(device, info, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_AllocateCommandBuffers(
    VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out)
{
    if (strikes(FAULT_MEMORY)) {
        memset(out, 0, info->commandBufferCount * sizeof *out);
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    return find(device)->AllocateCommandBuffers(device, info, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL
layer_BeginCommandBuffer(VkCommandBuffer commands, const VkCommandBufferBeginInfo *info)
{
    if (strikes(FAULT_MEMORY))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return find(commands)->BeginCommandBuffer(commands, info);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_EndCommandBuffer(VkCommandBuffer commands)
{
    if (strikes(FAULT_MEMORY))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return find(commands)->EndCommandBuffer(commands);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_QueueSubmit(VkQueue queue, uint32_t num,
                                                        const VkSubmitInfo *info, VkFence fence)
{
    struct device *d = find(queue);
    d->lost = d->lost || strikes(FAULT_SUBMIT);
    if (d->lost)
        return VK_ERROR_DEVICE_LOST;
    if (strikes(FAULT_MEMORY))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return d->QueueSubmit(queue, num, info, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_QueueWaitIdle(VkQueue queue)
{
    struct device *d = find(queue);
    const VkResult result = d->QueueWaitIdle(queue);
    d->lost = d->lost || strikes(FAULT_WAIT);
    if (d->lost)
        return VK_ERROR_DEVICE_LOST;
    return strikes(FAULT_STARVE) ? VK_ERROR_OUT_OF_HOST_MEMORY : result;
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_WaitSemaphores(VkDevice device,
                                                           const VkSemaphoreWaitInfo *info,
                                                           uint64_t timeout)
{
    struct device *d = find(device);
    if (d->lost)
        return VK_ERROR_DEVICE_LOST;
    const VkResult result = d->WaitSemaphores(device, info, timeout);
    d->lost = strikes(FAULT_WAIT);
    if (d->lost)
        return VK_ERROR_DEVICE_LOST;
    if (strikes(FAULT_STARVE))
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    return strikes(FAULT_HANG) ? VK_TIMEOUT : result;
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyDevice(VkDevice device,
                                                      const VkAllocationCallbacks *allocator)
{
    if (!device)
        return;
    struct device *d = find(device);
    const PFN_vkDestroyDevice destroy = d->DestroyDevice;
    pthread_mutex_lock(&lock);
    d->key = NULL;
    pthread_mutex_unlock(&lock);
    unmade(true);
    destroy(device, allocator);
}

// Every layer unwinds the chain by one link for the next.
static VkLayerDeviceCreateInfo *device_link(const VkDeviceCreateInfo *info)
{
    VkLayerDeviceCreateInfo *link = (void *)(uintptr_t)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO &&
                     link->function == VK_LAYER_LINK_INFO))
        link = (void *)(uintptr_t)link->pNext;
    return link;
}

static void fill(struct device *d, VkDevice device, PFN_vkGetDeviceProcAddr get)
{
    *d = (struct device){.key = *(void **)device, .get = get};
#define LOOK_UP(name) d->name = (PFN_vk##name)get(device, "vk" #name);
#define LOOK_UP_PAIR(name, kind) LOOK_UP(Create##name) LOOK_UP(Destroy##name)
    CREATORS(LOOK_UP_PAIR)
    LOOK_UP(DestroyDevice)
    LOOK_UP(CreateComputePipelines)
    LOOK_UP(DestroyPipeline)
    LOOK_UP(AllocateMemory)
    LOOK_UP(FreeMemory)
    LOOK_UP(BindBufferMemory)
    LOOK_UP(MapMemory)
    LOOK_UP(AllocateDescriptorSets)
    LOOK_UP(AllocateCommandBuffers)
    LOOK_UP(BeginCommandBuffer)
    LOOK_UP(EndCommandBuffer)
    LOOK_UP(QueueSubmit)
    LOOK_UP(QueueWaitIdle)
    LOOK_UP(WaitSemaphores)
#undef LOOK_UP_PAIR
#undef LOOK_UP
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateDevice(VkPhysicalDevice physical,
                                                         const VkDeviceCreateInfo *info,
                                                         const VkAllocationCallbacks *allocator,
                                                         VkDevice *out)
{
    if (strikes(FAULT_MEMORY))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkLayerDeviceCreateInfo *link = device_link(info);
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    const PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    const PFN_vkGetDeviceProcAddr get = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const PFN_vkCreateDevice create = (PFN_vkCreateDevice)next(instance, "vkCreateDevice");
    const VkResult result = made(create(physical, info, allocator, out));
    if (result != VK_SUCCESS)
        return result;
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < MAX_DEVICES && devices[i].key)
        i++;
    if (i == MAX_DEVICES)
        abort();
    fill(&devices[i], *out, get);
    pthread_mutex_unlock(&lock);
    return VK_SUCCESS;
}

// $WATCHWORD_FAULT, read once: what struck does not strike again in a device opened later.
static void read_environment(void)
{
    static const char *const names[NUM_FAULTS] = {"memory", "compile", "submit", "wait", "hang",
                                             "starve"};
    const char *text = getenv("WATCHWORD_FAULT");
    char name[16], how[16] = "";
    int at;
    if (!text || sscanf(text, "%15s %d %15s", name, &at, how) < 2)
        return;
    watchword_faults.lasting = !strcmp(how, "lasting");
    for (int i = 0; i < NUM_FAULTS; i++)
        if (!strcmp(name, names[i]))
            watchword_faults.at[i] = at;
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateInstance(const VkInstanceCreateInfo *info,
                                                           const VkAllocationCallbacks *allocator,
                                                           VkInstance *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_environment);
    VkLayerInstanceCreateInfo *link = (void *)(uintptr_t)info->pNext;
    while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO &&
                     link->function == VK_LAYER_LINK_INFO))
        link = (void *)(uintptr_t)link->pNext;
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    next_instance_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const PFN_vkCreateInstance create =
        (PFN_vkCreateInstance)next_instance_proc(VK_NULL_HANDLE, "vkCreateInstance");
    const VkResult result = create(info, allocator, out);
    if (result == VK_SUCCESS)
        instance = *out;
    return result;
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance of,
                                                                      const char *name);
EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetDeviceProcAddr(VkDevice of, const char *name);

static PFN_vkVoidFunction own(const char *name)
{
#define MATCH(function)                                                                            \
    if (!strcmp(name, "vk" #function))                                                             \
        return (PFN_vkVoidFunction)layer_##function;
#define MATCH_PAIR(function, kind) MATCH(Create##function) MATCH(Destroy##function)
    CREATORS(MATCH_PAIR)
    MATCH(DestroyDevice)
    MATCH(CreateComputePipelines)
    MATCH(DestroyPipeline)
    MATCH(AllocateMemory)
    MATCH(FreeMemory)
    MATCH(BindBufferMemory)
    MATCH(MapMemory)
    MATCH(AllocateDescriptorSets)
    MATCH(AllocateCommandBuffers)
    MATCH(BeginCommandBuffer)
    MATCH(EndCommandBuffer)
    MATCH(QueueSubmit)
    MATCH(QueueWaitIdle)
    MATCH(WaitSemaphores)
    if (!strcmp(name, "vkGetDeviceProcAddr"))
        return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
#undef MATCH_PAIR
    return NULL;
}

PFN_vkVoidFunction vkGetDeviceProcAddr(VkDevice of, const char *name)
{
    const PFN_vkVoidFunction function = own(name);
    return function ? function : find(of)->get(of, name);
}

PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance of, const char *name)
{
    MATCH(CreateInstance)
    MATCH(CreateDevice)
    if (!strcmp(name, "vkGetInstanceProcAddr"))
        return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
    const PFN_vkVoidFunction function = own(name);
    if (function)
        return function;
    return of ? next_instance_proc(of, name) : NULL;
}
