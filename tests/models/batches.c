// Looks that go together: the scheduler takes what waits in one pass, and what each stream is told is, bit by
// bit, what it is told alone. Streams leave, change their words and their shape in the middle of it.

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <watchword/decode.h>
#include <watchword/watch.h>

enum { STREAMS = 5, BATCH = 4, ROUNDS = 6, MAX = 100 };

static char model[4096];
static struct ww_engine *engine;
static struct ww_frame pictures[STREAMS]; // of one size, all different

// Of which the second and third are longer than the first has room for, and the fourth is as long as the first.
static const char *const words[STREAMS][6] = {
    {"a cat", "a remote control"},
    {"a cup of coffee", "silver spoon", "astronaut", "a flag", "wooden table", "a boat"},
    {"a person in a yellow vest", "a cat", "a remote control", "a cup of coffee", "silver spoon", "a flag"},
    {"wooden table"},
    {"silver spoon", "a cat"},
};

static int num_words(int stream)
{
    int n = 0;
    while (n < 6 && words[stream][n])
        n++;
    return n;
}

struct seen {
    int num;
    uint32_t revision;
    struct ww_object objects[MAX];
    char labels[MAX][32];
};

struct stream {
    int number;
    struct ww_watch *watch;
    struct seen alone, last;
    atomic_int results, errors, wrong, out_of_turn;
    uint64_t next_index;
};

static void keep(struct seen *to, const struct ww_result *r)
{
    to->num = r->num_objects < MAX ? r->num_objects : MAX;
    to->revision = r->revision;
    for (int i = 0; i < to->num; i++) {
        to->objects[i] = r->objects[i];
        snprintf(to->labels[i], sizeof to->labels[i], "%s", r->objects[i].label);
    }
}

// Bit by bit.
static bool same(const struct seen *a, const struct seen *b)
{
    if (a->num != b->num || a->num == 0)
        return false;
    for (int i = 0; i < a->num; i++) {
        const struct ww_object *x = &a->objects[i], *y = &b->objects[i];
        if (x->score != y->score || x->x0 != y->x0 || x->y0 != y->y0 || x->x1 != y->x1 ||
            x->y1 != y->y1 || x->phrase != y->phrase || strcmp(a->labels[i], b->labels[i]))
            return false;
    }
    return true;
}

static void on_result(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    struct stream *s = opaque;
    (void)err;
    if (!result) {
        s->errors++;
        return;
    }
    keep(&s->last, result);
    s->wrong += !same(&s->last, &s->alone);
    s->out_of_turn += result->index < s->next_index;
    s->next_index = result->index + 1;
    s->results++;
}

static struct ww_watch *create(int number, int batch, int input_width, ww_result_fn fn, void *opaque)
{
    struct ww_error err = {0};
    struct ww_watch *watch = ww_watch_create(
        engine,
        ww_watch_params(.model = model, .task = WW_TASK_GROUND, .phrases = words[number],
                        .num_phrases = num_words(number), .threshold = 0.05f, .batch = batch,
                        .input_width = input_width, .input_height = input_width * 3 / 4,
                        .on_result = fn, .opaque = opaque),
        &err);
    if (!CHECK(watch != NULL))
        printf("%s\n", err.text);
    return watch;
}

// Frames are somebody else's memory; all have the same.
static bool make_pictures(const char *path)
{
    struct ww_error err = {0};
    struct ww_frame frame;
    struct ww_reader *reader = ww_reader_open(path, &err);
    if (!CHECK(reader && ww_reader_next(reader, &frame, &err) == 1)) {
        printf("%s\n", err.text);
        ww_reader_close(&reader);
        return false;
    }
    const size_t row = 3 * (size_t)frame.width;
    const bool rgb = CHECK(frame.format == WW_FORMAT_RGB);
    for (int k = 0; rgb && k < STREAMS; k++) {
        uint8_t *pixels = malloc(row * (size_t)frame.height);
        if (!pixels)
            abort();
        for (int y = 0; y < frame.height; y++)
            for (int x = 0; x < frame.width; x++)
                memcpy(pixels + (size_t)y * row + 3 * (size_t)x, // turned, mirrored, darker
                       frame.plane[0] + (k & 1 ? frame.height - 1 - y : y) * frame.stride[0] +
                           3 * (k & 2 ? frame.width - 1 - x : x),
                       3);
        for (size_t i = 0; k == 4 && i < row * (size_t)frame.height; i++)
            pixels[i] /= 2;
        pictures[k] = (struct ww_frame){.format = frame.format,
                                        .width = frame.width,
                                        .height = frame.height,
                                        .plane = {pixels},
                                        .stride = {(int)row}};
    }
    ww_reader_close(&reader);
    return rgb;
}

