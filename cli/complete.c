// watchword complete: a language model alone goes on with a text, or answers in a chat.

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <watchword/json_text.h>
#include <watchword/language.h>
#include <watchword/models.h>

#include "cli.h"

static const struct manual manual = {
    .usage = "complete MODEL PROMPT [OPTIONS]",
    .about =
        "Shows how MODEL, a language model of LLaMA's architecture (a GGUF file, or the directory or\n"
        "name of a model), goes on with PROMPT, or with what the standard input says if that is \"-\"\n"
        "(a line's end at its end does not count), word by word as they come. Special tokens written\n"
        "in PROMPT are taken as such, but not in a chat. Ctrl-C ends it with what was said.\n\n"
        "With --json, a line for each token: \"token\", \"text\" (what is certain by now; null and the\n"
        "rest in a last such line if text was held back) and \"ms\" since the one before, of the first\n"
        "since the beginning. Then a line with \"reason\": \"end-token\", \"stop-text\" (which is \"stop\"),\n"
        "\"max-tokens\", \"context-full\" or \"interrupted\"; the whole \"text\"; \"prompt_tokens\",\n"
        "\"prompt_ms\", \"prompt_tokens_per_s\", the same without \"prompt_\" for what was said, and \"seed\".",
    .examples = "  watchword complete smollm2.gguf \"The capital of France is\" --max-tokens 20\n"
                "  watchword complete smollm2.gguf --chat \"What is a watchword?\" --temperature 0.7\n"
                "  watchword complete vicuna --chat=vicuna --stop \"USER:\" - < question.txt",
    .min_args = 2,
    .max_args = 2,
};

enum { MAX_PROMPT_BYTES = 16 << 20, MAX_ENDS = 3 };

struct text {
    char *at;
    size_t bytes, room;
};

struct session {
    const char *model, *device, *chat, *system, *cache;
    char *prompt;
    bool json, slide;
    struct list stops;
    int seed, max_tokens, context, top_k;
    double temperature, top_p, min_p;

    struct ww_tokenizer *tokenizer;
    uint32_t *ids, ends[MAX_ENDS];
    int num_ids, num_ends;
    struct text said, line;
    int64_t last_ns;
};

static void make_room(struct text *t, size_t bytes)
{
    if (bytes <= t->room)
        return;
    t->room = 2 * bytes;
    t->at = realloc(t->at, t->room);
    if (!t->at)
        abort();
}

