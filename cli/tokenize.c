// watchword tokenize: the numbers that a language model gets for a text, and back.

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/tokenizer.h>

#include "cli.h"
#include "json.h"

static const struct manual manual = {
    .usage = "tokenize MODEL [TEXT] [OPTIONS]",
    .about = "Prints the ids of the tokens that MODEL is given for TEXT, or for each line of the\n"
             "standard input: what the checkpoint wants around a text is there, and special\n"
             "tokens written in it are taken as such. MODEL is one of these files or a directory,\n"
             "in which the first of them counts: tokenizer.model, vocab.txt, tokenizer.json,\n"
             "vocab.json with merges.txt (CLIP's), a GGUF file.",
    .examples = "  watchword tokenize smollm2.gguf \"a person in a yellow vest\"\n"
                "  watchword tokenize smollm2.gguf --decode 504,3575\n"
                "  watchword tokenize smollm2.gguf --json < strings.jsonl",
    .min_args = 1,
    .max_args = 2,
};

struct form {
    bool json, spans;
};

// With spans: a line for each token, or in JSON a list of three numbers.
static size_t write_token(char *out, uint32_t id, struct ww_span span, struct form form, bool first)
{
    const char *between = first ? "" : form.json ? "," : form.spans ? "\n" : " ";
    if (!form.spans)
        return (size_t)sprintf(out, "%s%u", between, id);
    return (size_t)sprintf(out, form.json ? "%s[%u,%zu,%zu]" : "%s%u %zu %zu", between, id,
                           span.begin, span.end);
}

static bool print_ids(const struct ww_tokenizer *t, const char *text, size_t bytes, struct form form)
{
    const unsigned flags = WW_ENCODE_ADD_SPECIAL | WW_ENCODE_PARSE_SPECIAL;
    const size_t num = ww_tokenizer_encode(t, text, bytes, flags, NULL, 0);
    uint32_t *ids = calloc(num + 1, sizeof *ids);
    struct ww_span *spans = form.spans ? calloc(num + 1, sizeof *spans) : NULL;
    char *line = malloc((form.spans ? 56 : 12) * num + 3), *at = line;
    if (!ids || !line || (form.spans && !spans))
        abort();
    ww_tokenizer_encode_spans(t, text, bytes, flags, ids, spans, num);
    if (form.json)
        *at++ = '[';
    for (size_t i = 0; i < num; i++)
        at += write_token(at, ids[i], spans ? spans[i] : (struct ww_span){0}, form, i == 0);
    if (form.json)
        *at++ = ']';
    const bool printed = print_line(line, (size_t)(at - line));
    free(line);
    free(spans);
    free(ids);
    return printed;
}

static bool print_string(const struct ww_tokenizer *t, const char *line, size_t bytes, int number,
                         struct form form)
{
    struct cJSON *document = json_parse(line, bytes);
    const char *text = document ? json_text(document, "", NULL) : NULL;
    if (!text)
        complain("line %d is no JSON string", number);
    const bool printed = text && print_ids(t, text, strlen(text), form);
    json_free(document);
    return printed;
}

static bool print_lines(const struct ww_tokenizer *t, struct form form)
{
    char *line = NULL;
    size_t room = 0;
    bool going = true;
    ssize_t bytes;
    for (int number = 1; going && (bytes = getline(&line, &room, stdin)) >= 0; number++) {
        if (bytes > 0 && line[bytes - 1] == '\n')
            line[--bytes] = '\0';
        going = form.json ? print_string(t, line, (size_t)bytes, number, form)
                          : print_ids(t, line, (size_t)bytes, form);
    }
    free(line);
    return going;
}

static int decode(const struct ww_tokenizer *t, const char *list)
{
    struct ww_decoder decoder = {.tokenizer = t, .show_special = true};
    static char text[1 << 14]; // more than three times the longest token
    while (*list) {
        char *end;
        errno = 0;
        const unsigned long id = strtoul(list, &end, 10);
        if (!isdigit((unsigned char)*list) || errno || id >= ww_tokenizer_size(t)) {
            complain("--decode: '%.20s' is no id; whole numbers below %u are, with commas or blanks "
                     "between them", list, ww_tokenizer_size(t));
            return WRONG_USAGE;
        }
        fwrite(text, 1, ww_decoder_put(&decoder, (uint32_t)id, text, sizeof text), stdout);
        list = end + strspn(end, ", []");
    }
    fwrite(text, 1, ww_decoder_end(&decoder, text, sizeof text), stdout);
    putchar('\n');
    return finish_output(DONE);
}

int cmd_tokenize(int argc, char **argv)
{
    struct form form = {0};
    const char *ids = NULL;
    const struct option options[] = {
        {"json", NULL, "lines are JSON strings, and ids JSON arrays", OPTION_FLAG, &form.json},
        {"spans", NULL, "and which bytes of the text each token is: begin and end", OPTION_FLAG,
         &form.spans},
        {"decode", "IDS", "print the text of these ids", OPTION_TEXT, &ids},
        {0},
    };
    int status;
    if (!parse_options(&argc, argv, &manual, options, &status))
        return status;
    struct ww_error err = {0};
    struct ww_tokenizer *t = ww_tokenizer_open(argv[0], &err);
    if (!t)
        return give_up(&err);
    if (ids)
        status = decode(t, ids);
    else
        status = (argc > 1 ? print_ids(t, argv[1], strlen(argv[1]), form) : print_lines(t, form))
                     ? DONE
                     : FAILED;
    ww_tokenizer_close(&t);
    return status;
}
