#include "config.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "config-text.h"

#define MAX_FILE_BYTES (1 << 20)
#define MAX_PROBLEMS   20
#define MAX_STREAMS    1000
#define MAX_WATCHES    32 // of a stream
#define MAX_PHRASES    1000
#define MAX_NAME_BYTES 64

// Where the reader is. `path` is the way to the value at hand, "streams.gate.watches[0].threshold".
struct reader {
    const char *file;
    GString *path;
    GPtrArray *problems;
};

static void G_GNUC_PRINTF(2, 3) complain(struct reader *r, const char *fmt, ...)
{
    if (r->problems->len > MAX_PROBLEMS)
        return;
    if (r->problems->len == MAX_PROBLEMS) {
        g_ptr_array_add(r->problems, g_strdup_printf("%s: and more like these", r->file));
        return;
    }
    va_list args;
    va_start(args, fmt);
    char *text = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_ptr_array_add(r->problems, r->path->len ? g_strdup_printf("%s: %s: %s", r->file,
                                                                r->path->str, text)
                                              : g_strdup_printf("%s: %s", r->file, text));
    g_free(text);
}

// Goes one step down the path; returns what `leave` needs to come back.
static size_t enter(struct reader *r, const char *name)
{
    const size_t length = r->path->len;
    g_string_append_printf(r->path, "%s%.*s", length ? "." : "", MAX_NAME_BYTES, name);
    return length;
}

static size_t enter_index(struct reader *r, int index)
{
    const size_t length = r->path->len;
    g_string_append_printf(r->path, "[%d]", index);
    return length;
}

static void leave(struct reader *r, size_t length)
{
    g_string_truncate(r->path, length);
}

// What was found, for a sentence; the caller frees it.
static char *found(const struct ww_json *value)
{
    double number;
    bool truth;
    if (ww_json_number(value, &number)) {
        char digits[G_ASCII_DTOSTR_BUF_SIZE];
        return g_strdup(g_ascii_formatd(digits, sizeof(digits), "%.12g", number));
    }
    if (ww_json_bool(value, &truth))
        return g_strdup(truth ? "true" : "false");
    if (ww_json_kind(value) != WW_JSON_STRING)
        return g_strdup(ww_json_kind_name(ww_json_kind(value)));
    const char *string = ww_json_string(value);
    char *safe = config_redact_url(string), *end = safe;
    while (*end && end - safe < 80)
        end = g_utf8_next_char(end);
    char *text = g_strdup_printf("\"%.*s%s\"", (int)(end - safe), safe, *end ? "…" : "");
    g_free(safe);
    return text;
}

static void refuse(struct reader *r, const struct ww_json *value, const char *allowed)
{
    char *text = found(value);
    complain(r, "found %s, allowed is %s", text, allowed);
    g_free(text);
}

// What a key may hold. `into` is the offset of the field in the struct that the object fills.
struct field {
    const char *key;
    void (*read)(struct reader *r, const struct ww_json *value, const struct field *field,
                 void *into);
    size_t into;
    double min, max;
};

static const struct field *find_field(const struct field *fields, const char *key)
{
    for (; fields->key; fields++)
        if (strcmp(fields->key, key) == 0)
            return fields;
    return NULL;
}

static void complain_of_key(struct reader *r, const char *key, const struct field *fields)
{
    const char *keys[32] = {0};
    GString *list = g_string_new(NULL);
    for (int i = 0; fields[i].key; i++) {
        keys[i] = fields[i].key;
        g_string_append_printf(list, "%s%s", i ? ", " : "", keys[i]);
    }
    const char *nearest = config_nearest(key, keys);
    char *hint = nearest ? g_strdup_printf("; did you mean \"%s\"?", nearest) : g_strdup("");
    complain(r, "found the unknown key \"%.*s\"%s (allowed are %s)", MAX_NAME_BYTES, key, hint,
             list->str);
    g_free(hint);
    g_string_free(list, TRUE);
}

