#include "io/worker.h"

#include <stdio.h>

#include "base/sync.h"

struct worker_pool {
    struct pl_mutex lock;
    struct pl_cond wake;
    /* locked by lock */
    struct worker_job *first, **last;
    uint32_t queued;
    uint32_t idle; /* threads that wait on wake */
    bool stopping;
    /* const after start */
    uint32_t queue_max;
    uint32_t thread_count;
    struct pl_thread threads[];
};

static void pool_run(void *arg)
{
    struct worker_pool *p = arg;

    pl_mutex_lock(&p->lock);
    for (;;) {
        struct worker_job *job = p->first;
        if (job != NULL) {
            p->first = job->next;
            if (p->first == NULL) {
                p->last = &p->first;
            }
            p->queued--;
            pl_mutex_unlock(&p->lock);
            job->next = NULL;
            job->run(job); /* the job may free itself */
            pl_mutex_lock(&p->lock);
        } else if (p->stopping) {
            break;
        } else {
            p->idle++;
            pl_cond_wait(&p->wake, &p->lock);
            p->idle--;
        }
    }
    pl_mutex_unlock(&p->lock);
}

struct worker_pool *worker_pool_create(const char *name, uint32_t thread_count, uint32_t queue_max)
{
    uint32_t n = thread_count > 0 ? thread_count : 1;
    struct worker_pool *p = pl_alloc_zero(sizeof(*p) + n * sizeof(p->threads[0]));

    pl_mutex_init(&p->lock, PL_RANK_QUEUE);
    pl_cond_init(&p->wake);
    p->last = &p->first;
    p->queue_max = queue_max;
    p->thread_count = n;
    for (uint32_t i = 0; i < n; i++) {
        char thread_name[16];
        (void)snprintf(thread_name, sizeof(thread_name), "%.10s-%u", name, i % 1000);
        pl_thread_start(&p->threads[i], thread_name, pool_run, p);
    }
    return p;
}

bool worker_pool_submit(struct worker_pool *p, struct worker_job *job)
{
    bool ok = false;
    bool wake = false;

    pl_mutex_lock(&p->lock);
    if (!p->stopping && p->queued < p->queue_max) {
        job->next = NULL;
        *p->last = job;
        p->last = &job->next;
        p->queued++;
        ok = true;
        wake = p->idle > 0;
    }
    pl_mutex_unlock(&p->lock);
    if (wake) {
        pl_cond_signal(&p->wake);
    }
    return ok;
}

void worker_pool_destroy(struct worker_pool *p)
{
    if (p == NULL) {
        return;
    }
    pl_mutex_lock(&p->lock);
    p->stopping = true;
    pl_mutex_unlock(&p->lock);
    pl_cond_broadcast(&p->wake);
    for (uint32_t i = 0; i < p->thread_count; i++) {
        pl_thread_join(&p->threads[i]);
    }
    PL_ASSERT(p->first == NULL);
    pl_cond_fini(&p->wake);
    pl_mutex_fini(&p->lock);
    pl_free(p);
}
