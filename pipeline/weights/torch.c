// A PyTorch checkpoint: a zip archive with ROOT/data.pkl, which says what there is, and the numbers
// of each storage in ROOT/data/KEY. The pickle is data (pickle.h). The list below is all that it
// may call; whatever else it names in a call is refused, by its name.
//
// Tensors are found through dicts and lists, and named by the way to them: 'model/encoder.weight',
// 'optimizer/state/0/exp_avg'. Several may lie in one storage, and each may be a view of it.

#include "checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "pickle.h"
#include "zip.h"

#define MAX_PICKLE_BYTES (16 << 20) // of 10,000 tensors: 2 MB
#define MAX_DEPTH        16         // of dicts and lists around a tensor
#define MAX_NAME         1000       // bytes of the way to a tensor
#define MAX_SHOWN        4          // times the file: what its tensors may show of it together
#define MAX_LISTED       8          // times the pickle: what the list of its tensors may take

enum { MAX_KEY = 100, MEMBER_ROOM = MAX_KEY + sizeof "data/" };

static const char resave[] = "save it again with a current PyTorch: "
                             "torch.save(torch.load(FILE, weights_only=True), FILE)";

// What a pickle's native values are. A storage has no type of its own if it is untyped.
struct storage {
    uint64_t place, bytes; // in the file
    bool has_type;
    enum ww_type type;
};

struct native {
    bool is_tensor;
    struct storage storage;
    struct ww_weight tensor; // without a name
};

struct reader {
    struct ww_weights *w;
    const struct ww_weights_file *file;
    int number;
    struct ww_zip zip;
    const char *root;        // with its slash
    char *member;            // room for a storage's name
    struct ww_arena *values; // what is forgotten once the tensors are known
    // What a few bytes that are used again and again could make endless, and what bounds it.
    uint64_t pickle_bytes, items, listed, shown;
};

static const struct {
    const char *storage, *dtype;
    enum ww_type type;
} types[] = {
    {"torch FloatStorage", "torch float32", WW_F32},
    {"torch HalfStorage", "torch float16", WW_F16},
    {"torch BFloat16Storage", "torch bfloat16", WW_BF16},
    {"torch DoubleStorage", "torch float64", WW_F64},
    {"torch LongStorage", "torch int64", WW_I64},
    {"torch IntStorage", "torch int32", WW_I32},
    {"torch ShortStorage", "torch int16", WW_I16},
    {"torch CharStorage", "torch int8", WW_I8},
    {"torch ByteStorage", "torch uint8", WW_U8},
    {"torch BoolStorage", "torch bool", WW_BOOL},
    {"torch ComplexFloatStorage", "torch complex64", WW_C64},
    {"-", "torch float8_e4m3fn", WW_F8_E4M3},
    {"-", "torch float8_e5m2", WW_F8_E5M2},
    {"-", "torch float8_e4m3fnuz", WW_F8_E4M3FNUZ},
    {"-", "torch float8_e5m2fnuz", WW_F8_E5M2FNUZ},
    {"-", "torch float8_e8m0fnu", WW_F8_E8M0},
    {"-", "torch uint16", WW_U16},
    {"-", "torch uint32", WW_U32},
    {"-", "torch uint64", WW_U64},
};
enum { NUM_TYPES = sizeof(types) / sizeof(types[0]) };

static struct ww_pickle *no(struct ww_error *err, const char *what)
{
    ww_fail(err, WW_E_FILE, "%s", what);
    return NULL;
}

static struct ww_pickle *make_native(struct reader *r, struct native **out)
{
    struct ww_pickle *value = ww_pickle_new(r->values, WW_PICKLE_NATIVE);
    value->native = *out = ww_new(r->values, struct native);
    return value;
}

static bool is_text(const struct ww_pickle *value, const char *text)
{
    return value->kind == WW_PICKLE_TEXT && value->count == strlen(text) &&
           memcmp(value->text, text, value->count) == 0;
}

