#include "base/sync.h"

#include <errno.h>
#include <time.h>

#ifdef PL_DEBUG
enum { HELD_MAX = 16 };
static _Thread_local int held[HELD_MAX];
static _Thread_local int held_count;

static void rank_push(int rank)
{
    PL_ASSERT(held_count == 0 || held[held_count - 1] < rank);
    PL_ASSERT(held_count < HELD_MAX);
    held[held_count++] = rank;
}

static void rank_pop(int rank)
{
    for (int i = held_count - 1; i >= 0; i--) {
        if (held[i] == rank) {
            for (int k = i; k + 1 < held_count; k++) {
                held[k] = held[k + 1];
            }
            held_count--;
            return;
        }
    }
    PL_UNREACHABLE("unlock of a lock that this thread does not hold");
}
#else
#    define rank_push(r) ((void)(r))
#    define rank_pop(r)  ((void)(r))
#endif

void pl_mutex_init(struct pl_mutex *m, int rank)
{
    PL_ASSERT(pthread_mutex_init(&m->m, NULL) == 0);
    m->rank = rank;
}

void pl_mutex_fini(struct pl_mutex *m)
{
    PL_ASSERT(pthread_mutex_destroy(&m->m) == 0);
}

void pl_mutex_lock(struct pl_mutex *m)
{
    rank_push(m->rank);
    PL_ASSERT(pthread_mutex_lock(&m->m) == 0);
}

void pl_mutex_unlock(struct pl_mutex *m)
{
    PL_ASSERT(pthread_mutex_unlock(&m->m) == 0);
    rank_pop(m->rank);
}

void pl_cond_init(struct pl_cond *c)
{
    pthread_condattr_t attr;

    PL_ASSERT(pthread_condattr_init(&attr) == 0);
    PL_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PL_ASSERT(pthread_cond_init(&c->c, &attr) == 0);
    PL_ASSERT(pthread_condattr_destroy(&attr) == 0);
}

void pl_cond_fini(struct pl_cond *c)
{
    PL_ASSERT(pthread_cond_destroy(&c->c) == 0);
}

void pl_cond_wait(struct pl_cond *c, struct pl_mutex *m)
{
    PL_ASSERT(pthread_cond_wait(&c->c, &m->m) == 0);
}

bool pl_cond_wait_until(struct pl_cond *c, struct pl_mutex *m, int64_t deadline_mono_ns)
{
    struct timespec ts = {.tv_sec = deadline_mono_ns / 1000000000, .tv_nsec = deadline_mono_ns % 1000000000};
    int rc = pthread_cond_timedwait(&c->c, &m->m, &ts);

    PL_ASSERT(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void pl_cond_signal(struct pl_cond *c)
{
    PL_ASSERT(pthread_cond_signal(&c->c) == 0);
}

void pl_cond_broadcast(struct pl_cond *c)
{
    PL_ASSERT(pthread_cond_broadcast(&c->c) == 0);
}

struct thread_start {
    void (*fn)(void *arg);
    void *arg;
    char name[16];
};

static void *thread_main(void *p)
{
    struct thread_start s = *(struct thread_start *)p;

    pl_free(p);
    (void)pthread_setname_np(pthread_self(), s.name);
    s.fn(s.arg);
    return NULL;
}

void pl_thread_start(struct pl_thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
    struct thread_start *s = pl_new(struct thread_start);
    pthread_attr_t attr;
    size_t n = PL_MIN(strlen(name), sizeof(s->name) - 1);

    s->fn = fn;
    s->arg = arg;
    memcpy(s->name, name, n);
    PL_ASSERT(pthread_attr_init(&attr) == 0);
    PL_ASSERT(pthread_attr_setstacksize(&attr, (size_t)2 << 20) == 0);
    PL_ASSERT(pthread_create(&t->t, &attr, thread_main, s) == 0);
    PL_ASSERT(pthread_attr_destroy(&attr) == 0);
}

void pl_thread_join(struct pl_thread *t)
{
    PL_ASSERT(pthread_join(t->t, NULL) == 0);
}
