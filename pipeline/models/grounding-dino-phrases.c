#include "grounding-dino-phrases.h"
#include "base/room.h"
#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CAPTIONS = 64 }; // each is one look more at every frame

bool ww_gdino_vocabulary(const struct ww_tokenizer *t, int words, int max_tokens,
                         struct ww_gdino_vocabulary *out, struct ww_error *err)
{
    static const char *const names[WW_GDINO_ENDS] = {"[CLS]", "[SEP]", ".", "?"};
    *out = (struct ww_gdino_vocabulary){.tokenizer = t, .max_tokens = max_tokens};
    for (int i = 0; i < WW_GDINO_ENDS; i++) {
        const uint32_t id = ww_tokenizer_id(t, names[i]);
        if (id == WW_NO_TOKEN)
            return ww_fail(err, WW_E_FILE, "the tokenizer has no token '%s'", names[i]);
        out->ends[i] = (int32_t)id;
    }
    out->cls = out->ends[0];
    out->sep = out->ends[1];
    out->unk = (int32_t)ww_tokenizer_special(t).unk;
    return ww_tokenizer_size(t) <= (uint32_t)words ||
           ww_fail(err, WW_E_FILE, "the tokenizer has %u tokens, the text encoder %d",
                   ww_tokenizer_size(t), words);
}

// Phrases ------------------------------------------------------------------------------------------

void ww_gdino_prompt_destroy(struct ww_gdino_prompt **pointer)
{
    struct ww_gdino_prompt *p = *pointer;
    if (!p)
        return;
    for (int i = 0; i < p->num_phrases; i++)
        free(p->phrases[i]);
    free(p->phrases);
    free(p->given);
    free(p->captions);
    free(p);
    *pointer = NULL;
}

// Puts [CLS] in front of a caption that begins.
static struct ww_gdino_caption *add_caption(struct ww_gdino_prompt *p,
                                            const struct ww_gdino_vocabulary *v)
{
    p->captions = realloc(p->captions, sizeof *p->captions * (size_t)(p->num_captions + 1));
    if (!p->captions)
        abort();
    struct ww_gdino_caption *c = &p->captions[p->num_captions++];
    *c = (struct ww_gdino_caption){.text = {.num = 1}};
    c->text.ids[0] = v->cls;
    c->phrase[0] = -1;
    return c;
}

static void put(struct ww_gdino_caption *c, int32_t id, int phrase, bool closes)
{
    const int at = c->text.num++;
    c->text.ids[at] = id;
    c->phrase[at] = phrase;
    c->closes[at] = closes;
    if (phrase >= 0) {
        c->first = c->end ? c->first : phrase;
        c->end = phrase + 1;
    }
}

// Ends a caption and says what sees what.
static void close_caption(struct ww_gdino_prompt *p, const struct ww_gdino_vocabulary *v)
{
    struct ww_gdino_caption *c = &p->captions[p->num_captions - 1];
    put(c, v->sep, -1, false);
    ww_gdino_divide(&c->text, v->ends);
}