static bool find_storage(struct reader *r, const struct ww_pickle *key, struct storage *out,
                         struct ww_error *err)
{
    if (key->kind != WW_PICKLE_TEXT || key->count > MAX_KEY || memchr(key->text, '/', key->count) ||
        memchr(key->text, '\0', key->count))
        return ww_fail(err, WW_E_FILE, "a storage's key is no plain name");
    snprintf(r->member, strlen(r->root) + MEMBER_ROOM, "%sdata/%.*s", r->root, (int)key->count, key->text);
    const struct ww_zip_member *member = ww_zip_find(&r->zip, r->member);
    if (!member)
        return ww_fail(err, WW_E_FILE, "storage '%s' is not in the archive", r->member);
    out->bytes = member->bytes;
    return ww_zip_place(r->file, &r->zip, member, &out->place, err);
}

// ('storage', class, key, device, number of elements)
static struct ww_pickle *persistent(void *owner, const struct ww_pickle *id, struct ww_error *err)
{
    struct reader *r = owner;
    if (id->kind != WW_PICKLE_TUPLE || id->count < 5 || !is_text(id->items[0], "storage"))
        return no(err, "a persistent id is no ('storage', class, key, device, count)");
    const struct ww_pickle *class = id->items[1], *count = id->items[4];
    if (class->kind != WW_PICKLE_NAME)
        return no(err, "a storage's class is no name");
    struct native *native;
    struct ww_pickle *value = make_native(r, &native);
    struct storage *s = &native->storage;
    int i = 0;
    while (i < NUM_TYPES && strcmp(class->text, types[i].storage) != 0)
        i++;
    s->has_type = i < NUM_TYPES;
    if (!s->has_type && strcmp(class->text, "torch.storage UntypedStorage") != 0) {
        ww_fail(err, WW_E_FILE, "storages of class '%s' are not supported", class->text);
        return NULL;
    }
    if (!find_storage(r, id->items[2], s, err))
        return NULL;
    const size_t each = s->has_type ? ww_type_bytes(types[i].type) : 1;
    s->type = s->has_type ? types[i].type : WW_U8;
    if (count->kind != WW_PICKLE_INTEGER || count->integer < 0)
        return no(err, "a storage's number of elements is none");
    if ((uint64_t)count->integer > s->bytes / each) {
        ww_fail(err, WW_E_FILE,
                "storage '%.*s' is said to have %lld elements of %zu bytes; it has "
                "%llu bytes",
                (int)id->items[2]->count, id->items[2]->text, (long long)count->integer, each,
                (unsigned long long)s->bytes);
        return NULL;
    }
    s->bytes = (uint64_t)count->integer * each;
    return value;
}

// The numbers of a tuple, each from 0 up.
static bool read_dims(const struct ww_pickle *tuple, const char *what, int64_t *dim, int *rank,
                      struct ww_error *err)
{
    if (tuple->kind != WW_PICKLE_TUPLE)
        return ww_fail(err, WW_E_FILE, "a tensor's %s is %s, not a tuple", what,
                       ww_pickle_kind_name(tuple->kind));
    if (tuple->count > WW_MAX_RANK)
        return ww_fail(err, WW_E_FILE, "a tensor's %s has more than %d dimensions", what,
                       WW_MAX_RANK);
    for (uint32_t i = 0; i < tuple->count; i++) {
        const struct ww_pickle *x = tuple->items[i];
        if (x->kind != WW_PICKLE_INTEGER || x->integer < 0)
            return ww_fail(err, WW_E_FILE, "a tensor's %s[%u] is not an integer from 0 up", what,
                           i);
        dim[i] = x->integer;
    }
    *rank = (int)tuple->count;
    return true;
}

