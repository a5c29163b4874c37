// Keys and names are those that llama.cpp reads (its gguf-py/gguf/constants.py lists them).

#include "llama-gguf.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <watchword/log.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/room.h"
#include "llama.h"
#include "text/inner.h"
#include "weights/meta.h"

enum { MAX_KEYS = 40 };

struct ww_llama_gguf {
    struct ww_gguf_dress dress; // first: `rename` is given no other
    struct ww_arena *arena;
    struct ww_llama_shape shape;
    struct ww_gguf_key keys[MAX_KEYS];
    size_t num_keys;
    float divisors[WW_ROPE_PAIRS];
    struct ww_weight more;
};

// --- values ---

static uint32_t bits_of(double value)
{
    const float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return bits;
}

// Copied.
static void add(struct ww_llama_gguf *g, const char *key, const char *value, size_t bytes)
{
    assert(g->num_keys < MAX_KEYS);
    char *copy = ww_arena_alloc(g->arena, bytes);
    memcpy(copy, value, bytes);
    g->keys[g->num_keys++] = (struct ww_gguf_key){key, copy, bytes};
}

static void add_number(struct ww_llama_gguf *g, const char *key, enum ww_meta_type type,
                       uint32_t value)
{
    const int bytes = type == WW_META_BOOL ? 1 : 4;
    char text[8];
    for (int i = 0; i < 4; i++) {
        text[i] = (char)((unsigned)type >> 8 * i & 0xff);
        text[4 + i] = (char)(value >> 8 * i & 0xff);
    }
    add(g, key, text, 4 + (size_t)bytes);
}

static void add_whole(struct ww_llama_gguf *g, const char *key, int value)
{
    add_number(g, key, WW_META_U32, (uint32_t)value);
}

static void add_real(struct ww_llama_gguf *g, const char *key, double value)
{
    add_number(g, key, WW_META_F32, bits_of(value));
}

static void add_text(struct ww_llama_gguf *g, const char *key, const char *text)
{
    const size_t bytes = strlen(text);
    char *value = ww_arena_alloc(g->arena, 12 + bytes);
    for (int i = 0; i < 4; i++)
        value[i] = (char)(WW_META_STRING >> 8 * i & 0xff);
    for (int i = 0; i < 8; i++)
        value[4 + i] = (char)((uint64_t)bytes >> 8 * i & 0xff);
    memcpy(value + 12, text, bytes);
    g->keys[g->num_keys++] = (struct ww_gguf_key){key, value, 12 + bytes};
}

// An array, whose elements `write` puts.
static bool add_array(struct ww_llama_gguf *g, const char *key, enum ww_meta_type type, size_t count,
                      void (*write)(FILE *out, const struct ww_tokenizer *t, size_t count),
                      const struct ww_tokenizer *t, struct ww_error *err)
{
    char *value = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&value, &bytes);
    bool ok = out;
    if (out) {
        ww_gguf_put(out, WW_META_ARRAY, 4);
        ww_gguf_put(out, type, 4);
        ww_gguf_put(out, count, 8);
        write(out, t, count);
        ok = !ferror(out);
        ok = !fclose(out) && ok;
    }
    if (ok)
        add(g, key, value, bytes);
    free(value);
    return ok || ww_fail(err, WW_E_MEMORY, "no memory left on this host for '%s'", key);
}

// --- the model ---

