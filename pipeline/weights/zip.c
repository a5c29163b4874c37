#include "zip.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define END_BYTES     22 // end of central directory, without its comment
#define MAX_TAIL      (END_BYTES + 65535)
#define LOCATOR_BYTES 20
#define END64_BYTES   56
#define ENTRY_BYTES   46
#define LOCAL_BYTES   30

// Where the directory lies, and how many members it has.
struct place {
    uint64_t begin, bytes, count;
};

// Zip64: a locator before the usual end, which points at a longer one.
static bool read_end64(const struct ww_weights_file *file, uint64_t end_at, struct place *place,
                       bool *found, struct ww_error *err)
{
    unsigned char locator[LOCATOR_BYTES], end[END64_BYTES];
    *found = false;
    if (end_at < LOCATOR_BYTES)
        return true;
    if (!ww_file_read(file, end_at - LOCATOR_BYTES, locator, LOCATOR_BYTES, err))
        return false;
    if (memcmp(locator, "PK\6\7", 4) != 0)
        return true;
    const uint64_t at = ww_little(locator + 8, 8);
    if (end_at < LOCATOR_BYTES + END64_BYTES || at > end_at - LOCATOR_BYTES - END64_BYTES)
        return ww_fail(err, WW_E_FILE,
                       "zip: the 64-bit end of the directory is said to be at %llu, "
                       "behind what points to it",
                       (unsigned long long)at);
    if (!ww_file_read(file, at, end, END64_BYTES, err))
        return false;
    if (memcmp(end, "PK\6\6", 4) != 0)
        return ww_fail(err, WW_E_FILE, "zip: there is no 64-bit end of the directory at %llu",
                       (unsigned long long)at);
    *place = (struct place){.count = ww_little(end + 32, 8),
                            .bytes = ww_little(end + 40, 8),
                            .begin = ww_little(end + 48, 8)};
    *found = true;
    return true;
}

static bool find_directory(const struct ww_weights_file *file, struct place *place,
                           struct ww_error *err)
{
    static const char hint[] = "the file was cut off, or is no zip file";
    if (file->bytes < END_BYTES)
        return ww_fail(err, WW_E_FILE, "zip: %zu bytes have no room for a directory: %s",
                       file->bytes, hint);
    const size_t size = file->bytes < MAX_TAIL ? file->bytes : MAX_TAIL;
    unsigned char *tail = malloc(size);
    if (!tail)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for a zip directory");
    bool ok = ww_file_read(file, file->bytes - size, tail, size, err);
    const unsigned char *end = NULL;
    for (size_t at = size - END_BYTES + 1; ok && !end && at-- > 0;)
        if (memcmp(tail + at, "PK\5\6", 4) == 0 &&
            ww_little(tail + at + 20, 2) == size - at - END_BYTES) // its comment ends the file
            end = tail + at;
    if (ok && !end)
        ok = ww_fail(err, WW_E_FILE, "zip: no directory at the end: %s", hint);
    bool is_64 = false;
    const uint64_t end_at = end ? file->bytes - size + (uint64_t)(end - tail) : 0;
    ok = ok && read_end64(file, end_at, place, &is_64, err);
    if (ok && !is_64)
        *place = (struct place){.count = ww_little(end + 10, 2),
                                .bytes = ww_little(end + 12, 4),
                                .begin = ww_little(end + 16, 4)};
    free(tail);
    if (ok && (place->begin > end_at || place->bytes > end_at - place->begin))
        return ww_fail(err, WW_E_FILE,
                       "zip: the directory is said to be %llu bytes at %llu, beyond its own end at "
                       "%llu",
                       (unsigned long long)place->bytes, (unsigned long long)place->begin,
                       (unsigned long long)end_at);
    if (ok && place->count > place->bytes / ENTRY_BYTES)
        return ww_fail(err, WW_E_FILE,
                       "zip: %llu members do not fit into a directory of %llu bytes",
                       (unsigned long long)place->count, (unsigned long long)place->bytes);
    return ok;
}

// Sizes and places that do not fit into 32 bits stand in an extra field, in this order.
static bool widen(const unsigned char *extra, size_t size, uint64_t *values[3])
{
    while (size >= 4) {
        const size_t id = (size_t)ww_little(extra, 2), bytes = (size_t)ww_little(extra + 2, 2);
        if (bytes > size - 4)
            return false;
        const unsigned char *at = extra + 4, *end = at + bytes;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX)
                continue;
            if (end - at < 8)
                return false;
            *values[i] = ww_little(at, 8);
            at += 8;
        }
        extra = end;
        size -= 4 + bytes;
    }
    return true;
}

