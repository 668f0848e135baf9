/* ports/ingest.h - how a distributor hands samples to an ingester, in process or (later) over RPC.
 *
 * A push is: begin (opens or makes the tenant's store and pins its series), resolve, append, end. One thread runs it.
 *
 * Lifetime: the port lives as long as its ingester. A session lives from begin to end, and end must follow every begin
 * that returned PL_OK, soon: while it is open no series of the tenant is removed and its store is not closed. Refs are
 * valid within their session only. A batch, its labels and texts are borrowed during append; nothing of them is kept.
 * Failures: begin fails with PL_UNAVAILABLE while the ingester starts or memory is short, PL_INTERNAL for instance
 * limits, a broken store and while it stops; append with PL_INVALID when samples were refused (the others are stored),
 * PL_LIMIT when the arena is too small, PL_IO when the log could not be written (nothing is acknowledged). Errors carry
 * the client's text (ingester/messages.h). resolve, end and forget cannot fail.
 */
#ifndef PL_PORTS_INGEST_H
#define PL_PORTS_INGEST_H

#include "base/arena.h"
#include "base/base.h"
#include "base/hash.h"
#include "model/labels.h"
#include "tsdb/tsdb.h"

struct ingest_session;

struct ingest_metadata {
    int type; /* enum of remote write: 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gaugehistogram, 5 summary, 6 info,
                 7 stateset */
    pl_str metric, help, unit;
};

struct ingest_batch {
    struct tsdb_append_series *series; /* the store's own form; refs that were 0 may be filled by append */
    uint32_t series_count;
    const int64_t *t;
    const double *v;
    uint32_t sample_count;
    const int64_t *hist_t; /* native histograms: the store's columns; NULL: none */
    const struct hist *const *hist;
    const bool *hist_whole;
    uint32_t hist_count;
    const struct ingest_metadata *metadata;
    uint32_t metadata_count;
    bool from_rule; /* source: RULE instead of API */
};

struct tenant_stats {
    uint64_t series, active_series, loaded_blocks;
    double ingestion_rate, api_rate, rule_rate;
};
struct ingest_tenant_row {
    pl_str tenant;
    struct tenant_stats stats;
};

struct ingest_port;
struct ingest_port_ops {
    /* Whether the tenant has a store already; one that has none gets it by begin, so not before there is something to
     * put into it. True also while that cannot be told: begin says why. NULL: all are known. */
    bool (*known)(struct ingest_port *p, pl_str tenant);
    pl_status (*begin)(struct ingest_port *p, pl_str tenant, struct ingest_session **out, struct pl_err *err);
    void (*resolve)(struct ingest_session *s, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs);
    /* PL_INVALID with "user=T: ..." when some samples were refused (the others are stored). */
    pl_status (*append)(struct ingest_session *s, const struct ingest_batch *b, struct pl_arena *a, struct pl_err *err);
    void (*end)(struct ingest_session *s);
    /* The limits that the tenant's remembered wire hashes were checked under are gone: free their memory. (A
     * distributor also salts its hashes with those limits, so a hash that is remembered late is never found again.) */
    void (*forget)(struct ingest_session *s);
    /* Every tenant that has a store, sorted by name, in `a`. */
    pl_status (*tenants)(struct ingest_port *p, struct pl_arena *a, struct ingest_tenant_row **out, size_t *count,
                         struct pl_err *err);
};
struct ingest_port {
    const struct ingest_port_ops *ops;
};

/* What every part of a push says when its arena is full. */
static inline pl_status ingest_fail_memory(const struct pl_arena *a, struct pl_err *err)
{
    return pl_fail(err, PL_LIMIT, "write request needs more memory than its limit (%zu bytes)", a->limit_bytes);
}

#endif
