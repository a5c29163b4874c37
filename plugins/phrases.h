// phrases.h: the text of the `phrases` property as a list of words.

#pragma once

#include <glib.h>
#include <watchword/error.h>

// Reads "person; car" or, when the text starts with '[', a JSON array of strings. White space
// around a phrase is dropped, and so are empty phrases between semicolons. Returns a list to be
// freed with g_strfreev, empty for NULL or empty text; NULL and WW_E_TEXT if the JSON is not an
// array of strings, or the text is not UTF-8.
char **ww_phrases_parse(const char *text, struct ww_error *err);
