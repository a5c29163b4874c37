#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "config-stream.h"

#define MAX_FILE_BYTES (1 << 20)

static bool is_loopback(const char *endpoint)
{
    const char *host = endpoint + strlen("tcp://"), *colon = strrchr(host, ':');
    char *name = g_strndup(host, (size_t)(colon ? colon - host : 0));
    const bool loopback = strcmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
                          (g_str_has_prefix(name, "127.") && g_hostname_is_ip_address(name));
    guint64 port;
    const bool sound = colon && (strcmp(colon + 1, "*") == 0 ||
                                 g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL));
    g_free(name);
    return loopback && sound;
}

static void read_endpoint(struct reader *r, const struct cJSON *value,
                          const struct field *field, void *into)
{
    const char *string = string_of(value);
    const size_t path_max = 107; // sun_path
    if (string && g_str_has_prefix(string, "ipc:///") &&
        strlen(string) - strlen("ipc://") <= path_max)
        read_string(r, value, field, into);
    else if (string && g_str_has_prefix(string, "tcp://") && is_loopback(string))
        read_string(r, value, field, into);
    else
        refuse(r, value, "ipc:///PATH of up to 107 bytes, or tcp://HOST:PORT on 127.0.0.1, [::1] or "
                         "localhost (to be heard on other machines, messages would have to be "
                         "encrypted)");
}

static const struct field publish_fields[] = {
    {"endpoint", read_endpoint, offsetof(struct config, endpoint)},
    {0},
};

static void read_publish(struct reader *r, const struct cJSON *value, const struct field *field,
                         void *into)
{
    (void)field;
    read_object(r, value, publish_fields, into);
}

static const struct field config_fields[] = {
    {"publish", read_publish, 0},
    {"device", read_string, offsetof(struct config, device)},
    {"batch", read_int, offsetof(struct config, batch), 0, 64},
    {"status_interval", read_real, offsetof(struct config, status_interval_s), 0.1, 60},
    {"streams", read_streams, 0},
    {0},
};

struct config *config_parse(const char *text, size_t size, const char *file, GPtrArray *problems)
{
    struct reader r = {.file = file, .path = g_string_new(NULL), .problems = problems};
    const guint before = problems->len;
    struct config *config = g_new0(struct config, 1);
    config->refs = 1;
    config->status_interval_s = 1;
    read_document(&r, text, size, config_fields, config);
    if (!config->streams && problems->len == before)
        complain(&r, "found no \"streams\", which are needed here");
    g_string_free(r.path, TRUE);
    if (!config->endpoint)
        config->endpoint = g_strdup("ipc:///run/watchword/events.sock");
    if (!config->device)
        config->device = g_strdup("");
    if (problems->len > before)
        config_unref(&config);
    return config;
}

struct config *config_load(const char *path, GPtrArray *problems)
{
    struct stat st;
    char *text = NULL;
    gsize size = 0;
    GError *error = NULL;
    struct config *config = NULL;
    if (stat(path, &st) < 0)
        g_ptr_array_add(problems, g_strdup_printf("%s: %s", path, g_strerror(errno)));
    else if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES)
        g_ptr_array_add(problems, g_strdup_printf("%s: found %s, allowed is a regular file of up to "
                                                  "1 MiB",
                                                  path, S_ISREG(st.st_mode) ? "a larger file"
                                                        : S_ISDIR(st.st_mode) ? "a folder"
                                                                              : "a device or pipe"));
    else if (!g_file_get_contents(path, &text, &size, &error))
        g_ptr_array_add(problems, g_strdup_printf("%s: %s", path, error->message));
    else
        config = config_parse(text, size, path, problems);
    g_clear_error(&error);
    g_free(text);
    return config;
}
