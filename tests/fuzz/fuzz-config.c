// Any bytes as a configuration: sentences that name the file, or a configuration that keeps its word.

#include <config-text.h>
#include <config.h>
#include <string.h>

#include "fuzz.h"

static void check_stream(const struct stream_config *s)
{
    EXPECT(s->name && s->url && s->shown && s->num_watches >= 1);
    EXPECT(!strchr(s->name, '/') && g_utf8_validate(s->shown, -1, NULL));
    EXPECT((s->kind != SOURCE_RTSP && s->kind != SOURCE_HTTP) || (s->host && s->port > 0));
    EXPECT(stream_config_equal(s, s));
    for (int i = 0; i < s->num_watches; i++) {
        const struct watch_config *w = &s->watches[i];
        EXPECT(w->name && w->model && w->phrases);
        EXPECT(w->threshold >= 0 && w->threshold <= 1 && w->rate >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    char *exact = malloc(size); // the sanitizer knows where it ends
    if (size)
        memcpy(exact, data, size);
    struct config *config = config_parse(exact, size, "f.json", problems);
    free(exact);
    EXPECT((config != NULL) == (problems->len == 0));
    for (guint i = 0; i < problems->len; i++) {
        EXPECT(g_str_has_prefix(problems->pdata[i], "f.json: "));
        EXPECT(g_utf8_validate(problems->pdata[i], -1, NULL));
    }
    for (int i = 0; config && i < config->num_streams; i++)
        check_stream(&config->streams[i]);
    config_unref(&config);
    g_ptr_array_unref(problems);
    return 0;
}
