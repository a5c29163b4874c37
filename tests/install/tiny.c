// What a stranger's first program might be, built with nothing but what is installed.
#include <stdio.h>
#include <watchword/bench.h>
#include <watchword/decode.h>
#include <watchword/draw.h>
#include <watchword/models.h>
#include <watchword/trace.h>
#include <watchword/watch.h>

int main(void)
{
    struct ww_error err;
    struct ww_device_info devices[8];
    int num_devices = ww_device_list(devices, 8, &err);
    printf("%d devices, the last is %s\n", num_devices,
           num_devices > 0 && num_devices <= 8 ? devices[num_devices - 1].name : "?");
    struct ww_frame frame = {.width = -1};
    return num_devices > 0 && !ww_frame_check(&frame, &err) && err.code == WW_E_FRAME ? 0 : 1;
}
