#include "device.h"
#include "pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <watchword/log.h>

// Layout of the one descriptor set that all kernels use: the parameter block, then each input's
// storage as each kind of view.
#define NUM_BINDINGS (1 + WW_MAX_INPUTS * WW_NUM_BOUND)

const char *ww_vk_result(VkResult result)
{
    switch (result) {
#define NAME(x)                                                                                    \
    case x:                                                                                        \
        return #x
        NAME(VK_SUCCESS);
        NAME(VK_TIMEOUT);
        NAME(VK_ERROR_OUT_OF_HOST_MEMORY);
        NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        NAME(VK_ERROR_INITIALIZATION_FAILED);
        NAME(VK_ERROR_DEVICE_LOST);
        NAME(VK_ERROR_MEMORY_MAP_FAILED);
        NAME(VK_ERROR_LAYER_NOT_PRESENT);
        NAME(VK_ERROR_EXTENSION_NOT_PRESENT);
        NAME(VK_ERROR_FEATURE_NOT_PRESENT);
        NAME(VK_ERROR_INCOMPATIBLE_DRIVER);
        NAME(VK_ERROR_TOO_MANY_OBJECTS);
        NAME(VK_ERROR_FRAGMENTED_POOL);
        NAME(VK_ERROR_OUT_OF_POOL_MEMORY);
#undef NAME
    default:
        return "an unnamed VkResult";
    }
}

bool ww_vk_fail(struct ww_device *device, struct ww_error *err, VkResult result, const char *call)
{
    if (result == VK_ERROR_DEVICE_LOST && device)
        device->lost = true;
    const int name = (int)strcspn(call, "(");
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY)
        return ww_fail(err, WW_E_MEMORY, "the device is out of memory (%.*s)", name, call);
    return ww_fail(err, WW_E_DEVICE, "%.*s: %s", name, call, ww_vk_result(result));
}

bool ww_vk_waited(struct ww_device *device, struct ww_error *err, VkResult result, const char *call)
{
    if (result == VK_SUCCESS)
        return true;
    device->lost = true;
    device->hangs = result != VK_ERROR_DEVICE_LOST;
    return ww_fail(err, WW_E_DEVICE, "%s: %s", call, ww_vk_result(result));
}

// What we cannot do without, as the words of an error. "" if nothing is missing.
static void find_missing(VkPhysicalDevice physical, char *out, size_t size)
{
    VkPhysicalDeviceVulkan11Properties p11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    VkPhysicalDeviceProperties2 props = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &p11};
    vkGetPhysicalDeviceProperties2(physical, &props);
    out[0] = '\0';
    if (props.properties.apiVersion < VK_API_VERSION_1_2) {
        snprintf(out, size, "Vulkan 1.2 (it has %u.%u)",
                 VK_API_VERSION_MAJOR(props.properties.apiVersion),
                 VK_API_VERSION_MINOR(props.properties.apiVersion));
        return;
    }
    VkPhysicalDeviceVulkan12Features f12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &f12};
    vkGetPhysicalDeviceFeatures2(physical, &features);
    const struct {
        bool there;
        const char *name;
    } needs[] = {
        {f12.timelineSemaphore, "timeline semaphores"},
        {f12.bufferDeviceAddress, "buffer device addresses"},
        {features.features.shaderInt64, "64-bit integers in shaders"},
        {(p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
             (p11.subgroupSupportedOperations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT),
         "subgroup shuffles in compute shaders"},
        {p11.subgroupSize >= 8, "subgroups of 8 lanes"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (!needs[i].there)
            snprintf(out + strlen(out), size - strlen(out), "%s%s", out[0] ? ", " : "",
                     needs[i].name);
}

static const char *kind_name(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "virtual";
    default:
        return "software";
    }
}

static void describe(VkPhysicalDevice physical, struct ww_device_info *out)
{
    *out = (struct ww_device_info){0};
    VkPhysicalDeviceProperties first;
    vkGetPhysicalDeviceProperties(physical, &first);
    snprintf(out->name, sizeof out->name, "%s", first.deviceName);
    snprintf(out->kind, sizeof out->kind, "%s", kind_name(first.deviceType));
    if (first.apiVersion >= VK_API_VERSION_1_2) {
        VkPhysicalDeviceDriverProperties driver = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
        VkPhysicalDeviceProperties2 props = {
            .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &driver};
        vkGetPhysicalDeviceProperties2(physical, &props);
        snprintf(out->driver, sizeof out->driver, "%.120s %.120s", driver.driverName,
                 driver.driverInfo);
    }
    VkPhysicalDeviceMemoryProperties memory;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
            out->memory_bytes += memory.memoryHeaps[i].size;
    find_missing(physical, out->missing, sizeof out->missing);
}

static const struct ww_device_info reference_info = {
    .name = "reference", .driver = "scalar C", .kind = "reference"};

static bool open_instance(VkInstance *instance, struct ww_error *err)
{
    const VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                   .pApplicationName = "watchword",
                                   .apiVersion = VK_API_VERSION_1_2};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &app};
    const VkResult result = vkCreateInstance(&info, NULL, instance);
    if (result == VK_SUCCESS)
        return true;
    *instance = VK_NULL_HANDLE;
    return ww_vk_fail(NULL, err, result, "vkCreateInstance");
}