// One entry of `left` bytes of directory; how long it is, or 0 if it is damaged.
static size_t read_entry(const unsigned char *at, size_t left, struct ww_arena *arena,
                         struct ww_zip_member *out)
{
    if (left < ENTRY_BYTES || memcmp(at, "PK\1\2", 4) != 0)
        return 0;
    const size_t name = (size_t)ww_little(at + 28, 2), extra = (size_t)ww_little(at + 30, 2),
                 comment = (size_t)ww_little(at + 32, 2);
    const size_t whole = ENTRY_BYTES + name + extra + comment;
    if (whole > left || memchr(at + ENTRY_BYTES, '\0', name))
        return 0;
    uint64_t packed = ww_little(at + 20, 4);
    *out = (struct ww_zip_member){.method = (int)ww_little(at + 10, 2),
                                  .is_encrypted = at[8] & 1,
                                  .bytes = ww_little(at + 24, 4),
                                  .header = ww_little(at + 42, 4)};
    if (!widen(at + ENTRY_BYTES + name, extra,
               (uint64_t *[]){&out->bytes, &packed, &out->header}) ||
        (out->method == 0 && packed != out->bytes))
        return 0;
    out->name = ww_arena_strndup(arena, (const char *)at + ENTRY_BYTES, name);
    return whole;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ww_zip_member *)a)->name, ((const struct ww_zip_member *)b)->name);
}

static bool read_entries(const unsigned char *bytes, const struct place *place,
                         struct ww_arena *arena, struct ww_zip *zip, struct ww_error *err)
{
    zip->members = ww_new_array(arena, struct ww_zip_member, (size_t)place->count);
    size_t at = 0;
    for (size_t i = 0; i < (size_t)place->count; i++) {
        const size_t size =
            read_entry(bytes + at, (size_t)place->bytes - at, arena, &zip->members[i]);
        if (size == 0)
            return ww_fail(err, WW_E_FILE, "zip: member %zu of the directory is damaged", i);
        at += size;
    }
    zip->num_members = (size_t)place->count;
    if (zip->num_members)
        qsort(zip->members, zip->num_members, sizeof(*zip->members), by_name);
    for (size_t i = 1; i < zip->num_members; i++)
        if (strcmp(zip->members[i - 1].name, zip->members[i].name) == 0)
            return ww_fail(err, WW_E_FILE, "zip: there are two members '%.200s'",
                           zip->members[i].name);
    return true;
}

bool ww_zip_open(const struct ww_weights_file *file, struct ww_arena *arena, struct ww_zip *zip,
                 struct ww_error *err)
{
    struct place place = {0};
    if (!find_directory(file, &place, err))
        return false;
    zip->end = place.begin;
    unsigned char *bytes = malloc((size_t)place.bytes + 1);
    if (!bytes)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for a zip directory");
    const bool ok = ww_file_read(file, place.begin, bytes, (size_t)place.bytes, err) &&
                    read_entries(bytes, &place, arena, zip, err);
    free(bytes);
    return ok;
}

const struct ww_zip_member *ww_zip_find(const struct ww_zip *zip, const char *name)
{
    const struct ww_zip_member key = {.name = name};
    return zip->num_members ? bsearch(&key, zip->members, zip->num_members, sizeof(key), by_name)
                            : NULL;
}

bool ww_zip_place(const struct ww_weights_file *file, const struct ww_zip *zip,
                  const struct ww_zip_member *member, uint64_t *place, struct ww_error *err)
{
    const char *name = member->name;
    if (member->is_encrypted)
        return ww_fail(err, WW_E_FILE, "zip: '%s' is encrypted", name);
    if (member->method != 0)
        return ww_fail(err, WW_E_FILE,
                       "zip: '%s' is compressed (method %d), which PyTorch never does; unpack the "
                       "archive and pack it again without compression (zip -0)",
                       name, member->method);
    unsigned char header[LOCAL_BYTES];
    if (zip->end < LOCAL_BYTES || member->header > zip->end - LOCAL_BYTES)
        return ww_fail(err, WW_E_FILE, "zip: '%s' is said to start at %llu, behind all members",
                       name, (unsigned long long)member->header);
    if (!ww_file_read(file, member->header, header, LOCAL_BYTES, err))
        return false;
    const size_t length = strlen(name);
    const uint64_t left = zip->end - member->header - LOCAL_BYTES;
    const uint64_t skip = ww_little(header + 26, 2) + ww_little(header + 28, 2);
    const bool plausible =
        memcmp(header, "PK\3\4", 4) == 0 && ww_little(header + 26, 2) == length && skip <= left;
    char *found = plausible ? malloc(length + 1) : NULL;
    if (plausible && !found)
        return ww_fail(err, WW_E_MEMORY, "no memory left on this host for the name of a member");
    const bool same = plausible &&
                      ww_file_read(file, member->header + LOCAL_BYTES, found, length, NULL) &&
                      memcmp(found, name, length) == 0;
    free(found);
    if (!same)
        return ww_fail(err, WW_E_FILE,
                       "zip: what stands at %llu is not '%s', as the directory says",
                       (unsigned long long)member->header, name);
    if (member->bytes > left - skip)
        return ww_fail(err, WW_E_FILE, "zip: '%s' is said to have %llu bytes; %llu are there", name,
                       (unsigned long long)member->bytes, (unsigned long long)(left - skip));
    *place = member->header + LOCAL_BYTES + skip;
    return true;
}