static void read_object(struct reader *r, const struct ww_json *value, const struct field *fields,
                        void *into)
{
    if (ww_json_kind(value) != WW_JSON_OBJECT) {
        refuse(r, value, "an object");
        return;
    }
    for (const struct ww_json *x = ww_json_first(value); x; x = ww_json_next(x)) {
        const struct field *field = find_field(fields, ww_json_name(x));
        if (!field) {
            complain_of_key(r, ww_json_name(x), fields);
            continue;
        }
        const size_t here = enter(r, field->key);
        field->read(r, x, field, (char *)into + field->into);
        leave(r, here);
    }
}

static void read_real(struct reader *r, const struct ww_json *value, const struct field *field,
                      void *into)
{
    double number;
    if (ww_json_number(value, &number) && number >= field->min && number <= field->max) {
        *(double *)into = number;
        return;
    }
    char allowed[100];
    g_snprintf(allowed, sizeof(allowed), "a number from %g to %g", field->min, field->max);
    refuse(r, value, allowed);
}

static void read_int(struct reader *r, const struct ww_json *value, const struct field *field,
                     void *into)
{
    int64_t number;
    if (ww_json_integer(value, &number) && (double)number >= field->min &&
        (double)number <= field->max) {
        *(int *)into = (int)number;
        return;
    }
    char allowed[100];
    g_snprintf(allowed, sizeof(allowed), "a whole number from %.0f to %.0f", field->min,
               field->max);
    refuse(r, value, allowed);
}

static void read_bool(struct reader *r, const struct ww_json *value, const struct field *field,
                      void *into)
{
    (void)field;
    if (!ww_json_bool(value, into))
        refuse(r, value, "true or false");
}

static void read_string(struct reader *r, const struct ww_json *value, const struct field *field,
                        void *into)
{
    (void)field;
    const char *string = ww_json_string(value);
    if (!string || !*string || strlen(string) > 4096) {
        refuse(r, value, "a string of 1 to 4096 bytes");
        return;
    }
    g_free(*(char **)into);
    *(char **)into = g_strdup(string);
}

// Names go into topics and logs.
static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const size_t length = strlen(name);
    return length >= 1 && length <= MAX_NAME_BYTES && strspn(name, allowed) == length &&
           *name != '.' && *name != '-';
}

#define NAMES_ALLOWED                                                                              \
    "1 to 64 letters, digits, '_', '-' and '.', of which '-' and '.' are not the first"

static void read_name(struct reader *r, const struct ww_json *value, const struct field *field,
                      void *into)
{
    const char *string = ww_json_string(value);
    if (string && is_name(string))
        read_string(r, value, field, into);
    else
        refuse(r, value, NAMES_ALLOWED);
}

// -- watches --------------------------------------------------------------------------------------

static void read_task(struct reader *r, const struct ww_json *value, const struct field *field,
                      void *into)
{
    (void)field;
    const char *string = ww_json_string(value);
    const int task = string ? ww_task_from_name(string) : -1;
    if (task >= 0) {
        *(enum ww_task *)into = (enum ww_task)task;
        return;
    }
    GString *allowed = g_string_new("one of");
    for (int i = 0; i < WW_NUM_TASKS; i++)
        g_string_append_printf(allowed, "%s \"%s\"", i ? "," : "", ww_task_name((enum ww_task)i));
    refuse(r, value, allowed->str);
    g_string_free(allowed, TRUE);
}

static void read_phrases(struct reader *r, const struct ww_json *value, const struct field *field,
                         void *into)
{
    (void)field;
    if (ww_json_kind(value) != WW_JSON_ARRAY || ww_json_count(value) > MAX_PHRASES) {
        refuse(r, value, "a list of up to 1000 strings, [\"person\", \"car\"]");
        return;
    }
    GPtrArray *phrases = g_ptr_array_new();
    for (const struct ww_json *x = ww_json_first(value); x; x = ww_json_next(x)) {
        const char *string = ww_json_string(x);
        const size_t here = enter_index(r, (int)phrases->len);
        if (!string || strspn(string, " \t\n\r") == strlen(string) || strlen(string) > 1000)
            refuse(r, x, "a string of 1 to 1000 bytes that is not blank");
        leave(r, here);
        g_ptr_array_add(phrases, g_strdup(string ? string : ""));
    }
    g_ptr_array_add(phrases, NULL);
    g_strfreev(*(char ***)into);
    *(char ***)into = (char **)g_ptr_array_free(phrases, FALSE);
}

