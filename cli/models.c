// watchword models: what is installed, is it sound, and what else is to be had?

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <watchword/json_text.h>
#include <watchword/models.h>
#include <watchword/quote.h>

#include "cli.h"
#include "fetch.h"
#include "json.h"

struct listing {
    bool json;
    int count;
};

static void print_model(void *opaque, const struct ww_model_info *info)
{
    struct listing *listing = opaque;
    listing->count++;
    if (listing->json) {
        char line[2048];
        struct ww_json_text t = {.out = line, .size = sizeof(line)};
        ww_json_object(&t, NULL);
        ww_json_put_string(&t, "name", info->name);
        ww_json_put_string(&t, "family", info->family);
        ww_json_put_string(&t, "digest", info->digest);
        ww_json_put_string(&t, "dir", info->dir);
        ww_json_end(&t);
        print_line(line, t.length);
        return;
    }
    char line[sizeof *info + 32];
    snprintf(line, sizeof(line), "%-24s %-16s %.19s  %s", info->name, info->family,
             *info->digest ? info->digest : "-", info->dir);
    ww_quote_tidy(line); // the family is what a config.json says
    print_line(line, strlen(line));
}

static int list_models(bool json)
{
    struct listing listing = {.json = json};
    ww_model_list(print_model, &listing);
    if (listing.count == 0) {
        struct ww_error err;
        char dir[512];
        if (!ww_model_find("nano", dir, sizeof(dir), &err)) // its error lists where it looked
            complain("no models: %s", err.text);
    }
    return finish_output(listing.count > 0 ? DONE : FAILED);
}

// The words that a closed-set model knows.
static int list_words(const char *model)
{
    struct ww_error err = {0};
    char dir[512], path[600];
    if (!ww_model_find(model, dir, sizeof(dir), &err))
        return give_up(&err);
    snprintf(path, sizeof(path), "%s/config.json", dir);
    struct cJSON *config = json_load(path, &err);
    if (!config)
        return give_up(&err);
    const struct cJSON *classes = json_at(config, "classes");
    int count = json_count(classes);
    for (const struct cJSON *c = json_first(classes); c; c = json_next(c)) {
        print_clean(stdout, json_text(c, "", "?"));
        putchar('\n');
    }
    for (int i = 0;; i++) { // as the transformers library names them; numbers without a thing are N/A
        char label[32];
        snprintf(label, sizeof(label), "id2label.%d", i);
        const char *name = json_text(config, label, NULL);
        if (!name)
            break;
        if (strcmp(name, "N/A") == 0)
            continue;
        print_clean(stdout, name);
        putchar('\n');
        count++;
    }
    json_free(config);
    if (count == 0)
        complain("models: %s names no classes: it takes any words", model);
    return finish_output(count > 0 ? DONE : FAILED);
}

// A report is what the model is, in lines of which all but the first are indented, and then each
// file and its tensors.
static size_t summary_size(const char *report)
{
    const char *line = report + strcspn(report, "\n");
    while (line[0] == '\n' && line[1] == ' ')
        line += 1 + strcspn(line + 1, "\n");
    return (size_t)(line - report);
}

static int verify_model(const char *what, bool tensors)
{
    enum { REPORT_BYTES = 1 << 20 };
    struct ww_error err = {0};
    struct stat st;
    char dir[512];
    if (stat(what, &st) != 0) { // no path, so a name
        if (!ww_model_find(what, dir, sizeof(dir), &err))
            return give_up(&err);
        what = dir;
    }
    char *report = calloc(1, REPORT_BYTES);
    if (!report)
        abort();
    const bool sound = ww_model_verify(what, report, REPORT_BYTES, &err);
    size_t size = tensors ? strlen(report) : summary_size(report);
    while (size > 0 && report[size - 1] == '\n')
        size--;
    if (size > 0)
        print_line(report, size);
    free(report);
    if (!sound) {
        finish_output(FAILED);
        complain("%s", err.text);
        return FAILED;
    }
    return finish_output(DONE);
}

int cmd_models(int argc, char **argv)
{
    static const struct manual manual = {
        .usage = "models [list] [--json]\n"
                 "models list NAME|DIR\n"
                 "models verify [--tensors] NAME|DIR|FILE\n"
                 "models fetch [--into DIR] [--timeout S] [--json] NAME\n"
                 "models fetch --list [--json]",
        .about = "Lists the models that are installed, or the words that one knows, or reads one\n"
                 "completely and says what it is, or fetches one that the catalogue lists: what an\n"
                 "earlier fetch left half done goes on, and a file gets its name when it is whole.\n"
                 "Models are looked for in $WATCHWORD_MODELS, ~/.local/share/watchword/models,\n"
                 "/var/lib/watchword/models and among those that came with watchword.",
        .examples = "  watchword models\n"
                    "  watchword models list nano\n"
                    "  watchword models verify nano\n"
                    "  watchword models verify ./centernet.safetensors\n"
                    "  watchword models fetch --list\n"
                    "  watchword models fetch all-MiniLM-L6-v2",
        .exits = "verify: 0 sound, 1 not sound,\nwith file and field in the error.",
        .max_args = 2,
    };
    bool json = false, tensors = false, list = false;
    const char *into = NULL;
    double silence_s = 30;
    const struct option options[] = {
        {"json", NULL, "one JSON object a line", OPTION_FLAG, &json},
        {"tensors", NULL, "verify: every tensor, too", OPTION_FLAG, &tensors},
        {"list", NULL, "fetch: what the catalogue has", OPTION_FLAG, &list},
        {"into", "DIR", "fetch: make the model's folder there [~/.local/share/watchword/models]",
         OPTION_TEXT, &into},
        {"timeout", "S", "fetch: try again when the server is silent so long [30]", OPTION_REAL,
         &silence_s, 0.1, 3600},
        {0},
    };
    int status;
    if (!parse_options(&argc, argv, &manual, options, &status))
        return status;
    if (argc == 0 || (argc == 1 && strcmp(argv[0], "list") == 0))
        return list_models(json);
    if (argc == 2 && strcmp(argv[0], "verify") == 0)
        return verify_model(argv[1], tensors);
    if (argc == 1 && strcmp(argv[0], "fetch") == 0 && list)
        return list_catalogue(json);
    if (argc == 2 && strcmp(argv[0], "fetch") == 0 && !list)
        return fetch_model(argv[1], into, silence_s, json);
    if (argc == 2 && strcmp(argv[0], "list") == 0)
        return list_words(argv[1]);
    complain("models: '%s' is not what it takes; see watchword models --help", argv[argc - 1]);
    return WRONG_USAGE;
}