static void append(struct text *t, const char *text, size_t bytes)
{
    make_room(t, t->bytes + bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        t->at[t->bytes + i] = text[i];
    t->bytes += bytes;
    t->at[t->bytes] = '\0';
}

// --- the prompt ---

static bool read_all(struct session *s, struct ww_error *err)
{
    struct text t = {0};
    char piece[4096];
    size_t bytes;
    while (!stopped && t.bytes <= MAX_PROMPT_BYTES && (bytes = fread(piece, 1, sizeof piece, stdin)) > 0)
        append(&t, piece, bytes);
    append(&t, "", 0);
    if (t.bytes && t.at[t.bytes - 1] == '\n')
        t.at[--t.bytes] = '\0';
    s->prompt = t.at;
    if (stopped)
        return ww_fail(err, WW_E_STOPPED, "stopped before the prompt was there");
    if (ferror(stdin))
        return ww_fail(err, WW_E_FILE, "standard input: it cannot be read");
    if (t.bytes > MAX_PROMPT_BYTES)
        return ww_fail(err, WW_E_TEXT, "standard input: a prompt of more than %d MiB", MAX_PROMPT_BYTES >> 20);
    return strlen(t.at) == t.bytes ||
           ww_fail(err, WW_E_TEXT, "standard input: a prompt with a NUL in it");
}

// Tokens that end an answer: the checkpoint's own, and those of chats, where it has them.
static void find_ends(struct session *s)
{
    static const char *const names[] = {"<|im_end|>", "<|endoftext|>"};
    uint32_t found[MAX_ENDS] = {ww_tokenizer_special(s->tokenizer).eos};
    for (int i = 0; i + 1 < MAX_ENDS; i++)
        found[i + 1] = ww_tokenizer_id(s->tokenizer, names[i]);
    for (int i = 0; i < MAX_ENDS; i++)
        if (found[i] != WW_NO_TOKEN)
            s->ends[s->num_ends++] = found[i];
}

static enum ww_chat_form chat_form(const struct session *s)
{
    return !*s->chat                    ? ww_tokenizer_chat_form(s->tokenizer)
           : strcmp(s->chat, "chatml") ? WW_CHAT_VICUNA
                                       : WW_CHAT_CHATML;
}

static bool encode_chat(struct session *s, struct ww_error *err)
{
    const struct ww_chat_message both[] = {{"system", s->system}, {"user", s->prompt}};
    const struct ww_chat chat = {.form = chat_form(s),
                                 .messages = s->system ? both : both + 1,
                                 .num_messages = s->system ? 2 : 1};
    if (chat.form == WW_CHAT_NONE)
        return ww_fail(err, WW_E_UNSUPPORTED, "%s: its chat template is none that is known here; "
                       "--chat=chatml or --chat=vicuna says which one to use", s->model);
    const size_t num = ww_chat_encode(s->tokenizer, &chat, NULL, 0, err);
    s->ids = calloc(num + 1, sizeof *s->ids);
    if (!s->ids)
        abort();
    s->num_ids = (int)num;
    return num && ww_chat_encode(s->tokenizer, &chat, s->ids, num, err);
}

static bool encode(struct session *s, struct ww_error *err)
{
    const unsigned flags = WW_ENCODE_ADD_SPECIAL | WW_ENCODE_PARSE_SPECIAL;
    if (s->chat)
        return encode_chat(s, err);
    const size_t bytes = strlen(s->prompt);
    const size_t num = ww_tokenizer_encode(s->tokenizer, s->prompt, bytes, flags, NULL, 0);
    s->ids = calloc(num + 1, sizeof *s->ids);
    if (!s->ids)
        abort();
    s->num_ids = (int)ww_tokenizer_encode(s->tokenizer, s->prompt, bytes, flags, s->ids, num);
    return num ? true : ww_fail(err, WW_E_TEXT, "the prompt is empty, and this model's texts have no "
                                "token at their beginning that could stand for it");
}

// --- what is said ---

static bool print_json(struct session *s, void (*write)(struct ww_json_text *t, const void *from),
                       const void *from)
{
    struct ww_json_text t = {.out = s->line.at, .size = s->line.room};
    write(&t, from);
    if (!ww_json_fits(&t)) {
        make_room(&s->line, t.length + 1);
        t = (struct ww_json_text){.out = s->line.at, .size = s->line.room};
        write(&t, from);
    }
    return print_line(t.out, t.length);
}

struct spoken {
    uint32_t token;
    const char *text;
    double ms;
};

static void write_token(struct ww_json_text *t, const void *from)
{
    const struct spoken *spoken = from;
    ww_json_object(t, NULL);
    if (spoken->token == WW_NO_TOKEN)
        ww_json_put_null(t, "token");
    else
        ww_json_put_uint(t, "token", spoken->token);
    ww_json_put_string(t, "text", spoken->text);
    ww_json_put_real(t, "ms", spoken->ms, 3);
    ww_json_end(t);
}

static bool hear(void *opaque, uint32_t token, const char *text, size_t bytes)
{
    struct session *s = opaque;
    const int64_t now_ns = monotonic_ns();
    const size_t before = s->said.bytes;
    for (size_t i = 0; i < bytes; i++)
        append(&s->said, text[i] ? &text[i] : "\xef\xbf\xbd", text[i] ? 1 : 3);
    const struct spoken spoken = {token, s->said.at + before, (double)(now_ns - s->last_ns) / 1e6};
    s->last_ns = now_ns;
    return s->json ? print_json(s, write_token, &spoken)
                   : print_text(s->said.at + before, s->said.bytes - before);
}

struct summary {
    const struct session *s;
    const struct ww_generated *done;
};

// The first token is drawn from what the prompt left; one that ends it was run for, and not said.
static double tokens_per_s(const struct ww_generated *done)
{
    const int steps = done->tokens - (done->end != WW_END_TOKEN);
    return steps > 0 && done->tokens_ns ? steps / ((double)done->tokens_ns / 1e9) : NAN;
}

static double prompt_per_s(const struct session *s, const struct ww_generated *done)
{
    return done->prompt_ns ? s->num_ids / ((double)done->prompt_ns / 1e9) : NAN;
}

static void write_summary(struct ww_json_text *t, const void *from)
{
    static const char *const reasons[] = {[WW_END_TOKEN] = "end-token", [WW_END_TEXT] = "stop-text",
                                          [WW_END_LIMIT] = "max-tokens",
                                          [WW_END_CONTEXT] = "context-full",
                                          [WW_END_CALLER] = "interrupted"};
    const struct session *s = ((const struct summary *)from)->s;
    const struct ww_generated *done = ((const struct summary *)from)->done;
    ww_json_object(t, NULL);
    ww_json_put_string(t, "reason", reasons[done->end]);
    ww_json_put_string(t, "stop", done->stop >= 0 ? s->stops.items[done->stop] : NULL);
    ww_json_put_string(t, "text", s->said.at);
    ww_json_put_int(t, "prompt_tokens", s->num_ids);
    ww_json_put_real(t, "prompt_ms", (double)done->prompt_ns / 1e6, 3);
    ww_json_put_real(t, "prompt_tokens_per_s", prompt_per_s(s, done), 2);
    ww_json_put_int(t, "tokens", done->tokens);
    ww_json_put_real(t, "ms", (double)done->tokens_ns / 1e6, 3);
    ww_json_put_real(t, "tokens_per_s", tokens_per_s(done), 2);
    if (s->temperature > 0)
        ww_json_put_int(t, "seed", s->seed);
    else
        ww_json_put_null(t, "seed");
    ww_json_end(t);
}

static void tell_people(const struct session *s, const struct ww_generated *done)
{
    static const char *const reasons[] = {[WW_END_TOKEN] = "its end", [WW_END_TEXT] = "a text to stop at",
                                          [WW_END_LIMIT] = "--max-tokens", [WW_END_CONTEXT] = "a full context",
                                          [WW_END_CALLER] = "an interrupt"};
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "%d prompt tokens, %.1f/s; %d tokens", s->num_ids, prompt_per_s(s, done), done->tokens);
    if (isfinite(tokens_per_s(done)))
        fprintf(stderr, ", %.1f/s", tokens_per_s(done));
    fprintf(stderr, "; ended by %s\n", reasons[done->end]);
}

