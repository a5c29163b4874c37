// The configuration of the first release: a Python file of assignments, read as data and never
// executed, and beside it a directory with BERT's own configuration and vocabulary. It is made into what
// the transformers library would have written.

#include "grounding-dino-original.h"
#include "base/file.h"
#include "base/room.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 16, MAX_CONFIG = 1 << 20 };

static const struct {
    const char *original, *library;
} fields[] = {
    {"hidden_dim", "d_model"},
    {"nheads", "encoder_attention_heads"},
    {"nheads", "decoder_attention_heads"},
    {"enc_layers", "encoder_layers"},
    {"dec_layers", "decoder_layers"},
    {"dim_feedforward", "encoder_ffn_dim"},
    {"dim_feedforward", "decoder_ffn_dim"},
    {"enc_n_points", "encoder_n_points"},
    {"dec_n_points", "decoder_n_points"},
    {"num_queries", "num_queries"},
    {"num_feature_levels", "num_feature_levels"},
    {"query_dim", "query_dim"},
    {"max_text_len", "max_text_len"},
    {"pe_temperatureH", "positional_embedding_temperature"},
    {"transformer_activation", "activation_function"},
    {"position_embedding", "position_embedding_type"},
    {"embed_init_tgt", "embedding_init_target"},
    {"dec_pred_bbox_embed_share", "decoder_bbox_embed_share"},
    {"two_stage_bbox_embed_share", "two_stage_bbox_embed_share"},
};
// What else must be so, for nothing else was ever released.
static const struct {
    const char *name, *value;
} musts[] = {
    {"two_stage_type", "\"standard\""},  {"use_text_enhancer", "true"},
    {"use_fusion_layer", "true"},        {"use_text_cross_attention", "true"},
    {"sub_sentence_present", "true"},    {"pre_norm", "false"},
};

// What is assigned, as JSON; nothing, if it is more than a string, number or boolean, or longer than `size`.
static void read_value(const char *at, char *out, size_t size)
{
    const char quote = *at == '"' || *at == '\'' ? *at : 0;
    const bool yes = !strncmp(at, "True", 4), no = !strncmp(at, "False", 5);
    const size_t num = quote ? strcspn(at + 1, "\"'\\\n")
                       : yes || no ? (yes ? 4 : 5)
                                   : strspn(at, "0123456789.+-e");
    const char *end = at + num;
    *out = '\0';
    if (num + 3 > size || (quote && end[1] != quote))
        return;
    end += quote ? 2 : 0;
    end += strspn(end, " \t\r");
    if (*end && *end != '\n' && *end != '#')
        return;
    if (quote)
        snprintf(out, size, "\"%.*s\"", (int)num, at + 1);
    else if (yes || no)
        snprintf(out, size, "%s", yes ? "true" : "false");
    else
        snprintf(out, size, "%.*s", (int)num, at);
}

// The value that is assigned to `name` at the beginning of a line; of several the last, as in Python. False:
// there is none.
static bool find_value(const char *text, const char *name, char *out, size_t size)
{
    const size_t length = strlen(name);
    bool found = false;
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, name, length))
            continue;
        const char *at = line + length + strspn(line + length, " \t");
        if (*at != '=' || at[1] == '=')
            continue;
        read_value(at + 1 + strspn(at + 1, " \t"), out, size);
        found = true;
    }
    return found;
}

// The text of a file of assignments to "groundingdino", which the caller frees; NULL: it is none.
static char *read_assignments(const char *path, struct ww_error *err)
{
    size_t bytes;
    char value[64], *text = ww_read_whole(path, MAX_BYTES, &bytes, err);
    if (text && find_value(text, "modelname", value, sizeof value) && !strcmp(value, "\"groundingdino\""))
        return text;
    free(text);
    return NULL;
}

// That of the one such file in a directory, whose path goes to `path`. NULL: there is none, WW_E_FILE, or another,
// WW_E_CONFIG, or no memory to read one, WW_E_MEMORY.
static char *find_file(const char *dir, char *path, size_t size, struct ww_error *err)
{
    char *text = NULL, next[4096];
    struct ww_error why = {0};
    DIR *entries = opendir(dir);
    for (struct dirent *e; entries && !why.code && (e = readdir(entries));) {
        const char *end = strrchr(e->d_name, '.');
        if (*e->d_name == '.' || !end || strcmp(end, ".py"))
            continue;
        struct ww_error unread = {0};
        snprintf(next, sizeof next, "%s/%s", dir, e->d_name);
        char *more = read_assignments(next, &unread);
        if (unread.code == WW_E_MEMORY)
            why = unread;
        else if (more && text)
            ww_fail(&why, WW_E_CONFIG, "%s: there is another configuration of Grounding DINO, %s; one of them must go",
                    path, e->d_name);
        else if (more)
            snprintf(path, size, "%s", next);
        if (more && !text && !why.code)
            text = more;
        else
            free(more);
    }
    if (entries)
        closedir(entries);
    if (!text && !why.code)
        ww_fail(&why, WW_E_FILE, "%s: no config.json, and no configuration of the first Grounding DINO", dir);
    if (!why.code)
        return text;
    free(text);
    ww_fail(err, why.code, "%s", why.text);
    return NULL;
}