#define MAX_DEVICES 16

static int list_physical(VkInstance instance, VkPhysicalDevice out[MAX_DEVICES])
{
    uint32_t count = MAX_DEVICES;
    const VkResult result = vkEnumeratePhysicalDevices(instance, &count, out);
    return result == VK_SUCCESS || result == VK_INCOMPLETE ? (int)count : 0;
}

int ww_device_list(struct ww_device_info *out, int max, struct ww_error *err)
{
    VkInstance instance = VK_NULL_HANDLE;
    VkPhysicalDevice physical[MAX_DEVICES];
    int count = 0;
    struct ww_error broken = {0};
    if (open_instance(&instance, &broken)) {
        const int found = list_physical(instance, physical);
        for (int i = 0; i < found; i++, count++)
            if (count < max)
                describe(physical[i], &out[count]);
        vkDestroyInstance(instance, NULL);
    } else if (!strstr(broken.text, "VK_ERROR_INCOMPATIBLE_DRIVER")) {
        if (err)
            *err = broken;
        return 0;
    }
    if (count < max)
        out[count] = reference_info;
    return count + 1;
}

// A GPU before software, the first of equals; what lacks something comes last.
static int rank(const struct ww_device_info *info)
{
    if (info->missing[0])
        return 9;
    static const char *const order[] = {"discrete", "integrated", "virtual", "software"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(info->kind, order[i]))
            return i;
    return 8;
}

static int choose(const struct ww_device_info *info, int count, const char *wanted,
                  struct ww_error *err)
{
    int best = -1;
    char *end = NULL;
    const long index = wanted && *wanted ? strtol(wanted, &end, 10) : -1;
    if (wanted && *wanted && *end == '\0') {
        if (index >= 0 && index < count)
            best = (int)index;
    } else {
        for (int i = 0; i < count; i++)
            if ((!wanted || !*wanted || strcasestr(info[i].name, wanted)) &&
                (best < 0 || rank(&info[i]) < rank(&info[best])))
                best = i;
    }
    if (best >= 0 && !info[best].missing[0])
        return best;
    if (best >= 0) {
        ww_fail(err, WW_E_DEVICE, "device '%s' lacks %s", info[best].name, info[best].missing);
        return -1;
    }
    if (count == 0) {
        ww_fail(err, WW_E_DEVICE,
                "no Vulkan device; install the driver of your GPU, or Debian's package "
                "mesa-vulkan-drivers for the processor, or ask for the device 'reference'");
        return -1;
    }
    char list[600] = "";
    for (int i = 0; i < count; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%d '%.100s'", i ? ", " : "",
                 i, info[i].name);
    ww_fail(err, WW_E_DEVICE, "no device '%s'; there are %s, %d 'reference'", wanted, list, count);
    return -1;
}

static bool create_layouts(struct ww_device *device, struct ww_error *err)
{
    VkDescriptorSetLayoutBinding binding[NUM_BINDINGS];
    for (uint32_t i = 0; i < NUM_BINDINGS; i++)
        binding[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = i == 0 ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER
                                     : VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = NUM_BINDINGS,
        .pBindings = binding};
    VK_TRY(device, err,
           vkCreateDescriptorSetLayout(device->vk, &set, NULL, &device->set_layout));
    const VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                      .size = WW_HEADER_BYTES + WW_PUSH_BYTES};
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &device->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push};
    VK_TRY(device, err, vkCreatePipelineLayout(device->vk, &layout, NULL, &device->layout));
    return true;
fail:
    return false;
}

static bool open_logical(struct ww_device *device, struct ww_error *err)
{
    uint32_t count = 16;
    VkQueueFamilyProperties family[16];
    vkGetPhysicalDeviceQueueFamilyProperties(device->physical, &count, family);
    device->queue_family = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++)
        if ((family[i].queueFlags & VK_QUEUE_COMPUTE_BIT) && device->queue_family == UINT32_MAX)
            device->queue_family = i;
    if (device->queue_family == UINT32_MAX)
        return ww_fail(err, WW_E_DEVICE, "device '%s' has no compute queue", device->info.name);

    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = device->queue_family,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    VkPhysicalDeviceVulkan12Features f12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
        .timelineSemaphore = VK_TRUE,
        .bufferDeviceAddress = VK_TRUE,
        .shaderFloat16 = device->profile.half_sums};
    const VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &f12,
        .features = {.shaderInt64 = VK_TRUE}};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &features,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue};
    VK_TRY(device, err, vkCreateDevice(device->physical, &info, NULL, &device->vk));
    vkGetDeviceQueue(device->vk, device->queue_family, 0, &device->queue);
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = device->queue_family};
    VK_TRY(device, err, vkCreateCommandPool(device->vk, &pool, NULL, &device->pool));
    const VkPipelineCacheCreateInfo cache = {.sType =
                                                 VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    VK_TRY(device, err, vkCreatePipelineCache(device->vk, &cache, NULL, &device->cache));
    return create_layouts(device, err);
fail:
    return false;
}

