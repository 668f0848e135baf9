/* io/worker.h - named, bounded pools of threads that run blocking code.
 *
 * Promise: a job runs exactly once, in order of arrival per pool. A full queue refuses at once (the caller answers
 * 503). Threads: submit from any thread.
 */
#ifndef PL_IO_WORKER_H
#define PL_IO_WORKER_H

#include "base/base.h"

struct worker_pool;
struct worker_job {
    struct worker_job *next; /* private while queued */
    void (*run)(struct worker_job *job);
};

struct worker_pool *worker_pool_create(const char *name, uint32_t thread_count, uint32_t queue_max);
bool worker_pool_submit(struct worker_pool *p, struct worker_job *job); /* false: queue full or stopping */
/* Runs what is queued, then ends the threads. NULL allowed. */
void worker_pool_destroy(struct worker_pool *p);

#endif