// `bytes` of `text`, which are not blank at either end, become a phrase; `mark` closes it.
static bool add_phrase(struct ww_gdino_prompt *p, const struct ww_gdino_vocabulary *v, const char *text,
                       size_t bytes, int given, int32_t mark, struct ww_error *err)
{
    const int most = v->max_tokens - 3; // [CLS], the mark and [SEP]
    const int shown = bytes < 60 ? (int)bytes : 60;
    uint32_t ids[WW_GDINO_MAX_TOKENS];
    if (p->num_phrases == WW_GDINO_MAX_PHRASES)
        return ww_fail(err, WW_E_TEXT, "more than %d phrases", WW_GDINO_MAX_PHRASES);
    const size_t num = ww_tokenizer_encode(v->tokenizer, text, bytes, 0, ids, WW_GDINO_MAX_TOKENS);
    if (num > (size_t)most)
        return ww_fail(err, WW_E_TEXT, "'%.*s...': a phrase of %zu tokens; this model reads at most %d",
                       shown, text, num, most);
    bool known = false;
    for (size_t i = 0; i < num; i++)
        known |= (int32_t)ids[i] != v->unk;
    if (!known)
        return ww_fail(err, WW_E_TEXT, "'%.*s': %s", shown, text,
                       num ? "this model can read none of its words" : "there are no words in it");
    struct ww_gdino_caption *c = p->num_captions ? &p->captions[p->num_captions - 1] : NULL;
    if (!c || c->text.num + (int)num + 2 > v->max_tokens) {
        if (p->num_captions == MAX_CAPTIONS)
            return ww_fail(err, WW_E_TEXT, "the phrases fill more than %d texts of %d tokens: ask for fewer, "
                                           "or in shorter words", MAX_CAPTIONS, v->max_tokens);
        if (c)
            close_caption(p, v);
        c = add_caption(p, v);
    }
    for (size_t i = 0; i < num; i++)
        put(c, (int32_t)ids[i], p->num_phrases, false);
    put(c, mark, p->num_phrases, true);
    p->phrases = realloc(p->phrases, sizeof *p->phrases * (size_t)(p->num_phrases + 1));
    p->given = realloc(p->given, sizeof *p->given * (size_t)(p->num_phrases + 1));
    char *copy = ww_room(bytes + 2, 1);
    memcpy(copy, text, bytes);
    if (mark != v->ends[2]) // it is said, as it was
        copy[bytes] = '?';
    if (!p->phrases || !p->given)
        abort();
    p->given[p->num_phrases] = given;
    p->phrases[p->num_phrases++] = copy;
    return true;
}

// "a cat:0.5. a dog" would be "a cat:0" and "5".
static bool check_thresholds(const char *text, struct ww_error *err)
{
    for (const char *at = text; (at = strchr(at, ':')); ) {
        at += 1 + strspn(at + 1, " ");
        const char *point = at + strspn(at, "0123456789");
        if (*point == '.' && isdigit((unsigned char)point[1]))
            return ww_fail(err, WW_E_TEXT, "'%.60s': thresholds stand behind phrases that ';' or a list separates, "
                                           "not dots", text);
    }
    return true;
}

static bool add_phrases(struct ww_gdino_prompt *p, const struct ww_gdino_vocabulary *v, const char *text,
                        int given, struct ww_error *err)
{
    const int before = p->num_phrases;
    if (!ww_utf8_valid(text, strlen(text)))
        return ww_fail(err, WW_E_TEXT, "'%.60s': this is not UTF-8", text);
    if (!check_thresholds(text, err))
        return false;
    for (const char *at = text, *end; *at; at = *end ? end + 1 : end) {
        end = at + strcspn(at, ".?");
        const char *stop = end;
        while (at < stop && isspace((unsigned char)*at))
            at++;
        while (at < stop && isspace((unsigned char)stop[-1]))
            stop--;
        if (at < stop && !add_phrase(p, v, at, (size_t)(stop - at), given,
                                     v->ends[*end == '?' ? 3 : 2], err))
            return false;
    }
    return p->num_phrases > before ||
           ww_fail(err, WW_E_TEXT, "'%.60s': there are no words in it", text);
}

struct ww_gdino_prompt *ww_gdino_prompt_create(const struct ww_gdino_vocabulary *v,
                                               const char *const *phrases, int num_phrases,
                                               struct ww_error *err)
{
    struct ww_gdino_prompt *p = ww_room(1, sizeof *p);
    bool ok = num_phrases > 0 ||
              ww_fail(err, WW_E_TEXT, "this model looks for what it is told, and no phrase is given");
    for (int i = 0; ok && i < num_phrases; i++)
        ok = add_phrases(p, v, phrases[i], i, err);
    if (ok)
        close_caption(p, v);
    else
        ww_gdino_prompt_destroy(&p);
    return p;
}

// The words of tokens first to end, as a phrase.
static char *decode(const struct ww_gdino_vocabulary *v, const int32_t *ids, int num)
{
    uint32_t plain[WW_GDINO_MAX_TOKENS];
    for (int i = 0; i < num; i++)
        plain[i] = (uint32_t)ids[i];
    const size_t size = 1 + ww_tokenizer_decode(v->tokenizer, plain, (size_t)num, true, NULL, 0);
    char *text = ww_room(size, 1);
    ww_tokenizer_decode(v->tokenizer, plain, (size_t)num, true, text, size);
    return text;
}