// Where a view's last element is, and whether its elements lie end to end.
static bool measure(struct reader *r, const struct storage *s, int64_t offset,
                    const int64_t *stride, struct ww_weight *w, struct ww_error *err)
{
    const int64_t each = (int64_t)ww_type_bytes(w->type);
    int64_t count = 1, last = offset, bytes;
    bool fits = true, dense = true;
    for (int i = w->rank - 1; i >= 0; i--) {
        int64_t reach = 0;
        dense = dense && (w->dim[i] == 1 || stride[i] == count);
        fits = fits && !__builtin_mul_overflow(count, w->dim[i], &count) &&
               (w->dim[i] == 0 || !__builtin_mul_overflow(w->dim[i] - 1, stride[i], &reach)) &&
               !__builtin_add_overflow(last, reach, &last);
    }
    fits = fits && !__builtin_mul_overflow(count, each, &bytes);
    if (!fits)
        return ww_fail(err, WW_E_FILE, "a tensor's size and stride make more than can be counted");
    const uint64_t elements = s->bytes / (uint64_t)each;
    if (count > 0 ? (uint64_t)last >= elements : (uint64_t)offset > elements)
        return ww_fail(err, WW_E_FILE,
                       "a tensor reaches element %lld of its storage, which has %llu",
                       (long long)last, (unsigned long long)elements);
    // An expanded view may be far larger than what it shows; whoever copies it must hold it.
    if ((uint64_t)bytes > r->file->bytes)
        return ww_fail(err, WW_E_FILE, "a tensor of %lld bytes is larger than the file",
                       (long long)bytes);
    w->bytes = (size_t)bytes;
    w->place = s->place + (uint64_t)(offset * each);
    if (dense || count == 0) {
        w->data = r->file->map + w->place;
        return true;
    }
    int64_t *kept = ww_new_array(r->w->arena, int64_t, WW_MAX_RANK);
    memcpy(kept, stride, (size_t)w->rank * sizeof(*kept));
    w->stride = kept;
    return true;
}

// (storage, offset, size, stride, ...), and `dtype` where the storage has none.
static struct ww_pickle *rebuild(struct reader *r, const struct ww_pickle *arguments,
                                 const struct ww_pickle *dtype, struct ww_error *err)
{
    struct ww_pickle *const *a = arguments->items;
    const struct native *from = a[0]->kind == WW_PICKLE_NATIVE ? a[0]->native : NULL;
    if (!from || from->is_tensor)
        return no(err, "a tensor has no storage");
    struct native *native;
    struct ww_pickle *value = make_native(r, &native);
    native->is_tensor = true;
    struct ww_weight *w = &native->tensor;
    w->type = from->storage.type;
    w->file = r->number;
    int i = 0;
    while (dtype && i < NUM_TYPES && strcmp(dtype->text, types[i].dtype) != 0)
        i++;
    if (i == NUM_TYPES) {
        ww_fail(err, WW_E_FILE, "tensors of '%s' are not supported", dtype->text);
        return NULL;
    }
    if (dtype)
        w->type = types[i].type;
    else if (!from->storage.has_type)
        return no(err, "a tensor has no type");
    if (a[1]->kind != WW_PICKLE_INTEGER || a[1]->integer < 0)
        return no(err, "a tensor's offset is not an integer from 0 up");
    int64_t stride[WW_MAX_RANK];
    int num_strides;
    if (!read_dims(a[2], "size", w->dim, &w->rank, err) ||
        !read_dims(a[3], "stride", stride, &num_strides, err))
        return NULL;
    if (num_strides != w->rank) {
        ww_fail(err, WW_E_FILE, "a tensor has %d dimensions and %d strides", w->rank, num_strides);
        return NULL;
    }
    int64_t bytes;
    if (__builtin_mul_overflow(a[1]->integer, (int64_t)ww_type_bytes(w->type), &bytes))
        return no(err, "a tensor's offset lies beyond its storage");
    return measure(r, &from->storage, a[1]->integer, stride, w, err) ? value : NULL;
}

static struct ww_pickle *rebuild_tensor(struct reader *r, const struct ww_pickle *a,
                                        struct ww_error *err)
{
    return rebuild(r, a, NULL, err);
}

// (storage, offset, size, stride, requires_grad, hooks, dtype, metadata): over bytes
static struct ww_pickle *rebuild_tensor_v3(struct reader *r, const struct ww_pickle *a,
                                           struct ww_error *err)
{
    if (a->items[6]->kind != WW_PICKLE_NAME)
        return no(err, "a tensor's dtype is no name");
    return rebuild(r, a, a->items[6], err);
}

// (tensor, requires_grad, hooks)
static struct ww_pickle *rebuild_parameter(struct reader *r, const struct ww_pickle *a,
                                           struct ww_error *err)
{
    (void)r;
    const struct native *native =
        a->items[0]->kind == WW_PICKLE_NATIVE ? a->items[0]->native : NULL;
    return native && native->is_tensor ? a->items[0] : no(err, "a parameter is no tensor");
}

