#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

bool find_program(const char *name, char *path, size_t size)
{
    // Beside this program, then where it lies in the build tree, then as installed with any prefix.
    static const char *const places[] = {
        "", "../daemon/", "../sbin/", "../bin/", "../libexec/watchword/", "../lib/watchword/"};
    char own[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (n > 0) {
        own[n] = '\0';
        char *slash = strrchr(own, '/');
        slash[1] = '\0';
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            snprintf(path, size, "%s%s%s", own, places[i], name);
            if (is_program(path))
                return true;
        }
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
