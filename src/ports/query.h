/* ports/query.h - where a querier finds a tenant's data and metadata, in process or (later) over RPC. */
#ifndef PL_PORTS_QUERY_H
#define PL_PORTS_QUERY_H

#include "base/arena.h"
#include "base/base.h"
#include "model/series.h"
#include "ports/ingest.h"

struct query_port;
struct tenant_stats {
    uint64_t series, active_series, loaded_blocks;
    double ingestion_rate, api_rate, rule_rate;
};
struct query_port_ops {
    /* The tenant's source, kept alive by arena `a`. A tenant without data gets an empty source, not an error. */
    pl_status (*source)(struct query_port *p, pl_str tenant, struct pl_arena *a, struct series_source **out, struct pl_err *err);
    /* All metadata of the tenant, sorted by metric, in `a`. */
    pl_status (*metadata)(struct query_port *p, pl_str tenant, struct pl_arena *a, struct ingest_metadata **out, size_t *count,
                          struct pl_err *err);
    pl_status (*stats)(struct query_port *p, pl_str tenant, struct tenant_stats *out, struct pl_err *err);
};
struct query_port {
    const struct query_port_ops *ops;
};

#endif
