// watchword models fetch: what the catalogue lists, file by file, and config.json last, for that is
// what makes a folder a model.

#include "fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <watchword/json_text.h>
#include <watchword/models.h>

#include "cli.h"
#include "fetch-file.h"
#include "part.h"

#define HUB "https://huggingface.co"

static const char *const checks[] = {[CHECK_CATALOGUE] = "catalogue", [CHECK_SERVER] = "server",
                                     [CHECK_NONE] = NULL};

static void show_size(char *out, size_t size, int64_t bytes)
{
    if (bytes < 0)
        snprintf(out, size, "?");
    else if (bytes < 1 << 20)
        snprintf(out, size, "%.0f KiB", (double)bytes / 1024);
    else
        snprintf(out, size, "%.0f MiB", (double)bytes / (1 << 20));
}

static void print_entry(const struct ww_catalogue_model *model, bool json)
{
    char dir[512], line[8192];
    const bool installed = ww_model_find(model->name, dir, sizeof(dir), NULL);
    if (json) {
        struct ww_json_text t = {.out = line, .size = sizeof(line)};
        ww_json_object(&t, NULL);
        ww_json_put_string(&t, "name", model->name);
        ww_json_put_string(&t, "family", model->family);
        ww_json_put_string(&t, "licence", model->licence);
        if (model->hub) {
            ww_json_put_string(&t, "hub", model->hub);
            ww_json_put_string(&t, "revision", model->revision);
        } else {
            ww_json_put_string(&t, "url", model->url);
        }
        ww_json_put_int(&t, "num_files", model->num_files);
        if (model->bytes >= 0)
            ww_json_put_int(&t, "bytes", model->bytes);
        else
            ww_json_put_null(&t, "bytes");
        ww_json_put_string(&t, "dir", installed ? dir : NULL);
        ww_json_end(&t);
        print_line(line, t.length);
        return;
    }
    // Where small files have no size there, the large ones tell enough.
    int64_t bytes = 0;
    for (int i = 0; i < model->num_files; i++)
        bytes += model->files[i].bytes > 0 ? model->files[i].bytes : 0;
    char size[32];
    show_size(size, sizeof(size), bytes > 0 ? bytes : -1);
    printf("%-28s %-16s %9s  %-13s %s\n", model->name, model->family, size,
           installed ? "installed" : "-", model->licence);
}

int list_catalogue(bool json)
{
    struct ww_error err = {0};
    struct ww_catalogue *catalogue = ww_catalogue_open(NULL, &err);
    if (!catalogue)
        return give_up(&err);
    for (int i = 0; i < ww_catalogue_count(catalogue); i++)
        print_entry(ww_catalogue_at(catalogue, i), json);
    ww_catalogue_close(&catalogue);
    return finish_output(DONE);
}

static bool fail_unknown(const struct ww_catalogue *catalogue, const char *name, struct ww_error *err)
{
    const int count = ww_catalogue_count(catalogue);
    const char **names = calloc((size_t)count + 1, sizeof(*names));
    if (!names)
        abort();
    for (int i = 0; i < count; i++)
        names[i] = ww_catalogue_at(catalogue, i)->name;
    const char *near = nearest_name(name, names, sizeof(*names), count);
    ww_fail(err, WW_E_FILE, near ? "the catalogue has no model '%.100s'; did you mean '%s'?"
                                 : "the catalogue has no model '%.100s'; see watchword models fetch --list",
            name, near);
    free(names);
    return false;
}