// () or ([(key, value), ...])
static struct ww_pickle *make_dict(struct reader *r, const struct ww_pickle *a,
                                   struct ww_error *err)
{
    struct ww_pickle *dict = ww_pickle_new(r->values, WW_PICKLE_DICT);
    if (a->count == 0 || a->items[0]->kind != WW_PICKLE_LIST)
        return dict; // a defaultdict's argument is what it calls for defaults: nobody does
    r->items += a->items[0]->count;
    if (r->items > r->pickle_bytes) // one list, made a dict again and again
        return no(err, "dicts are made of more pairs than the pickle has bytes");
    for (uint32_t i = 0; i < a->items[0]->count; i++) {
        const struct ww_pickle *pair = a->items[0]->items[i];
        if ((pair->kind != WW_PICKLE_TUPLE && pair->kind != WW_PICKLE_LIST) || pair->count != 2)
            return no(err, "a dict is made of what are no pairs");
        ww_pickle_append(r->values, dict, pair->items[0]);
        ww_pickle_append(r->values, dict, pair->items[1]);
    }
    return dict;
}

static struct ww_pickle *make_size(struct reader *r, const struct ww_pickle *a,
                                   struct ww_error *err)
{
    (void)r;
    return a->items[0]->kind == WW_PICKLE_TUPLE ? a->items[0] : no(err, "a size is no tuple");
}

static struct ww_pickle *make_opaque(struct reader *r, const struct ww_pickle *a,
                                     struct ww_error *err)
{
    (void)a;
    (void)err;
    return ww_pickle_new(r->values, WW_PICKLE_OPAQUE);
}

// All that a checkpoint may call. The opaque ones are what training scripts leave beside their
// weights: no object is made of them, and no tensor is looked for inside.
static const struct {
    const char *name;
    uint32_t min, max; // arguments
    struct ww_pickle *(*make)(struct reader *r, const struct ww_pickle *arguments,
                              struct ww_error *err);
} calls[] = {
    {"torch._utils _rebuild_tensor_v2", 6, 7, rebuild_tensor},
    {"torch._utils _rebuild_tensor_v3", 7, 8, rebuild_tensor_v3},
    {"torch._utils _rebuild_tensor", 4, 4, rebuild_tensor},
    {"torch._utils _rebuild_parameter", 3, 3, rebuild_parameter},
    {"torch._utils _rebuild_parameter_with_state", 4, 4, rebuild_parameter},
    {"collections OrderedDict", 0, 1, make_dict},
    {"collections defaultdict", 0, 1, make_dict},
    {"collections Counter", 0, 1, make_opaque},
    {"torch Size", 1, 1, make_size},
    {"torch device", 1, 2, make_opaque},
    {"argparse Namespace", 0, 0, make_opaque},
    {"builtins set", 1, 1, make_opaque},
    {"__builtin__ set", 1, 1, make_opaque},
    {"_codecs encode", 1, 2, make_opaque},
    {"numpy dtype", 1, 3, make_opaque},
    {"numpy ndarray", 0, 3, make_opaque},
    {"numpy.core.multiarray scalar", 1, 2, make_opaque},
    {"numpy._core.multiarray scalar", 1, 2, make_opaque},
    {"numpy.core.multiarray _reconstruct", 3, 3, make_opaque},
    {"numpy._core.multiarray _reconstruct", 3, 3, make_opaque},
};

static struct ww_pickle *call(void *owner, const char *name, const struct ww_pickle *arguments,
                              struct ww_error *err)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(name, calls[i].name) != 0)
            continue;
        if (arguments->count < calls[i].min || arguments->count > calls[i].max) {
            ww_fail(err, WW_E_FILE, "calls '%s' with %u arguments", name, arguments->count);
            return NULL;
        }
        return calls[i].make(owner, arguments, err);
    }
    ww_fail(err, WW_E_FILE,
            "wants to call '%.200s', which weights have no need of; nothing was executed", name);
    return NULL;
}

// --- the way to the tensors ---

struct walk {
    struct reader *r;
    struct ww_error *err;
    char name[MAX_NAME + 24]; // the way to where it is; room for a number behind
};

