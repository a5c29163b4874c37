#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

// The folder of this program, with a slash at its end; false if the system does not tell.
static bool own_folder(char *path, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", path, size - 1);
    path[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        slash[1] = '\0';
    return slash != NULL;
}

bool find_program(const char *name, char *path, size_t size)
{
    // Beside this program, then where it lies in the build tree, then as installed with any prefix.
    static const char *const places[] = {
        "", "../daemon/", "../sbin/", "../bin/", "../libexec/watchword/", "../lib/watchword/"};
    char own[PATH_MAX];
    const bool known = own_folder(own, sizeof(own));
    for (size_t i = 0; known && i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(path, size, "%s%s%s", own, places[i], name);
        if (is_program(path))
            return true;
    }
    snprintf(path, size, "%s/%s", WW_LIBEXECDIR, name);
    if (is_program(path))
        return true;
    const char *dirs = getenv("PATH");
    while (dirs && *dirs) {
        const int len = (int)strcspn(dirs, ":");
        snprintf(path, size, "%.*s/%s", len, dirs, name);
        if (is_program(path))
            return true;
        dirs += len + (dirs[len] == ':');
    }
    return false;
}

void use_build_tree(void)
{
    char path[PATH_MAX + 16];
    if (!own_folder(path, PATH_MAX))
        return;
    strcat(path, "build-tree.env");
    FILE *file = fopen(path, "r");
    char line[PATH_MAX + 64];
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, '=');
        if (value) {
            *value = '\0';
            setenv(line, value + 1, 0);
        }
    }
    if (file)
        fclose(file);
}
