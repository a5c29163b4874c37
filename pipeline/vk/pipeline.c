#include "pipeline.h"

#include <stdlib.h>
#include <string.h>

#define HALVES_ID 31 // shaders/ww.glsl

struct entry {
    const struct ww_shader *shader;
    uint32_t spec[WW_MAX_SPEC];
    int num_spec;
    uint32_t halves;
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

VkPipeline ww_pipeline_find(const struct ww_device *device, const struct ww_shader *shader,
                            const uint32_t *spec, int num_spec, uint32_t halves)
{
    const struct ww_pipelines *p = device->pipelines;
    for (int i = 0; i < p->num; i++)
        if (p->entries[i].shader == shader && p->entries[i].num_spec == num_spec &&
            p->entries[i].halves == halves &&
            !memcmp(p->entries[i].spec, spec, sizeof *spec * (size_t)num_spec))
            return p->entries[i].pipeline;
    return VK_NULL_HANDLE;
}

void ww_pipeline_keep(struct ww_device *device, const struct ww_shader *shader, const uint32_t *spec,
                      int num_spec, uint32_t halves, VkPipeline pipeline)
{
    struct ww_pipelines *p = device->pipelines;
    if (p->num == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 32;
        p->entries = realloc(p->entries, sizeof *p->entries * (size_t)p->cap);
        if (!p->entries)
            abort();
    }
    struct entry *entry = &p->entries[p->num++];
    *entry = (struct entry){
        .shader = shader, .num_spec = num_spec, .halves = halves, .pipeline = pipeline};
    memcpy(entry->spec, spec, sizeof *spec * (size_t)num_spec);
    device->pipelines_created++;
}

VkResult ww_pipeline_make(const struct ww_device *device, const struct ww_shader *shader,
                          const uint32_t *spec, int num_spec, uint32_t halves, VkPipeline *out)
{
    VkSpecializationMapEntry map[WW_MAX_SPEC + 1];
    uint32_t value[WW_MAX_SPEC + 1];
    const uint32_t num = (uint32_t)num_spec + (halves != 0);
    for (uint32_t i = 0; i < num; i++) {
        const bool last = i == (uint32_t)num_spec;
        map[i] = (VkSpecializationMapEntry){
            .constantID = last ? HALVES_ID : i, .offset = i * 4, .size = 4};
        value[i] = last ? halves : spec[i];
    }
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
