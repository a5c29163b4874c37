// How fast texts become ids: bench-tokenizers TEXT_FILE TOKENIZER... The whole file is one text,
// read from a cold start each time; the best of as many runs as fit into two seconds is told, in time of
// the processor, for others may work on it too.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <watchword/tokenizer.h>

#include "base/file.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void measure(const struct ww_tokenizer *t, const char *name, const char *text, size_t bytes)
{
    uint32_t *ids = malloc(4 * (bytes + 1) * sizeof *ids);
    if (!ids)
        abort();
    double best = 1e9;
    size_t num = 0;
    for (const double begin = now(); now() - begin < 2;) {
        const double start = now();
        num = ww_tokenizer_encode(t, text, bytes, WW_ENCODE_PARSE_SPECIAL, ids, 4 * (bytes + 1));
        const double seconds = now() - start;
        best = seconds < best ? seconds : best;
    }
    printf("%-60s %8.1f MB/s  %9zu tokens  %.2f bytes each\n", name, (double)bytes / best / 1e6,
           num, (double)bytes / (double)num);
    free(ids);
}

int main(int argc, char **argv)
{
    struct ww_error err = {0};
    size_t bytes = 0;
    char *text = argc > 2 ? ww_read_whole(argv[1], 256 << 20, &bytes, &err) : NULL;
    if (!text) {
        fprintf(stderr, "%s\n", err.text[0] ? err.text : "bench-tokenizers TEXT_FILE TOKENIZER...");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        struct ww_tokenizer *t = ww_tokenizer_open(argv[i], &err);
        if (!t) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        measure(t, argv[i], text, bytes);
        ww_tokenizer_close(&t);
    }
    free(text);
    return 0;
}
