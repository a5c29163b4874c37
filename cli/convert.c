// watchword convert: a checkpoint in another format, or with weights of another type.

#include <watchword/convert.h>

#include "cli.h"

static bool show(void *opaque, uint64_t done, uint64_t all)
{
    struct progress *progress = opaque;
    progress->total = (int64_t)(all >> 20);
    progress_show(progress, (int64_t)(done >> 20));
    return !stopped;
}

int cmd_convert(int argc, char **argv)
{
    static const struct manual manual = {
        .usage = "convert [--type TYPE] IN OUT",
        .about = "Reads a checkpoint (safetensors, GGUF, PyTorch; a file, an index, or the directory\n"
                 "they lie in) and writes OUT: a .gguf or a .safetensors file. OUT appears when it is\n"
                 "complete. The same input makes the same bytes. Vectors, and rows that are no whole\n"
                 "blocks of the type, become f32. From the directory of a language model (config.json,\n"
                 "weights, tokenizer) a .gguf file is made that is a model by itself; what its tokenizer\n"
                 "does and GGUF cannot say is told as a warning.",
        .examples = "  watchword convert --type q8_0 model.safetensors model.gguf",
        .min_args = 2,
        .max_args = 2,
    };
    const char *type = NULL;
    const struct option options[] = {
        {"type", "TYPE", "f32, f16, bf16, q8_0, q[45]_[01], q[456]_k [as it is]",
         OPTION_TEXT, &type},
        {0},
    };
    int status;
    if (!parse_options(&argc, argv, &manual, options, &status))
        return status;
    catch_signals();
    struct progress progress;
    progress_begin(&progress, "convert", 0);
    progress.unit = "MiB";
    progress.rate = "MiB/s";
    struct ww_error err = {0};
    struct ww_conversion made;
    if (!ww_convert(argv[0], argv[1],
                    ww_convert_params(.type = type, .progress = show, .opaque = &progress), &made,
                    &err))
        return give_up(&err);
    progress_clear();
    fprintf(stderr, "%llu tensors, %llu bytes", (unsigned long long)made.num_tensors,
            (unsigned long long)made.bytes);
    if (made.num_widened)
        fprintf(stderr, "; %llu of them became f32: vectors, rows that are no whole blocks, or blocks "
                        "that the file cannot have",
                (unsigned long long)made.num_widened);
    fputc('\n', stderr);
    return finish_output(DONE);
}
