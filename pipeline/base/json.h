// json.h: JSON from files that nobody vouches for: headers of weight files, config.json.
//
// json.c is the one file of the library that knows cJSON. cJSON alone lets much through: bytes that
// are no UTF-8, "01" and "+1." for numbers, control characters for blanks, a NUL that cuts a name
// short, duplicate names, and it turns every number into a double. So a text is first checked
// against the grammar of RFC 8259, byte by byte, and only then handed on. Thread-safety: a parsed
// document is read only, any thread may use it.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

struct ww_json; // a document, or any value inside it

enum ww_json_kind {
    WW_JSON_NULL,
    WW_JSON_BOOL,
    WW_JSON_NUMBER,
    WW_JSON_STRING,
    WW_JSON_ARRAY,
    WW_JSON_OBJECT,
};

struct ww_json_params {
    int max_depth;      // arrays and objects inside each other, up to 32; 0: 16
    size_t max_values;  // of every kind, together; 0: 65536
    bool integers_only; // a number with a fraction or an exponent is an error
};
#define ww_json_params(...) (&(struct ww_json_params){__VA_ARGS__})

// Largest magnitude of an integer: up to here a double holds all of them. A whole number beyond is
// an error, for its last digits would be lost without a word.
#define WW_JSON_MAX_INTEGER (INT64_C(1) << 53)

// Parses all `size` bytes (no NUL needed at their end): one value, blanks around it, nothing else.
// An object that has a name twice is refused, and so is a string with U+0000. NULL: WW_E_FILE says
// line, column, the value ('layer.shape[2]') and what is wrong; WW_E_MEMORY.
struct ww_json *ww_json_parse(const char *text, size_t size, const struct ww_json_params *params,
                              struct ww_error *err);
void ww_json_free(struct ww_json **document); // takes what ww_json_parse gave, and no part of it

// Reads a whole regular file of at most `max_bytes` and parses it. Errors name the file.
struct ww_json *ww_json_load(const char *path, size_t max_bytes,
                             const struct ww_json_params *params, struct ww_error *err);

enum ww_json_kind ww_json_kind(const struct ww_json *value);
const char *ww_json_kind_name(enum ww_json_kind kind); // "a number", for sentences

// The elements of an array or the members of an object, in the order of the file:
//     for (const struct ww_json *x = ww_json_first(list); x; x = ww_json_next(x))
// Other kinds, and NULL, have none.
const struct ww_json *ww_json_first(const struct ww_json *value);
const struct ww_json *ww_json_next(const struct ww_json *value);
size_t ww_json_count(const struct ww_json *value);

// A member's name; NULL for what is no member.
const char *ww_json_name(const struct ww_json *value);

// The member of that name, byte for byte, or NULL; also where `object` is NULL or no object.
const struct ww_json *ww_json_get(const struct ww_json *object, const char *name);

// The same, but it must be there and be of that kind: WW_E_FILE names what is missing or found.
const struct ww_json *ww_json_need(const struct ww_json *object, const char *name,
                                   enum ww_json_kind kind, struct ww_error *err);

// NULL if it is no string.
const char *ww_json_string(const struct ww_json *value);

// False, and `out` as it was, if `value` is NULL, no number, or (integer) no whole one.
bool ww_json_integer(const struct ww_json *value, int64_t *out);
bool ww_json_number(const struct ww_json *value, double *out);
bool ww_json_bool(const struct ww_json *value, bool *out);
