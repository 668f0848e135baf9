/* querier/querier.h - the Prometheus query API over a query_port.
 *
 * Promise: endpoints, parameters, errors and JSON of spec prometheus.md 6 and http-api-and-config.md 1.5, byte for
 * byte. Threads: handlers run on the threads of the querier's own
 * queue (queue.h), at most concurrent_max at once.
 */
#ifndef PL_QUERIER_QUERIER_H
#define PL_QUERIER_QUERIER_H

#include "base/base.h"
#include "ports/query.h"
#include "server/server.h"
#include "tenant/limits.h"

struct querier;
struct querier_options {
    int64_t lookback_ns;
    int64_t default_step_ns;  /* querier.default_evaluation_interval */
    int64_t timeout_ns;       /* querier.timeout */
    int64_t into_future_ns;   /* querier.max_query_into_future, 0: no such limit */
    uint64_t samples_max;     /* querier.max_samples */
    uint64_t concurrent_max;  /* querier.max_concurrent */
    uint64_t query_bytes_max; /* arena of one query: our own -querier.max-query-memory-bytes */
    uint64_t subquery_steps_max;
    int64_t slow_ns; /* frontend.log_queries_longer_than: 0: no query is logged as slow; below 0: all are */
    bool experimental_functions;
    bool per_step_stats;
    bool gzip;                           /* querier.response_compression: gzip */
    bool ignore_query_length_max;        /* of single selectors: querier.ignore_max_query_length */
    pl_str revision, branch, build_date; /* of status/buildinfo; static texts */
    /* status/config and status/flags; NULL: not served. Called on those threads. */
    void (*config_yaml)(void *arg, struct pl_buf *out);
    void (*flags)(void *arg, void (*each)(void *each_arg, pl_str name, pl_str value),
                  void *each_arg); /* sorted by name */
    void *status_arg;
};

/* limits (NULL: no per-tenant limits) and port are borrowed. */
struct querier *querier_create(const struct querier_options *o, struct overrides *limits, struct query_port *port);
void querier_destroy(struct querier *q);
/* Adds query, query_range, labels, label/{name}/values, series, metadata, format_query, parse_query, status/... under
 * PREFIX/api/v1 to the server. */
void querier_routes(struct querier *q, struct server *s, pl_str prefix);
/* PATH lists the running queries of all tenants and ends them: querier/active.h. */
void querier_active_route(struct querier *q, struct server *s, const char *path);
/* GET PATH answers the tenant's ingestion statistics: "/api/v1/user_stats", and LEGACY/user_stats. */
void querier_user_stats_route(struct querier *q, struct server *s, const char *path);

#endif
