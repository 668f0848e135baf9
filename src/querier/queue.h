/* querier/queue.h - the requests of the query API that wait for their turn, fairly among tenants.
 *
 * Promise: at most thread_count requests are served at once, on threads of the queue that start when first needed. The
 * others wait, each tenant's in order of arrival, and the tenants take turns: whoever sends a hundred requests waits
 * for them himself. A request whose client left or whose deadline passed leaves the queue within QUEUE_LOOK_NS: its job
 * is run then, and sees for itself that there is nothing left to do. Bounds: requests that wait, per tenant (given with
 * each) and in all (QUEUE_WAIT_MAX). Nothing is allocated per request but the ticket, which the caller owns; one small
 * struct per tenant that waits. Threads: submit from any thread; it does not block. Each taken job runs exactly once.
 */
#ifndef PL_QUERIER_QUEUE_H
#define PL_QUERIER_QUEUE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "io/worker.h"

enum { QUEUE_WAIT_MAX = 8192, QUEUE_THREADS_MAX = 1024 };
#define QUEUE_LOOK_NS (50 * PL_NS_PER_MS)

struct querier_ticket {
    struct querier_ticket *next; /* private */
    struct worker_job *job;
    const _Atomic bool *cancel; /* NULL: never */
    int64_t deadline_mono_ns;   /* INT64_MAX: none */
};

struct querier_queue;
enum querier_queue_answer { QUEUE_TAKEN, QUEUE_TENANT_FULL, QUEUE_FULL };

struct querier_queue *querier_queue_create(uint64_t thread_count);
/* Runs what still waits, then ends the threads. NULL allowed. */
void querier_queue_destroy(struct querier_queue *q);
/* When taken, the ticket must live until its job has begun to run. wait_max counts the tenant's requests that wait, not
 * those being served; 0 refuses all, as in Cortex. */
PL_MUST_USE enum querier_queue_answer querier_queue_submit(struct querier_queue *q, pl_str tenant, uint64_t wait_max,
                                                           struct querier_ticket *t);
uint64_t querier_queue_waiting(struct querier_queue *q);

#endif