static uint64_t passes(void)
{
    struct ww_engine_stats stats;
    ww_engine_stats(engine, &stats);
    return stats.passes;
}

// What the engine's thread waits for: a watch of another model whose callback does not return.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held, release;
    struct ww_watch *watch;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hold(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    (void)opaque, (void)result, (void)err;
    pthread_mutex_lock(&gate.lock);
    gate.held = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.release)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.held = gate.release = false;
    pthread_mutex_unlock(&gate.lock);
}

static void close_gate(void)
{
    CHECK(ww_watch_offer(gate.watch, &pictures[0], NULL));
    pthread_mutex_lock(&gate.lock);
    while (!gate.held)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.release = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    ww_watch_drain(gate.watch);
}

static void offer(struct stream *s, uint64_t index)
{
    struct ww_frame frame = pictures[s->number];
    frame.index = index;
    CHECK(ww_watch_offer(s->watch, &frame, NULL));
}

static void look_alone(struct stream *s)
{
    struct ww_error err = {0};
    struct ww_watch *watch = create(s->number, 1, 0, NULL, NULL);
    const struct ww_result *r = watch ? ww_watch_look(watch, &pictures[s->number], &err) : NULL;
    if (CHECK(r != NULL))
        keep(&s->alone, r);
    CHECK_CMP(s->alone.num, >, 0);
    ww_watch_destroy(&watch);
}

static void check_right(struct stream *s, int num, int results)
{
    for (int i = 0; i < num; i++) {
        CHECK_CMP((int)s[i].results, ==, results);
        CHECK_CMP((int)s[i].errors, ==, 0);
        CHECK_CMP((int)s[i].wrong, ==, 0);
        CHECK_CMP((int)s[i].out_of_turn, ==, 0);
        s[i].results = 0;
    }
}

// What waits when the device gets free goes together, as much as fits.
static void check_together(struct stream *s)
{
    check_about("together");
    for (int i = 0; i < STREAMS; i++) // makes room for all of them
        for (int k = 0; k < STREAMS; k++) {
            offer(&s[k], (uint64_t)i);
            ww_watch_drain(s[k].watch);
        }
    check_right(s, STREAMS, STREAMS);
    const uint64_t first = passes();
    for (int round = 0; round < ROUNDS; round++) {
        close_gate();
        for (int k = 0; k < STREAMS; k++)
            offer(&s[(k + round) % STREAMS], (uint64_t)(STREAMS + round)); // every order
        const uint64_t before = passes();
        open_gate();
        for (int k = 0; k < STREAMS; k++)
            ww_watch_drain(s[k].watch);
        // The gate's own look is counted with what follows it. Words of two lengths are two halls: three
        // streams whose words fit into 16 tokens and two whose do not. Of the latter one may overtake the
        // former, if its last look was quick.
        CHECK_CMP(passes() - before, >=, 1 + 2);
        CHECK_CMP(passes() - before, <=, 1 + 3);
    }
    CHECK_CMP(passes() - first, <=, ROUNDS * 7 / 2);
    check_right(s, STREAMS, ROUNDS);
}

// Threads that offer and threads that look, as fast as they can.
struct pusher {
    struct stream *stream;
    bool looks;
};

static void *push(void *opaque)
{
    struct pusher *p = opaque;
    static const int frames = 12;
    for (int i = 0; i < frames; i++) {
        struct ww_frame frame = pictures[p->stream->number];
        frame.index = 1000 + (uint64_t)i;
        if (p->looks) {
            struct ww_error err = {0};
            const struct ww_result *r = ww_watch_look(p->stream->watch, &frame, &err);
            on_result(p->stream, r, &err);
        } else {
            ww_watch_offer(p->stream->watch, &frame, NULL);
            ww_watch_drain(p->stream->watch);
        }
    }
    return NULL;
}

