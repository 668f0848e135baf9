/* ports/query.h - where a querier finds a tenant's data and metadata, in process or (later) over RPC.
 *
 * Lifetime: the port lives as long as its ingester. What an operation hands out lives in the arena it was given: a
 * source pins the tenant's store until that arena is reset or ended, so arenas end before the ingester stops; lists and
 * their texts are copies. Threads: any; an arena belongs to one.
 * Failures: PL_UNAVAILABLE while the tenant's store is being opened (an empty answer would be a wrong one), PL_INTERNAL
 * when it could not be opened, PL_LIMIT when the arena is too small. An unknown tenant is not a failure: no data.
 */
#ifndef PL_PORTS_QUERY_H
#define PL_PORTS_QUERY_H

#include "base/arena.h"
#include "base/base.h"
#include "model/series.h"
#include "ports/ingest.h"

struct query_port;
/* What status/tsdb shows; rows are sorted by falling value. */
struct tenant_tsdb_status {
    uint64_t series, label_pairs, chunks;
    int64_t mint_ms, maxt_ms; /* INT64_MAX, INT64_MIN when empty */
    struct tsdb_top *metrics, *label_values;
    size_t metric_count, label_value_count;
};
struct query_port_ops {
    /* The tenant's source, kept alive by arena `a`. A tenant without data gets an empty source, not an error. */
    pl_status (*source)(struct query_port *p, pl_str tenant, struct pl_arena *a, struct series_source **out,
                        struct pl_err *err);
    /* All metadata of the tenant, sorted by metric, in `a`. */
    pl_status (*metadata)(struct query_port *p, pl_str tenant, struct pl_arena *a, struct ingest_metadata **out,
                          size_t *count, struct pl_err *err);
    pl_status (*stats)(struct query_port *p, pl_str tenant, struct tenant_stats *out, struct pl_err *err);
    /* At most `limit` rows of each table, in `a`. NULL: status/tsdb is not served. */
    pl_status (*tsdb_status)(struct query_port *p, pl_str tenant, size_t limit, struct pl_arena *a,
                             struct tenant_tsdb_status *out, struct pl_err *err);
};
struct query_port {
    const struct query_port_ops *ops;
};

#endif
