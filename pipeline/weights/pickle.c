#include "pickle.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "checkpoint.h"

// What is made of a pickle, so that a few bytes that are used again and again cannot fill memory: a checkpoint
// has 25 values a tensor and the owner makes two, of 100 bytes of pickle.
enum {
    MAX_VALUES = 8 << 20,
    OWNERS = 8,      // values that one of the owner's counts for
    MAX_NAME = 1000, // bytes of the name of a class or function
};

struct machine {
    const struct ww_pickle_reader *reader;
    const char *text;
    size_t size, at;
    struct ww_pickle stack; // a list
    uint32_t *marks;        // heights of the stack
    uint32_t num_marks, marks_room;
    struct ww_pickle **memo;
    uint32_t memo_room, num_memoized;
    uint32_t num_values;
    struct ww_error *err;
};

static bool WW_PRINTF(2, 3) fail(struct machine *m, const char *fmt, ...)
{
    char text[500];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return ww_fail(m->err, WW_E_FILE, "%s", text);
}

struct ww_pickle *ww_pickle_new(struct ww_arena *arena, enum ww_pickle_kind kind)
{
    struct ww_pickle *value = ww_new(arena, struct ww_pickle);
    value->kind = kind;
    return value;
}

void ww_pickle_append(struct ww_arena *arena, struct ww_pickle *list, struct ww_pickle *item)
{
    if (list->count == list->room) {
        const uint32_t room = list->room ? list->room * 2 : 4;
        struct ww_pickle **grown = ww_new_array(arena, struct ww_pickle *, room);
        if (list->count)
            memcpy(grown, list->items, list->count * sizeof(*grown));
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] = item;
}

const char *ww_pickle_kind_name(enum ww_pickle_kind kind)
{
    static const char *const names[] = {
        [WW_PICKLE_NONE] = "None",
        [WW_PICKLE_BOOL] = "a boolean",
        [WW_PICKLE_INTEGER] = "an integer",
        [WW_PICKLE_REAL] = "a number",
        [WW_PICKLE_TEXT] = "a string",
        [WW_PICKLE_BYTES] = "bytes",
        [WW_PICKLE_TUPLE] = "a tuple",
        [WW_PICKLE_LIST] = "a list",
        [WW_PICKLE_DICT] = "a dict",
        [WW_PICKLE_NAME] = "a class or function",
        [WW_PICKLE_NATIVE] = "a tensor or storage",
        [WW_PICKLE_OPAQUE] = "an object",
    };
    return names[kind];
}

static bool count(struct machine *m, uint32_t values)
{
    m->num_values += values;
    return m->num_values <= MAX_VALUES || fail(m, "makes more than %d values", MAX_VALUES);
}

static bool push(struct machine *m, struct ww_pickle *value)
{
    if (!count(m, 1))
        return false;
    ww_pickle_append(m->reader->arena, &m->stack, value);
    return true;
}

static bool push_kind(struct machine *m, enum ww_pickle_kind kind)
{
    return push(m, ww_pickle_new(m->reader->arena, kind));
}

static bool push_integer(struct machine *m, enum ww_pickle_kind kind, int64_t integer)
{
    struct ww_pickle *value = ww_pickle_new(m->reader->arena, kind);
    value->integer = integer;
    return push(m, value);
}

// How many values lie above the last mark.
static uint32_t above_mark(const struct machine *m)
{
    return m->stack.count - (m->num_marks ? m->marks[m->num_marks - 1] : 0);
}

static struct ww_pickle *pop(struct machine *m)
{
    if (above_mark(m) == 0) {
        fail(m, "needs a value where there is none");
        return NULL;
    }
    return m->stack.items[--m->stack.count];
}

static struct ww_pickle *top(struct machine *m)
{
    if (above_mark(m) == 0) {
        fail(m, "needs a value where there is none");
        return NULL;
    }
    return m->stack.items[m->stack.count - 1];
}

static bool push_mark(struct machine *m)
{
    if (m->num_marks == m->marks_room) {
        const uint32_t room = m->marks_room ? m->marks_room * 2 : 64;
        uint32_t *grown = ww_new_array(m->reader->arena, uint32_t, room);
        if (m->num_marks)
            memcpy(grown, m->marks, m->num_marks * sizeof(*grown));
        m->marks = grown;
        m->marks_room = room;
    }
    m->marks[m->num_marks++] = m->stack.count;
    return true;
}

// Takes everything above the last mark, and the mark. The items stay readable until the next push.
static bool take_marked(struct machine *m, struct ww_pickle ***items, uint32_t *count)
{
    if (m->num_marks == 0)
        return fail(m, "needs a MARK where there is none");
    *count = above_mark(m);
    m->stack.count = m->marks[--m->num_marks];
    *items = m->stack.items ? m->stack.items + m->stack.count : NULL;
    return true;
}

