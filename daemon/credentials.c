#include "credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SECRET_BYTES 1024

// Who else may do what with a secret. systemd lets its service read a credential by an access control
// list, whose mask stands where the group's rights were: 0440, owned by root.
#define OPEN_FILE       077
#define OPEN_CREDENTIAL 027

static void forget(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    g_free(*secret);
    *secret = NULL;
}

// The file's one line, without its end; none of the modes `too_open` may be set.
static char *read_secret(const char *path, mode_t too_open, struct ww_error *err)
{
    char text[MAX_SECRET_BYTES + 1];
    struct stat st;
    char *secret = NULL;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        ww_fail(err, WW_E_FILE, "%s cannot be read: %s", path, g_strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_mode & too_open) {
        ww_fail(err, WW_E_FILE, "%s is not a file that only %s can read (chmod %o)", path,
                too_open == OPEN_FILE ? "its owner" : "this service", 0660 & ~too_open);
    } else {
        const ssize_t size = read(fd, text, sizeof(text));
        char *newline = size > 0 ? memchr(text, '\n', (size_t)size) : NULL;
        const ssize_t length = newline ? newline - text : size;
        if (length <= 0 || length > MAX_SECRET_BYTES || memchr(text, '\0', (size_t)length))
            ww_fail(err, WW_E_FILE, "%s does not hold a line of 1 to %d bytes", path,
                    MAX_SECRET_BYTES);
        else
            secret = g_strndup(text, (gsize)length);
        explicit_bzero(text, sizeof(text));
    }
    if (fd >= 0)
        close(fd);
    return secret;
}

static bool read_credential(const char *name, struct credentials *out, struct ww_error *err)
{
    const char *folder = g_getenv("CREDENTIALS_DIRECTORY");
    if (!folder)
        return ww_fail(err, WW_E_FILE, "systemd gave no credentials, so there is none named \"%s\" "
                                       "(LoadCredential=%s:PATH in the unit)", name, name);
    char *path = g_build_filename(folder, name, NULL), *secret = read_secret(path, OPEN_CREDENTIAL, err);
    g_free(path);
    if (!secret)
        return false;
    const char *colon = strchr(secret, ':');
    if (colon && colon > secret) {
        out->user = g_strndup(secret, (gsize)(colon - secret));
        out->password = g_strdup(colon + 1);
    }
    forget(&secret);
    return out->user || ww_fail(err, WW_E_FILE, "the credential \"%s\" is not \"user:password\"",
                                name);
}

bool credentials_read(const struct stream_config *stream, struct credentials *out,
                      struct ww_error *err)
{
    *out = (struct credentials){0};
    if (stream->credential)
        return read_credential(stream->credential, out, err);
    if (stream->password_file && !(out->password = read_secret(stream->password_file, OPEN_FILE, err)))
        return false;
    if (!stream->password_file)
        out->password = g_strdup(stream->password);
    out->user = g_strdup(stream->user);
    return true;
}

gint64 credentials_changed_ns(const struct stream_config *stream)
{
    const char *folder = stream->credential ? g_getenv("CREDENTIALS_DIRECTORY") : NULL;
    char *path = folder ? g_build_filename(folder, stream->credential, NULL)
                        : g_strdup(stream->password_file);
    struct stat st;
    const bool there = path && stat(path, &st) == 0;
    g_free(path);
    return there ? st.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + st.st_mtim.tv_nsec : 0;
}

void credentials_clear(struct credentials *credentials)
{
    forget(&credentials->user);
    forget(&credentials->password);
}
