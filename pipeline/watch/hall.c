#include "hall.h"

#include <stdlib.h>
#include <string.h>
#include <watchword/log.h>

enum { CARD_BATCH = 8 };
static const double share_of_memory = 0.7; // of the device's, that halls may be made larger within

int ww_hall_default(const struct ww_device *device)
{
    return device->profile.reference || device->profile.software ? 1 : CARD_BATCH;
}

// Opening -----------------------------------------------------------------------------------------

// The family's hall, and what it takes on the device.
static void *record(struct ww_engine *engine, struct loaded *loaded, const struct ww_extent *extent, int room,
                    uint64_t *bytes, struct ww_error *err)
{
    const uint64_t before = engine->device->bytes;
    ww_engine_say(engine, "recording");
    void *own = loaded->family->open(engine->device, loaded->model,
                                     &(struct ww_hall_params){.extent = *extent, .room = room}, err);
    ww_engine_say(engine, "ready");
    if (!own)
        return NULL;
    *bytes = engine->device->bytes - before;
    pthread_mutex_lock(&engine->lock);
    engine->stats.plans_recorded++;
    pthread_mutex_unlock(&engine->lock);
    return own;
}

static struct hall *open_hall(struct ww_engine *engine, const struct hall *like, struct ww_error *err)
{
    uint64_t bytes;
    void *own = record(engine, like->loaded, &like->extent, 1, &bytes, err);
    if (!own)
        return NULL;
    struct hall *hall = malloc(sizeof *hall);
    if (!hall)
        abort();
    *hall = *like;
    hall->own = own;
    hall->bytes = bytes;
    hall->room = 1;
    hall->next = engine->halls;
    engine->halls = hall;
    return hall;
}

static void close_hall(struct ww_engine *engine, struct hall *hall)
{
    struct hall **at = &engine->halls;
    while (*at != hall)
        at = &(*at)->next;
    *at = hall->next;
    hall->loaded->family->close(engine->device, hall->own);
    free(hall);
}

static struct hall *find(const struct ww_engine *engine, const struct hall *like)
{
    for (struct hall *h = engine->halls; h; h = h->next)
        if (h->loaded == like->loaded && h->task == like->task && h->most == like->most &&
            !memcmp(&h->extent, &like->extent, sizeof h->extent))
            return h;
    return NULL;
}

// Everybody must take a seat again: those there were are for what was recorded before.
static void clear(struct hall *hall)
{
    for (struct seat *s = hall->seats, *next; s; s = next) {
        next = s->next;
        hall->loaded->family->rise(s->own);
        *s = (struct seat){0};
    }
    hall->seats = NULL;
    hall->num_seats = 0;
}

// Those that nobody sits in: who was there had to leave it and went elsewhere, or could not sit down.
static void close_empty(struct ww_engine *engine)
{
    for (struct hall *h = engine->halls, *next; h; h = next) {
        next = h->next;
        if (!h->num_seats)
            close_hall(engine, h);
    }
}

// Whether what failed may succeed now.
static bool is_due(const struct ww_engine *engine, const struct hall *hall, int wanted)
{
    return wanted > hall->refused || engine->device->bytes < hall->full_bytes;
}

// Twice the room, until `wanted` frames have some. Where the device has not enough memory, and that is found
// out before there is none left for anybody else, the hall stays as it is. Whether it is larger now.
static bool enlarge(struct ww_engine *engine, struct hall *hall, int wanted)
{
    int room = hall->room;
    while (room < wanted && room < hall->most)
        room = 2 * room < hall->most ? 2 * room : hall->most;
    if (room == hall->room || !is_due(engine, hall, wanted))
        return false;
    const double more = (double)hall->bytes * room / hall->room;
    const double all = (double)engine->device->info.memory_bytes;
    struct ww_error err = {0};
    uint64_t bytes;
    void *own = NULL;
    if (all > 0 && (double)engine->device->bytes + more > share_of_memory * all)
        ww_fail(&err, WW_E_MEMORY, "it would take %.0f MB of this device's %.0f MB", more / 1e6, all / 1e6);
    else
        own = record(engine, hall->loaded, &hall->extent, room, &bytes, &err);
    hall->refused = own ? 0 : wanted;
    hall->full_bytes = own ? 0 : engine->device->bytes;
    if (!own) {
        ww_log(WW_LOG_INFO, "model '%s': at most %d frames are looked at together: %s", hall->loaded->info.name,
               hall->room, err.text);
        return false;
    }
    clear(hall);
    hall->loaded->family->close(engine->device, hall->own);
    hall->own = own;
    hall->room = room;
    hall->bytes = bytes;
    return true;
}