static bool describe_rope(struct ww_llama_gguf *g, struct ww_error *err)
{
    const struct ww_rope *r = &g->shape.rope;
    const int head = g->shape.head;
    add_whole(g, "llama.rope.dimension_count", head);
    add_real(g, "llama.rope.freq_base", r->theta);
    if (r->kind == WW_ROPE_LLAMA3) { // worked out: what each pair's angle is divided by
        for (int j = 0; j < head / 2; j++)
            g->divisors[j] = (float)(pow(r->theta, -2.0 * j / head) / ww_rope_angle(r, head, j));
        g->more = (struct ww_weight){.name = "rope_freqs.weight", .type = WW_F32, .rank = 1,
                                     .dim = {head / 2}, .data = g->divisors,
                                     .bytes = (size_t)head / 2 * sizeof(float)};
        g->dress.more = &g->more;
        g->dress.num_more = 1;
        return true;
    }
    if (r->kind == WW_ROPE_LINEAR && r->factor == 1)
        return true;
    add_text(g, "llama.rope.scaling.type", r->kind == WW_ROPE_YARN ? "yarn" : "linear");
    add_real(g, "llama.rope.scaling.factor", r->factor);
    if (r->kind != WW_ROPE_YARN)
        return true;
    if (r->smooth)
        return ww_fail(err, WW_E_UNSUPPORTED, "config.json: 'truncate' is false: GGUF cannot say so");
    struct ww_rope usual = *r;
    usual.gain = 0;
    add_whole(g, "llama.rope.scaling.original_context_length", (int)r->original);
    add_real(g, "llama.rope.scaling.yarn_beta_fast", r->fast);
    add_real(g, "llama.rope.scaling.yarn_beta_slow", r->slow);
    if (ww_rope_gain(r) != ww_rope_gain(&usual))
        add_real(g, "llama.rope.scaling.attn_factor", ww_rope_gain(r) / ww_rope_gain(&usual));
    return true;
}

static bool describe_model(struct ww_llama_gguf *g, struct ww_error *err)
{
    const struct ww_llama_shape *s = &g->shape;
    add_text(g, "general.architecture", "llama");
    add_whole(g, "llama.block_count", s->layers);
    add_whole(g, "llama.context_length", s->context);
    add_whole(g, "llama.embedding_length", s->hidden);
    add_whole(g, "llama.feed_forward_length", s->inner);
    add_whole(g, "llama.attention.head_count", s->heads);
    add_whole(g, "llama.attention.head_count_kv", s->kv_heads);
    add_whole(g, "llama.attention.key_length", s->head);
    add_whole(g, "llama.attention.value_length", s->head);
    add_real(g, "llama.attention.layer_norm_rms_epsilon", (double)s->eps);
    add_whole(g, "llama.vocab_size", s->vocabulary);
    return describe_rope(g, err);
}

// --- its words ---

static bool has_token(const struct ww_tokenizer *t, size_t id)
{
    return id < t->num_tokens && t->tokens[id].kind != WW_TOKEN_NONE;
}

// A row of the embedding that no token has still wants a text.
static void put_tokens(FILE *out, const struct ww_tokenizer *t, size_t count)
{
    for (size_t id = 0; id < count; id++) {
        char spare[32];
        const int bytes = snprintf(spare, sizeof spare, "[PAD%zu]", id);
        if (has_token(t, id))
            ww_gguf_put_text(out, t->tokens[id].text, t->tokens[id].bytes);
        else
            ww_gguf_put_text(out, spare, (size_t)bytes);
    }
}

static void put_kinds(FILE *out, const struct ww_tokenizer *t, size_t count)
{
    for (size_t id = 0; id < count; id++)
        ww_gguf_put(out, (uint64_t)(has_token(t, id) ? t->tokens[id].kind : WW_TOKEN_CONTROL), 4);
}

// Of a model that has merges instead, the rank of the best that makes a piece says the same: the
// merges of such files are all ways to make each piece, in the order of their scores.
static void put_scores(FILE *out, const struct ww_tokenizer *t, size_t count)
{
    float *scores = ww_room(count, sizeof *scores);
    for (size_t id = 0; id < count && id < t->num_tokens; id++)
        scores[id] = t->tokens[id].score;
    for (uint32_t i = 0; i < t->num_merges && !t->by_score; i++) {
        const struct ww_merge *m = &t->merges[i];
        const float score = -1 - (float)m->rank;
        if (m->result < count && (scores[m->result] == 0 || score > scores[m->result]))
            scores[m->result] = score;
    }
    for (size_t id = 0; id < count; id++)
        ww_gguf_put(out, bits_of((double)scores[id]), 4);
    free(scores);
}

