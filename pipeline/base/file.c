#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *read_all(int fd, const char *path, size_t max_bytes, size_t *bytes, struct ww_error *err)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        ww_fail(err, WW_E_FILE, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        ww_fail(err, WW_E_FILE, "%s: not a regular file", path);
        return NULL;
    }
    if ((uint64_t)st.st_size > max_bytes) {
        ww_fail(err, WW_E_FILE, "%s: %lld bytes are more than the %zu that such a file may have",
                path, (long long)st.st_size, max_bytes);
        return NULL;
    }
    char *data = malloc((size_t)st.st_size + 1);
    if (!data) {
        ww_fail(err, WW_E_MEMORY, "%s: no memory left on this host to read it", path);
        return NULL;
    }
    *bytes = 0;
    while (*bytes < (size_t)st.st_size) {
        const ssize_t got = read(fd, data + *bytes, (size_t)st.st_size - *bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            ww_fail(err, WW_E_FILE, "%s: %s", path, strerror(errno));
            free(data);
            return NULL;
        }
        if (got == 0)
            break; // became shorter; a parser will say where it ends
        *bytes += (size_t)got;
    }
    data[*bytes] = '\0';
    return data;
}

char *ww_read_whole(const char *path, size_t max_bytes, size_t *bytes, struct ww_error *err)
{
    // Not to wait for the other end of a pipe that somebody put here.
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *data = read_all(fd, path, max_bytes, bytes, err);
    if (fd >= 0)
        close(fd);
    return data;
}