static const struct field watch_fields[] = {
    {"name", read_name, offsetof(struct watch_config, name)},
    {"task", read_task, offsetof(struct watch_config, task)},
    {"phrases", read_phrases, offsetof(struct watch_config, phrases)},
    {"model", read_string, offsetof(struct watch_config, model)},
    {"threshold", read_real, offsetof(struct watch_config, threshold), 0, 1},
    {"rate", read_real, offsetof(struct watch_config, rate), 0, 1000},
    {"input_size", read_int, offsetof(struct watch_config, input_size), 32, WW_FRAME_MAX_SIDE},
    {"input_width", read_int, offsetof(struct watch_config, input_width), 32, WW_FRAME_MAX_SIDE},
    {"input_height", read_int, offsetof(struct watch_config, input_height), 32, WW_FRAME_MAX_SIDE},
    {0},
};

static void read_watch(struct reader *r, const struct ww_json *value, struct watch_config *watch)
{
    read_object(r, value, watch_fields, watch);
    if (!watch->name)
        watch->name = g_strdup(ww_task_name(watch->task));
    if (!watch->model)
        watch->model = g_strdup("nano");
    if (!watch->phrases)
        watch->phrases = g_new0(char *, 1);
    if ((watch->input_width > 0) != (watch->input_height > 0))
        complain(r, "found only one of input_width and input_height, allowed is both or neither");
    if (watch->input_size && (watch->input_width || watch->input_height))
        complain(r, "found input_size beside input_width and input_height, allowed is one way to "
                    "give a size");
}

static void read_watches(struct reader *r, const struct ww_json *value, const struct field *field,
                         void *into)
{
    (void)field;
    struct stream_config *stream = into;
    const size_t count = ww_json_count(value);
    if (ww_json_kind(value) != WW_JSON_ARRAY || count < 1 || count > MAX_WATCHES) {
        refuse(r, value, "a list of 1 to 32 watches");
        return;
    }
    stream->watches = g_new0(struct watch_config, count);
    for (const struct ww_json *x = ww_json_first(value); x; x = ww_json_next(x)) {
        const int i = stream->num_watches++;
        const size_t here = enter_index(r, i);
        read_watch(r, x, &stream->watches[i]);
        for (int j = 0; j < i; j++)
            if (strcmp(stream->watches[j].name, stream->watches[i].name) == 0)
                complain(r, "found the name \"%s\" a second time, allowed is a name for each watch "
                            "of a stream (without \"name\" it is the task's)",
                         stream->watches[i].name);
        leave(r, here);
    }
}

// -- streams --------------------------------------------------------------------------------------

#define URLS_ALLOWED                                                                               \
    "rtsp://…, rtsps://…, http://…, https://…, file:///PATH, v4l2:/dev/videoN or test:PATTERN"

static void read_network_url(struct reader *r, const struct ww_json *value, int default_port,
                             struct stream_config *stream)
{
    struct config_url url;
    const char *why;
    if (!config_split_url(ww_json_string(value), default_port, &url, &why)) {
        char *text = found(value);
        complain(r, "found %s, allowed is %s (%s)", text, URLS_ALLOWED, why);
        g_free(text);
        return;
    }
    stream->url = url.clean;
    stream->host = url.host;
    stream->port = url.port;
    if (url.user && (stream->user || stream->credential)) {
        complain(r, "found a user in the URL, but there are credentials as well: allowed is one of "
                    "them");
        g_free(url.user);
        g_free(url.password);
        return;
    }
    if (url.user)
        stream->user = url.user;
    stream->password = url.password;
}