static bool take_bytes(struct machine *m, uint64_t size, const char **out)
{
    if (size > m->size - m->at)
        return fail(m, "%llu bytes are needed, but %zu follow", (unsigned long long)size,
                    m->size - m->at);
    *out = m->text + m->at;
    m->at += (size_t)size;
    return true;
}

static bool take_number(struct machine *m, int bytes, uint64_t *out)
{
    const char *at = NULL;
    if (!take_bytes(m, (uint64_t)bytes, &at))
        return false;
    *out = ww_little(at, bytes);
    return true;
}

static bool take_line(struct machine *m, const char **out, size_t *length)
{
    const char *at = m->text + m->at;
    const char *end = memchr(at, '\n', m->size - m->at);
    if (!end)
        return fail(m, "a line does not end");
    *out = at;
    *length = (size_t)(end - at);
    m->at += *length + 1;
    return true;
}

// A text whose length takes that many bytes.
static bool read_text(struct machine *m, enum ww_pickle_kind kind, int length_bytes)
{
    uint64_t size = 0;
    const char *at = NULL;
    if (!take_number(m, length_bytes, &size) || !take_bytes(m, size, &at))
        return false;
    if (kind == WW_PICKLE_TEXT && !ww_utf8_valid(at, (size_t)size))
        return fail(m, "a string is no UTF-8");
    struct ww_pickle *value = ww_pickle_new(m->reader->arena, kind);
    value->text = at;
    value->count = (uint32_t)size;
    return push(m, value);
}

// Little endian, two's complement; more than 64 bits are kept as something that nobody can use.
static bool read_long(struct machine *m, int length_bytes)
{
    uint64_t size = 0;
    const char *at = NULL;
    if (!take_number(m, length_bytes, &size) || !take_bytes(m, size, &at))
        return false;
    if (size > 8)
        return push_kind(m, WW_PICKLE_OPAQUE);
    uint64_t value = ww_little(at, (int)size);
    if (size > 0 && size < 8 && value >> (8 * size - 1))
        value |= UINT64_MAX << 8 * size;
    return push_integer(m, WW_PICKLE_INTEGER, (int64_t)value);
}

static bool read_real(struct machine *m)
{
    const char *at = NULL;
    if (!take_bytes(m, 8, &at))
        return false;
    uint64_t bits = 0; // the one number that is big endian
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | (unsigned char)at[i];
    struct ww_pickle *value = ww_pickle_new(m->reader->arena, WW_PICKLE_REAL);
    memcpy(&value->real, &bits, sizeof(bits));
    return push(m, value);
}

static bool push_name(struct machine *m, const char *module, size_t module_size, const char *name,
                      size_t name_size)
{
    if (module_size > MAX_NAME || name_size > MAX_NAME)
        return fail(m, "a name has %zu bytes, more than %d", module_size > name_size ? module_size : name_size,
                    MAX_NAME);
    struct ww_pickle *value = ww_pickle_new(m->reader->arena, WW_PICKLE_NAME);
    value->text = ww_arena_printf(m->reader->arena, "%.*s %.*s", (int)module_size, module,
                                  (int)name_size, name);
    return push(m, value);
}

static bool read_global(struct machine *m)
{
    const char *module = NULL, *name = NULL;
    size_t module_size = 0, name_size = 0;
    return take_line(m, &module, &module_size) && take_line(m, &name, &name_size) &&
           push_name(m, module, module_size, name, name_size);
}

static bool stack_global(struct machine *m)
{
    const struct ww_pickle *name = pop(m), *module = name ? pop(m) : NULL;
    if (!module)
        return false;
    if (name->kind != WW_PICKLE_TEXT || module->kind != WW_PICKLE_TEXT)
        return fail(m, "a name is %s",
                    ww_pickle_kind_name(name->kind != WW_PICKLE_TEXT ? name->kind : module->kind));
    return push_name(m, module->text, module->count, name->text, name->count);
}

// The pickler numbers what it may need again from 0 up, so a number larger than the text is long
// was not written by one, and must not become the size of a table.
static bool put_memo(struct machine *m, uint64_t index)
{
    struct ww_pickle *value = top(m);
    if (!value)
        return false;
    if (index >= m->size)
        return fail(m, "memo index %llu is larger than the pickle is long",
                    (unsigned long long)index);
    if (index >= m->memo_room) {
        const uint32_t room = ((uint32_t)index + 64) * 2; // below 2^32, for the text is below 2^31
        struct ww_pickle **grown = ww_new_array(m->reader->arena, struct ww_pickle *, room);
        if (m->memo_room)
            memcpy(grown, m->memo, m->memo_room * sizeof(*grown));
        m->memo = grown;
        m->memo_room = room;
    }
    m->num_memoized += !m->memo[index];
    m->memo[index] = value;
    return true;
}

