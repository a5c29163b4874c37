// inner.h: what readers of tokenizer files fill in, and what encoding and decoding read.

#pragma once

#include <watchword/tokenizer.h>

#include "base/arena.h"
#include "weights/meta.h"

enum ww_token_kind { // SentencePiece's numbers, and GGUF's
    WW_TOKEN_NONE, // no token has this id
    WW_TOKEN_NORMAL, WW_TOKEN_UNKNOWN, WW_TOKEN_CONTROL, WW_TOKEN_USER, WW_TOKEN_UNUSED,
    WW_TOKEN_BYTE,
};

struct ww_token {
    const char *text; // NUL behind it
    uint32_t bytes;
    enum ww_token_kind kind;
    float score;
    bool special, lstrip, rstrip; // special: found in a text before all else
    bool normalized;              // found also where only the normalised text has it
};

struct ww_merge {
    uint32_t left, right, result, rank;
};

// Ids by text or merges by pair: a power of two of slots, twice as many as are in them or more.
// Those of slot i lie from begin[i] to begin[i + 1]: merges in the tokenizer's own list, ids here.
struct ww_slots {
    uint32_t *begin, mask;
    struct ww_slotted {
        uint32_t hash, id;
    } *at;
};

struct ww_tokenizer {
    struct ww_arena *arena;
    void *tables[8]; // what grows with the file is no arena's: see ww_table
    int num_tables;
    bool pieces, words, clip; // SentencePiece, WordPiece, CLIP's BPE; none: byte-level BPE
    struct ww_token *tokens;
    uint32_t num_tokens, longest; // bytes of the longest text
    struct ww_slots by_text, specials;
    uint32_t num_specials, special_lengths[64], num_lengths; // descending
    bool special_starts[256];
    uint32_t byte_ids[256]; // of a byte alone; WW_NO_TOKEN: none
    uint32_t end_ids[256];  // CLIP: of one that ends a word; SentencePiece: of one as it is written
    struct ww_special_ids special;
    uint32_t unknown; // for what no token stands for; WW_NO_TOKEN: nothing
    bool add_bos, add_eos;
    const char *chat_template;
    // SentencePiece
    bool prefix, legacy;
    bool by_score; // `merges` have no ranks: what the better piece comes from goes first
    bool apart; // no token has a blank behind something else: texts can be cut in front of blanks
    // WordPiece
    bool lower, strip_accents;
    bool spare_prefix; // none where the text begins with a blank
    bool newer;        // the rules of the package that reads tokenizer.json, where they differ
    // byte-level BPE
    bool split_digits;
    struct ww_merge *merges;
    uint32_t num_merges;
    struct ww_slots by_pair;
};

enum {
    WW_MAX_TOKENS = 1 << 21,
    WW_MAX_TOKEN_BYTES = 1 << 12,
    WW_MAX_PAIR_BYTES = 64, // longer pieces are found by their text, not as a pair of two
};

// --- tokenizer.c, gguf.c ---

// Zeroed, and the tokenizer's. NULL: WW_E_MEMORY.
void *ww_table(struct ww_tokenizer *t, size_t count, size_t bytes_each, struct ww_error *err);
#define ww_new_table(t, type, count, err) ((type *)ww_table((t), (count), sizeof(type), (err)))

// Gives `id` a text (copied). False: WW_E_FILE, it has one, or lies too far out.
bool ww_token_set(struct ww_tokenizer *t, uint32_t id, const char *text, size_t bytes,
                  enum ww_token_kind kind, float score, struct ww_error *err);
bool ww_tokenizer_read_gguf(struct ww_tokenizer *t, const struct ww_weights *weights,
                            struct ww_error *err);

// tokenizer.model; `config`: tokenizer_config.json beside it, or NULL.
bool ww_tokenizer_read_sentencepiece(struct ww_tokenizer *t, const char *path, const char *config,
                                     struct ww_error *err);

// vocab.txt; `config` as above.
bool ww_tokenizer_read_words(struct ww_tokenizer *t, const char *path, const char *config,
                             struct ww_error *err);

// vocab.json, with merges.txt beside it; `config` as above.
bool ww_tokenizer_read_clip(struct ww_tokenizer *t, const char *vocab, const char *config,
                            struct ww_error *err);
// Once its tokens are read: makes a tokenizer one of CLIP's kind. WW_E_UNSUPPORTED: it is none.
bool ww_clip_begin(struct ww_tokenizer *t, struct ww_error *err);

// tokenizer.json; `config` as above.
bool ww_tokenizer_read_json(struct ww_tokenizer *t, const char *path, const char *config,
                            struct ww_error *err);

// Another file in the folder of `path`, which has a slash. In the arena.
const char *ww_beside(struct ww_tokenizer *t, const char *path, const char *name);

// --- vocab.c ---

struct ww_json;

// {"text": id, ...}. There is room for as many tokens as that, `more`, and some holes in between;
// ww_vocab_trim takes back what nobody used.
bool ww_vocab_read(struct ww_tokenizer *t, const struct ww_json *vocab, size_t more,
                   struct ww_error *err);
void ww_vocab_trim(struct ww_tokenizer *t);
uint32_t ww_vocab_find(const struct ww_tokenizer *t, const char *text); // slowly; NULL: no token

// The token that a configuration names: "bos_token": "<s>", or an object with that as its "content".
uint32_t ww_vocab_named(const struct ww_tokenizer *t, const struct ww_json *config, const char *key);

// The next merge in rank; t->merges has room for it and texts can be found. The line: "left right".
bool ww_merge_add(struct ww_tokenizer *t, struct ww_text left, struct ww_text right,
                  struct ww_error *err);