static int by_rank(const void *a, const void *b)
{
    const struct ww_merge *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static void put_merges(FILE *out, const struct ww_tokenizer *t, size_t count)
{
    struct ww_merge *merges = ww_room(count, sizeof *merges);
    memcpy(merges, t->merges, count * sizeof *merges);
    qsort(merges, count, sizeof *merges, by_rank);
    for (size_t i = 0; i < count; i++) {
        const struct ww_token *left = &t->tokens[merges[i].left], *right = &t->tokens[merges[i].right];
        ww_gguf_put(out, left->bytes + 1 + (uint64_t)right->bytes, 8);
        fwrite(left->text, 1, left->bytes, out);
        fputc(' ', out);
        fwrite(right->text, 1, right->bytes, out);
    }
    free(merges);
}

// Special tokens: what the tokenizer says of them, or else config.json.
static bool describe_special(struct ww_llama_gguf *g, const char *dir, const struct ww_tokenizer *t,
                             struct ww_error *err)
{
    const struct {
        const char *key, *field;
        uint32_t id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", "bos_token_id", t->special.bos},
               {"tokenizer.ggml.eos_token_id", "eos_token_id", t->special.eos},
               {"tokenizer.ggml.unknown_token_id", "unk_token_id", t->special.unk},
               {"tokenizer.ggml.padding_token_id", "pad_token_id", t->special.pad}};
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", dir);
    struct ww_json *config = ww_json_load(path, 1 << 20, NULL, err);
    for (size_t i = 0; config && i < sizeof ids / sizeof *ids; i++) {
        int64_t id = -1;
        if (ids[i].id != WW_NO_TOKEN)
            id = ids[i].id;
        else
            ww_json_integer(ww_json_get(config, ids[i].field), &id);
        if (id >= 0 && id < g->shape.vocabulary) // some say -1 for none
            add_whole(g, ids[i].key, (int)id);
    }
    const bool ok = config;
    ww_json_free(&config);
    return ok;
}

// Where readers of GGUF files cut texts in another way. Of SentencePiece they know one rule: a mark in front
// of every part between special tokens.
static void tell_losses(const char *dir, const struct ww_tokenizer *t)
{
    if (t->pieces && t->prefix && (!t->legacy || t->spare_prefix))
        ww_log(WW_LOG_WARN, "%s: its tokenizer puts a blank's mark %s, which a GGUF file cannot say: read from "
               "one, %s begins with one more token", dir,
               t->legacy ? "in front of what begins with no blank" : "in front of the text alone ('legacy' false)",
               t->legacy ? "a text with a blank in front" : "what follows a special token");
    uint32_t id = 0;
    while (id < t->num_tokens && !t->tokens[id].lstrip && !t->tokens[id].rstrip)
        id++;
    if (id < t->num_tokens)
        ww_log(WW_LOG_WARN, "%s: '%.60s' takes blanks beside it along, which a GGUF file cannot say: read from one, "
               "they stay", dir, t->tokens[id].text);
}

static bool describe_words(struct ww_llama_gguf *g, const char *dir, const struct ww_tokenizer *t,
                           struct ww_error *err)
{
    const size_t count = (size_t)g->shape.vocabulary;
    if (t->words || t->clip)
        return ww_fail(err, WW_E_UNSUPPORTED, "a tokenizer of %s: in GGUF language models have "
                       "SentencePiece or byte-level BPE", t->words ? "BERT's kind" : "CLIP's kind");
    if (t->num_tokens > count)
        return ww_fail(err, WW_E_FILE, "%u tokens, but config.json says 'vocab_size' %zu",
                       t->num_tokens, count);
    add_text(g, "tokenizer.ggml.model", t->pieces ? "llama" : "gpt2");
    add_text(g, "tokenizer.ggml.pre", t->pieces ? "default" : t->split_digits ? "smollm" : "gpt-2");
    if (!describe_special(g, dir, t, err))
        return false;
    tell_losses(dir, t);
    add_number(g, "tokenizer.ggml.add_bos_token", WW_META_BOOL, t->add_bos);
    add_number(g, "tokenizer.ggml.add_eos_token", WW_META_BOOL, t->add_eos);
    add_number(g, "tokenizer.ggml.add_space_prefix", WW_META_BOOL, t->pieces && t->prefix);
    if (t->chat_template)
        add_text(g, "tokenizer.chat_template", t->chat_template);
    return add_array(g, "tokenizer.ggml.tokens", WW_META_STRING, count, put_tokens, t, err) &&
           add_array(g, "tokenizer.ggml.token_type", WW_META_I32, count, put_kinds, t, err) &&
           (t->pieces ? add_array(g, "tokenizer.ggml.scores", WW_META_F32, count, put_scores, t, err)
                      : add_array(g, "tokenizer.ggml.merges", WW_META_STRING, t->num_merges,
                                  put_merges, t, err));
}

// --- its tensors ---

static const struct {
    const char *hf, *gguf;
    int laced; // 1: queries, 2: keys
} of_model[] = {{"model.embed_tokens.weight", "token_embd.weight", 0},
                {"model.norm.weight", "output_norm.weight", 0},
                {"lm_head.weight", "output.weight", 0}},
  of_layer[] = {{"input_layernorm.weight", "attn_norm.weight", 0},
                {"post_attention_layernorm.weight", "ffn_norm.weight", 0},
                {"self_attn.q_proj.weight", "attn_q.weight", 1},
                {"self_attn.k_proj.weight", "attn_k.weight", 2},
                {"self_attn.v_proj.weight", "attn_v.weight", 0},
                {"self_attn.o_proj.weight", "attn_output.weight", 0},
                {"mlp.gate_proj.weight", "ffn_gate.weight", 0},
                {"mlp.up_proj.weight", "ffn_up.weight", 0},
                {"mlp.down_proj.weight", "ffn_down.weight", 0}};

static bool ends_in(const char *text, const char *ending)
{
    const size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && !strcmp(text + length - tail, ending);
}

static bool rename_tensor(const struct ww_gguf_dress *dress, const struct ww_weight *from,
                          const char **name, int *head, struct ww_error *err)
{
    const struct ww_llama_gguf *g = (const struct ww_llama_gguf *)dress;
    const struct ww_llama_shape *s = &g->shape;
    int layer = -1, rest = 0;
    *name = NULL;
    *head = 0;
    if (ends_in(from->name, "rotary_emb.inv_freq") || (s->tied && !strcmp(from->name, "lm_head.weight")))
        return true; // follows from the configuration, or is the embedding once more
    for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++)
        if (!strcmp(from->name, of_model[i].hf))
            *name = of_model[i].gguf;
    if (sscanf(from->name, "model.layers.%4d.%n", &layer, &rest) == 1 && rest && layer >= 0 &&
        layer < s->layers)
        for (size_t i = 0; i < sizeof of_layer / sizeof *of_layer; i++) {
            if (strcmp(from->name + rest, of_layer[i].hf) != 0)
                continue;
            const int heads = of_layer[i].laced == 2 ? s->kv_heads : s->heads;
            *name = ww_arena_printf(g->arena, "blk.%d.%s", layer, of_layer[i].gguf);
            *head = of_layer[i].laced ? s->head : 0;
            if (*head && (from->rank != 2 || from->dim[0] != (int64_t)heads * s->head))
                return ww_fail(err, WW_E_FILE, "tensor '%s' has not %d rows, which %d heads of %d have",
                               from->name, heads * s->head, heads, s->head);
        }
    return *name || ww_fail(err, WW_E_UNSUPPORTED, "tensor '%s' has no name in a GGUF file of the "
                            "architecture 'llama'", from->name);
}