static void check_threads(struct stream *s)
{
    check_about("threads");
    pthread_t threads[STREAMS];
    struct pusher pushers[STREAMS];
    const uint64_t before = passes();
    for (int k = 0; k < STREAMS; k++) {
        pushers[k] = (struct pusher){&s[k], k % 2 != 0};
        CHECK(pthread_create(&threads[k], NULL, push, &pushers[k]) == 0);
    }
    for (int k = 0; k < STREAMS; k++)
        pthread_join(threads[k], NULL);
    check_right(s, STREAMS, 12);
    const int took = (int)(passes() - before);
    printf("  five threads: %d frames in %d passes\n", 12 * STREAMS, took);
    CHECK_CMP(took, <, 12 * STREAMS);
}

// Nobody waits for company.
static void check_lonely(struct stream *s)
{
    check_about("lonely");
    const uint64_t before = passes();
    offer(&s[0], 2000);
    ww_watch_drain(s[0].watch);
    CHECK_CMP(passes() - before, ==, 1);
    check_right(s, 1, 1);
}

static void *destroy(void *opaque)
{
    struct stream *s = opaque;
    ww_watch_destroy(&s->watch);
    return NULL;
}

// From the callback of the first of a batch, others of it leave: one whose frame was looked at and is not told
// yet, for it waits until it is.
static struct {
    struct stream *leaves;
    pthread_t thread;
    bool started;
} leaving;

static void on_result_and_leave(void *opaque, const struct ww_result *result, const struct ww_error *err)
{
    on_result(opaque, result, err);
    if (leaving.leaves && !leaving.started) {
        leaving.started = pthread_create(&leaving.thread, NULL, destroy, leaving.leaves) == 0;
        CHECK(leaving.started);
    }
}

static void check_leaving(void)
{
    check_about("leaving");
    static struct stream s[3];
    for (int k = 0; k < 3; k++) {
        s[k].number = k == 0 ? 0 : k + 2; // of one length
        look_alone(&s[k]);
        s[k].watch = create(s[k].number, BATCH, 0, on_result_and_leave, &s[k]);
        if (!s[k].watch)
            return;
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) {
            offer(&s[k], (uint64_t)i);
            ww_watch_drain(s[k].watch);
        }
    check_right(s, 3, 3);
    leaving.leaves = &s[1];
    close_gate();
    for (int k = 0; k < 3; k++)
        offer(&s[k], 3);
    open_gate();
    ww_watch_drain(s[0].watch);
    ww_watch_drain(s[2].watch);
    CHECK(leaving.started && pthread_join(leaving.thread, NULL) == 0);
    CHECK(s[1].watch == NULL);
    check_right(s, 3, 1);
    leaving.leaves = NULL;

    // Another leaves with its frame still waiting: the frame is let go, and nobody is told.
    close_gate();
    offer(&s[0], 4);
    offer(&s[2], 4);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, destroy, &s[2]) == 0);
    open_gate();
    CHECK(pthread_join(thread, NULL) == 0);
    ww_watch_drain(s[0].watch);
    CHECK_CMP((int)s[2].results, <=, 1);
    s[2].results = 0;
    check_right(s, 1, 1);
    offer(&s[0], 5); // those that stay go on
    ww_watch_drain(s[0].watch);
    check_right(s, 1, 1);
    ww_watch_destroy(&s[0].watch);
}

// Another input size, and a watch that is to be alone: no company for others. Nor are frames of another
// shape, though once their watch is ready they are.
static void check_apart(struct stream *s)
{
    check_about("apart");
    static struct stream small, single;
    small.number = single.number = 3;
    small.watch = create(3, BATCH, 160, on_result, &small);
    single.watch = create(3, 1, 0, on_result, &single);
    if (!small.watch || !single.watch)
        return;
    look_alone(&single);
    offer(&small, 0);
    offer(&single, 0);
    ww_watch_drain(small.watch);
    ww_watch_drain(single.watch);
    small.alone = small.last;
    small.wrong = small.results = single.results = 0;
    close_gate();
    const uint64_t before = passes();
    offer(&small, 1);
    offer(&single, 1);
    offer(&s[0], 3000);
    offer(&s[3], 3000);
    open_gate();
    ww_watch_drain(small.watch);
    ww_watch_drain(single.watch);
    ww_watch_drain(s[0].watch);
    ww_watch_drain(s[3].watch);
    CHECK_CMP(passes() - before, ==, 1 + 3);
    check_right(&small, 1, 1);
    check_right(&single, 1, 1);
    check_right(&s[0], 1, 1);
    check_right(&s[3], 1, 1);
    ww_watch_destroy(&small.watch);
    ww_watch_destroy(&single.watch);

    // Twice as large, each pixel four times, is the same input size from another shape.
    const struct ww_frame one = pictures[3];
    uint8_t *large = malloc(12 * (size_t)one.width * (size_t)one.height);
    if (!large)
        abort();
    for (int y = 0; y < 2 * one.height; y++)
        for (int x = 0; x < 2 * one.width; x++)
            memcpy(large + 3 * ((size_t)y * 2 * (size_t)one.width + (size_t)x),
                   one.plane[0] + y / 2 * one.stride[0] + 3 * (x / 2), 3);
    pictures[3].width *= 2;
    pictures[3].height *= 2;
    pictures[3].plane[0] = large;
    pictures[3].stride[0] *= 2;
    look_alone(&s[3]);
    for (int round = 0; round < 2; round++) {
        close_gate();
        const uint64_t at = passes();
        offer(&s[0], 3001 + (uint64_t)round);
        offer(&s[3], 3001 + (uint64_t)round);
        open_gate();
        ww_watch_drain(s[0].watch);
        ww_watch_drain(s[3].watch);
        CHECK_CMP(passes() - at, ==, round == 0 ? 1 + 2 : 1 + 1);
        check_right(&s[0], 1, 1);
        check_right(&s[3], 1, 1);
    }
    pictures[3] = one;
    look_alone(&s[3]);
    free(large);
}

