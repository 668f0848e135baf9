/* The threads that append what the log holds (head_replay.c says why there is no lock). */
#include "tsdb/head_replay.h"

#include "base/log.h"
#include "tsdb/head_hist.h"

#include <unistd.h>

enum { PARTS_PER_WORKER = 24 };

static void hist_apply(struct head *h, const struct part_sample *x, struct pl_arena *scratch)
{
    struct part_hist *p = x->u.hist;

    (void)head_hist_append(h, &h->shards[head_shard_of(x->slot)], x->slot, head_hot(h, x->slot), x->t, &p->h, p->whole,
                           scratch);
    pl_free(p);
    pl_arena_reset(scratch);
}

static void part_apply(struct head *h, const struct part *p, struct pl_arena *scratch)
{
    enum { AHEAD = 12, AHEAD_TAIL = 6 };

    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t slot = p->v[i].slot;

        if (i + AHEAD < p->n) {
            __builtin_prefetch(head_hot(h, p->v[i + AHEAD].slot), 1);
        }
        if (i + AHEAD_TAIL < p->n) {
            const struct head_series *s = head_hot(h, p->v[i + AHEAD_TAIL].slot);
            if (s->tail != NULL) {
                __builtin_prefetch(s->tail + s->app.bit_count / 8, 1);
            }
        }
        if (PL_UNLIKELY(p->v[i].is_hist)) {
            hist_apply(h, &p->v[i], scratch);
            continue;
        }
        (void)head_sample_append(h, &h->shards[head_shard_of(slot)], slot, head_hot(h, slot), p->v[i].t, p->v[i].u.v);
    }
}

static void worker_run(void *arg)
{
    struct replay_worker *w = arg;
    struct pl_arena scratch;
    struct pl_err err;

    pl_arena_init(&scratch, 0);
    pl_mutex_lock(&w->lock);
    for (;;) {
        struct part *p = w->todo;
        if (p == NULL) {
            w->busy = false;
            pl_cond_broadcast(&w->changed);
            if (w->stop) {
                break;
            }
            pl_cond_wait(&w->changed, &w->lock);
            continue;
        }
        w->busy = true;
        w->todo = p->next;
        pl_mutex_unlock(&w->lock);
        part_apply(w->h, p, &scratch);
        if (head_chunks_flush(w->h->chunks, 4 << 20, false, &err) != PL_OK) {
            pl_debug("head chunks wait in memory", PL_KV_ERR(&err)); /* tried again with the next part */
        }
        p->n = 0;
        p->hists = 0;
        pl_mutex_lock(&w->lock);
        p->next = w->spare;
        w->spare = p;
        pl_cond_broadcast(&w->changed);
    }
    pl_mutex_unlock(&w->lock);
    pl_arena_fini(&scratch);
}

/* Hands the filled part over and waits for an empty one: the bound on memory. */
void replay__worker_give(struct replay_worker *w)
{
    struct part *p = w->filling;

    pl_mutex_lock(&w->lock);
    p->next = NULL;
    if (w->todo == NULL) {
        w->todo = p;
    } else {
        w->todo_last->next = p;
    }
    w->todo_last = p;
    w->busy = true;
    pl_cond_broadcast(&w->changed);
    while (w->spare == NULL) {
        pl_cond_wait(&w->changed, &w->lock);
    }
    w->filling = w->spare;
    w->spare = w->filling->next;
    pl_mutex_unlock(&w->lock);
}

void replay__workers_drain(struct replay_workers *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct replay_worker *w = &r->v[i];
        if (w->filling->n > 0) {
            replay__worker_give(w);
        }
        pl_mutex_lock(&w->lock);
        while (w->busy || w->todo != NULL) {
            pl_cond_wait(&w->changed, &w->lock);
        }
        pl_mutex_unlock(&w->lock);
    }
}

void replay__workers_start(struct replay_workers *r, struct head *h)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    /* The reader is one busy thread; the others share the shards. */
    r->count = (uint32_t)PL_MIN(PL_MAX(cores - 1, 1L), (long)WORKERS_MAX);
    for (uint32_t i = 0; i < r->count; i++) {
        struct replay_worker *w = &r->v[i];
        w->h = h;
        pl_mutex_init(&w->lock, PL_RANK_QUEUE);
        pl_cond_init(&w->changed);
        for (int k = 0; k < PARTS_PER_WORKER; k++) {
            struct part *p = pl_alloc(sizeof(*p));
            p->n = 0;
            p->hists = 0;
            p->next = w->spare;
            w->spare = p;
        }
        w->filling = w->spare;
        w->spare = w->spare->next;
        pl_thread_start(&w->thread, "replay", worker_run, w);
    }
}

void replay__workers_stop(struct replay_workers *r)
{
    replay__workers_drain(r);
    for (uint32_t i = 0; i < r->count; i++) {
        struct replay_worker *w = &r->v[i];
        pl_mutex_lock(&w->lock);
        w->stop = true;
        pl_cond_broadcast(&w->changed);
        pl_mutex_unlock(&w->lock);
        pl_thread_join(&w->thread);
        pl_free(w->filling);
        while (w->spare != NULL) {
            struct part *p = w->spare;
            w->spare = p->next;
            pl_free(p);
        }
        pl_cond_fini(&w->changed);
        pl_mutex_fini(&w->lock);
    }
}

/* Copies a histogram and its arrays into one piece. */
static struct part_hist *part_hist_make(const struct hist *h, bool whole)
{
    size_t pos = h->pos.len, neg = h->neg.len, bounds = h->bound_count;
    struct part_hist *p = pl_alloc(sizeof(*p) + (pos + neg + bounds) * sizeof(double) + (pos + neg) * sizeof(int32_t));
    double *n = (double *)(void *)(p + 1);
    int32_t *at = (int32_t *)(void *)(n + pos + neg + bounds);

    *p = (struct part_hist){.h = *h, .whole = whole};
    if (pos > 0) {
        memcpy(n, h->pos.n, pos * sizeof(*n));
        memcpy(at, h->pos.at, pos * sizeof(*at));
    }
    if (neg > 0) {
        memcpy(n + pos, h->neg.n, neg * sizeof(*n));
        memcpy(at + pos, h->neg.at, neg * sizeof(*at));
    }
    if (bounds > 0) {
        memcpy(n + pos + neg, h->bounds, bounds * sizeof(*n));
    }
    p->h.pos = (struct hist_side){at, n, (uint32_t)pos};
    p->h.neg = (struct hist_side){at + pos, n + pos, (uint32_t)neg};
    p->h.bounds = bounds > 0 ? n + pos + neg : NULL;
    return p;
}

void replay__hist_give(struct replay_workers *r, uint32_t slot, int64_t t, const struct hist *h, bool whole)
{
    struct replay_worker *w = &r->v[head_shard_of(slot) % r->count];

    w->filling->v[w->filling->n++] =
        (struct part_sample){.slot = slot, .is_hist = true, .t = t, .u.hist = part_hist_make(h, whole)};
    if (++w->filling->hists == PART_HISTS || w->filling->n == PART_SAMPLES) {
        replay__worker_give(w);
    }
}
