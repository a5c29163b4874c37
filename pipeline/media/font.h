// font.h: a small bitmap font, 5 x 7 dots and two rows for descenders, one dot between letters.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WW_GLYPH_WIDTH  6 // dots, the gap to the next letter included
#define WW_GLYPH_HEIGHT 9 // dots; the base line is under the seventh

// Turns UTF-8 into glyph numbers for ww_glyph_dot, at most `max` of them; returns how many.
// Whatever is not printable ASCII becomes one box a code point.
int ww_glyphs(const char *text, uint8_t *out, int max);

// Whether the dot in column x and row y is inked; false outside the glyph.
bool ww_glyph_dot(uint8_t glyph, int x, int y);