static bool add_tensor(struct walk *walk, const struct ww_weight *tensor)
{
    struct reader *r = walk->r;
    struct ww_weights *w = r->w;
    r->listed += sizeof *tensor + strlen(walk->name);
    if (r->listed > MAX_LISTED * r->pickle_bytes)
        return ww_fail(walk->err, WW_E_FILE, "'%.100s': tensors have more names than the pickle has room for",
                       walk->name);
    r->shown += tensor->bytes;
    if (r->shown > MAX_SHOWN * (uint64_t)r->file->bytes)
        return ww_fail(walk->err, WW_E_FILE,
                       "'%.100s': up to here, tensors that share storages have %llu bytes, more than %d times "
                       "the file's",
                       walk->name, (unsigned long long)r->shown, MAX_SHOWN);
    if (w->num_tensors == w->room && !ww_weights_reserve(w, w->room / 2 + 64, walk->err))
        return false;
    w->tensors[w->num_tensors] = *tensor;
    w->tensors[w->num_tensors++].name = ww_arena_strdup(w->arena, walk->name);
    return true;
}

static bool walk_into(struct walk *walk, struct ww_pickle *value, size_t length, int depth);

// The length of the way with a number behind.
static size_t put_number(struct walk *walk, size_t length, long long number)
{
    return length + (size_t)snprintf(walk->name + length, sizeof walk->name - length, "%lld", number);
}

// Into the value of a dict, whose own name has `length` bytes with the slash. A key that names nothing (a tuple, a
// number with a point): what is under it is passed over.
static bool walk_key(struct walk *walk, const struct ww_pickle *key, struct ww_pickle *value, size_t length,
                     int depth)
{
    if (key->kind == WW_PICKLE_INTEGER)
        return walk_into(walk, value, put_number(walk, length, key->integer), depth);
    if (key->kind != WW_PICKLE_TEXT)
        return true;
    if (key->count > MAX_NAME - length)
        return ww_fail(walk->err, WW_E_FILE, "'%.*s...' is part of a name of %zu bytes, more than %d",
                       key->count < 100 ? (int)key->count : 100, key->text, length + key->count, MAX_NAME);
    if (memchr(key->text, '\0', key->count))
        return true;
    memcpy(walk->name + length, key->text, key->count);
    walk->name[length + key->count] = '\0';
    return walk_into(walk, value, length + key->count, depth);
}

static bool walk_dict(struct walk *walk, struct ww_pickle *dict, size_t length, int depth)
{
    for (uint32_t i = 0; i < dict->count; i += 2)
        if (dict->items[i + 1]->kind >= WW_PICKLE_TUPLE && // else it needs no name
            !walk_key(walk, dict->items[i], dict->items[i + 1], length, depth))
            return false;
    return true;
}

static bool walk_list(struct walk *walk, struct ww_pickle *list, size_t length, int depth)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i]->kind >= WW_PICKLE_TUPLE &&
            !walk_into(walk, list->items[i], put_number(walk, length, i), depth))
            return false;
    return true;
}

// Everything is entered once, by the first way that leads there: a list may hold itself.
static bool walk_into(struct walk *walk, struct ww_pickle *value, size_t length, int depth)
{
    if (value->kind == WW_PICKLE_NATIVE) {
        const struct native *native = value->native;
        return !native->is_tensor || add_tensor(walk, &native->tensor);
    }
    if (value->kind > WW_PICKLE_DICT || value->kind < WW_PICKLE_TUPLE || value->mark)
        return true;
    value->mark = 1;
    if (depth == MAX_DEPTH)
        return ww_fail(walk->err, WW_E_FILE, "'%.100s...' is nested deeper than %d", walk->name,
                       MAX_DEPTH);
    if (length >= MAX_NAME)
        return ww_fail(walk->err, WW_E_FILE, "'%.100s...' is a name of %d bytes or more", walk->name, MAX_NAME);
    walk->name[length++] = '/';
    return value->kind == WW_PICKLE_DICT ? walk_dict(walk, value, length, depth + 1)
                                         : walk_list(walk, value, length, depth + 1);
}

static bool collect(struct reader *r, struct ww_pickle *value, struct ww_error *err)
{
    if (value->kind != WW_PICKLE_DICT)
        return ww_fail(err, WW_E_FILE,
                       "data.pkl holds %s, where a checkpoint has a dict of named tensors",
                       ww_pickle_kind_name(value->kind));
    value->mark = 1;
    return walk_dict(&(struct walk){.r = r, .err = err}, value, 0, 1);
}

// --- the archive ---

