// config-life.c: a configuration from its end: freed, searched, compared.

#include "config.h"

#include <string.h>

static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    g_free(secret);
}

static void watch_config_clear(struct watch_config *watch)
{
    g_free(watch->name);
    g_free(watch->model);
    g_strfreev(watch->phrases);
    g_free(watch->thresholds);
}

static void stream_config_clear(struct stream_config *stream)
{
    for (int i = 0; i < stream->num_watches; i++)
        watch_config_clear(&stream->watches[i]);
    g_free(stream->watches);
    g_free(stream->name);
    g_free(stream->url);
    g_free(stream->shown);
    g_free(stream->host);
    g_free(stream->user);
    free_secret(stream->password);
    g_free(stream->password_file);
    g_free(stream->credential);
    g_free(stream->tls.ca_file);
    g_free(stream->tls.sha256);
}

struct config *config_ref(struct config *config)
{
    g_atomic_int_inc(&config->refs);
    return config;
}

void config_unref(struct config **config)
{
    struct config *c = *config;
    *config = NULL;
    if (!c || !g_atomic_int_dec_and_test(&c->refs))
        return;
    for (int i = 0; i < c->num_streams; i++)
        stream_config_clear(&c->streams[i]);
    g_free(c->streams);
    g_free(c->endpoint);
    g_free(c->device);
    g_free(c);
}

const struct stream_config *config_stream(const struct config *config, const char *name)
{
    for (int i = 0; i < config->num_streams; i++)
        if (strcmp(config->streams[i].name, name) == 0)
            return &config->streams[i];
    return NULL;
}

static bool same_watch(const struct watch_config *a, const struct watch_config *b)
{
    return strcmp(a->name, b->name) == 0 && a->task == b->task && strcmp(a->model, b->model) == 0 &&
           a->nms == b->nms && a->input_size == b->input_size && a->input_width == b->input_width &&
           a->input_height == b->input_height;
}

bool tls_config_equal(const struct tls_config *a, const struct tls_config *b)
{
    return g_strcmp0(a->ca_file, b->ca_file) == 0 && g_strcmp0(a->sha256, b->sha256) == 0 &&
           a->any == b->any;
}

bool stream_config_same_place(const struct stream_config *a, const struct stream_config *b)
{
    bool same = a->kind == b->kind && g_strcmp0(a->url, b->url) == 0 &&
                g_strcmp0(a->user, b->user) == 0 && g_strcmp0(a->password, b->password) == 0 &&
                g_strcmp0(a->password_file, b->password_file) == 0 &&
                g_strcmp0(a->credential, b->credential) == 0 &&
                tls_config_equal(&a->tls, &b->tls) && a->transport == b->transport &&
                a->latency_ms == b->latency_ms && a->timeout_ms == b->timeout_ms &&
                a->enabled == b->enabled && a->every_frame == b->every_frame &&
                a->num_watches == b->num_watches;
    for (int i = 0; same && i < a->num_watches; i++)
        same = same_watch(&a->watches[i], &b->watches[i]);
    return same;
}

static bool same_words(const struct watch_config *a, const struct watch_config *b)
{
    bool same = g_strv_equal((const char *const *)a->phrases, (const char *const *)b->phrases);
    for (int i = 0; same && a->phrases[i]; i++)
        same = a->thresholds[i] == b->thresholds[i];
    return same;
}

bool stream_config_equal(const struct stream_config *a, const struct stream_config *b)
{
    bool same = stream_config_same_place(a, b);
    for (int i = 0; same && i < a->num_watches; i++)
        same = a->watches[i].threshold == b->watches[i].threshold &&
               a->watches[i].rate == b->watches[i].rate && same_words(&a->watches[i], &b->watches[i]);
    return same;
}
