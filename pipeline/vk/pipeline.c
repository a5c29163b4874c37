#include "pipeline.h"

#include <stdlib.h>
#include <string.h>

#define HALVES_ID   31 // shaders/ww.glsl
#define SOFTWARE_ID 30 // shaders/warm.glsl

struct entry {
    struct ww_pipeline_key key;
    VkPipeline pipeline;
};

struct ww_pipelines {
    struct entry *entries;
    int num, cap;
};

struct ww_pipelines *ww_pipelines_create(void)
{
    struct ww_pipelines *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    return p;
}

void ww_pipelines_destroy(struct ww_device *device, struct ww_pipelines **pointer)
{
    struct ww_pipelines *p = *pointer;
    if (!p)
        return;
    for (int i = 0; i < p->num; i++)
        vkDestroyPipeline(device->vk, p->entries[i].pipeline, NULL);
    free(p->entries);
    free(p);
    *pointer = NULL;
}

bool ww_pipeline_same(const struct ww_pipeline_key *a, const struct ww_pipeline_key *b)
{
    return a->shader == b->shader && a->num_spec == b->num_spec && a->halves == b->halves &&
           !memcmp(a->spec, b->spec, sizeof *a->spec * (size_t)a->num_spec);
}

VkPipeline ww_pipeline_find(const struct ww_device *device, const struct ww_pipeline_key *key)
{
    const struct ww_pipelines *p = device->pipelines;
    for (int i = 0; i < p->num; i++)
        if (ww_pipeline_same(&p->entries[i].key, key))
            return p->entries[i].pipeline;
    return VK_NULL_HANDLE;
}

void ww_pipeline_keep(struct ww_device *device, const struct ww_pipeline_key *key, VkPipeline pipeline)
{
    struct ww_pipelines *p = device->pipelines;
    if (p->num == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 32;
        p->entries = realloc(p->entries, sizeof *p->entries * (size_t)p->cap);
        if (!p->entries)
            abort();
    }
    p->entries[p->num++] = (struct entry){*key, pipeline};
    device->pipelines_created++;
}

VkResult ww_pipeline_make(const struct ww_device *device, const struct ww_pipeline_key *key, VkPipeline *out)
{
    const struct ww_shader *shader = key->shader;
    const bool halves = key->halves != 0;
    VkSpecializationMapEntry map[WW_MAX_SPEC + 2];
    uint32_t id[WW_MAX_SPEC + 2], value[WW_MAX_SPEC + 2], num = 0;
    for (; num < (uint32_t)key->num_spec; num++) {
        id[num] = num;
        value[num] = key->spec[num];
    }
    id[num] = SOFTWARE_ID;
    value[num++] = device->profile.software;
    if (halves) {
        id[num] = HALVES_ID;
        value[num++] = key->halves;
    }
    for (uint32_t i = 0; i < num; i++)
        map[i] = (VkSpecializationMapEntry){.constantID = id[i], .offset = i * 4, .size = 4};
    const VkSpecializationInfo constants = {.mapEntryCount = num,
                                            .pMapEntries = map,
                                            .dataSize = sizeof *value * num,
                                            .pData = value};
    const VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = halves ? shader->halves_bytes : shader->code_bytes,
        .pCode = halves ? shader->halves : shader->code};
    VkShaderModule module;
    VkResult result = vkCreateShaderModule(device->vk, &module_info, NULL, &module);
    if (result != VK_SUCCESS)
        return result;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = device->layout};
    result = vkCreateComputePipelines(device->vk, device->cache, 1, &info, NULL, out);
    vkDestroyShaderModule(device->vk, module, NULL);
    return result;
}

void ww_write_set(const struct ww_device *device, VkDescriptorSet set, VkBuffer params, uint64_t param_bytes,
                  const struct ww_storage *const in[WW_MAX_INPUTS], uint32_t halves)
{
    VkWriteDescriptorSet write[1 + WW_MAX_INPUTS * WW_NUM_BOUND];
    const VkDescriptorBufferInfo info = {params, 0, param_bytes};
    uint32_t num = 0;
    write[num++] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                          .dstSet = set,
                                          .descriptorCount = 1,
                                          .descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                                          .pBufferInfo = &info};
    for (int i = 0; i < WW_MAX_INPUTS; i++)
        for (int v = 0; v < WW_NUM_BOUND; v++, num++) {
            const bool half = v == WW_VIEW_F32X4 && (halves & (1u << i));
            write[num] =
                (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                       .dstSet = set,
                                       .dstBinding = num,
                                       .descriptorCount = 1,
                                       .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER,
                                       .pTexelBufferView = &in[i]->view[half ? WW_VIEW_F16X4 : v]};
        }
    vkUpdateDescriptorSets(device->vk, num, write, 0, NULL);
}