static bool read_put(struct machine *m, int bytes)
{
    uint64_t index = 0;
    return take_number(m, bytes, &index) && put_memo(m, index);
}

static bool read_get(struct machine *m, int bytes)
{
    uint64_t index = 0;
    if (!take_number(m, bytes, &index))
        return false;
    if (index >= m->memo_room || !m->memo[index])
        return fail(m, "memo index %llu was never stored", (unsigned long long)index);
    return push(m, m->memo[index]);
}

static bool push_list(struct machine *m, enum ww_pickle_kind kind, struct ww_pickle **items,
                      uint32_t count)
{
    struct ww_pickle *list = ww_pickle_new(m->reader->arena, kind);
    for (uint32_t i = 0; i < count; i++)
        ww_pickle_append(m->reader->arena, list, items[i]);
    return push(m, list);
}

static bool make_list(struct machine *m, enum ww_pickle_kind kind)
{
    struct ww_pickle **items = NULL;
    uint32_t count = 0;
    if (!take_marked(m, &items, &count))
        return false;
    if (kind == WW_PICKLE_DICT && count % 2)
        return fail(m, "a dict has a key without a value");
    return push_list(m, kind, items, count);
}

static bool make_tuple(struct machine *m, uint32_t count)
{
    if (above_mark(m) < count)
        return fail(m, "needs a value where there is none");
    m->stack.count -= count; // 1 to 3: the stack is there
    return push_list(m, WW_PICKLE_TUPLE, m->stack.items + m->stack.count, count);
}

// Adds `count` items to the list, dict or set below them.
static bool add_items(struct machine *m, enum ww_pickle_kind kind, struct ww_pickle **items,
                      uint32_t count)
{
    struct ww_pickle *list = top(m);
    if (!list)
        return false;
    if (list->kind == WW_PICKLE_OPAQUE)
        return true;
    if (list->kind != kind)
        return fail(m, "adds items to %s", ww_pickle_kind_name(list->kind));
    if (kind == WW_PICKLE_DICT && count % 2)
        return fail(m, "a dict has a key without a value");
    for (uint32_t i = 0; i < count; i++)
        ww_pickle_append(m->reader->arena, list, items[i]);
    return true;
}

static bool add_marked(struct machine *m, enum ww_pickle_kind kind)
{
    struct ww_pickle **items = NULL;
    uint32_t count = 0;
    return take_marked(m, &items, &count) && add_items(m, kind, items, count);
}

static bool add_some(struct machine *m, enum ww_pickle_kind kind, uint32_t count)
{
    if (above_mark(m) < count + 1)
        return fail(m, "needs a value where there is none");
    m->stack.count -= count;
    return add_items(m, kind, m->stack.items + m->stack.count, count);
}

// REDUCE and NEWOBJ: what the owner makes of it.
static bool call(struct machine *m)
{
    const struct ww_pickle *arguments = pop(m), *function = arguments ? pop(m) : NULL;
    if (!function)
        return false;
    if (function->kind != WW_PICKLE_NAME)
        return fail(m, "calls %s", ww_pickle_kind_name(function->kind));
    if (arguments->kind != WW_PICKLE_TUPLE)
        return fail(m, "calls '%s' with %s, not a tuple", function->text,
                    ww_pickle_kind_name(arguments->kind));
    if (!count(m, OWNERS))
        return false;
    struct ww_pickle *value = m->reader->call(m->reader->owner, function->text, arguments, m->err);
    return value && push(m, value);
}

// Attributes of an object; a dict's (`_metadata` of a state dict) are of no use here.
static bool build(struct machine *m)
{
    const struct ww_pickle *state = pop(m), *object = state ? top(m) : NULL;
    if (!object)
        return false;
    return object->kind == WW_PICKLE_DICT || object->kind == WW_PICKLE_OPAQUE ||
           fail(m, "sets attributes of %s", ww_pickle_kind_name(object->kind));
}

static bool persistent(struct machine *m)
{
    const struct ww_pickle *id = pop(m);
    if (!count(m, OWNERS))
        return false;
    struct ww_pickle *value = id ? m->reader->persistent(m->reader->owner, id, m->err) : NULL;
    return value && push(m, value);
}

static bool duplicate(struct machine *m)
{
    struct ww_pickle *value = top(m);
    return value && push(m, value);
}

static bool pop_mark(struct machine *m)
{
    struct ww_pickle **items = NULL;
    uint32_t count = 0;
    return take_marked(m, &items, &count);
}

static bool push_number(struct machine *m, int bytes)
{
    uint64_t value = 0;
    if (!take_number(m, bytes, &value))
        return false;
    return push_integer(m, WW_PICKLE_INTEGER, bytes == 4 ? (int32_t)value : (int64_t)value);
}

static bool skip(struct machine *m, int bytes)
{
    const char *at = NULL;
    return take_bytes(m, (uint64_t)bytes, &at);
}