// Unsound frames never get there; and what one stream is asked may change between batches.
static void check_changes(struct stream *s)
{
    struct ww_error err = {0};
    check_about("changes");
    struct ww_frame bad = pictures[0];
    bad.width = 0;
    close_gate();
    offer(&s[3], 4000);
    CHECK(!ww_watch_offer(s[0].watch, &bad, &err) && err.code == WW_E_FRAME);
    offer(&s[4], 4000);
    const uint64_t before = passes();
    open_gate();
    ww_watch_drain(s[3].watch);
    ww_watch_drain(s[4].watch);
    CHECK_CMP(passes() - before, ==, 1 + 1);
    check_right(&s[3], 2, 1);

    static struct stream other;
    other.number = 4; // s[0] is asked what s[4] is
    const struct ww_frame mine = pictures[0];
    const struct ww_frame his = pictures[4];
    pictures[4] = mine;
    look_alone(&other);
    pictures[4] = his;
    CHECK_CMP(ww_watch_set_phrases(s[0].watch, words[4], NULL, num_words(4), &err), ==, 2u);
    s[0].alone = other.alone;
    for (int round = 0; round < 2; round++) {
        close_gate();
        for (int k = 0; k < STREAMS; k++)
            offer(&s[k], 4001 + (uint64_t)round);
        open_gate();
        for (int k = 0; k < STREAMS; k++)
            ww_watch_drain(s[k].watch);
        check_right(s, STREAMS, 1);
    }
    CHECK_CMP(s[0].last.revision, ==, 2u);
}

int main(void)
{
    static struct stream streams[STREAMS];
    struct ww_error err = {0};
    char path[4200];
    const char *source = getenv("WATCHWORD_SOURCE");
    snprintf(model, sizeof model, "%s/tests/models/grounding-dino/model", source);
    snprintf(path, sizeof path, "%s/tests/models/grounding-dino/a-single/image0.ppm", source);
    engine = ww_engine_open(ww_engine_params(0), &err);
    if (!CHECK(engine) || !make_pictures(path)) {
        printf("%s\n", err.text);
        return check_done();
    }
    gate.watch = ww_watch_create(
        engine,
        ww_watch_params(.model = "nano", .phrases = (const char *[]){"person"}, .num_phrases = 1,
                        .input_size = 96, .on_result = hold),
        &err);
    for (int k = 0; k < STREAMS; k++) {
        streams[k].number = k;
        look_alone(&streams[k]);
        streams[k].watch = create(k, BATCH, 0, on_result, &streams[k]);
    }
    if (CHECK(gate.watch && streams[STREAMS - 1].watch)) {
        check_together(streams);
        check_threads(streams);
        check_lonely(streams);
        check_leaving();
        check_apart(streams);
        check_changes(streams);
    }
    for (int k = 0; k < STREAMS; k++)
        ww_watch_destroy(&streams[k].watch);
    ww_watch_destroy(&gate.watch);
    ww_engine_close(&engine);
    for (int k = 0; k < STREAMS; k++)
        free((void *)pictures[k].plane[0]);
    return check_done();
}
