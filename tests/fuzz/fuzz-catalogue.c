// Any bytes as a catalogue of models: refused with a sentence that names the file, or nothing in it
// leaves the folder that it is joined to, and all of it is fit for a URL.

#include <string.h>
#include <watchword/catalogue.h>

#include "base/utf8.h"
#include "fuzz.h"

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-/";

static void check_path(const char *path)
{
    EXPECT(*path && strspn(path, plain) == strlen(path));
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        EXPECT(*part && *part != '.' && *part != '/' && *part != '-');
}

static void check_model(const struct ww_catalogue_model *model)
{
    int64_t bytes = 0;
    check_path(model->name);
    EXPECT(!strchr(model->name, '/'));
    EXPECT(ww_utf8_valid(model->family, strlen(model->family)));
    EXPECT(ww_utf8_valid(model->licence, strlen(model->licence)));
    EXPECT(!model->hub != !model->url && !model->hub == !model->revision);
    if (model->hub) {
        check_path(model->hub);
        check_path(model->revision);
    } else {
        EXPECT(strncmp(model->url, "https://", 8) == 0 || strncmp(model->url, "http://", 7) == 0);
        EXPECT(model->url[strlen(model->url) - 1] == '/' && !strpbrk(model->url, " \r\n\t?#@\"\\"));
    }
    EXPECT(model->num_files >= 1);
    for (int i = 0; i < model->num_files; i++) {
        const struct ww_catalogue_file *file = &model->files[i];
        check_path(file->name);
        EXPECT(file->bytes == -1 || file->bytes >= 1);
        EXPECT(!file->sha256 || strspn(file->sha256, "0123456789abcdef") == 64);
        bytes = bytes < 0 || file->bytes < 0 ? -1 : bytes + file->bytes;
        for (int k = 0; k < i; k++)
            EXPECT(strcmp(model->files[k].name, file->name) != 0);
    }
    EXPECT(model->bytes == bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    struct ww_error err = {0};
    struct ww_catalogue *catalogue = ww_catalogue_open(path, &err);
    if (catalogue) {
        for (int i = 0; i < ww_catalogue_count(catalogue); i++) {
            const struct ww_catalogue_model *model = ww_catalogue_at(catalogue, i);
            check_model(model);
            EXPECT(ww_catalogue_find(catalogue, model->name) == model); // no name is there twice
        }
    } else {
        EXPECT(err.code == WW_E_FILE || err.code == WW_E_MEMORY);
        EXPECT(strncmp(err.text, path, strlen(path)) == 0);
        EXPECT(ww_utf8_valid(err.text, strlen(err.text)) && !strchr(err.text, '\n'));
    }
    ww_catalogue_close(&catalogue);
    return 0;
}
