// trace DEVICE MODEL TASK IMAGE OUT: one trace at the image's own size, as the golden tensors are.

#include <stdio.h>
#include <string.h>
#include <watchword/decode.h>
#include <watchword/trace.h>

int main(int argc, char **argv)
{
    struct ww_error err = {0};
    struct ww_frame frame;
    if (argc != 6)
        return 2;
    struct ww_engine *engine = ww_engine_open(ww_engine_params(.device = argv[1]), &err);
    struct ww_reader *reader = engine ? ww_reader_open(argv[4], &err) : NULL;
    bool ok = reader && ww_reader_next(reader, &frame, &err) == 1;
    const bool detect = !strcmp(argv[3], "detect");
    ok = ok && ww_trace(engine,
                        ww_trace_params(.model = argv[2],
                                        .task = (enum ww_task)ww_task_from_name(argv[3]),
                                        .images = &frame, .num_images = 1,
                                        .input_width = detect ? frame.width : 0,
                                        .input_height = detect ? frame.height : 0, .out = argv[5]),
                        &err);
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    ww_reader_close(&reader);
    ww_engine_close(&engine);
    return ok ? 0 : 1;
}
