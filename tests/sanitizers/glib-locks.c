// glib-locks.c: tells the thread sanitizer about GLib's locks.
//
// A GMutex is a futex inside libglib, which is built without the sanitizer: it sees neither who holds
// the lock nor what happened before, and takes every access under one for a race. Preloaded into the
// tests of a sanitized build, these wrap the calls that our programs and GStreamer make. In a program
// without the sanitizer they change nothing. Linked with libglib, for a program may load that late.

#include <dlfcn.h>
#include <glib.h>

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

static void acquired(void *lock)
{
    if (__tsan_acquire)
        __tsan_acquire(lock);
}

static void releasing(void *lock)
{
    if (__tsan_release)
        __tsan_release(lock);
}

// The function of that name that this one stands in front of.
#define REAL(name)                                           \
    static __typeof__(&name) real;                           \
    if (!real)                                               \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define LOCK(name, type)    \
    void name(type *lock)   \
    {                       \
        REAL(name);         \
        real(lock);         \
        acquired(lock);     \
    }
#define TRY_LOCK(name, type)         \
    gboolean name(type *lock)        \
    {                                \
        REAL(name);                  \
        gboolean had = real(lock);   \
        if (had)                     \
            acquired(lock);          \
        return had;                  \
    }
#define UNLOCK(name, type)  \
    void name(type *lock)   \
    {                       \
        REAL(name);         \
        releasing(lock);    \
        real(lock);         \
    }

LOCK(g_mutex_lock, GMutex)
TRY_LOCK(g_mutex_trylock, GMutex)
UNLOCK(g_mutex_unlock, GMutex)
LOCK(g_rec_mutex_lock, GRecMutex)
TRY_LOCK(g_rec_mutex_trylock, GRecMutex)
UNLOCK(g_rec_mutex_unlock, GRecMutex)
LOCK(g_rw_lock_reader_lock, GRWLock)
UNLOCK(g_rw_lock_reader_unlock, GRWLock)
LOCK(g_rw_lock_writer_lock, GRWLock)
UNLOCK(g_rw_lock_writer_unlock, GRWLock)

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    REAL(g_cond_wait);
    releasing(mutex);
    real(cond, mutex);
    acquired(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
    REAL(g_cond_wait_until);
    releasing(mutex);
    gboolean in_time = real(cond, mutex, end_time);
    acquired(mutex);
    return in_time;
}

// What is handed over through a queue.
void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
    REAL(g_async_queue_push);
    releasing(data);
    real(queue, data);
}

static void *popped(void *data)
{
    if (data)
        acquired(data);
    return data;
}

gpointer g_async_queue_pop(GAsyncQueue *queue)
{
    REAL(g_async_queue_pop);
    return popped(real(queue));
}

gpointer g_async_queue_try_pop(GAsyncQueue *queue)
{
    REAL(g_async_queue_try_pop);
    return popped(real(queue));
}

gpointer g_async_queue_timeout_pop(GAsyncQueue *queue, guint64 timeout)
{
    REAL(g_async_queue_timeout_pop);
    return popped(real(queue, timeout));
}

// GStreamer's way to do something on another thread; the names are spelt out, for this file knows GLib
// alone.
struct handed {
    void (*run)(void *element, void *data);
    void *data;
    GDestroyNotify destroy;
};

static void run_handed(void *element, void *opaque)
{
    const struct handed *handed = opaque;
    acquired(opaque);
    handed->run(element, handed->data);
}

static void destroy_handed(void *opaque)
{
    const struct handed *handed = opaque;
    if (handed->destroy)
        handed->destroy(handed->data);
    g_free(opaque);
}

void gst_element_call_async(void *element, void (*run)(void *, void *), void *data,
                            GDestroyNotify destroy);
void gst_element_call_async(void *element, void (*run)(void *, void *), void *data,
                            GDestroyNotify destroy)
{
    REAL(gst_element_call_async);
    struct handed *handed = g_new(struct handed, 1);
    *handed = (struct handed){run, data, destroy};
    releasing(handed);
    real(element, run_handed, handed, destroy_handed);
}