static void read_url(struct reader *r, const struct ww_json *value, const struct field *field,
                     void *into)
{
    (void)field;
    static const struct {
        const char *prefix;
        enum source_kind kind;
        int port;
    } kinds[] = {
        {"rtsp://", SOURCE_RTSP, 554},  {"rtsps://", SOURCE_RTSP, 322}, {"http://", SOURCE_HTTP, 80},
        {"https://", SOURCE_HTTP, 443}, {"file://", SOURCE_FILE, 0},    {"v4l2:", SOURCE_V4L2, 0},
        {"test:", SOURCE_TEST, 0},
    };
    struct stream_config *stream = into;
    const char *url = ww_json_string(value);
    for (size_t i = 0; url && strlen(url) <= 4096 && i < G_N_ELEMENTS(kinds); i++) {
        if (!g_str_has_prefix(url, kinds[i].prefix))
            continue;
        const char *rest = url + strlen(kinds[i].prefix);
        stream->kind = kinds[i].kind;
        stream->shown = config_redact_url(url);
        if (kinds[i].port)
            read_network_url(r, value, kinds[i].port, stream);
        else if (stream->kind == SOURCE_FILE)
            stream->url = g_filename_from_uri(url, NULL, NULL);
        else if (stream->kind == SOURCE_TEST || *rest == '/')
            stream->url = g_strdup(rest);
        if (!stream->url && !kinds[i].port)
            refuse(r, value, URLS_ALLOWED);
        return;
    }
    refuse(r, value, URLS_ALLOWED);
}

static void read_transport(struct reader *r, const struct ww_json *value,
                           const struct field *field, void *into)
{
    (void)field;
    static const char *const names[] = {[TRANSPORT_AUTO] = "auto", "tcp", "udp"};
    const char *string = ww_json_string(value);
    for (int i = 0; string && i < 3; i++)
        if (strcmp(string, names[i]) == 0) {
            *(enum transport *)into = (enum transport)i;
            return;
        }
    refuse(r, value, "\"auto\", \"tcp\" or \"udp\"");
}

// A file that holds a password is for its owner alone.
static void check_password_file(struct reader *r, const char *path)
{
    struct stat st;
    if (*path != '/')
        complain(r, "found \"%s\", allowed is an absolute path", path);
    else if (stat(path, &st) < 0)
        complain(r, "found \"%s\", which cannot be read: %s", path, g_strerror(errno));
    else if (!S_ISREG(st.st_mode))
        complain(r, "found \"%s\", which is not a regular file", path);
    else if (st.st_mode & 077)
        complain(r, "found \"%s\" with mode %04o, allowed is a file that only its owner can read "
                    "(chmod 600)",
                 path, (unsigned)st.st_mode & 07777);
}

static void read_password_file(struct reader *r, const struct ww_json *value,
                               const struct field *field, void *into)
{
    read_string(r, value, field, into);
    if (*(char **)into)
        check_password_file(r, *(char **)into);
}

static const struct field credentials_fields[] = {
    {"user", read_string, offsetof(struct stream_config, user)},
    {"password_file", read_password_file, offsetof(struct stream_config, password_file)},
    {0},
};

static void read_credentials(struct reader *r, const struct ww_json *value,
                             const struct field *field, void *into)
{
    struct stream_config *stream = into;
    if (stream->user) {
        complain(r, "found credentials, but the URL has a user as well: allowed is one of them");
        return;
    }
    if (ww_json_kind(value) == WW_JSON_STRING) {
        read_name(r, value, field, &stream->credential);
        return;
    }
    if (ww_json_kind(value) != WW_JSON_OBJECT) {
        refuse(r, value, "{\"user\": …, \"password_file\": …} or the name of a systemd credential");
        return;
    }
    read_object(r, value, credentials_fields, stream);
    if (!stream->user || !stream->password_file)
        complain(r, "found no \"%s\", which is needed here",
                 stream->user ? "password_file" : "user");
}

