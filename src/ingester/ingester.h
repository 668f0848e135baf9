/* ingester/ingester.h - the tenants' stores on this node.
 *
 * Promise: opens every tenant found under the data folder at start (progress on /ready), others on first push; a tenant
 * that cannot be opened refuses its own pushes only. Checks and texts: spec ring-distributor-ingester.md 5.3 to 5.6.
 * Threads: any.
 */
#ifndef PL_INGESTER_INGESTER_H
#define PL_INGESTER_INGESTER_H

#include "base/base.h"
#include "ports/ingest.h"
#include "ports/query.h"
#include "tenant/limits.h"
#include "tsdb/tsdb.h"

struct ingester;
/* Limits of this process, 0: off. */
struct ingester_instance_limits {
    uint64_t tenants_max, series_max, inflight_push_max;
    double ingestion_rate_max;
};
struct ingester_options {
    pl_str dir; /* blocks_storage.tsdb.dir; one folder per tenant */
    struct tsdb_options tsdb;
    struct ingester_instance_limits instance;
    int64_t compaction_interval_ns;
    int64_t head_idle_timeout_ns; /* head_compaction_idle_timeout */
    int64_t metadata_retain_ns;
    pl_str admin_limit_message;
    int64_t active_series_idle_ns;
};

struct ingester *ingester_create(const struct ingester_options *o, struct overrides *limits);
/* Makes and locks the data folder, so that a node that cannot have it ends before it listens. PL_IO, or PL_CONFLICT
 * when another process has it. */
PL_MUST_USE pl_status ingester_claim(struct ingester *i, struct pl_err *err);
/* PL_BLOCKING. Opens the tenants on disk; claims the data folder first where that was not done. Fails only when the
 * data folder itself cannot be used, and with PL_CANCELED after ingester_abandon. */
PL_MUST_USE pl_status ingester_start(struct ingester *i, struct pl_err *err);
/* An ingester_start that runs in another thread opens no further store. One whose log is being replayed is finished. */
void ingester_abandon(struct ingester *i);
void ingester_stop(struct ingester *i); /* refuses pushes, closes all stores */
/* Other limits from now on (the runtime config's ingester_limits). */
void ingester_limits_set(struct ingester *i, const struct ingester_instance_limits *l);
void ingester_destroy(struct ingester *i);
struct ingest_port *ingester_ingest_port(struct ingester *i);
struct query_port *ingester_query_port(struct ingester *i);
/* Is it ready? Otherwise why not, e.g. "replaying the log of tenant x: segment 3 of 17". */
bool ingester_ready(struct ingester *i, struct pl_buf *why);
/* Cuts and truncates all heads now (flush). PL_BLOCKING. */
void ingester_flush(struct ingester *i, pl_str tenant /* empty: all */);

/* Every tenant that has a store, sorted by name. */
size_t ingester_tenants(struct ingester *i, struct pl_arena *a, struct ingest_tenant_row **out);

#endif
