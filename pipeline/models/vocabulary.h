// vocabulary.h: phrases in plain English letters to the tokens of an uncased BERT.
//
// WordPiece (Wu et al., 2016, arXiv:1609.08144, §4.1): lower case, words and single punctuation
// marks, each cut greedily into the longest pieces that vocab.txt has.

#pragma once

#include <stdint.h>
#include <watchword/error.h>

struct ww_vocabulary;

// Reads DIR/vocab.txt, one piece a line. WW_E_FILE: it cannot be read, or lacks [UNK], [CLS] or [SEP].
struct ww_vocabulary *ww_vocabulary_load(const char *dir, struct ww_error *err);
void ww_vocabulary_destroy(struct ww_vocabulary **vocabulary);

// Writes [CLS] pieces [SEP] to `ids`, at most `max` of them (2 or more). Returns how many, or -1:
// WW_E_TEXT, the phrase has other letters than English ones, or control characters.
int ww_vocabulary_cut(const struct ww_vocabulary *vocabulary, const char *phrase, int32_t *ids,
                      int max, struct ww_error *err);
