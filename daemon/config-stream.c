// config-stream.c: streams and their watches.

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config-stream.h"
#include "config-text.h"

#define MAX_STREAMS 1000
#define MAX_WATCHES 32 // of a stream
#define MAX_PHRASES 1000

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

static void read_name(struct reader *r, const struct cJSON *value, const struct field *field,
                      void *into)
{
    const char *string = string_of(value);
    if (string && is_name(string))
        read_string(r, value, field, into);
    else
        refuse(r, value, NAMES_ALLOWED);
}

// -- watches --------------------------------------------------------------------------------------

static void read_task(struct reader *r, const struct cJSON *value, const struct field *field,
                      void *into)
{
    (void)field;
    const char *string = string_of(value);
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

struct phrase {
    char *text;
    double threshold;
};

static void read_phrase_text(struct reader *r, const struct cJSON *value, const struct field *field, void *into)
{
    (void)field;
    const char *string = string_of(value);
    if (!string || strspn(string, " \t\n\r") == strlen(string) || strlen(string) > 1000) {
        refuse(r, value, "a string of 1 to 1000 bytes that is not blank");
        return;
    }
    g_free(*(char **)into);
    *(char **)into = g_strdup(string);
}

static const struct field phrase_fields[] = {
    {"phrase", read_phrase_text, offsetof(struct phrase, text)},
    {"threshold", read_real, offsetof(struct phrase, threshold), 0, 1},
    {0},
};

// By itself, or with a threshold of its own.
static void read_phrase(struct reader *r, const struct cJSON *value, struct phrase *phrase)
{
    if (string_of(value)) {
        read_phrase_text(r, value, NULL, &phrase->text);
    } else if (is_object(value)) {
        read_object(r, value, phrase_fields, phrase);
        if (!has_key(value, "phrase"))
            complain(r, "found no \"phrase\", which is needed here");
    } else {
        refuse(r, value, "a string of 1 to 1000 bytes that is not blank, or {\"phrase\": \"person\", "
                         "\"threshold\": 0.4}");
    }
}

static void read_phrases(struct reader *r, const struct cJSON *value, const struct field *field,
                         void *into)
{
    (void)field;
    struct watch_config *watch = into;
    if (!is_list(value) || num_parts(value) > MAX_PHRASES) {
        refuse(r, value, "a list of up to 1000 strings, [\"person\", \"car\"]");
        return;
    }
    const int count = num_parts(value);
    watch->phrases = g_new0(char *, (gsize)count + 1);
    watch->thresholds = g_new0(double, (gsize)count + 1);
    int i = 0;
    for (const struct cJSON *x = first_part(value); x; x = next_part(x), i++) {
        struct phrase phrase = {0};
        const size_t here = enter_index(r, i);
        read_phrase(r, x, &phrase);
        leave(r, here);
        watch->phrases[i] = phrase.text ? phrase.text : g_strdup("");
        watch->thresholds[i] = phrase.threshold;
    }
}

static const struct field watch_fields[] = {
    {"name", read_name, offsetof(struct watch_config, name)},
    {"task", read_task, offsetof(struct watch_config, task)},
    {"phrases", read_phrases, 0},
    {"model", read_string, offsetof(struct watch_config, model)},
    {"threshold", read_real, offsetof(struct watch_config, threshold), 0, 1},
    {"nms", read_real, offsetof(struct watch_config, nms), 0, 1},
    {"rate", read_real, offsetof(struct watch_config, rate), 0, 1000},
    {"input_size", read_int, offsetof(struct watch_config, input_size), 32, WW_INPUT_MAX_SIDE},
    {"input_width", read_int, offsetof(struct watch_config, input_width), 32, WW_INPUT_MAX_SIDE},
    {"input_height", read_int, offsetof(struct watch_config, input_height), 32, WW_INPUT_MAX_SIDE},
    {0},
};

static void read_watch(struct reader *r, const struct cJSON *value, struct watch_config *watch)
{
    read_object(r, value, watch_fields, watch);
    if (!watch->name)
        watch->name = g_strdup(ww_task_name(watch->task));
    if (!watch->model)
        watch->model = g_strdup("nano");
    if (!watch->phrases) {
        watch->phrases = g_new0(char *, 1);
        watch->thresholds = g_new0(double, 1);
    }
    if ((watch->input_width > 0) != (watch->input_height > 0))
        complain(r, "found only one of input_width and input_height, allowed is both or neither");
    if (watch->input_size && (watch->input_width || watch->input_height))
        complain(r, "found input_size beside input_width and input_height, allowed is one way to "
                    "give a size");
}

static void read_watches(struct reader *r, const struct cJSON *value, const struct field *field,
                         void *into)
{
    (void)field;
    struct stream_config *stream = into;
    const int count = num_parts(value);
    if (!is_list(value) || count < 1 || count > MAX_WATCHES) {
        refuse(r, value, "a list of 1 to 32 watches");
        return;
    }
    stream->watches = g_new0(struct watch_config, (gsize)count);
    for (const struct cJSON *x = first_part(value); x; x = next_part(x)) {
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

static void read_network_url(struct reader *r, const struct cJSON *value, int default_port,
                             struct stream_config *stream)
{
    struct config_url url;
    const char *why;
    if (!config_split_url(string_of(value), default_port, &url, &why)) {
        char *allowed = g_strdup_printf("%s (%s)", URLS_ALLOWED, why);
        refuse(r, value, allowed);
        g_free(allowed);
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

static void read_url(struct reader *r, const struct cJSON *value, const struct field *field,
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
    const char *url = string_of(value);
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

static void read_transport(struct reader *r, const struct cJSON *value,
                           const struct field *field, void *into)
{
    (void)field;
    static const char *const names[] = {[TRANSPORT_AUTO] = "auto", "tcp", "udp"};
    const char *string = string_of(value);
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

static void read_password_file(struct reader *r, const struct cJSON *value,
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

static void read_credentials(struct reader *r, const struct cJSON *value,
                             const struct field *field, void *into)
{
    struct stream_config *stream = into;
    if (stream->user) {
        complain(r, "found credentials, but the URL has a user as well: allowed is one of them");
        return;
    }
    if (string_of(value)) {
        read_name(r, value, field, &stream->credential);
        return;
    }
    if (!is_object(value)) {
        refuse(r, value, "{\"user\": …, \"password_file\": …} or the name of a systemd credential");
        return;
    }
    read_object(r, value, credentials_fields, stream);
    if (!stream->user || !stream->password_file)
        complain(r, "found no \"%s\", which is needed here",
                 stream->user ? "password_file" : "user");
}

static void read_ca_file(struct reader *r, const struct cJSON *value, const struct field *field,
                         void *into)
{
    read_string(r, value, field, into);
    const char *path = *(char **)into;
    if (path && *path != '/')
        complain(r, "found \"%s\", allowed is an absolute path", path);
    else if (path && access(path, R_OK) < 0)
        complain(r, "found \"%s\", which cannot be read: %s", path, g_strerror(errno));
}

// 64 digits; as openssl and browsers show them, with colons, as well.
static void read_fingerprint(struct reader *r, const struct cJSON *value, const struct field *field,
                             void *into)
{
    (void)field;
    const char *string = string_of(value);
    GString *digits = g_string_new(NULL);
    for (const char *c = string ? string : ""; *c; c++)
        if (*c != ':')
            g_string_append_c(digits, *c);
    if (digits->len == 64 && strspn(digits->str, "0123456789abcdefABCDEF") == 64) {
        g_free(*(char **)into);
        *(char **)into = g_string_free(digits, FALSE);
        return;
    }
    g_string_free(digits, TRUE);
    refuse(r, value, "a certificate's SHA-256, 64 hexadecimal digits (openssl x509 -fingerprint "
                     "-sha256)");
}

static void read_verify(struct reader *r, const struct cJSON *value, const struct field *field,
                        void *into)
{
    bool verify = true;
    read_bool(r, value, field, &verify);
    *(bool *)into = !verify;
}

static const struct field tls_fields[] = {
    {"ca_file", read_ca_file, offsetof(struct tls_config, ca_file)},
    {"sha256", read_fingerprint, offsetof(struct tls_config, sha256)},
    {"verify", read_verify, offsetof(struct tls_config, any)},
    {0},
};

static void read_tls(struct reader *r, const struct cJSON *value, const struct field *field,
                     void *into)
{
    (void)field;
    struct tls_config *tls = into;
    if (!is_object(value)) {
        refuse(r, value, "{\"ca_file\": …}, {\"sha256\": …} or {\"verify\": false}");
        return;
    }
    read_object(r, value, tls_fields, tls);
    if ((tls->ca_file != NULL) + (tls->sha256 != NULL) + tls->any > 1)
        complain(r, "found more than one of ca_file, sha256 and verify, allowed is one of them");
}

static const struct field stream_fields[] = {
    {"url", read_url, 0},
    {"transport", read_transport, offsetof(struct stream_config, transport)},
    {"latency_ms", read_int, offsetof(struct stream_config, latency_ms), 0, 10000},
    {"timeout_ms", read_int, offsetof(struct stream_config, timeout_ms), 500, 60000},
    {"credentials", read_credentials, 0},
    {"tls", read_tls, offsetof(struct stream_config, tls)},
    {"enabled", read_bool, offsetof(struct stream_config, enabled)},
    {"every_frame", read_bool, offsetof(struct stream_config, every_frame)},
    {"watches", read_watches, 0},
    {0},
};

static void check_stream(struct reader *r, const struct cJSON *value,
                         const struct stream_config *stream)
{
    if (!is_object(value))
        return;
    if (!has_key(value, "url"))
        complain(r, "found no \"url\", which is needed here");
    if (!has_key(value, "watches"))
        complain(r, "found no \"watches\", which are needed here");
    const bool network = stream->kind == SOURCE_RTSP || stream->kind == SOURCE_HTTP;
    if (stream->url && !network && has_key(value, "credentials"))
        complain(r, "found credentials, which are for rtsp and http only");
    for (const char *key = "transport"; stream->url && key;
         key = key[0] == 't' ? "latency_ms" : NULL)
        if (stream->kind != SOURCE_RTSP && has_key(value, key))
            complain(r, "found %s, which is for rtsp only", key);
    if (!stream->url)
        return;
    const bool rtsps = g_str_has_prefix(stream->url, "rtsps:");
    if (has_key(value, "tls") && !rtsps && !g_str_has_prefix(stream->url, "https:"))
        complain(r, "found tls, which is for rtsps and https only");
    if (rtsps && stream->transport == TRANSPORT_UDP)
        complain(r, "found the transport \"udp\", allowed for rtsps is \"tcp\": pictures would "
                    "travel in the clear");
}

// TLS sessions are shared by all that connect to a host's port, and a resumed one is not judged again.
static void check_same_trust(struct reader *r, const struct config *config)
{
    const struct stream_config *last = &config->streams[config->num_streams - 1];
    for (const struct stream_config *s = config->streams; last->host && s < last; s++)
        if (s->host && s->port == last->port && strcmp(s->host, last->host) == 0 &&
            !tls_config_equal(&s->tls, &last->tls)) {
            complain(r, "found a tls that differs from that of \"%s\", allowed for streams of the same "
                        "host and port is the same", s->name);
            return;
        }
}

void read_streams(struct reader *r, const struct cJSON *value, const struct field *field,
                         void *into)
{
    (void)field;
    struct config *config = into;
    const int count = num_parts(value);
    if (!is_object(value) || count > MAX_STREAMS) {
        refuse(r, value, "an object of up to 1000 streams, {\"gate\": {…}}");
        return;
    }
    config->streams = g_new0(struct stream_config, (gsize)count + 1); // not NULL if there are none
    for (const struct cJSON *x = first_part(value); x; x = next_part(x)) {
        struct stream_config *stream = &config->streams[config->num_streams++];
        *stream = (struct stream_config){
            .name = g_strdup(key_of(x)), .enabled = true, .latency_ms = 200,
            .timeout_ms = 4000,
        };
        if (!is_name(stream->name))
            complain(r, "found a stream named \"%.*s\", allowed are " NAMES_ALLOWED, shown_bytes(stream->name),
                     stream->name);
        const size_t here = enter(r, stream->name);
        read_object(r, x, stream_fields, stream);
        check_stream(r, x, stream);
        check_same_trust(r, config);
        leave(r, here);
    }
}
