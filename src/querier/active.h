/* querier/active.h - the queries that run right now: to be looked at, and ended by an operator.
 *
 * Promise: a query is listed from pq_run's begin to its answer's end; ending one makes it fail with "canceled" at its
 * next check, as when its client hangs up. Bounds: as many entries as queries may run at once; listing copies at most
 * ACTIVE_TEXT_MAX bytes of each text. Threads: any; entries live on the stack of the thread that runs the query.
 */
#ifndef PL_QUERIER_ACTIVE_H
#define PL_QUERIER_ACTIVE_H

#include "base/base.h"
#include "http/http.h"

#include <stdatomic.h>

enum { ACTIVE_TEXT_MAX = 4096 };

struct active_query {
    struct active_query *prev, *next; /* private */
    uint64_t id;
    pl_str tenant, text; /* views: valid while listed */
    int64_t start_ms, end_ms, step_ms;
    int64_t begin_mono_ns, begin_unix_ms;
    _Atomic bool stop; /* what pq_query.stop points to */
};

struct active_queries;
struct active_queries *active_queries_create(void);
void active_queries_destroy(struct active_queries *a); /* NULL allowed; nothing is listed any more */
void active_queries_add(struct active_queries *a, struct active_query *q); /* gives it its id */
void active_queries_remove(struct active_queries *a, struct active_query *q);
/* GET: the list, as a page or, where the client accepts JSON, as JSON. POST with id=N: ends that query, 404 when it is
 * gone. Of all tenants: an admin page. arg: struct active_queries. */
void active_queries_handle(void *arg, struct http_request *req, struct http_response *resp);

#endif