bool ww_merge_add_line(struct ww_tokenizer *t, const char *at, size_t bytes, struct ww_error *err);

// What tokenizer_config.json calls bos_token, eos_token, unk_token and pad_token, which become
// special, and its chat template.
bool ww_vocab_read_config(struct ww_tokenizer *t, const char *path, struct ww_error *err);

// --- table.c ---

// All three fail with WW_E_MEMORY, or WW_E_UNSUPPORTED where there are no random numbers. Merges
// change their order for it.
bool ww_slots_of_texts(struct ww_tokenizer *t, struct ww_slots *slots, bool specials,
                       struct ww_error *err);
bool ww_slots_of_merges(struct ww_tokenizer *t, struct ww_error *err);
// For pieces with scores instead of merges, once texts can be found.
bool ww_merges_of_pieces(struct ww_tokenizer *t, struct ww_error *err);
// Another in each process; once there is a table. At most WW_MAX_TOKEN_BYTES.
uint32_t ww_hash_text(const char *text, size_t bytes);
uint32_t ww_find_text(const struct ww_tokenizer *t, const struct ww_slots *slots, const char *text,
                      size_t bytes);
const struct ww_merge *ww_find_merge(const struct ww_tokenizer *t, uint32_t left, uint32_t right);

// --- merge.c ---

struct ww_symbol {
    int64_t previous, next; // -1: none
    const char *text;
    uint32_t bytes, id; // bytes 0: merged away
};

// Merges `num` symbols that lie end to end, the best pair first. n log n.
struct ww_merger;
struct ww_merger *ww_merger_create(void);
void ww_merger_destroy(struct ww_merger **merger);
struct ww_symbol *ww_merger_symbols(struct ww_merger *merger, size_t num); // room for them
void ww_merger_run(struct ww_merger *merger, const struct ww_tokenizer *t, size_t num);

// --- output ---

struct ww_output {
    const struct ww_tokenizer *t;
    const char *text; // all of it, UTF-8
    size_t bytes;
    struct ww_merger *merger;
    uint32_t *ids;
    struct ww_span *spans; // NULL: not wanted
    size_t num, max;
    bool parse; // special tokens are seen, anywhere
    bool anew;  // no word is taken from what was seen before
    struct ww_seen *seen, *learning; // seen.c's
    size_t seen_mask;
};

static inline void ww_emit(struct ww_output *o, uint32_t id, struct ww_span from)
{
    if (id == WW_NO_TOKEN)
        return;
    if (o->num < o->max) {
        o->ids[o->num] = id;
        if (o->spans)
            o->spans[o->num] = from;
    }
    o->num++;
}

// Where the bytes of a word stand in the text: each has a span, or, with NULL, they stand at `at`.
struct ww_source {
    const struct ww_span *spans;
    size_t at;
};

// --- seen.c ---

void ww_seen_begin(struct ww_output *o); // once `bytes` is known
void ww_seen_end(struct ww_output *o);
// True: it was seen before, and its tokens have been emitted. Else the caller emits each of them,
// for bytes `begin` to `end` of the word, and says when it is done.
bool ww_word_known(struct ww_output *o, const char *word, size_t bytes, struct ww_source source);
void ww_word_emit(struct ww_output *o, uint32_t id, struct ww_source source, size_t begin,
                  size_t end);
void ww_word_done(struct ww_output *o, const char *word, size_t bytes);

// --- encode.c, words.c, clip.c ---

// Tokens of a word by merging: of its bytes, or (SentencePiece) of its characters.
void ww_encode_word(struct ww_output *o, const char *word, size_t bytes, struct ww_source source);
// A part of the text, from `at` to `end`.
void ww_encode_words(struct ww_output *o, size_t at, size_t end);
void ww_encode_clip(struct ww_output *o, size_t at, size_t end);
// The longest special token that begins here, or WW_NO_TOKEN. `bytes` > 0.
uint32_t ww_special_at(const struct ww_tokenizer *t, const char *text, size_t bytes);
bool ww_is_ideograph(uint32_t c); // as BERT counts them, and CLIP after it

struct ww_guard { // parts of a text, in order, where no special token is seen
    const struct ww_span *spans;
    size_t num;
};
enum { WW_ENCODE_ANEW = 1 << 16 }; // a flag for tests: slow, and must not make a difference

// ww_tokenizer_encode; `guard` may be NULL, else the text is UTF-8.
size_t ww_encode_guarded(const struct ww_tokenizer *t, const char *text, size_t bytes,
                         unsigned flags, const struct ww_guard *guard, uint32_t *out,
                         struct ww_span *spans, size_t max);

// --- bytes.c ---

// GPT-2's alphabet: a byte as a character that can be printed, and back (-1: no such character).
uint32_t ww_byte_to_char(unsigned char byte);
int ww_char_to_byte(uint32_t c);
size_t ww_put_char(uint32_t c, char out[4]);
uint32_t ww_get_char(const char *text, size_t bytes); // of a whole character
// Bytes of the maximal beginning of a character at `text`, which is no whole one: 1 or more.
size_t ww_bad_part(const char *text, size_t bytes);
// Copies text, bad parts as U+FFFD. `out` has room for 3 bytes a byte. Returns bytes.
size_t ww_repair(const char *text, size_t bytes, char *out);
// Length of the next piece of GPT-2's pattern; `bytes` > 0, UTF-8.
size_t ww_next_piece(const char *text, size_t bytes, bool split_digits);
// The same for CLIP's pattern, in a text of lower case. `blank`: what lies between words.
size_t ww_next_clip_word(const char *text, size_t bytes, bool newer, bool *blank);