bool ww_gdino_is_original(const char *dir)
{
    char path[4096];
    struct ww_error why = {0};
    char *text = find_file(dir, path, sizeof path, &why);
    free(text);
    return text || why.code == WW_E_CONFIG;
}

// BERT's configuration, as text that the caller frees: of the directory that the file names, if it is
// here. Else all is as in the released ones.
static char *read_bert(const char *dir, const char *text, char encoder[64], struct ww_error *err)
{
    char path[4096];
    size_t bytes;
    snprintf(encoder, 64, "\"bert-base-uncased\"");
    if (find_value(text, "text_encoder_type", encoder, 64) &&
        (*encoder != '"' || strpbrk(encoder, "/\\") || encoder[1] == '.' || encoder[1] == '"')) {
        ww_fail(err, WW_E_FILE, "'text_encoder_type' is %s; it must be the name of a directory beside it",
                *encoder ? encoder : "no text");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/%.*s/config.json", dir, (int)strlen(encoder) - 2, encoder + 1);
    if (access(path, F_OK)) {
        char *nothing = ww_room_for(1, sizeof "{}", err);
        return nothing ? strcpy(nothing, "{}") : NULL;
    }
    struct ww_json *sound = ww_json_load(path, MAX_CONFIG, NULL, err); // else it would spoil ours
    char *config = sound ? ww_read_whole(path, MAX_CONFIG, &bytes, err) : NULL;
    ww_json_free(&sound);
    return config;
}

static bool check_musts(const char *text, struct ww_error *err)
{
    for (size_t i = 0; i < sizeof musts / sizeof *musts; i++) {
        char value[64];
        if (find_value(text, musts[i].name, value, sizeof value) && strcmp(value, musts[i].value))
            return ww_fail(err, WW_E_UNSUPPORTED, "'%s' is %s; only %s can be computed", musts[i].name,
                           *value ? value : "an expression", musts[i].value);
    }
    char high[64], wide[64];
    return !find_value(text, "pe_temperatureH", high, sizeof high) ||
           !find_value(text, "pe_temperatureW", wide, sizeof wide) || !strcmp(high, wide) ||
           ww_fail(err, WW_E_UNSUPPORTED, "'pe_temperatureH' is %s and 'pe_temperatureW' %s; only one for both "
                                          "can be computed", *high ? high : "an expression", *wide ? wide : "one");
}

// The fields, as those of the library behind what is in `json` already; how long it is then, 0 after an error.
static size_t convert_fields(const char *text, char *json, size_t at, size_t size, struct ww_error *err)
{
    char value[64];
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!find_value(text, fields[i].original, value, sizeof value))
            continue;
        if (!*value) {
            ww_fail(err, WW_E_FILE, "'%s' must be a number, a text, True or False, and nothing else",
                    fields[i].original);
            return 0;
        }
        at += (size_t)snprintf(json + at, size - at, ", \"%s\": %s", fields[i].library, value);
    }
    return at;
}

static struct ww_json *convert(const char *dir, const char *text, struct ww_error *err)
{
    char encoder[64];
    char *bert = check_musts(text, err) ? read_bert(dir, text, encoder, err) : NULL;
    if (!bert)
        return NULL;
    const size_t size = strlen(bert) + 8192;
    char *json = ww_room_for(size, 1, err);
    if (!json) {
        free(bert);
        return NULL;
    }
    size_t at = (size_t)snprintf(json, size,
                                 "{\"model_type\": \"grounding-dino\", \"text_encoder\": %s, "
                                 "\"text_config\": %s",
                                 encoder, bert);
    at = convert_fields(text, json, at, size, err);
    struct ww_json *out = NULL;
    if (at) {
        at += (size_t)snprintf(json + at, size - at, "}");
        out = ww_json_parse(json, at, NULL, err);
    }
    free(json);
    free(bert);
    return out;
}

struct ww_json *ww_gdino_original_config(const char *dir, struct ww_error *err)
{
    char path[4096];
    char *text = find_file(dir, path, sizeof path, err);
    if (!text)
        return NULL;
    struct ww_json *config = convert(dir, text, err);
    if (!config)
        ww_within(err, "%s", path);
    free(text);
    return config;
}
