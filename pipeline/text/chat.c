#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "inner.h"

static const char vicuna_system[] =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions.";

// The prompt as it grows, and which parts of it were written by somebody else.
struct prompt {
    char *text;
    size_t bytes;
    struct ww_span *contents;
    size_t num_contents;
};

enum ww_chat_form ww_tokenizer_chat_form(const struct ww_tokenizer *t)
{
    const char *chat = t->chat_template;
    if (chat && strstr(chat, "<|im_start|>") && strstr(chat, "<|im_end|>"))
        return WW_CHAT_CHATML;
    return chat && strstr(chat, "USER:") && strstr(chat, "ASSISTANT:") ? WW_CHAT_VICUNA
                                                                       : WW_CHAT_NONE;
}

static void put(struct prompt *p, const char *text)
{
    const size_t n = strlen(text);
    memcpy(p->text + p->bytes, text, n);
    p->bytes += n;
}

static void put_content(struct prompt *p, const char *text)
{
    const size_t begin = p->bytes, n = strlen(text);
    if (ww_utf8_valid(text, n))
        put(p, text);
    else
        p->bytes += ww_repair(text, n, p->text + p->bytes);
    p->contents[p->num_contents++] = (struct ww_span){begin, p->bytes};
}

// The system message that a ChatML template writes where none is given: what stands literally
// between "<|im_start|>system", a line's end, and "<|im_end|>". Empty: it writes none.
static size_t default_system(const char *chat, const char **begin)
{
    static const char opening[] = "<|im_start|>system";
    const char *at = chat ? strstr(chat, opening) : NULL;
    if (!at)
        return 0;
    at += sizeof opening - 1;
    if (*at != '\n' && strncmp(at, "\\n", 2))
        return 0;
    at += *at == '\n' ? 1 : 2;
    const char *end = strstr(at, "<|im_end|>");
    *begin = at;
    return end && !memchr(at, '{', (size_t)(end - at)) && strcspn(at, "'\"+") > (size_t)(end - at)
               ? (size_t)(end - at)
               : 0;
}

static void write_chatml(struct prompt *p, const struct ww_tokenizer *t, const struct ww_chat *chat)
{
    const char *system;
    const size_t bytes = default_system(t->chat_template, &system);
    if (bytes && ww_utf8_valid(system, bytes) && strcmp(chat->messages[0].role, "system") != 0) {
        put(p, "<|im_start|>system\n");
        memcpy(p->text + p->bytes, system, bytes);
        p->bytes += bytes;
        put(p, "<|im_end|>\n");
    }
    for (size_t i = 0; i < chat->num_messages; i++) {
        put(p, "<|im_start|>");
        put(p, chat->messages[i].role);
        put(p, "\n");
        put_content(p, chat->messages[i].content);
        put(p, "<|im_end|>\n");
    }
    put(p, "<|im_start|>assistant\n");
}

static void write_vicuna(struct prompt *p, const struct ww_chat *chat)
{
    size_t i = 0;
    if (!strcmp(chat->messages[0].role, "system"))
        put_content(p, chat->messages[i++].content);
    else
        put(p, vicuna_system);
    put(p, " ");
    for (; i < chat->num_messages; i++) {
        const bool user = !strcmp(chat->messages[i].role, "user");
        put(p, user ? "USER: " : "ASSISTANT: ");
        put_content(p, chat->messages[i].content);
        put(p, user ? " " : "</s>");
    }
    put(p, "ASSISTANT:");
}

static bool check(const struct ww_chat *chat, struct ww_error *err)
{
    if (chat->form != WW_CHAT_CHATML && chat->form != WW_CHAT_VICUNA)
        return ww_fail(err, WW_E_UNSUPPORTED, "the checkpoint has no chat template that is known "
                       "here: ChatML and Vicuna v1 are; name one");
    if (!chat->num_messages)
        return ww_fail(err, WW_E_TEXT, "a chat needs at least one message");
    for (size_t i = 0; i < chat->num_messages; i++) {
        const char *role = chat->messages[i].role;
        const bool turn = !strcmp(role, "user") || !strcmp(role, "assistant");
        if (!turn && (strcmp(role, "system") != 0 || i))
            return ww_fail(err, WW_E_TEXT, "message %zu has the role '%.40s': user and assistant "
                           "are allowed, and system for the first", i, role);
    }
    return true;
}

static bool write_prompt(struct prompt *p, const struct ww_tokenizer *t, const struct ww_chat *chat,
                         struct ww_error *err)
{
    if (!check(chat, err))
        return false;
    size_t room = 512 + (t->chat_template ? strlen(t->chat_template) : 0);
    for (size_t i = 0; i < chat->num_messages; i++)
        room += 64 + 3 * strlen(chat->messages[i].content);
    p->text = malloc(room);
    p->contents = calloc(chat->num_messages, sizeof *p->contents);
    if (!p->text || !p->contents)
        abort();
    if (chat->form == WW_CHAT_CHATML)
        write_chatml(p, t, chat);
    else
        write_vicuna(p, chat);
    return true;
}

size_t ww_chat_text(const struct ww_tokenizer *t, const struct ww_chat *chat, char *out, size_t max,
                    struct ww_error *err)
{
    struct prompt p = {0};
    if (!write_prompt(&p, t, chat, err))
        return 0;
    if (max) {
        const size_t n = p.bytes < max ? p.bytes : max - 1;
        memcpy(out, p.text, n);
        out[n] = '\0';
    }
    free(p.text);
    free(p.contents);
    return p.bytes;
}

size_t ww_chat_encode(const struct ww_tokenizer *t, const struct ww_chat *chat, uint32_t *out,
                      size_t max, struct ww_error *err)
{
    struct prompt p = {0};
    if (!write_prompt(&p, t, chat, err))
        return 0;
    const struct ww_guard guard = {p.contents, p.num_contents};
    const size_t num = ww_encode_guarded(t, p.text, p.bytes, WW_ENCODE_ADD_SPECIAL |
                                         WW_ENCODE_PARSE_SPECIAL, &guard, out, NULL, max);
    free(p.text);
    free(p.contents);
    return num;
}
