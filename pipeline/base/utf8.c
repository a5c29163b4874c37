#include "utf8.h"

#include <stdint.h>
#include <string.h>

size_t ww_utf8_char(const char *text, size_t size)
{
    const unsigned char *c = (const unsigned char *)text;
    if (size == 0)
        return 0;
    if (c[0] < 0x80)
        return 1;
    // Lead bytes with their length and the range of the second byte (RFC 3629, section 4).
    static const struct {
        unsigned char first, last, length, low, high;
    } leads[] = {
        {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
        {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
        {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
    };
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (c[0] < leads[i].first || c[0] > leads[i].last)
            continue;
        const size_t length = leads[i].length;
        if (size < length || c[1] < leads[i].low || c[1] > leads[i].high)
            return 0;
        for (size_t k = 2; k < length; k++)
            if ((c[k] & 0xc0) != 0x80)
                return 0;
        return length;
    }
    return 0;
}

static bool are_ascii(const char *eight)
{
    uint64_t word;
    memcpy(&word, eight, 8);
    return !(word & 0x8080808080808080);
}

bool ww_utf8_valid(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        if (size - i >= 8 && are_ascii(text + i)) { // most texts are, and this is much faster
            i += 8;
            continue;
        }
        const size_t length = ww_utf8_char(text + i, size - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

// C0 and C1 control characters, and those that turn the direction of what follows.
static bool is_control(const char *text, size_t length)
{
    const unsigned char *c = (const unsigned char *)text;
    switch (length) {
    case 1:
        return c[0] < 0x20 || c[0] == 0x7f;
    case 2:
        return c[0] == 0xc2 && c[1] < 0xa0; // U+0080..U+009F
    case 3:                                 // U+2028..U+202E, U+2066..U+2069
        return c[0] == 0xe2 && ((c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
                                (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
    default:
        return false;
    }
}

void ww_utf8_tidy(char *text)
{
    const size_t size = strlen(text);
    char *to = text;
    for (size_t i = 0; i < size;) {
        const size_t length = ww_utf8_char(text + i, size - i);
        if (length == 0) {
            // The rest is a beginning without its end: it was cut off here.
            const bool cut = size - i < 4 && (text[i] & 0xc0) == 0xc0;
            bool only_tails = cut;
            for (size_t k = i + 1; only_tails && k < size; k++)
                only_tails = (text[k] & 0xc0) == 0x80;
            if (only_tails)
                break;
            *to++ = '?';
            i++;
        } else if (is_control(text + i, length)) {
            *to++ = strchr("\t\n\v\f\r", text[i]) ? ' ' : '?';
            i += length;
        } else {
            memmove(to, text + i, length);
            to += length;
            i += length;
        }
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}
