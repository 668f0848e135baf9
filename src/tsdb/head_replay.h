/* tsdb/head_replay.h - private to head_replay.c and head_replay_workers.c: samples on their way to the replaying
 * threads.
 *
 * The reader fills parts, each worker applies those of its shards in order. Parts are few: that bounds the memory.
 */
#ifndef PL_TSDB_HEAD_REPLAY_H
#define PL_TSDB_HEAD_REPLAY_H

#include "tsdb/head.h"

enum { WORKERS_MAX = 8, PART_SAMPLES = 2048, PART_HISTS = 64 };

/* A histogram on its way to a worker, in one piece of memory. */
struct part_hist {
    struct hist h; /* arrays behind it */
    bool whole;
};
struct part_sample {
    uint32_t slot;
    bool is_hist;
    int64_t t;
    union {
        double v;
        struct part_hist *hist; /* freed by the worker */
    } u;
};
struct part {
    struct part *next;
    uint32_t n, hists;
    struct part_sample v[PART_SAMPLES];
};

struct replay_worker {
    struct head *h;
    struct pl_thread thread;
    struct pl_mutex lock;
    struct pl_cond changed;
    struct part *todo, *todo_last; /* lock */
    struct part *spare;            /* lock */
    bool busy, stop;               /* lock */
    struct part *filling;          /* reader only */
};
struct replay_workers {
    struct replay_worker v[WORKERS_MAX];
    uint32_t count;
};

void replay__workers_start(struct replay_workers *r, struct head *h);
void replay__workers_drain(struct replay_workers *r); /* returns when all that was given is applied */
void replay__workers_stop(struct replay_workers *r);
void replay__worker_give(struct replay_worker *w); /* hands the filled part over and waits for an empty one */
static inline void replay__float_give(struct replay_workers *r, uint32_t slot, int64_t t, double v)
{
    struct replay_worker *w = &r->v[r->count == 1 ? 0 : head_shard_of(slot) % r->count];

    w->filling->v[w->filling->n++] = (struct part_sample){.slot = slot, .t = t, .u.v = v};
    if (w->filling->n == PART_SAMPLES) {
        replay__worker_give(w);
    }
}
void replay__hist_give(struct replay_workers *r, uint32_t slot, int64_t t, const struct hist *h,
                       bool whole); /* copied */

#endif
