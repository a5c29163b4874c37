// Texts that end a text, across the borders of tokens: what is let go of when, what is cut, and what
// comes in the end. Tokens are those of SmolLM2, whose alphabet has a token for each byte.

#include "check.h"
#include "text/stops.h"

static struct ww_tokenizer *tokenizer;

// Says each of `parts` as the tokens of its own text; puts a '|' after each token that brought text, and
// what was held back for nothing behind a '+'.
static const char *say(const char *const *stops, int num_stops, const char *const *parts, int *met)
{
    static char told[4096];
    struct ww_error err = {0};
    struct ww_stops s;
    size_t at = 0;
    CHECK(ww_stops_init(&s, tokenizer, true, stops, num_stops, &err));
    for (; *parts; parts++) {
        uint32_t ids[64];
        const size_t num = ww_tokenizer_encode(tokenizer, *parts, strlen(*parts), 0, ids, 64);
        for (size_t i = 0; i < num; i++) {
            const size_t bytes = ww_stops_put(&s, ids[i], told + at, sizeof told - at - 2);
            at += bytes;
            if (bytes)
                told[at++] = '|';
        }
    }
    const size_t bytes = ww_stops_end(&s, told + at + 1, sizeof told - at - 2);
    if (bytes) {
        told[at] = '+';
        at += 1 + bytes;
    }
    told[at] = '\0';
    *met = s.met;
    return told;
}

#define LIST(...) (const char *const[]){__VA_ARGS__}

