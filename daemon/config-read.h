// config-read.h: values of a JSON document, taken into structs, with a sentence for each that is wrong.
// Only for config*.c; config-read.c is the daemon's one file that knows cJSON.

#pragma once

#include <glib.h>
#include <stdbool.h>

struct cJSON; // a document, or any value inside it

// Where the reader is. `path` is the way to the value at hand, "streams.gate.watches[0].threshold".
struct reader {
    const char *file;
    GString *path;
    GPtrArray *problems;
};

// The longest name of a stream, a watch or a credential; of longer keys so much is shown.
#define MAX_NAME_BYTES 64
int shown_bytes(const char *name); // no character is cut

// What a key may hold. `into` is the offset of the field in the struct that the object fills.
struct field {
    const char *key;
    void (*read)(struct reader *r, const struct cJSON *value, const struct field *field, void *into);
    size_t into;
    double min, max;
};

// Parses and hands the document, an object, to `read_object`. A text that is no JSON is one problem,
// with line and column.
void read_document(struct reader *r, const char *text, size_t size, const struct field *fields,
                   void *into);

// Reads the members of an object; `fields` ends with a zero. Unknown and repeated keys are problems.
void read_object(struct reader *r, const struct cJSON *value, const struct field *fields, void *into);

// For `struct field`: double, int, bool, char *.
void read_real(struct reader *r, const struct cJSON *value, const struct field *field, void *into);
void read_int(struct reader *r, const struct cJSON *value, const struct field *field, void *into);
void read_bool(struct reader *r, const struct cJSON *value, const struct field *field, void *into);
void read_string(struct reader *r, const struct cJSON *value, const struct field *field, void *into);

// A problem with the value at hand; and the one that most are, with what was found there.
void complain(struct reader *r, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
void refuse(struct reader *r, const struct cJSON *value, const char *allowed);

// Goes one step down the path; returns what `leave` needs to come back.
size_t enter(struct reader *r, const char *name);
size_t enter_index(struct reader *r, int index);
void leave(struct reader *r, size_t length);

bool is_object(const struct cJSON *value);
bool is_list(const struct cJSON *value);
const char *string_of(const struct cJSON *value); // NULL if it is none
const char *key_of(const struct cJSON *member);
bool has_key(const struct cJSON *object, const char *key);
int num_parts(const struct cJSON *value);

// for (const struct cJSON *x = first_part(list); x; x = next_part(x))
const struct cJSON *first_part(const struct cJSON *value);
const struct cJSON *next_part(const struct cJSON *part);
