// Every kernel, at every size it names, on the scalar reference and on every Vulkan device present:
// prints the worst element and where it is; and once more with operands stored as halves. On software
// Vulkan those that have a way of their own for cards are run that way, too. To time them, see
// `watchword bench kernels`. And every kernel is recorded with operands that were refused.
//
//     check-kernels [GLOB]

#include "check.h"
#include "kernels/check.h"

#include <fnmatch.h>

static void check_device(struct ww_device *device, struct ww_device *reference, bool halves,
                         const char *which)
{
    static const int end[8] = {0};
    const bool only_cards = device->profile.software && device->profile.card;
    char how[32];
    snprintf(how, sizeof how, "%s%s", only_cards ? " as a card" : "", halves ? ", halves" : "");
    printf("%s%s\n", device->info.name, how);
    for (int i = 0; ww_kernels[i]; i++) {
        const struct ww_kernel *kernel = ww_kernels[i];
        if (fnmatch(which, kernel->name, 0) || (only_cards && !kernel->for_cards))
            continue;
        for (const int(*size)[8] = kernel->sizes; memcmp(*size, end, sizeof end); size++) {
            struct ww_error err = {0};
            struct ww_check c = {0};
            check_about("%s on %s%s", kernel->name, device->info.name, how);
            if (!CHECK(ww_check_kernel(device, reference, kernel, *size, halves, &c, &err))) {
                printf("%s\n", err.text);
                continue;
            }
            printf("  %-10s", kernel->name);
            for (int k = 0; k < 8; k++)
                printf(" %4d", (*size)[k]);
            printf("   worst %.1e of %.0e  %s\n", c.worst, (double)c.tolerance,
                   c.ok ? "ok" : c.where);
            CHECK_CMP(c.worst, <=, (double)c.tolerance);
        }
    }
}

// Of all sizes but the last, which is large and has nothing else to tell.
static void check_refusals(struct ww_device *reference, const char *which)
{
    static const int end[8] = {0};
    for (int i = 0; ww_kernels[i]; i++) {
        const struct ww_kernel *kernel = ww_kernels[i];
        if (fnmatch(which, kernel->name, 0))
            continue;
        check_about("%s of what was refused", kernel->name);
        for (const int(*size)[8] = kernel->sizes; memcmp(size[1], end, sizeof end); size++)
            CHECK_CMP(ww_check_refusals(reference, kernel, *size), >, 0);
    }
}

int main(int argc, char **argv)
{
    struct ww_error err = {0};
    struct ww_device_info info[16];
    struct ww_device *reference = ww_device_open("reference", &err);
    const int count = ww_device_list(info, 16, &err);
    int vulkan = 0;
    for (int i = 0; i < count && i < 16; i++) {
        char index[16];
        snprintf(index, sizeof index, "%d", i);
        if (info[i].missing[0] || !strcmp(info[i].kind, "reference"))
            continue;
        struct ww_device *device = ww_device_open(index, &err);
        check_about("device %d, %s", i, info[i].name);
        if (!CHECK(device != NULL)) {
            printf("%s\n", err.text);
            continue;
        }
        const bool ways[] = {device->profile.card, true};
        for (int way = 0; way < (ways[0] ? 1 : 2); way++) {
            device->profile.card = ways[way];
            for (int halves = 0; halves <= 1; halves++)
                check_device(device, reference, halves, argc > 1 ? argv[1] : "*");
        }
        ww_device_close(&device);
        vulkan++;
    }
    check_refusals(reference, argc > 1 ? argv[1] : "*");
    ww_device_close(&reference);
    if (!vulkan)
        check_skip("no Vulkan device");
    return check_done();
}