// Seats -------------------------------------------------------------------------------------------

bool ww_hall_sit(struct ww_engine *engine, struct loaded *loaded, const struct ww_look_params *params,
                 const struct ww_words *words, int most, struct seat *seat, struct ww_error *err)
{
    const struct ww_family *family = loaded->family;
    struct hall like = {.loaded = loaded, .task = params->task};
    like.most = most < family->most ? most : family->most;
    if (!family->measure(loaded->model, params, words, like.most > 1, &like.extent, err))
        return false;
    struct hall *hall = like.most > 1 ? find(engine, &like) : NULL;
    if (hall)
        enlarge(engine, hall, hall->num_seats + 1);
    else
        hall = open_hall(engine, &like, err);
    if (!hall)
        return false;
    ww_engine_say(engine, "recording");
    hall->busy = true; // what runs for this seat may pause, too
    void *own = family->sit(hall->own, params, words, err);
    hall->busy = false;
    ww_engine_say(engine, "ready");
    if (own) {
        *seat = (struct seat){.hall = hall, .own = own, .next = hall->seats};
        hall->seats = seat;
        hall->num_seats++;
    }
    close_empty(engine);
    return own != NULL;
}

bool ww_hall_widen(struct ww_engine *engine, struct hall *hall)
{
    return hall->refused && enlarge(engine, hall, hall->num_seats);
}

void ww_hall_rise(struct ww_engine *engine, struct seat *seat)
{
    struct hall *hall = seat->hall;
    if (!hall)
        return;
    struct seat **at = &hall->seats;
    while (*at != seat)
        at = &(*at)->next;
    *at = seat->next;
    hall->loaded->family->rise(seat->own);
    *seat = (struct seat){0};
    if (--hall->num_seats == 0)
        close_hall(engine, hall);
}

// Alone -------------------------------------------------------------------------------------------

static int larger(int a, int b)
{
    return a > b ? a : b;
}

void ww_hall_close(struct ww_engine *engine, struct loaded *loaded, void *hall, void **seats, int num)
{
    for (int i = 0; i < num; i++)
        loaded->family->rise(seats[i]);
    loaded->family->close(engine->device, hall);
}

void *ww_hall_open(struct ww_engine *engine, struct loaded *loaded, const struct ww_look_params *params,
                   const struct ww_words *const *words, int num, void **seats, struct ww_error *err)
{
    const struct ww_family *family = loaded->family;
    struct ww_hall_params all = {.room = num, .keep_stages = params->keep_stages};
    if (num > family->most) {
        ww_fail(err, WW_E_CONFIG, "%d frames at once; this model looks at %d at most", num, family->most);
        return NULL;
    }
    for (int i = 0; i < num; i++) {
        struct ww_extent e = {0};
        if (!family->measure(loaded->model, &params[i], words[i], false, &e, err))
            return NULL;
        all.extent = (struct ww_extent){
            larger(all.extent.width, e.width), larger(all.extent.height, e.height),
            larger(all.extent.words, e.words), larger(all.extent.texts, e.texts)};
    }
    void *hall = family->open(engine->device, loaded->model, &all, err);
    for (int i = 0; hall && i < num; i++) {
        seats[i] = family->sit(hall, &params[i], words[i], err);
        if (!seats[i]) {
            ww_hall_close(engine, loaded, hall, seats, i);
            hall = NULL;
        }
    }
    return hall;
}