static bool complete(struct session *s, struct ww_language *language, struct ww_error *err)
{
    struct ww_generated done;
    append(&s->said, "", 0);
    s->last_ns = monotonic_ns();
    if (!ww_language_generate(
            language,
            ww_generate_params(.prompt = s->ids, .num_prompt = s->num_ids, .max_tokens = s->max_tokens,
                               .ends = s->ends, .num_ends = s->num_ends, .stops = s->stops.items,
                               .num_stops = s->stops.num_items, .tokenizer = s->tokenizer,
                               .goes_on = !s->chat && *s->prompt, .temperature = (float)s->temperature,
                               .top_k = s->top_k, .top_p = (float)s->top_p, .min_p = (float)s->min_p,
                               .seed = (uint64_t)s->seed, .each = hear, .opaque = s, .until = &stopped),
            &done, err)) {
        if (!s->json && s->said.bytes)
            print_line("", 0);
        return false;
    }
    if (s->json) {
        print_json(s, write_summary, &(struct summary){s, &done});
    } else if (print_line("", 0)) {
        tell_people(s, &done);
    }
    return true;
}

// A file or directory as it is, else the name of an installed model.
static bool find_model(const char *model, char *path, size_t size, struct ww_error *err)
{
    struct stat status;
    if (stat(model, &status) != 0)
        return ww_model_find(model, path, size, err);
    if ((size_t)snprintf(path, size, "%s", model) >= size)
        return ww_fail(err, WW_E_FILE, "'%.60s...': its path is too long", model);
    return true;
}