static void read_profile(struct ww_device *device)
{
    VkPhysicalDeviceVulkan11Properties p11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    VkPhysicalDeviceProperties2 props = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                         .pNext = &p11};
    vkGetPhysicalDeviceProperties2(device->physical, &props);
    vkGetPhysicalDeviceMemoryProperties(device->physical, &device->memory);
    VkPhysicalDeviceVulkan12Features f12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &f12};
    vkGetPhysicalDeviceFeatures2(device->physical, &features);
    const bool software = props.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    device->profile = (struct ww_profile){
        .software = software,
        .card = !software,
        .half_sums = f12.shaderFloat16,
        .subgroup = p11.subgroupSize,
        .max_texels = props.properties.limits.maxTexelBufferElements,
        .piece_macs = software ? 1.5e9 : 5e10,
        .max_alloc = p11.maxMemoryAllocationSize,
        .timestamp_ns = props.properties.limits.timestampPeriod,
    };
}

// An environment variable that is one of two words: whether it is the second. `chosen` stays if it is not there.
static bool read_choice(const char *name, const char *first, const char *second, bool *chosen,
                        struct ww_error *err)
{
    const char *text = getenv(name);
    if (!text || !*text)
        return true;
    *chosen = !strcmp(text, second);
    return *chosen || !strcmp(text, first) ||
           ww_fail(err, WW_E_CONFIG, "%s is '%s'; allowed: %s, %s", name, text, first, second);
}

struct ww_device *ww_device_open(const char *wanted, struct ww_error *err)
{
    if (!wanted || !*wanted)
        wanted = getenv("WATCHWORD_DEVICE");
    struct ww_device *device = calloc(1, sizeof *device);
    if (!device)
        abort();
    device->pipelines = ww_pipelines_create();
    if (!read_choice("WATCHWORD_PRECISION", "float", "half", &device->halves, err))
        goto fail;
    VkPhysicalDevice physical[MAX_DEVICES];
    struct ww_device_info info[MAX_DEVICES];
    int count = 0;
    if (wanted && !strcasecmp(wanted, "reference"))
        goto reference;

    struct ww_error broken = {0};
    if (open_instance(&device->instance, &broken)) {
        count = list_physical(device->instance, physical);
    } else if (!strstr(broken.text, "VK_ERROR_INCOMPATIBLE_DRIVER")) {
        if (err)
            *err = broken;
        goto fail;
    }
    for (int i = 0; i < count; i++)
        describe(physical[i], &info[i]);
    char *end = NULL;
    if (wanted && *wanted && strtol(wanted, &end, 10) == count && *end == '\0')
        goto reference; // it is listed after the others
    const int chosen = choose(info, count, wanted, err);
    if (chosen < 0)
        goto fail;
    device->info = info[chosen];
    device->physical = physical[chosen];
    read_profile(device);
    if (!read_choice("WATCHWORD_KERNELS", "software", "card", &device->profile.card, err) ||
        !open_logical(device, err))
        goto fail;
    ww_log(WW_LOG_INFO, "device: %s (%s)", device->info.name, device->info.driver);
    return device;

reference:
    device->info = reference_info;
    device->halves = false;
    device->profile = (struct ww_profile){.reference = true, .max_texels = UINT32_MAX >> 4,
                                          .piece_macs = 5e7,
                                          .max_alloc = UINT64_MAX};
    return device;
fail:
    ww_device_close(&device);
    return NULL;
}

struct ww_device *ww_device_twin(const struct ww_device *like, struct ww_error *err)
{
    struct ww_device *device = calloc(1, sizeof *device);
    if (!device)
        abort();
    device->pipelines = ww_pipelines_create();
    device->info = like->info;
    device->physical = like->physical;
    device->profile = like->profile;
    device->memory = like->memory;
    if (!open_logical(device, err))
        ww_device_close(&device);
    return device;
}

void ww_device_close(struct ww_device **pointer)
{
    struct ww_device *device = *pointer;
    if (!device)
        return;
    if (device->hangs) {
        ww_log(WW_LOG_WARN, "what the hanging device holds is not freed: %.1f MB",
               (double)device->bytes / 1e6);
        free(device);
        *pointer = NULL;
        return;
    }
    ww_pipelines_destroy(device, &device->pipelines);
    if (device->vk) {
        vkDestroyPipelineLayout(device->vk, device->layout, NULL);
        vkDestroyDescriptorSetLayout(device->vk, device->set_layout, NULL);
        vkDestroyPipelineCache(device->vk, device->cache, NULL);
        vkDestroyCommandPool(device->vk, device->pool, NULL);
        vkDestroyDevice(device->vk, NULL);
    }
    if (device->instance && !device->twin_hangs)
        vkDestroyInstance(device->instance, NULL);
    free(device);
    *pointer = NULL;
}