static const struct field stream_fields[] = {
    {"url", read_url, 0},
    {"transport", read_transport, offsetof(struct stream_config, transport)},
    {"latency_ms", read_int, offsetof(struct stream_config, latency_ms), 0, 10000},
    {"timeout_ms", read_int, offsetof(struct stream_config, timeout_ms), 500, 60000},
    {"credentials", read_credentials, 0},
    {"enabled", read_bool, offsetof(struct stream_config, enabled)},
    {"every_frame", read_bool, offsetof(struct stream_config, every_frame)},
    {"watches", read_watches, 0},
    {0},
};

static void check_stream(struct reader *r, const struct ww_json *value,
                         const struct stream_config *stream)
{
    if (ww_json_kind(value) != WW_JSON_OBJECT)
        return;
    if (!ww_json_get(value, "url"))
        complain(r, "found no \"url\", which is needed here");
    if (!ww_json_get(value, "watches"))
        complain(r, "found no \"watches\", which are needed here");
    const bool network = stream->kind == SOURCE_RTSP || stream->kind == SOURCE_HTTP;
    if (stream->url && !network && ww_json_get(value, "credentials"))
        complain(r, "found credentials, which are for rtsp and http only");
    for (const char *key = "transport"; stream->url && key;
         key = key[0] == 't' ? "latency_ms" : NULL)
        if (stream->kind != SOURCE_RTSP && ww_json_get(value, key))
            complain(r, "found %s, which is for rtsp only", key);
}

static void read_streams(struct reader *r, const struct ww_json *value, const struct field *field,
                         void *into)
{
    (void)field;
    struct config *config = into;
    const size_t count = ww_json_count(value);
    if (ww_json_kind(value) != WW_JSON_OBJECT || count > MAX_STREAMS) {
        refuse(r, value, "an object of up to 1000 streams, {\"gate\": {…}}");
        return;
    }
    config->streams = g_new0(struct stream_config, count);
    for (const struct ww_json *x = ww_json_first(value); x; x = ww_json_next(x)) {
        struct stream_config *stream = &config->streams[config->num_streams++];
        *stream = (struct stream_config){
            .name = g_strdup(ww_json_name(x)), .enabled = true, .latency_ms = 200,
            .timeout_ms = 4000,
        };
        if (!is_name(stream->name))
            complain(r, "found a stream named \"%.*s\", allowed are " NAMES_ALLOWED, MAX_NAME_BYTES,
                     stream->name);
        const size_t here = enter(r, stream->name);
        read_object(r, x, stream_fields, stream);
        check_stream(r, x, stream);
        leave(r, here);
    }
}

// -- the whole ------------------------------------------------------------------------------------

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

static void read_endpoint(struct reader *r, const struct ww_json *value,
                          const struct field *field, void *into)
{
    const char *string = ww_json_string(value);
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

static void read_publish(struct reader *r, const struct ww_json *value, const struct field *field,
                         void *into)
{
    (void)field;
    read_object(r, value, publish_fields, into);
}

static const struct field config_fields[] = {
    {"publish", read_publish, 0},
    {"device", read_string, offsetof(struct config, device)},
    {"status_interval", read_real, offsetof(struct config, status_interval_s), 0.1, 60},
    {"streams", read_streams, 0},
    {0},
};

struct config *config_parse(const char *text, size_t size, const char *file, GPtrArray *problems)
{
    struct reader r = {.file = file, .path = g_string_new(NULL), .problems = problems};
    const guint before = problems->len;
    char *copy = g_malloc(size + 1);
    memcpy(copy, text, size);
    struct ww_error err = {0};
    struct ww_json *json = NULL;
    struct config *config = g_new0(struct config, 1);
    config->refs = 1;
    config->status_interval_s = 1;
    if (config_blank_comments(copy, size, &err))
        json = ww_json_parse(copy, size, ww_json_params(.max_depth = 16), &err);
    if (json) {
        read_object(&r, json, config_fields, config);
        if (ww_json_kind(json) == WW_JSON_OBJECT && !ww_json_get(json, "streams"))
            complain(&r, "found no \"streams\", which are needed here");
    } else {
        complain(&r, "%s", err.text);
    }
    ww_json_free(&json);
    g_free(copy);
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
