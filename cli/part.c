#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli.h"

enum { SYNC_BYTES = 64 << 20 }; // what a loss of power may cost

static bool fail_on(const char *name, const char *what, struct ww_error *err)
{
    return ww_fail(err, WW_E_FILE, "%s: cannot %s: %s", name, what, strerror(errno));
}

int part_folder(int root, const char *name, const char **base, struct ww_error *err)
{
    int folder = fcntl(root, F_DUPFD_CLOEXEC, 0);
    for (const char *slash; folder >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
        char part[128];
        snprintf(part, sizeof(part), "%.*s", (int)(slash - name), name);
        if (mkdirat(folder, part, 0777) != 0 && errno != EEXIST) {
            fail_on(part, "make the folder", err);
            close(folder);
            return -1;
        }
        const int next = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            fail_on(part, "open the folder", err);
        close(folder);
        folder = next;
        if (next < 0)
            return -1;
    }
    if (folder < 0)
        fail_on(name, "open its folder", err);
    *base = name;
    return folder;
}

int64_t free_bytes(int folder)
{
    struct statvfs fs;
    if (fstatvfs(folder, &fs) != 0)
        return INT64_MAX;
    const uint64_t block = fs.f_frsize ? fs.f_frsize : fs.f_bsize;
    uint64_t bytes;
    return __builtin_mul_overflow(block, (uint64_t)fs.f_bavail, &bytes) || bytes > INT64_MAX
               ? INT64_MAX
               : (int64_t)bytes;
}

bool digest_file(int fd, char hex[65], struct ww_error *err)
{
    enum { PIECE = 1 << 18 };
    struct AVSHA *sha = av_sha_alloc();
    uint8_t *buffer = malloc(PIECE), digest[32];
    if (!sha || !buffer)
        abort();
    av_sha_init(sha, 256);
    off_t at = 0;
    ssize_t got = 0;
    while (!stopped && ((got = pread(fd, buffer, PIECE, at)) > 0 || (got < 0 && errno == EINTR))) {
        if (got > 0)
            av_sha_update(sha, buffer, (unsigned)got);
        at += got > 0 ? got : 0;
    }
    const int reason = errno;
    av_sha_final(sha, digest);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    free(buffer);
    av_free(sha);
    if (stopped)
        return ww_fail(err, WW_E_STOPPED, "stopped");
    return got == 0 || ww_fail(err, WW_E_FILE, "cannot be read: %s", strerror(reason));
}

static void name_of(const struct part *p, const char *ending, char out[256])
{
    snprintf(out, 256, "%s%s", p->name, ending);
}

// Another each time that the system starts; "" if it does not say.
static void read_boot(char boot[64])
{
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd >= 0 ? read(fd, boot, 63) : 0;
    if (fd >= 0)
        close(fd);
    boot[size > 0 ? size : 0] = '\0';
    boot[strcspn(boot, "\n")] = '\0';
}

// Lines of "etag ...", "bytes ...", "sha256 ...", "synced ..." and "boot ...", none of which need be
// there. What is wrong in it is as good as missing: then the file is fetched from its beginning. False:
// the system has started anew since then, or it is not known.
static bool read_note(struct part *p)
{
    char boot[64];
    bool same = false;
    read_boot(boot);
    char name[256], text[600];
    name_of(p, ".part-of", name);
    const int fd = openat(p->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    const ssize_t size = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = '\0';
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        long long total;
        if (strncmp(line, "etag ", 5) == 0)
            snprintf(p->etag, sizeof(p->etag), "%.199s", line + 5);
        else if (strncmp(line, "sha256 ", 7) == 0 && strlen(line + 7) == 64)
            snprintf(p->sha256, sizeof(p->sha256), "%s", line + 7);
        else if (sscanf(line, "bytes %18lld", &total) == 1 && total >= 0)
            p->total = total;
        else if (sscanf(line, "synced %18lld", &total) == 1 && total >= 0)
            p->synced = total;
        else if (strncmp(line, "boot ", 5) == 0)
            same = *boot && strcmp(line + 5, boot) == 0;
    }
    return same;
}