static bool run(struct session *s, struct ww_error *err)
{
    char path[4096];
    if ((!s->prompt && !read_all(s, err)) || !find_model(s->model, path, sizeof path, err))
        return false;
    struct ww_engine *engine = ww_engine_open(ww_engine_params(.device = s->device), err);
    struct ww_language *language =
        engine ? ww_language_open(engine,
                                  ww_language_params(.model = path, .context = s->context, .slides = s->slide,
                                                     .half_cache = s->cache && !strcmp(s->cache, "f16")),
                                  err)
               : NULL;
    if (language) // so that a model of another kind is told before the want of a tokenizer
        s->tokenizer = ww_tokenizer_open(path, err);
    bool ok = s->tokenizer && encode(s, err);
    if (ok) {
        find_ends(s);
        ok = complete(s, language, err);
    }
    ww_language_close(&language);
    ww_engine_close(&engine);
    return ok;
}

static bool check_options(const struct session *s)
{
    if (s->chat && *s->chat && strcmp(s->chat, "chatml") != 0 && strcmp(s->chat, "vicuna") != 0) {
        complain("complete: --chat: there is no form '%s'; chatml and vicuna are known", s->chat);
        return false;
    }
    if (s->cache && strcmp(s->cache, "f16") != 0 && strcmp(s->cache, "f32") != 0) {
        complain("complete: --cache: there is no type '%s'; f32 and f16 are known", s->cache);
        return false;
    }
    if (s->system && !s->chat) {
        complain("complete: --system: only a chat has a system message; --chat is missing");
        return false;
    }
    if (s->temperature <= 0 && (s->top_k || s->top_p > 0 || s->min_p > 0)) {
        complain("complete: --top-k, --top-p and --min-p choose what is drawn from, but nothing is drawn "
                 "without --temperature");
        return false;
    }
    return true;
}

int cmd_complete(int argc, char **argv)
{
    struct session s = {.seed = -1};
    const struct option options[] = {
        {"max-tokens", "N", "so many at most [as many as fit]", OPTION_WHOLE, &s.max_tokens, 1, 1 << 24},
        {"stop", "TEXT", "end before this text; may be repeated", OPTION_LIST, &s.stops},
        {"chat", "FORM", "PROMPT is a message to be answered; chatml or vicuna\n"
                         "[what the checkpoint's template is]", OPTION_MAYBE, &s.chat},
        {"system", "TEXT", "what stands above the chat [the form's own]", OPTION_TEXT,
         &s.system},
        {"temperature", "T", "draw tokens, the flatter the higher [0: always the likeliest]", OPTION_REAL,
         &s.temperature, 0, 100},
        {"top-k", "K", "... of the K likeliest", OPTION_WHOLE, &s.top_k, 1, 1 << 24},
        {"top-p", "P", "... of the likeliest of those that weigh P together", OPTION_REAL, &s.top_p, 0, 1},
        {"min-p", "P", "... of those with P times the share of the likeliest", OPTION_REAL, &s.min_p, 0, 1},
        {"seed", "N", "draws the same tokens again [from the clock]", OPTION_WHOLE, &s.seed, 0, INT32_MAX},
        {"context", "N", "room for so many tokens, prompt included [the model's, at most 4096]",
         OPTION_WHOLE, &s.context, 1, 1 << 24},
        {"slide", NULL, "when it is full, forget the oldest, up to what the model was trained on", OPTION_FLAG,
         &s.slide},
        {"cache", "TYPE", "keys and values as f32, or f16 in half the memory [f32]", OPTION_TEXT, &s.cache},
        {"device", "N|NAME", "which device, or \"reference\" [$WATCHWORD_DEVICE, or the best]",
         OPTION_TEXT, &s.device},
        {"json", NULL, "a line for each token, and one about all", OPTION_FLAG, &s.json},
        {0},
    };
    int status;
    if (!parse_options(&argc, argv, &manual, options, &status))
        return status;
    struct ww_error err = {0};
    s.model = argv[0];
    if (strcmp(argv[1], "-") != 0 && !(s.prompt = strdup(argv[1])))
        abort();
    if (s.seed < 0)
        s.seed = (int)(realtime_ns() / 1000 & INT32_MAX);
    catch_signals();
    status = !check_options(&s) ? WRONG_USAGE : run(&s, &err) ? DONE : give_up(&err);
    ww_tokenizer_close(&s.tokenizer);
    free(s.prompt);
    free(s.ids);
    free(s.said.at);
    free(s.line.at);
    free(s.stops.items);
    return finish_output(status);
}