// ROOT is one folder, of any name.
static bool find_root(struct reader *r, struct ww_error *err)
{
    static const char tail[] = "/data.pkl";
    for (size_t i = 0; i < r->zip.num_members; i++) {
        const char *name = r->zip.members[i].name, *slash = strchr(name, '/');
        if (!slash || slash == name || strcmp(slash, tail) != 0 || *name == '.')
            continue;
        if (r->root)
            return ww_fail(err, WW_E_FILE, "two folders have a data.pkl: '%s' and '%s'", r->root,
                           name);
        r->root = ww_arena_strndup(r->values, name, (size_t)(slash - name) + 1);
    }
    if (!r->root)
        return ww_fail(err, WW_E_FILE, "there is no FOLDER/data.pkl in it: no PyTorch checkpoint");
    if (ww_zip_find(&r->zip, ww_arena_printf(r->values, "%sconstants.pkl", r->root)))
        return ww_fail(err, WW_E_FILE,
                       "a TorchScript archive is a program, not a checkpoint: save "
                       "the model's state_dict()");
    return true;
}

// A member as memory that the caller frees.
static char *read_member(struct reader *r, const struct ww_zip_member *member, size_t max_bytes,
                         struct ww_error *err)
{
    uint64_t place;
    if (member->bytes > max_bytes) {
        ww_fail(err, WW_E_FILE, "'%s' has %llu bytes, more than the %zu that it may have",
                member->name, (unsigned long long)member->bytes, max_bytes);
        return NULL;
    }
    if (!ww_zip_place(r->file, &r->zip, member, &place, err))
        return NULL;
    char *text = malloc((size_t)member->bytes + 1);
    if (!text) {
        ww_fail(err, WW_E_MEMORY, "no memory left on this host for '%s'", member->name);
        return NULL;
    }
    if (!ww_file_read(r->file, place, text, (size_t)member->bytes, err)) {
        free(text);
        return NULL;
    }
    text[member->bytes] = '\0';
    return text;
}

static bool check_byte_order(struct reader *r, struct ww_error *err)
{
    const struct ww_zip_member *member =
        ww_zip_find(&r->zip, ww_arena_printf(r->values, "%sbyteorder", r->root));
    if (!member) // older versions, on machines that were all little endian
        return true;
    char *text = read_member(r, member, 20, err);
    if (!text)
        return false;
    const bool little = strcmp(text, "little") == 0;
    if (!little)
        ww_fail(err, WW_E_FILE, "'%s' is '%s'; only little-endian files can be read", member->name,
                text);
    free(text);
    return little;
}

static bool read_pickle(struct reader *r, struct ww_error *err)
{
    const struct ww_zip_member *member =
        ww_zip_find(&r->zip, ww_arena_printf(r->values, "%sdata.pkl", r->root));
    char *text = read_member(r, member, MAX_PICKLE_BYTES, err);
    if (!text)
        return false;
    const struct ww_pickle_reader reader = {
        .arena = r->values, .owner = r, .call = call, .persistent = persistent};
    r->pickle_bytes = member->bytes;
    r->member = ww_new_array(r->values, char, strlen(r->root) + MEMBER_ROOM);
    struct ww_pickle *value = ww_pickle_read(&reader, text, (size_t)member->bytes, err);
    const bool sound = value ? collect(r, value, err) : ww_within(err, "data.pkl");
    free(text);
    return sound;
}

bool ww_read_torch(struct ww_weights *w, int number, struct ww_error *err)
{
    static const char legacy[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46";
    struct ww_weights_file *file = &w->files[number];
    char magic[8] = "";
    if (file->bytes >= sizeof(magic) && !ww_file_read(file, 0, magic, sizeof(magic), err))
        return false;
    if (memcmp(magic, legacy, sizeof(magic)) == 0)
        return ww_fail(err, WW_E_FILE,
                       "the format of PyTorch before 1.6, which cannot be mapped; %s", resave);
    if (magic[0] == '\x80')
        return ww_fail(err, WW_E_FILE, "a bare pickle, no PyTorch checkpoint; %s", resave);
    struct reader r = {.w = w, .file = file, .number = number, .values = ww_arena_create()};
    const bool sound = ww_file_map(file, err) && ww_zip_open(file, r.values, &r.zip, err) &&
                       find_root(&r, err) && check_byte_order(&r, err) && read_pickle(&r, err);
    ww_arena_destroy(&r.values);
    return sound;
}
