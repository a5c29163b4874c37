// utf8.h: text from outside, made fit to print.

#pragma once

#include <stdbool.h>
#include <stddef.h>

// Bytes of the character at `text` (1 to 4), of which `size` bytes are there; 0 if they are no
// UTF-8 (RFC 3629: overlong forms, surrogates and what lies past U+10FFFF are none).
size_t ww_utf8_char(const char *text, size_t size);

// Whether all `size` bytes are UTF-8. A NUL is a character like any other.
bool ww_utf8_valid(const char *text, size_t size);

// Makes `text` one printable line, in place: what is no UTF-8 and every control character becomes
// '?', line ends and tabs become spaces, blanks at the end go, and a character that was cut off at
// the end goes with them. Error texts and log lines quote hostile files, and a terminal obeys what
// it reads.
void ww_utf8_tidy(char *text);
