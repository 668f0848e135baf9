/* ingester/internal.h - what the files of this folder share. */
#ifndef PL_INGESTER_INTERNAL_H
#define PL_INGESTER_INTERNAL_H

#include "ingester/ingester.h"

#include "base/sync.h"
#include "metric/metric.h"

#include <inttypes.h>
#include <stdatomic.h>

enum { ING_CHAINS = 1024 };

/* Events per second, smoothed as Cortex smooths them (alpha 0.2). `count` is atomic; the rest belongs to the ticking
 * thread, but for `rate`, which anyone may read. */
struct ing_rate {
    _Atomic uint64_t count;
    _Atomic double rate;
    bool known;
};
static inline void ing__rate_add(struct ing_rate *r, uint64_t n)
{
    atomic_fetch_add_explicit(&r->count, n, memory_order_relaxed); /* a count, it orders nothing */
}
static inline double ing__rate_get(const struct ing_rate *r)
{
    return atomic_load_explicit(&r->rate, memory_order_relaxed);
}

/* ---- metadata ---- */

struct ing_meta_metric;
/* What senders said about a tenant's metrics. Locked by `lock`. */
struct ing_metadata {
    struct pl_mutex lock; /* PL_RANK_HEAD */
    struct ing_meta_metric **chains;
    size_t chain_count; /* 0 or a power of two */
    size_t metric_count;
    _Atomic uint64_t entry_count;
};
struct ing_meta_limits {
    int64_t metrics_max;    /* 0: none */
    int64_t per_metric_max; /* 0: none */
};
enum ing_meta_result { ING_META_OK, ING_META_USER_LIMIT, ING_META_METRIC_LIMIT };
void ing__metadata_init(struct ing_metadata *m);
void ing__metadata_fini(struct ing_metadata *m);
enum ing_meta_result ing__metadata_add(struct ing_metadata *m, const struct ingest_metadata *e,
                                       struct ing_meta_limits max, int64_t now_ms);
void ing__metadata_purge(struct ing_metadata *m, int64_t before_ms);
PL_MUST_USE pl_status ing__metadata_list(struct ing_metadata *m, struct pl_arena *a, struct ingest_metadata **out,
                                         size_t *count, struct pl_err *err);

/* ---- active series ---- */

enum { ING_ACTIVE_TOP = 64 };
/* Atomic: any number of pushes mark while one thread counts. */
struct ing_active {
    void *_Atomic top[ING_ACTIVE_TOP];
};
/* Series without a ref are passed over. */
void ing__active_mark(struct ing_active *a, const struct tsdb_append_series *v, uint32_t n, int64_t now_ms);
/* Those marked within idle_ns, to the minute, and forgets the others. Called at least once in two hours. */
uint64_t ing__active_count(struct ing_active *a, int64_t now_ms, int64_t idle_ns);
void ing__active_fini(struct ing_active *a);

/* ---- tenants ---- */

enum ing_state {
    ING_OPENING,
    ING_OPEN,
    ING_BROKEN, /* could not be opened; tried again after a while */
    ING_CLOSED,
};

/* One tenant. Lives as long as the ingester. State, refs, compacting, broken_* are locked by the ingester's lock; db is
 * set before ING_OPEN is. */
struct ing_tenant {
    struct ing_tenant *next;     /* in its hash chain */
    struct ing_tenant *all_next; /* older tenant; const once listed */
    pl_str name;
    enum ing_state state;
    uint32_t refs; /* sessions, queries, compaction: the store is not closed while there are any */
    bool compacting;
    char *broken_why;
    int64_t broken_retry_ns, broken_wait_ns;
    struct tsdb *db;
    struct tsdb_progress progress;
    struct ing_metadata metadata;
    struct ing_active active;
    struct ing_rate api, rule;
    int64_t idle_ns; /* head_idle_timeout with this tenant's jitter */
    struct {
        struct metric_cell *created, *removed, *active, *blocks_bytes, *head_maxt;
    } cell;
};

enum ing_service { ING_NEW, ING_STARTING, ING_RUNNING, ING_STOPPING, ING_TERMINATED };

struct ingester {
    struct ingester_options o; /* texts copied */
    struct overrides *limits;  /* borrowed */
    struct ingest_port ingest_port;
    struct query_port query_port;
    struct pl_mutex lock; /* PL_RANK_INGESTER: chains, all, service, and the tenants' state */
    struct pl_cond changed;
    struct ing_tenant *chain[ING_CHAINS];
    struct ing_tenant *all;
    uint64_t tenant_count, open_count;
    enum ing_service service;
    bool abandoned; /* under lock: open no further store */
    int lock_fd;    /* of the data folder; -1 */
    struct {        /* the instance limits in force; plain numbers that any push reads */
        _Atomic uint64_t tenants_max, series_max, inflight_push_max;
        _Atomic double ingestion_rate_max;
    } max;
    _Atomic uint64_t inflight;
    _Atomic int64_t series; /* of all heads; corrected by each tick */
    struct ing_rate rate;
    struct pl_thread tick_thread, compact_thread;
    bool threads;
    struct {
        struct metric_cell *ingested, *failed, *metadata, *metadata_failed;
    } cell; /* const after create */
};

/* Finds or makes the tenant and its store, and pins it. */
PL_MUST_USE pl_status ing__tenant_pin(struct ing_tenant **out, struct ingester *i, pl_str name, struct pl_err *err);
/* False: it has no store, and the next pin makes one. */
bool ing__tenant_known(struct ingester *i, pl_str name);
/* Pins it if its store is open; *out is NULL when the tenant is not known. Fails while it is being opened or is broken.
 */
PL_MUST_USE pl_status ing__tenant_pin_open(struct ing_tenant **out, struct ingester *i, pl_str name,
                                           struct pl_err *err);
void ing__tenant_unpin(struct ingester *i, struct ing_tenant *t);
/* Opens all tenants under the data folder. */
PL_MUST_USE pl_status ing__tenants_open(struct ingester *i, struct pl_err *err);
void ing__tenants_close(struct ingester *i);
void ing__tenants_free(struct ingester *i);
/* Open tenants, newest first, pinned one after the other: start with NULL; a tenant that is returned must go back in.
 */
struct ing_tenant *ing__tenants_next(struct ingester *i, struct ing_tenant *t);

/* ---- maintenance ---- */
void ing__maintain_start(struct ingester *i);
void ing__maintain_stop(struct ingester *i);
/* PL_BLOCKING. */
void ing__compact(struct ingester *i, struct ing_tenant *t, bool force);
void ing__count_opened(struct ing_tenant *t, const char *why_not, double seconds);

/* ---- ports ---- */
void ing__push_init(struct ingester *i);
extern const struct ingest_port_ops ing__ingest_ops;
extern const struct query_port_ops ing__query_ops;
struct ingester *ing__of_ingest(struct ingest_port *p);
struct ingester *ing__of_query(struct query_port *p);
void ing__stats(struct tenant_stats *out, const struct ing_tenant *t);

/* The smaller of the two that is set; 0 when none is. */
static inline int64_t ing__min_set(int64_t a, int64_t b)
{
    return a <= 0 ? PL_MAX(b, 0) : b <= 0 ? a : PL_MIN(a, b);
}

#endif
