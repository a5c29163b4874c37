#include "vocabulary.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_BYTES = 16 << 20, MAX_WORD = 100 };

struct piece {
    const char *text;
    int32_t id;
};

struct ww_vocabulary {
    char *text; // the file, its line ends turned into NULs
    struct piece *pieces; // sorted by text
    int num_pieces;
    int32_t unknown, first, last;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct piece *)a)->text, ((const struct piece *)b)->text);
}

static int32_t find(const struct ww_vocabulary *v, const char *text)
{
    const struct piece key = {text, 0};
    const struct piece *p =
        bsearch(&key, v->pieces, (size_t)v->num_pieces, sizeof *v->pieces, by_text);
    return p ? p->id : -1;
}

static bool read_file(struct ww_vocabulary *v, const char *path, struct ww_error *err)
{
    struct stat st;
    FILE *file = fopen(path, "rbe");
    if (!file)
        return ww_fail(err, WW_E_FILE, "%s: cannot be opened", path);
    const bool sane =
        !fstat(fileno(file), &st) && S_ISREG(st.st_mode) && st.st_size <= MAX_BYTES;
    const size_t size = sane ? (size_t)st.st_size : 0;
    v->text = calloc(size + 1, 1);
    if (!v->text)
        abort();
    const size_t bytes = fread(v->text, 1, size, file);
    fclose(file);
    if (!sane || bytes != size || memchr(v->text, '\0', bytes))
        return ww_fail(err, WW_E_FILE, "%s: no text file of at most %d bytes", path, MAX_BYTES);
    return true;
}

// A line is a piece, and its number is the piece's id.
static void split_lines(struct ww_vocabulary *v)
{
    int lines = 1;
    for (const char *c = v->text; *c; c++)
        lines += *c == '\n';
    v->pieces = calloc((size_t)lines, sizeof *v->pieces);
    if (!v->pieces)
        abort();
    for (char *line = v->text; *line;) {
        char *end = line + strcspn(line, "\n");
        const bool more = *end;
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        v->pieces[v->num_pieces] = (struct piece){line, v->num_pieces};
        v->num_pieces++;
        line = end + more;
    }
    qsort(v->pieces, (size_t)v->num_pieces, sizeof *v->pieces, by_text);
}

struct ww_vocabulary *ww_vocabulary_load(const char *dir, struct ww_error *err)
{
    char path[4096];
    struct ww_vocabulary *v = calloc(1, sizeof *v);
    if (!v)
        abort();
    snprintf(path, sizeof path, "%s/vocab.txt", dir);
    if (read_file(v, path, err)) {
        split_lines(v);
        v->unknown = find(v, "[UNK]");
        v->first = find(v, "[CLS]");
        v->last = find(v, "[SEP]");
        if (v->unknown >= 0 && v->first >= 0 && v->last >= 0)
            return v;
        ww_fail(err, WW_E_FILE, "%s: [UNK], [CLS] and [SEP] must be among its lines", path);
    }
    ww_vocabulary_destroy(&v);
    return NULL;
}

void ww_vocabulary_destroy(struct ww_vocabulary **pointer)
{
    struct ww_vocabulary *v = *pointer;
    if (!v)
        return;
    free(v->pieces);
    free(v->text);
    free(v);
    *pointer = NULL;
}

// Cuts one word into `ids`, at most `max`; returns how many. One that cannot be cut is unknown.
static int cut_word(const struct ww_vocabulary *v, const char *word, int length, int32_t *ids,
                    int max)
{
    int num = 0;
    for (int at = 0; at < length && length <= MAX_WORD;) {
        char piece[MAX_WORD + 3] = "##";
        const int mark = at ? 2 : 0;
        int end = length;
        int32_t id = -1;
        for (; end > at; end--) {
            memcpy(piece + mark, word + at, (size_t)(end - at));
            piece[mark + end - at] = '\0';
            id = find(v, piece);
            if (id >= 0)
                break;
        }
        if (id < 0) {
            num = 0;
            break;
        }
        if (num < max)
            ids[num++] = id;
        at = end;
    }
    if (num == 0 && max > 0)
        ids[num++] = v->unknown;
    return num;
}

int ww_vocabulary_cut(const struct ww_vocabulary *v, const char *phrase, int32_t *ids, int max,
                      struct ww_error *err)
{
    for (const char *c = phrase; *c; c++)
        if ((unsigned char)*c >= 0x7f || ((unsigned char)*c < 0x20 && !isspace((unsigned char)*c))) {
            ww_fail(err, WW_E_TEXT, "'%.100s': only English letters are understood by meaning",
                    phrase);
            return -1;
        }
    int num = 0;
    ids[num++] = v->first;
    for (const char *at = phrase; *at;) {
        char word[MAX_WORD + 1];
        int length = 0;
        for (; isalnum((unsigned char)at[length]); length++)
            if (length <= MAX_WORD)
                word[length] = (char)tolower((unsigned char)at[length]);
        if (length == 0 && !isspace((unsigned char)*at))
            word[length++] = *at; // a mark stands alone
        if (length)
            num += cut_word(v, word, length, ids + num, max - 1 - num);
        at += length ? length : 1;
    }
    ids[num++] = v->last;
    return num;
}