// --- all of it ---

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct ww_gguf_key *)a)->key, ((const struct ww_gguf_key *)b)->key);
}

static bool describe(struct ww_llama_gguf *g, const char *dir, struct ww_error *err)
{
    if (!ww_llama_read_config(dir, &g->shape, err) || !describe_model(g, err))
        return false;
    struct ww_tokenizer *t = ww_tokenizer_open(dir, err);
    const bool ok = t && describe_words(g, dir, t, err);
    ww_tokenizer_close(&t);
    qsort(g->keys, g->num_keys, sizeof *g->keys, by_key);
    g->dress.keys = g->keys;
    g->dress.num_keys = g->num_keys;
    return ok;
}

struct ww_llama_gguf *ww_llama_gguf_open(const char *dir, struct ww_error *err)
{
    struct ww_arena *arena = ww_arena_create();
    struct ww_llama_gguf *g = ww_new(arena, struct ww_llama_gguf);
    g->arena = arena;
    g->dress.rename = rename_tensor;
    if (!describe(g, dir, err))
        ww_llama_gguf_close(&g);
    return g;
}

void ww_llama_gguf_close(struct ww_llama_gguf **gguf)
{
    if (!*gguf)
        return;
    struct ww_arena *arena = (*gguf)->arena; // which holds it
    ww_arena_destroy(&arena);
    *gguf = NULL;
}

const struct ww_gguf_dress *ww_llama_gguf_dress(const struct ww_llama_gguf *gguf)
{
    return &gguf->dress;
}
