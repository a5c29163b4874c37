// tokenizer.h: text to the very ids that a model was trained on, and back.
//
// Kinds: SentencePiece BPE as LLaMA uses it, byte-level BPE as GPT-2 and SmolLM2 use it, WordPiece
// as BERT uses it, and CLIP's BPE.
// Text that is not UTF-8 is taken as if every maximal part of a character that cannot go on were
// U+FFFD (the WHATWG rule). Thread-safety: an opened tokenizer is read only, any thread may use it.

#pragma once

#include <stddef.h>
#include <stdint.h>
#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WW_NO_TOKEN UINT32_MAX

struct ww_tokenizer;

// From one of these files, or from a directory, in which the first that is there counts:
// tokenizer.model; vocab.txt; tokenizer.json; vocab.json and merges.txt, if they are CLIP's; a GGUF
// file. tokenizer_config.json beside the first four is read too. (For CLIP, tokenizer.json and
// vocab.json give other ids where a text is not plain English, as the programs do that they were
// made for.) WW_E_FILE, WW_E_UNSUPPORTED (another kind of file or tokenizer, or a rule of splitting
// that is not known here), WW_E_MEMORY: all name the file and what is wrong in it.
WW_API struct ww_tokenizer *ww_tokenizer_open(const char *path, struct ww_error *err);
WW_API void ww_tokenizer_close(struct ww_tokenizer **tokenizer);

enum ww_encode_flags {
    WW_ENCODE_ADD_SPECIAL = 1,   // what the checkpoint wants around a text: LLaMA's <s>
    WW_ENCODE_PARSE_SPECIAL = 2, // "</s>" in the text is a token: never for text from users
};

// Writes the first `max` ids to `out` and returns how many there are, as snprintf does; no text
// gives more than 4 for each of its bytes, and 2. `text` may hold NULs.
WW_API size_t ww_tokenizer_encode(const struct ww_tokenizer *tokenizer, const char *text,
                                  size_t bytes, unsigned flags, uint32_t *out, size_t max);

// The same, and for each id the bytes of `text` that it comes from: whole characters, also where
// the token is a part of one, and the blank in front where the token has one. What stands around a
// text by WW_ENCODE_ADD_SPECIAL, and the blank that LLaMA wants in front, have empty spans there;
// accents that are left out and blanks that a special token takes lie in no span. Spans never go
// back, neither their begins nor their ends. `spans` may be NULL.
struct ww_span {
    size_t begin, end;
};
WW_API size_t ww_tokenizer_encode_spans(const struct ww_tokenizer *tokenizer, const char *text,
                                        size_t bytes, unsigned flags, uint32_t *out,
                                        struct ww_span *spans, size_t max);

// A text that grows token by token. Bytes that are the beginning of a character are held back until
// it is whole. All zeros but the tokenizer is the beginning.
struct ww_decoder {
    const struct ww_tokenizer *tokenizer;
    bool show_special; // control tokens as they are written; else they are left out
    bool goes_on;      // text stands before: a blank in front of the first token is one
    bool word_ended;   // CLIP: a blank stands before what comes next
    unsigned char held[4];
    unsigned num_held;
};

// Writes at most `max` bytes, no NUL, and returns how many the token brings; an id that is none
// brings none. ww_decoder_end brings U+FFFD for what was still held back. 3 bytes for each of the
// token's, and 16, always suffice.
WW_API size_t ww_decoder_put(struct ww_decoder *decoder, uint32_t id, char *out, size_t max);
WW_API size_t ww_decoder_end(struct ww_decoder *decoder, char *out, size_t max);

// All at once: writes the first `max` - 1 bytes and a NUL, and returns how many bytes there are.
WW_API size_t ww_tokenizer_decode(const struct ww_tokenizer *tokenizer, const uint32_t *ids,
                                  size_t num_ids, bool show_special, char *out, size_t max);

struct ww_special_ids { // WW_NO_TOKEN: it has none
    uint32_t bos, eos, unk, pad;
};
WW_API struct ww_special_ids ww_tokenizer_special(const struct ww_tokenizer *tokenizer);
WW_API uint32_t ww_tokenizer_size(const struct ww_tokenizer *tokenizer); // ids are below

// A token as its vocabulary writes it ("\u2581Hello"), and the id of what is written so.
// NULL or WW_NO_TOKEN: there is none.
WW_API const char *ww_tokenizer_text(const struct ww_tokenizer *tokenizer, uint32_t id);
WW_API uint32_t ww_tokenizer_id(const struct ww_tokenizer *tokenizer, const char *text);

// The checkpoint's chat template, Jinja text; NULL: it carries none.
WW_API const char *ww_tokenizer_chat_template(const struct ww_tokenizer *tokenizer);

// How a checkpoint wants a conversation written. Templates are recognised, not executed.
enum ww_chat_form {
    WW_CHAT_NONE,
    WW_CHAT_CHATML, // SmolLM2
    WW_CHAT_VICUNA, // v1.1 to v1.5, LLaVA, VisionLLM v2; their checkpoints often carry no template
};
WW_API enum ww_chat_form ww_tokenizer_chat_form(const struct ww_tokenizer *tokenizer);

struct ww_chat_message {
    const char *role; // "user", "assistant"; the first may be "system", else a default stands there
    const char *content;
};
struct ww_chat {
    enum ww_chat_form form;
    const struct ww_chat_message *messages;
    size_t num_messages;
};

// The conversation up to where the assistant's answer begins, as text (for people: it cannot tell
// "</s>" in a content from the token) and as ids, in which a content never brings a special token.
// Both write what fits, the text with a NUL, and return how many there are. 0: WW_E_TEXT, a role or
// no message; WW_E_UNSUPPORTED, WW_CHAT_NONE.
WW_API size_t ww_chat_text(const struct ww_tokenizer *tokenizer, const struct ww_chat *chat,
                           char *out, size_t max, struct ww_error *err);
WW_API size_t ww_chat_encode(const struct ww_tokenizer *tokenizer, const struct ww_chat *chat,
                             uint32_t *out, size_t max, struct ww_error *err);

#ifdef __cplusplus
}
#endif