struct ww_gdino_prompt *ww_gdino_prompt_as_given(const struct ww_gdino_vocabulary *v, const char *text,
                                                 struct ww_error *err)
{
    uint32_t ids[WW_GDINO_MAX_TOKENS];
    const size_t bytes = strlen(text);
    const size_t all = ww_tokenizer_encode(v->tokenizer, text, bytes, WW_ENCODE_ADD_SPECIAL, ids,
                                           (size_t)v->max_tokens);
    if (all < 3) {
        ww_fail(err, WW_E_TEXT, "'%.60s': there are no words in it", text);
        return NULL;
    }
    struct ww_gdino_prompt *p = ww_room(1, sizeof *p);
    struct ww_gdino_caption *c = add_caption(p, v);
    const int num = all < (size_t)v->max_tokens ? (int)all : v->max_tokens;
    p->phrases = ww_room((size_t)num, sizeof *p->phrases);
    p->given = ww_room((size_t)num, sizeof *p->given); // all of it came from one
    int first = 1; // of a phrase
    for (int i = 1; i < num; i++) {
        const int32_t id = (int32_t)ids[i];
        const bool closes = id == v->ends[2] || id == v->ends[3];
        const bool ends = closes || id == v->sep;
        put(c, id, id == v->sep || (closes && i == first) ? -1 : p->num_phrases, closes);
        if (i + !ends > first && (ends || i + 1 == num))
            p->phrases[p->num_phrases++] = decode(v, c->text.ids + first, i + !ends - first);
        first = closes ? i + 1 : first;
    }
    ww_gdino_divide(&c->text, v->ends);
    return p;
}

// Scores -------------------------------------------------------------------------------------------

void ww_gdino_likely(const struct ww_gdino_text *text, const float *logits, int step, float *out)
{
    for (int i = 0; i < text->num; i++) // channels of a query: four in a texel
        out[i] = 1 / (1 + expf(-logits[(size_t)(i / 4) * (size_t)step * 4 + (size_t)(i % 4)]));
}

struct ww_gdino_match ww_gdino_match(const struct ww_gdino_caption *c, const float *likely)
{
    struct ww_gdino_match m = {.score = -1, .phrase = -1};
    float best = -1;
    for (int i = 0; i < c->text.num; i++) {
        m.score = fmaxf(m.score, likely[i]);
        if (c->phrase[i] >= 0 && likely[i] > best) {
            best = likely[i];
            m.phrase = c->phrase[i];
        }
    }
    return m;
}

float ww_gdino_match_whole(const struct ww_gdino_caption *c, const float *likely, int phrase)
{
    float sum = 0;
    int count = 0;
    for (int i = 0; i < c->text.num; i++)
        if (c->phrase[i] == phrase && !c->closes[i]) {
            sum += likely[i];
            count++;
        }
    return count ? sum / ((float)count + 1e-6f) : -1; // the first release's divisor
}

// Replaces each `from` by the shorter `to`, from left to right.
static void replace(char *text, const char *from, const char *to)
{
    const size_t old = strlen(from), new = strlen(to);
    for (char *at = text; (at = strstr(at, from)); at += new) {
        memcpy(at, to, new);
        memmove(at + new, at + old, strlen(at + old) + 1);
    }
}

void ww_gdino_label(const struct ww_gdino_vocabulary *v, const struct ww_gdino_text *text,
                    const float *likely, float threshold, enum ww_gdino_layout layout, char *out,
                    size_t size)
{
    static const char *const glued[][2] = {{" ' ", "'"},     {" n't", "n't"}, {" 'm", "'m"},
                                           {" 's", "'s"},    {" 've", "'ve"}, {" 're", "'re"}};
    uint32_t kept[WW_GDINO_MAX_TOKENS];
    size_t num = 0;
    for (int i = 1; i < text->num && i < WW_GDINO_MAX_TOKENS - 1; i++)
        if (likely[i] > threshold)
            kept[num++] = (uint32_t)text->ids[i];
    ww_tokenizer_decode(v->tokenizer, kept, num, true, out, size);
    for (size_t i = 0; i < sizeof glued / sizeof *glued; i++)
        replace(out, glued[i][0], glued[i][1]);
    if (layout == WW_GDINO_ORIGINAL)
        replace(out, ".", "");
}