static bool write_note(struct part *p, struct ww_error *err)
{
    char name[256];
    name_of(p, ".part-of", name);
    unlinkat(p->folder, name, 0);
    const int fd = openat(p->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file) {
        fail_on(name, "create", err);
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (*p->etag)
        fprintf(file, "etag %s\n", p->etag);
    if (*p->sha256)
        fprintf(file, "sha256 %s\n", p->sha256);
    if (p->total >= 0)
        fprintf(file, "bytes %lld\n", (long long)p->total);
    if (p->synced > 0)
        fprintf(file, "synced %lld\n", (long long)p->synced);
    char boot[64];
    read_boot(boot);
    if (*boot)
        fprintf(file, "boot %s\n", boot);
    const bool whole = !ferror(file);
    return (fclose(file) == 0 && whole) || fail_on(name, "write", err);
}

bool part_open(struct part *p, int root, const char *name, struct ww_error *err)
{
    *p = (struct part){.folder = -1, .fd = -1, .total = -1};
    const char *base;
    p->folder = part_folder(root, name, &base, err);
    if (p->folder < 0)
        return false;
    snprintf(p->name, sizeof(p->name), "%s", base);
    char path[256];
    name_of(p, ".part", path);
    p->fd = openat(p->folder, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    struct stat st;
    if (p->fd < 0 || fstat(p->fd, &st) != 0)
        return fail_on(path, "open", err);
    if (!S_ISREG(st.st_mode))
        return ww_fail(err, WW_E_FILE, "%s: is no regular file; remove it", path);
    p->bytes = st.st_size;
    // Without an ETag nothing is gone on with but what a sha256 will judge.
    if (p->bytes > 0 && !read_note(p) && *p->etag && p->bytes > p->synced) {
        p->bytes = p->synced;
        if (ftruncate(p->fd, p->bytes) != 0)
            return fail_on(path, "cut", err);
    }
    p->synced = p->synced < p->bytes ? p->synced : p->bytes;
    return true;
}

// First the bytes come to the disk, then the note that says so.
static bool sync_part(struct part *p, struct ww_error *err)
{
    if (p->bytes == p->synced)
        return true;
    if (fdatasync(p->fd) != 0)
        return fail_on(p->name, "write its .part", err);
    p->synced = p->bytes;
    return write_note(p, err);
}

bool part_begin(struct part *p, int64_t total, const char *etag, const char *sha256, struct ww_error *err)
{
    p->bytes = p->synced = 0;
    p->total = total;
    snprintf(p->etag, sizeof(p->etag), "%s", etag);
    snprintf(p->sha256, sizeof(p->sha256), "%s", sha256);
    // The old bytes go before the new note comes.
    return (ftruncate(p->fd, 0) == 0 || fail_on(p->name, "empty its .part", err)) && write_note(p, err);
}

bool part_write(struct part *p, const void *data, size_t size, struct ww_error *err)
{
    for (const char *from = data; size > 0;) {
        const ssize_t put = pwrite(p->fd, from, size, p->bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && (errno == ENOSPC || errno == EDQUOT))
            return ww_fail(err, WW_E_FILE, "no space is left for it: make some, or take another folder "
                           "with --into; what has arrived is kept");
        if (put < 0)
            return fail_on(p->name, "write its .part", err);
        from += put;
        size -= (size_t)put;
        p->bytes += put;
    }
    return p->bytes - p->synced < SYNC_BYTES || sync_part(p, err);
}

bool part_finish(struct part *p, struct ww_error *err)
{
    char path[256], note[256];
    name_of(p, ".part", path);
    name_of(p, ".part-of", note);
    if (fsync(p->fd) != 0)
        return fail_on(path, "write", err);
    if (renameat(p->folder, path, p->folder, p->name) != 0)
        return fail_on(path, "rename", err);
    unlinkat(p->folder, note, 0);
    return fsync(p->folder) == 0 || errno == EINVAL || fail_on(p->name, "write its folder", err);
}

void part_discard(struct part *p)
{
    char path[256];
    name_of(p, ".part", path);
    unlinkat(p->folder, path, 0);
    name_of(p, ".part-of", path);
    unlinkat(p->folder, path, 0);
}

int64_t part_size(const struct part *p)
{
    struct stat st;
    return p->fd >= 0 && fstat(p->fd, &st) == 0 ? st.st_size : 0;
}

void part_close(struct part *p)
{
    char path[256];
    name_of(p, ".part", path);
    struct ww_error ignored = {0};
    if (p->fd >= 0 && part_size(p) == 0) // an empty one helps nobody
        part_discard(p);
    else if (p->fd >= 0 && *p->etag && faccessat(p->folder, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        sync_part(p, &ignored); // if it fails there is less to go on with, and no harm
    if (p->fd >= 0)
        close(p->fd);
    if (p->folder >= 0)
        close(p->folder);
    p->fd = p->folder = -1;
}