// Where the hub is, and who asks.
static bool read_environment(struct source *source, char home[512], struct ww_error *err)
{
    const char *endpoint = getenv("HF_ENDPOINT"), *token = getenv("HF_TOKEN");
    snprintf(home, 512, "%s", endpoint && *endpoint ? endpoint : HUB);
    for (size_t n = strlen(home); n > 0 && home[n - 1] == '/'; n--)
        home[n - 1] = '\0';
    if ((strncmp(home, "https://", 8) != 0 && strncmp(home, "http://", 7) != 0) || strlen(home) > 400 ||
        strpbrk(home, " \t\r\n@?#\\"))
        return ww_fail(err, WW_E_CONFIG, "HF_ENDPOINT is '%.100s'; it takes an address as " HUB ", without "
                       "user, '?' and '#'", endpoint);
    source->home = home;
    if (!token || !*token)
        return true;
    for (const char *p = token; *p; p++)
        if (*p <= ' ' || *p > '~' || p - token > 1000)
            return ww_fail(err, WW_E_CONFIG, "HF_TOKEN has a character that no token has, or is too long");
    source->token = token;
    if (!http_is_private(home)) {
        complain("HF_TOKEN is not sent: %s is neither https nor this machine", home);
        source->token = NULL;
    }
    return true;
}

// mkdir -p, and opens it. -1: `err` says why not.
static int open_folder(const char *path, struct ww_error *err)
{
    char part[PATH_MAX];
    snprintf(part, sizeof(part), "%s", path);
    for (char *slash = part; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        mkdir(part, 0777); // what is wrong with it shows below
        *slash = '/';
    }
    if (mkdir(part, 0777) != 0 && errno != EEXIST) {
        ww_fail(err, WW_E_FILE, "%s: cannot make the folder: %s", path, strerror(errno));
        return -1;
    }
    const int fd = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        ww_fail(err, WW_E_FILE, "%s: cannot open the folder: %s", path, strerror(errno));
    return fd;
}

// Two that fetch the same model would write into the same files. The lock goes with the folder's
// descriptor, so that it cannot stay behind.
static bool lock_folder(int folder, const char *path, struct ww_error *err)
{
    const struct timespec nap = {.tv_nsec = 100000000};
    for (bool told = false; flock(folder, LOCK_EX | LOCK_NB) != 0; told = true) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return ww_fail(err, WW_E_FILE, "%s: cannot be locked: %s", path, strerror(errno));
        if (!told)
            complain("%s: another fetch is at work there; waiting for it", path);
        nanosleep(&nap, NULL);
        if (stopped)
            return ww_fail(err, WW_E_STOPPED, "stopped");
    }
    return true;
}

// What is sure to come has room; sizes that nobody knows yet are looked at file by file.
static bool check_room(int folder, const char *path, const struct ww_catalogue_model *model,
                       struct ww_error *err)
{
    int64_t wanted = 0;
    for (int i = 0; i < model->num_files; i++) {
        const struct ww_catalogue_file *file = &model->files[i];
        char part[600];
        struct stat st;
        snprintf(part, sizeof(part), "%s.part", file->name);
        if (file->bytes < 0 || (fstatat(folder, file->name, &st, 0) == 0 && st.st_size == file->bytes))
            continue;
        wanted += file->bytes;
        if (fstatat(folder, part, &st, 0) == 0)
            wanted -= st.st_size < file->bytes ? st.st_size : file->bytes;
    }
    const int64_t space = free_bytes(folder);
    return wanted <= space ||
           ww_fail(err, WW_E_FILE, "%s: needs %lld MiB more, and %lld MiB are free there: make room, or take "
                   "another folder with --into", path, (long long)(wanted >> 20) + 1,
                   (long long)(space >> 20));
}

static void print_file(const struct ww_catalogue_model *model, const struct ww_catalogue_file *file,
                       const struct fetched *got, bool json)
{
    const char *const how = got->was_there ? "was there" : got->resumed ? "resumed" : "fetched";
    if (!json) {
        static const char *const told[] = {[CHECK_CATALOGUE] = "sha256 as in the catalogue",
                                           [CHECK_SERVER] = "checksum by the server",
                                           [CHECK_NONE] = "no checksum is known"};
        printf("%-28s %11lld bytes  %-9s  %s\n", file->name, (long long)got->bytes, how, told[got->check]);
        fflush(stdout);
        return;
    }
    char line[2048];
    struct ww_json_text t = {.out = line, .size = sizeof(line)};
    ww_json_object(&t, NULL);
    ww_json_put_string(&t, "model", model->name);
    ww_json_put_string(&t, "file", file->name);
    ww_json_put_int(&t, "bytes", got->bytes);
    ww_json_put_string(&t, "sha256", got->sha256);
    ww_json_put_string(&t, "checked_by", checks[got->check]);
    ww_json_put_string(&t, "how", how);
    ww_json_end(&t);
    print_line(line, t.length);
}

