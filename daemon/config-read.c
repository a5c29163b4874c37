#include "config-read.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "config-text.h"

#define MAX_PROBLEMS 20

void complain(struct reader *r, const char *fmt, ...)
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

int shown_bytes(const char *name)
{
    const char *end = name;
    while (*end && g_utf8_next_char(end) - name <= MAX_NAME_BYTES)
        end = g_utf8_next_char(end);
    return (int)(end - name);
}

// Goes one step down the path; returns what `leave` needs to come back.
size_t enter(struct reader *r, const char *name)
{
    const size_t length = r->path->len;
    g_string_append_printf(r->path, "%s%.*s", length ? "." : "", shown_bytes(name), name);
    return length;
}

size_t enter_index(struct reader *r, int index)
{
    const size_t length = r->path->len;
    g_string_append_printf(r->path, "[%d]", index);
    return length;
}

void leave(struct reader *r, size_t length)
{
    g_string_truncate(r->path, length);
}

// What was found, for a sentence; the caller frees it.
static char *found(const cJSON *value)
{
    if (cJSON_IsNumber(value)) {
        char digits[G_ASCII_DTOSTR_BUF_SIZE];
        return g_strdup(g_ascii_formatd(digits, sizeof(digits), "%.12g", value->valuedouble));
    }
    if (!cJSON_IsString(value))
        return g_strdup(cJSON_IsBool(value)    ? (cJSON_IsTrue(value) ? "true" : "false")
                        : cJSON_IsArray(value) ? "a list"
                        : cJSON_IsObject(value) ? "an object"
                                                : "null");
    char *safe = config_redact_url(value->valuestring), *end = safe;
    while (*end && end - safe < 80)
        end = g_utf8_next_char(end);
    char *text = g_strdup_printf("\"%.*s%s\"", (int)(end - safe), safe, *end ? "…" : "");
    g_free(safe);
    return text;
}

void refuse(struct reader *r, const struct cJSON *value, const char *allowed)
{
    char *text = found(value);
    complain(r, "found %s, allowed is %s", text, allowed);
    g_free(text);
}

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
    complain(r, "found the unknown key \"%.*s\"%s (allowed are %s)", shown_bytes(key), key, hint, list->str);
    g_free(hint);
    g_string_free(list, TRUE);
}

void read_object(struct reader *r, const struct cJSON *value, const struct field *fields,
                        void *into)
{
    if (!is_object(value)) {
        refuse(r, value, "an object");
        return;
    }
    for (const struct cJSON *x = first_part(value); x; x = next_part(x)) {
        const struct field *field = find_field(fields, key_of(x));
        if (!field) {
            complain_of_key(r, key_of(x), fields);
            continue;
        }
        if (cJSON_GetObjectItemCaseSensitive(value, field->key) != x) {
            complain(r, "found \"%s\" a second time, allowed is a key once", field->key);
            continue;
        }
        const size_t here = enter(r, field->key);
        field->read(r, x, field, (char *)into + field->into);
        leave(r, here);
    }
}

void read_real(struct reader *r, const struct cJSON *value, const struct field *field,
                      void *into)
{
    if (cJSON_IsNumber(value) && value->valuedouble >= field->min && value->valuedouble <= field->max) {
        *(double *)into = value->valuedouble;
        return;
    }
    char allowed[100];
    g_snprintf(allowed, sizeof(allowed), "a number from %g to %g", field->min, field->max);
    refuse(r, value, allowed);
}

void read_int(struct reader *r, const struct cJSON *value, const struct field *field,
                     void *into)
{
    if (cJSON_IsNumber(value) && value->valuedouble == floor(value->valuedouble) &&
        value->valuedouble >= field->min && value->valuedouble <= field->max) {
        *(int *)into = (int)value->valuedouble;
        return;
    }
    char allowed[100];
    g_snprintf(allowed, sizeof(allowed), "a whole number from %.0f to %.0f", field->min,
               field->max);
    refuse(r, value, allowed);
}

void read_bool(struct reader *r, const struct cJSON *value, const struct field *field,
                      void *into)
{
    (void)field;
    if (cJSON_IsBool(value))
        *(bool *)into = cJSON_IsTrue(value);
    else
        refuse(r, value, "true or false");
}

void read_string(struct reader *r, const struct cJSON *value, const struct field *field,
                        void *into)
{
    (void)field;
    const char *string = string_of(value);
    if (!string || !*string || strlen(string) > 4096) {
        refuse(r, value, "a string of 1 to 4096 bytes");
        return;
    }
    g_free(*(char **)into);
    *(char **)into = g_strdup(string);
}

// -- what a value is --------------------------------------------------------------------------------

bool is_object(const cJSON *value)
{
    return cJSON_IsObject(value);
}

bool is_list(const cJSON *value)
{
    return cJSON_IsArray(value);
}

const char *string_of(const cJSON *value)
{
    return cJSON_GetStringValue(value);
}

const char *key_of(const cJSON *member)
{
    return member->string;
}

bool has_key(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key) != NULL;
}

int num_parts(const cJSON *value)
{
    return cJSON_GetArraySize(value);
}

const cJSON *first_part(const cJSON *value)
{
    return value->child;
}

const cJSON *next_part(const cJSON *part)
{
    return part->next;
}

// -- the document -----------------------------------------------------------------------------------

static bool has_control(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

// Strings go into logs and topics, a line each. cJSON's limit of depth is this recursion's.
static bool is_printable(const cJSON *value)
{
    bool printable = !has_control(value->string) && !has_control(string_of(value));
    for (const cJSON *part = value->child; part && printable; part = part->next)
        printable = is_printable(part);
    return printable;
}

// cJSON stops at the mistake or a character behind it.
static void complain_of_text(struct reader *r, const char *text, const char *at)
{
    int line = 1;
    const char *start = text;
    for (const char *c = text; c < at; c++)
        if (*c == '\n') {
            line++;
            start = c + 1;
        }
    complain(r, "line %d, near column %d: this is no JSON: a comma, a quote or a bracket is missing or "
                "superfluous", line, (int)g_utf8_strlen(start, at - start) + 1);
}

void read_document(struct reader *r, const char *text, size_t size, const struct field *fields,
                   void *into)
{
    struct ww_error err = {0};
    const char *end = NULL;
    char *copy = g_malloc(size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (!g_utf8_validate(copy, (gssize)size, &end)) {
        complain(r, "byte %zu is no UTF-8 text", (size_t)(end - copy) + 1);
    } else if (strstr(copy, "\\u0000")) {
        complain(r, "found \\u0000, allowed is every other character");
    } else if (!config_blank_comments(copy, size, &err)) {
        complain(r, "%s", err.text);
    } else {
        cJSON *document = cJSON_ParseWithLengthOpts(copy, size + 1, &end, true);
        if (!document)
            complain_of_text(r, copy, end);
        else if (!is_printable(document))
            complain(r, "found a control character in a string, allowed are printable ones");
        else
            read_object(r, document, fields, into);
        cJSON_Delete(document);
    }
    g_free(copy);
}