static void check_table(void)
{
    static const struct {
        const char *stops[4], *parts[16];
        const char *told;
        int met;
    } table[] = {
        // Nothing to wait for: every token at once.
        {{NULL}, {"a", "b", " c"}, "a|b| c|", -1},
        {{"xyz"}, {"a", "b", "c"}, "a|b|c|", -1},
        // In one token, at its end, across two and three; nothing that follows is said.
        {{"b"}, {"a", "b", "c"}, "a|", 0},
        {{"the"}, {"a", " the", "n"}, "a| |", 0},
        {{"a b"}, {"x", "a", " b", "c"}, "x|", 0},
        {{"abc"}, {"x", "a", "b", "c", "d"}, "x|", 0},
        // A beginning that comes to nothing is let go of, but for what may still be one.
        {{"abc"}, {"a", "b", "d"}, "abd|", -1},
        {{"abc"}, {"a", "b", "a", "b", "c"}, "ab|", 0},
        {{"aab"}, {"a", "a", "a", "b"}, "a|", 0},
        {{"abab!"}, {"a", "b", "a", "b", "a", "b", "!"}, "ab|", 0},
        {{"abc"}, {"a", "b"}, "+ab", -1},
        // The first to end wins, and of two that end together the one that began first.
        {{"c", "abcd"}, {"a", "b", "c", "d"}, "ab|", 0},
        {{"bc", "abc"}, {"a", "b", "c"}, "", 1},
        {{"abx", "bc"}, {"a", "b", "c"}, "a|", 1},
        {{"a", "a"}, {"a"}, "", 0},
        // At once, and over and over.
        {{"\n\n"}, {"\n", "\n"}, "", 0},
        {{"\n\n"}, {"\n", "a", "\n", "\n", "b"}, "\na|", 0},
        // Characters in pieces: the token of a byte brings none until it is whole.
        {{"é!"}, {"a", "é", "!"}, "a|", 0},
        {{"é!"}, {"a", "é", "?"}, "a|é?|", -1},
        {{"\xf0\x9f\xa6\x99"}, {"x", "\xf0\x9f\xa6\x99"}, "x|", 0},
        {{"\xf0\x9f\xa6\x99"}, {"x", "\xf0\x9f\xa6\x98"}, "x|\xf0\x9f\xa6\x98|", -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int met, num = 0;
        while (num < 4 && table[i].stops[num])
            num++;
        check_about("row %zu", i);
        CHECK_STR(say(table[i].stops, num, table[i].parts, &met), table[i].told);
        CHECK_CMP(met, ==, table[i].met);
    }
    check_about("%s", "");
}

// Against the plain way, for texts over two letters, where beginnings overlap most: cut the whole text at
// the first place where a stop ends. And never more is held than might begin one.
static void check_against_whole(void)
{
    static const char *const stops[] = {"abaab", "bbab", "aaaa", "babb"};
    uint32_t a, b, random = 1;
    CHECK(ww_tokenizer_encode(tokenizer, "a", 1, 0, &a, 1) == 1);
    CHECK(ww_tokenizer_encode(tokenizer, "b", 1, 0, &b, 1) == 1);
    for (int round = 0; round < 500; round++) {
        char text[33] = "", got[64] = "";
        struct ww_stops s;
        struct ww_error err = {0};
        size_t cut = 32, from = 32, at = 0;
        int met = -1;
        const int num = 1 + round % 4;
        CHECK(ww_stops_init(&s, tokenizer, true, stops, num, &err));
        for (int i = 0; i < 32; i++) {
            random = random * 1664525u + 1013904223u;
            text[i] = random >> 31 ? 'a' : 'b';
            at += ww_stops_put(&s, text[i] == 'a' ? a : b, got + at, sizeof got - at);
            CHECK(s.met >= 0 || at + s.num_held == (size_t)i + 1);
        }
        at += ww_stops_end(&s, got + at, sizeof got - at);
        for (size_t end = 1; end <= 32 && met < 0; end++)
            for (int k = 0; k < num; k++) {
                const size_t bytes = strlen(stops[k]);
                if (bytes <= end && !memcmp(text + end - bytes, stops[k], bytes) && end - bytes < from) {
                    cut = from = end - bytes;
                    met = k;
                }
            }
        CHECK(at == cut && !memcmp(got, text, cut));
        CHECK_CMP(s.met, ==, met);
    }
}

static void check_bounds(void)
{
    char longest[WW_STOP_BYTES + 2];
    struct ww_error err = {0};
    struct ww_stops s;
    memset(longest, 'a', sizeof longest);
    longest[WW_STOP_BYTES + 1] = '\0';
    CHECK(!ww_stops_init(&s, tokenizer, true, LIST("b", longest), 2, &err) && err.code == WW_E_TEXT);
    CHECK_HAS(err.text, "257 bytes");
    CHECK(!ww_stops_init(&s, tokenizer, true, LIST(""), 1, &err) && err.code == WW_E_TEXT);
    CHECK(!ww_stops_init(&s, tokenizer, true, LIST("b", "\xff"), 2, &err) && err.code == WW_E_TEXT);
    CHECK_HAS(err.text, "not UTF-8");
    CHECK(!ww_stops_init(&s, tokenizer, true, LIST("b"), WW_MAX_STOPS + 1, &err) && err.code == WW_E_TEXT);
    longest[WW_STOP_BYTES] = '\0';
    uint32_t a;
    ww_tokenizer_encode(tokenizer, "a", 1, 0, &a, 1);
    CHECK(ww_stops_init(&s, tokenizer, true, LIST(longest), 1, &err));
    char out[4];
    for (int i = 1; i < WW_STOP_BYTES; i++)
        CHECK(ww_stops_put(&s, a, out, sizeof out) == 0 && s.met < 0);
    CHECK(ww_stops_put(&s, a, out, sizeof out) == 0 && s.met == 0);
    CHECK(ww_stops_put(&s, a, out, sizeof out) == 0 && ww_stops_end(&s, out, sizeof out) == 0);

    // What does not fit is counted.
    CHECK(ww_stops_init(&s, tokenizer, true, LIST("aaaaaaab"), 1, &err));
    for (int i = 0; i < 7; i++)
        CHECK(ww_stops_put(&s, a, out, sizeof out) == 0);
    CHECK(ww_stops_end(&s, out, sizeof out) == 7 && !memcmp(out, "aaaa", 4));
}

int main(void)
{
    struct ww_error err = {0};
    tokenizer = ww_tokenizer_open(TOKENIZERS "/smollm2.gguf", &err);
    if (!CHECK(tokenizer)) {
        printf("%s\n", err.text);
        return check_done();
    }
    check_table();
    check_against_whole();
    check_bounds();
    ww_tokenizer_close(&tokenizer);
    return check_done();
}
