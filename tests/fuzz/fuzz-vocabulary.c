// Any bytes as a vocabulary, and what follows their first 0x01 as a phrase: its tokens are the
// vocabulary's, and as many as there was room for.

#include "models/match.h"
#include "models/vocabulary.h"

#include <string.h>

#include "fuzz.h"

static char dir[] = "/tmp/fuzz-vocabulary-XXXXXX", path[64];

static void clean(void)
{
    unlink(path);
    rmdir(dir);
}

static void check_cut(const struct ww_vocabulary *v, const char *phrase, int max)
{
    struct ww_error err = {0};
    int32_t *ids = malloc(sizeof *ids * (size_t)max); // the sanitizer knows where it ends
    const int num = ww_vocabulary_cut(v, phrase, ids, max, &err);
    EXPECT(num <= max && (num >= 2 || (num == -1 && err.code == WW_E_TEXT)));
    for (int i = 0; i < num; i++)
        EXPECT(ids[i] >= 0);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"car", "hot dog", "dog"};
    if (!*path) {
        EXPECT(mkdtemp(dir));
        snprintf(path, sizeof path, "%s/vocab.txt", dir);
        atexit(clean);
    }
    const uint8_t *mark = memchr(data, 1, size);
    const size_t bytes = mark ? (size_t)(mark - data) : size;
    FILE *file = fopen(path, "wb");
    EXPECT(file && fwrite(data, 1, bytes, file) == bytes && !fclose(file));
    char *phrase = mark ? strndup((const char *)mark + 1, size - bytes - 1) : strdup("a red car.");
    struct ww_error err = {0};
    struct ww_vocabulary *v = ww_vocabulary_load(dir, &err);
    EXPECT(v || strstr(err.text, "vocab.txt"));
    if (v) {
        check_cut(v, phrase, 2);
        check_cut(v, phrase, 7);
        check_cut(v, phrase, 256);
    }
    const int name = ww_match_name(phrase, names, 3), word = ww_match_word(phrase, names, 3);
    EXPECT(name < 3 && word < 3 && (name < 0 || name == word));
    ww_vocabulary_destroy(&v);
    free(phrase);
    return 0;
}
