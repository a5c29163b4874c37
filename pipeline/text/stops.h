// stops.h: a text that grows token by token, up to the first of some texts that end it, wherever the
// borders of tokens fall.

#pragma once

#include <watchword/tokenizer.h>

enum { WW_STOP_BYTES = 256, WW_MAX_STOPS = 64 }; // of one such text; of them

// What might still be the beginning of a text that ends it is held back: all of `held` is one, and the
// longest. Where two end at the same byte, the one that began first cuts.
struct ww_stops {
    struct ww_decoder decoder;
    const char *const *texts; // borrowed
    int num_texts;
    char held[WW_STOP_BYTES];
    size_t num_held;
    int met; // which of them was said; -1: none yet
};

// WW_E_TEXT: more than WW_MAX_STOPS, or one of them is empty, longer than WW_STOP_BYTES, or not UTF-8
// and so can never be said. `goes_on` as in ww_decoder.
bool ww_stops_init(struct ww_stops *stops, const struct ww_tokenizer *tokenizer, bool goes_on,
                   const char *const *texts, int num_texts, struct ww_error *err);

// Writes at most `max` bytes, no NUL: whole characters that are certain to stay, now that the token is
// there. Returns how many. From when `met` is set, no more. 3 bytes for each of the token's, 16, and
// WW_STOP_BYTES always suffice.
size_t ww_stops_put(struct ww_stops *stops, uint32_t id, char *out, size_t max);
// What was held back for nothing: no more tokens will come.
size_t ww_stops_end(struct ww_stops *stops, char *out, size_t max);
