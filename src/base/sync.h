/* base/sync.h - locks, conditions and threads.
 *
 * Promise: thin wrappers over pthreads that abort on misuse. Each mutex carries a rank; a thread takes only a
 * strictly higher rank than the highest it holds (checked when PL_DEBUG is set), so no two locks can wait for each
 * other. Under a lock: no I/O, no callback, no log, no allocation without a bound.
 */
#ifndef PL_BASE_SYNC_H
#define PL_BASE_SYNC_H

#include "base/base.h"

#include <pthread.h>

/* Low ranks are outer locks. One line per kind of lock; see the struct that holds it for what it guards. */
enum pl_lock_rank {
    PL_RANK_APP = 10,
    PL_RANK_INGESTER = 20, /* tenant table */
    PL_RANK_TSDB = 30,     /* block list of one tenant */
    PL_RANK_HEAD = 40,     /* one head: metadata, truncation */
    PL_RANK_SHARD = 50,    /* one head shard */
    PL_RANK_POSTINGS = 55, /* head postings and symbols */
    PL_RANK_HEAD_CHUNKS = 60,
    PL_RANK_WAL = 70,
    PL_RANK_LIMITER = 80,
    PL_RANK_QUEUE = 100, /* worker pools, mailboxes */
    PL_RANK_ACTIVE_QUERIES = 105,
    PL_RANK_CACHE = 110,
    PL_RANK_METRIC = 200,
    PL_RANK_LOG = 250,
};

struct pl_mutex {
    pthread_mutex_t m;
    int rank;
};
struct pl_cond {
    pthread_cond_t c;
};
struct pl_thread {
    pthread_t t;
};

void pl_mutex_init(struct pl_mutex *m, int rank);
void pl_mutex_fini(struct pl_mutex *m);
void pl_mutex_lock(struct pl_mutex *m);
void pl_mutex_unlock(struct pl_mutex *m);

void pl_cond_init(struct pl_cond *c); /* waits on the monotonic clock */
void pl_cond_fini(struct pl_cond *c);
void pl_cond_wait(struct pl_cond *c, struct pl_mutex *m);
/* False when deadline_mono_ns passed. */
bool pl_cond_wait_until(struct pl_cond *c, struct pl_mutex *m, int64_t deadline_mono_ns);
void pl_cond_signal(struct pl_cond *c);
void pl_cond_broadcast(struct pl_cond *c);

/* name: at most 15 characters, shown by top and gdb. Aborts when the system has no thread left. */
void pl_thread_start(struct pl_thread *t, const char *name, void (*fn)(void *arg), void *arg);
void pl_thread_join(struct pl_thread *t);

#endif