// LONG4 and BINSTRING count in signed numbers.
static bool check_signed_length(struct machine *m)
{
    return m->size - m->at < 4 || !(m->text[m->at + 3] & 0x80) || fail(m, "a length is negative");
}

static bool step(struct machine *m, unsigned char opcode)
{
    switch (opcode) {
    case 0x80: // PROTO: the number tells nothing that the opcodes do not
        return skip(m, 1);
    case 0x95: // FRAME: how much to read ahead
        return skip(m, 8);
    case '(':
        return push_mark(m);
    case '0': // POP: a mark, too
        return above_mark(m) == 0 && m->num_marks ? pop_mark(m) : pop(m) != NULL;
    case '1':
        return pop_mark(m);
    case '2':
        return duplicate(m);
    case 'N':
        return push_kind(m, WW_PICKLE_NONE);
    case 0x88:
    case 0x89:
        return push_integer(m, WW_PICKLE_BOOL, opcode == 0x88);
    case 'J':
        return push_number(m, 4);
    case 'K':
        return push_number(m, 1);
    case 'M':
        return push_number(m, 2);
    case 0x8a:
        return read_long(m, 1);
    case 0x8b:
        return check_signed_length(m) && read_long(m, 4);
    case 'G':
        return read_real(m);
    case 'X':
        return read_text(m, WW_PICKLE_TEXT, 4);
    case 0x8c:
        return read_text(m, WW_PICKLE_TEXT, 1);
    case 0x8d:
        return read_text(m, WW_PICKLE_TEXT, 8);
    case 'T': // a string of Python 2: its bytes are in an encoding that nobody wrote down
        return check_signed_length(m) && read_text(m, WW_PICKLE_BYTES, 4);
    case 'U':
    case 'C':
        return read_text(m, WW_PICKLE_BYTES, 1);
    case 'B':
        return read_text(m, WW_PICKLE_BYTES, 4);
    case 0x8e:
    case 0x96:
        return read_text(m, WW_PICKLE_BYTES, 8);
    case ']':
    case 0x8f: // EMPTY_SET
        return push_kind(m, WW_PICKLE_LIST);
    case ')':
        return push_kind(m, WW_PICKLE_TUPLE);
    case '}':
        return push_kind(m, WW_PICKLE_DICT);
    case 'l':
        return make_list(m, WW_PICKLE_LIST);
    case 't':
    case 0x91: // FROZENSET
        return make_list(m, WW_PICKLE_TUPLE);
    case 'd':
        return make_list(m, WW_PICKLE_DICT);
    case 0x85:
    case 0x86:
    case 0x87:
        return make_tuple(m, opcode - 0x84u);
    case 'a':
        return add_some(m, WW_PICKLE_LIST, 1);
    case 's':
        return add_some(m, WW_PICKLE_DICT, 2);
    case 'e':
    case 0x90: // ADDITEMS
        return add_marked(m, WW_PICKLE_LIST);
    case 'u':
        return add_marked(m, WW_PICKLE_DICT);
    case 'q':
        return read_put(m, 1);
    case 'r':
        return read_put(m, 4);
    case 0x94: // MEMOIZE
        return put_memo(m, m->num_memoized);
    case 'h':
        return read_get(m, 1);
    case 'j':
        return read_get(m, 4);
    case 'c':
        return read_global(m);
    case 0x93:
        return stack_global(m);
    case 'R':
    case 0x81: // NEWOBJ
        return call(m);
    case 'b':
        return build(m);
    case 'Q':
        return persistent(m);
    case 'i':
    case 'o':
        return fail(m,
                    "makes an object by an opcode of protocol 0 or 1 ('%c'), which no checkpoint "
                    "does; nothing was executed",
                    opcode);
    case 0x82:
    case 0x83:
    case 0x84:
        return fail(m, "uses Python's extension registry, which no checkpoint does");
    default:
        return fail(m, "opcode 0x%02x is not supported", opcode);
    }
}

struct ww_pickle *ww_pickle_read(const struct ww_pickle_reader *reader, const char *text,
                                 size_t size, struct ww_error *err)
{
    assert(size < INT32_MAX);
    struct machine m = {.reader = reader, .text = text, .size = size, .err = err};
    while (m.at < size) {
        const size_t at = m.at++;
        const unsigned char opcode = (unsigned char)text[at];
        struct ww_pickle *value = NULL;
        if (opcode == '.') { // STOP; what follows is nobody's
            m.num_marks = 0;
            value = pop(&m);
            if (value)
                return value;
        }
        if (opcode == '.' || !step(&m, opcode)) {
            ww_within(err, "byte %zu", at);
            return NULL;
        }
    }
    ww_fail(err, WW_E_FILE, "ends after %zu bytes without a STOP", size);
    return NULL;
}