static bool fetch_one(const struct source *source, int folder, const struct ww_catalogue_model *model,
                      const struct ww_catalogue_file *file, bool json, struct ww_error *err)
{
    char url[2048];
    struct fetched got;
    if (model->hub)
        snprintf(url, sizeof(url), "%s/%s/resolve/%s/%s", source->home, model->hub, model->revision,
                 file->name);
    else
        snprintf(url, sizeof(url), "%s%s", model->url, file->name);
    if (!fetch_file(source, folder, file, url, &got, err))
        return false;
    print_file(model, file, &got, json);
    return true;
}

static bool fetch_all(const struct source *source, int folder, const struct ww_catalogue_model *model,
                      bool json, struct ww_error *err)
{
    for (int last = 0; last < 2; last++)
        for (int i = 0; i < model->num_files; i++)
            if ((strcmp(model->files[i].name, "config.json") == 0) == last &&
                !fetch_one(source, folder, model, &model->files[i], json, err))
                return false;
    return true;
}

// Opened and locked. -1: `err` says why not.
static int take_folder(const char *path, struct ww_error *err)
{
    for (;;) {
        const int folder = open_folder(path, err);
        struct stat st = {0};
        if (folder < 0)
            return -1;
        if (!lock_folder(folder, path, err)) {
            close(folder);
            return -1;
        }
        if (fstat(folder, &st) == 0 && st.st_nlink > 0)
            return folder;
        close(folder); // the one before us got nothing, and took it away
        if (stopped) {
            ww_fail(err, WW_E_STOPPED, "stopped");
            return -1;
        }
    }
}

static bool fetch_into(const struct source *source, const struct ww_catalogue_model *model,
                       const char *path, bool json, struct ww_error *err)
{
    const int folder = take_folder(path, err);
    if (folder < 0)
        return false;
    const bool done =
        check_room(folder, path, model, err) && fetch_all(source, folder, model, json, err);
    if (!done)
        rmdir(path); // if nothing came; the lock is ours still
    close(folder);
    return done;
}

static bool fetch_named(const struct ww_catalogue *catalogue, struct source *source, const char *name,
                        const char *into, bool json, struct ww_error *err)
{
    char home[512], models[PATH_MAX], path[PATH_MAX];
    const struct ww_catalogue_model *model = ww_catalogue_find(catalogue, name);
    if (!model)
        return fail_unknown(catalogue, name, err);
    if (into && !*into)
        return ww_fail(err, WW_E_CONFIG, "--into wants a folder");
    if (!into && !ww_model_home(models, sizeof(models), err))
        return false;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", into ? into : models, name) >= sizeof(path))
        return ww_fail(err, WW_E_FILE, "--into: the path is too long");
    source->http = http_create(err);
    if (!source->http)
        return false;
    const bool done = read_environment(source, home, err) && fetch_into(source, model, path, json, err);
    http_destroy(&source->http);
    if (done && !json)
        printf("%s\n", path);
    return done || ww_within(err, "%s", name);
}

int fetch_model(const char *name, const char *into, double silence_s, bool json)
{
    struct ww_error err = {0};
    struct source source = {.silence_s = silence_s};
    struct ww_catalogue *catalogue = ww_catalogue_open(NULL, &err);
    catch_signals();
    const bool done = catalogue && fetch_named(catalogue, &source, name, into, json, &err);
    ww_catalogue_close(&catalogue);
    if (done)
        return finish_output(DONE);
    finish_output(FAILED);
    if (err.code == WW_E_STOPPED)
        ww_fail(&err, WW_E_STOPPED, "%.100s: stopped; what has arrived is kept: fetch again to go on", name);
    return give_up(&err);
}
