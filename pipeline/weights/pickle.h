// pickle.h: a Python pickle read as data.
//
// To Python a pickle is a program: it names functions and calls them. Here nothing is ever called
// or looked up: a name is a text, and a call is handed to the reader's owner, who makes a value of
// it or refuses. Protocols 2 to 5, without what only old Pythons write. Sizes are bounded by the
// text's, values refer to it and are 8 million at most (half a gigabyte), and nothing recurses.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

struct ww_arena;

enum ww_pickle_kind {
    WW_PICKLE_NONE,
    WW_PICKLE_BOOL,
    WW_PICKLE_INTEGER,
    WW_PICKLE_REAL,
    WW_PICKLE_TEXT, // UTF-8
    WW_PICKLE_BYTES,
    WW_PICKLE_TUPLE,
    WW_PICKLE_LIST,
    WW_PICKLE_DICT,   // items are key, value, key, value, ...
    WW_PICKLE_NAME,   // of a function or class: "module name"
    WW_PICKLE_NATIVE, // the owner's own
    WW_PICKLE_OPAQUE, // something of which nobody wants to know more
};

struct ww_pickle {
    enum ww_pickle_kind kind;
    uint32_t count, room; // bytes of a text, items of a list; room: the reader's
    uint32_t mark;        // the owner's, 0 at first: for walks that must end
    union {
        int64_t integer; // and BOOL
        double real;
        const char *text; // not NUL-terminated, but for NAME
        struct ww_pickle **items;
        void *native;
    };
};

struct ww_pickle_reader {
    struct ww_arena *arena; // everything is made in it
    void *owner;
    // What calling `name` with that tuple gives, and what a persistent id stands for; NULL is an
    // error, which they fill in.
    struct ww_pickle *(*call)(void *owner, const char *name, const struct ww_pickle *arguments,
                              struct ww_error *err);
    struct ww_pickle *(*persistent)(void *owner, const struct ww_pickle *id, struct ww_error *err);
};

// The value of a pickle of fewer than 2^31 bytes, which it goes on pointing into. NULL: WW_E_FILE
// says at which byte and what.
struct ww_pickle *ww_pickle_read(const struct ww_pickle_reader *reader, const char *text,
                                 size_t size, struct ww_error *err);

struct ww_pickle *ww_pickle_new(struct ww_arena *arena, enum ww_pickle_kind kind);
void ww_pickle_append(struct ww_arena *arena, struct ww_pickle *list, struct ww_pickle *item);
// "a list", for sentences.
const char *ww_pickle_kind_name(enum ww_pickle_kind kind);
