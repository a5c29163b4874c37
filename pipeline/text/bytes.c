#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "inner.h"

static bool stands_for_itself(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

// The 68 that cannot be printed follow U+0100 in their order.
uint32_t ww_byte_to_char(unsigned char byte)
{
    if (stands_for_itself(byte))
        return byte;
    return byte <= 0x20 ? 0x100u + byte : byte <= 0xa0 ? 0x121u + byte - 0x7f : 0x143u;
}

int ww_char_to_byte(uint32_t c)
{
    if (stands_for_itself(c))
        return (int)c;
    if (c >= 0x100 && c <= 0x120)
        return (int)c - 0x100;
    if (c >= 0x121 && c <= 0x142)
        return (int)c - 0x121 + 0x7f;
    return c == 0x143 ? 0xad : -1;
}

size_t ww_put_char(uint32_t c, char out[4])
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)out);
}

uint32_t ww_get_char(const char *text, size_t bytes)
{
    utf8proc_int32_t c = 0;
    utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)bytes, &c);
    return c < 0 ? 0xfffd : (uint32_t)c;
}

size_t ww_bad_part(const char *text, size_t bytes)
{
    for (size_t n = bytes < 3 ? bytes : 3; n > 1; n--) // would it be one if it went on?
        for (size_t missing = 1; missing + n <= 4; missing++) {
            char whole[8] = {0};
            memcpy(whole, text, n);
            memset(whole + n, 0x80, missing);
            if (ww_utf8_char(whole, n + missing) == n + missing)
                return n;
        }
    return 1;
}

size_t ww_repair(const char *text, size_t bytes, char *out)
{
    size_t to = 0;
    for (size_t i = 0; i < bytes;) {
        size_t n = ww_utf8_char(text + i, bytes - i);
        if (n) {
            memcpy(out + to, text + i, n);
            to += n;
        } else {
            n = ww_bad_part(text + i, bytes - i);
            memcpy(out + to, "\xef\xbf\xbd", 3);
            to += 3;
        }
        i += n;
    }
    return to;
}

enum class { OTHER, BLANK, LETTER, NUMBER };

static const unsigned char ascii_class[128] = { // of enum class
    0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0, 0,
    0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0,
    0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0,
};

static bool is_blank(uint32_t c)
{
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000; // White_Space, but for ASCII
}

// Class and length of the first character.
static enum class classify(const char *text, size_t bytes, size_t *length)
{
    const unsigned char first = (unsigned char)text[0];
    *length = 1;
    if (first < 0x80)
        return ascii_class[first];
    *length = ww_utf8_char(text, bytes);
    const uint32_t c = ww_get_char(text, *length);
    if (is_blank(c))
        return BLANK;
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        return LETTER;
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO ? NUMBER : OTHER;
}

static size_t plain_letters(const char *text, size_t bytes)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t n = 0;
    while (n < bytes && c[n] < 0x80 && ascii_class[c[n]] == LETTER)
        n++;
    return n;
}

static size_t contraction(const char *text, size_t bytes)
{
    static const char *const ends[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    for (size_t i = 0; *text == '\'' && i < sizeof ends / sizeof *ends; i++) {
        const size_t n = strlen(ends[i]);
        if (bytes > n && !memcmp(text + 1, ends[i], n))
            return n + 1;
    }
    return 0;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// With digits split first, each number stands alone, and the end of the text is before it.
size_t ww_next_piece(const char *text, size_t bytes, bool split_digits)
{
    size_t n = contraction(text, bytes), at = 0;
    if (n)
        return n;
    enum class kind = classify(text, bytes, &n);
    if (*text == ' ' && bytes > 1) {
        size_t second;
        const enum class next = classify(text + 1, bytes - 1, &second);
        if (next != BLANK && !(split_digits && next == NUMBER)) {
            kind = next;
            at = 1;
            n = second;
        }
    }
    at += n;
    if (split_digits && kind == NUMBER)
        return at;
    size_t last = n;
    enum class next = kind;
    if (kind == LETTER)
        at += plain_letters(text + at, bytes - at); // no need to know the last
    while (at < bytes && (next = classify(text + at, bytes - at, &n)) == kind) {
        at += n;
        last = n;
    }
    const bool ends = at == bytes || (split_digits && next == NUMBER);
    return kind == BLANK && !ends && at > last ? at - last : at;
}

// 's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+, blanks between them. The older program
// matches it without regard to case, by which U+017F is an s, and U+0345, the mark whose capital is
// a letter, is nothing at all.
size_t ww_next_clip_word(const char *text, size_t bytes, bool newer, bool *blank)
{
    size_t n = contraction(text, bytes);
    *blank = false;
    if (n)
        return n;
    if (!newer && bytes >= 3 && !memcmp(text, "'\xc5\xbf", 3))
        return 3;
    enum class kind = LETTER, next;
    size_t at = plain_letters(text, bytes);
    for (const size_t begin = at; at < bytes; at += n) {
        next = classify(text + at, bytes - at, &n);
        if (!newer && n == 2 && !memcmp(text + at, "\xcd\x85", 2))
            next = BLANK;
        if (at == begin && !begin)
            kind = next;
        else if (next != kind || kind == NUMBER)
            return *blank = kind == BLANK, at;
    }
    return *blank = kind == BLANK, bytes;
}
