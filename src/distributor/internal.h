/* distributor/internal.h - what the files of this folder share. */
#ifndef PL_DISTRIBUTOR_INTERNAL_H
#define PL_DISTRIBUTOR_INTERNAL_H

#include "distributor/distributor.h"

#include "base/sync.h"
#include "codec/remote_write.h"
#include "metric/metric.h"

#include <inttypes.h>

/* The limits that a push looks at, in the form it needs them. Plain value. */
struct dist_policy {
    bool enforce_metric_name, enforce_metadata_name, reject_old;
    bool native_histograms; /* stored; otherwise left out, silently */
    int64_t old_ms, grace_ms;
    int64_t hist_bytes_max, hist_buckets_max; /* 0: none */
    int64_t label_names_max, label_name_bytes_max, label_value_bytes_max, labels_bytes_max, metadata_bytes_max;
    const pl_str *drop; /* borrowed from the limits */
    size_t drop_count;
    double rate;
    int64_t burst;
};

/* Token bucket: starts full, refills all the time, holds at most `burst`. Locked by `lock`. */
struct dist_bucket {
    struct pl_mutex lock; /* PL_RANK_LIMITER */
    double tokens, rate;
    int64_t burst;
    int64_t refilled_ns, limits_read_ns; /* monotonic */
    bool started;
};

/* One tenant's state; lives as long as the distributor. Const after creation but for the bucket and the atomics. */
struct dist_tenant {
    struct dist_tenant *next; /* in its hash chain */
    pl_str name;
    _Atomic uint64_t wire_salt; /* of the limits that remembered wire hashes were checked under */
    struct dist_bucket bucket;
    struct {
        struct metric_cell *samples_in, *histograms_in, *exemplars_in, *metadata_in;
        struct metric_cell *samples, *histograms, *exemplars, *metadata;
        struct metric_cell *latest_seconds;
    } cell;
};

enum { DIST_TENANT_CHAINS = 16384, DIST_TENANTS_MAX = 100000 };

struct distributor {
    uint32_t magic;
    struct distributor_options o;
    struct overrides *limits;   /* borrowed */
    struct ingest_port *ingest; /* borrowed */
    struct pl_mutex lock;       /* PL_RANK_LIMITER: the chains */
    struct dist_tenant *chain[DIST_TENANT_CHAINS];
    struct dist_tenant *overflow; /* of all that came after tenants_max; made with the first of them */
    uint32_t tenant_count;
    _Atomic uint64_t inflight;
    _Atomic uint64_t samples_since_tick;
    _Atomic double rate; /* samples per second, smoothed; written by distributor_tick only */
    int64_t ticked_ns;   /* distributor_tick only */
    bool rated;          /* distributor_tick only: rate has a first value */
    struct {
        struct metric_cell *push_v1, *push_unknown, *inflight, *rate;
    } cell;
};

/* NULL: not met yet. */
struct dist_tenant *dist__tenant_find(struct distributor *d, pl_str name);
/* Finds or makes it. Only for tenants that the ingester has taken: each keeps counters for as long as the process runs.
 */
struct dist_tenant *dist__tenant(struct distributor *d, pl_str name);
void dist__tenants_free(struct distributor *d);
/* Takes n tokens, or none and false. Re-reads the limits each ten seconds. */
bool dist__bucket_take(struct dist_bucket *b, const struct dist_policy *p, uint64_t n, int64_t now_mono_ns);
/* The rate that the bucket goes by, for the error text. */
double dist__bucket_rate(struct dist_bucket *b);

struct limits;
void dist__policy(struct dist_policy *out, const struct limits *l);
/* Changes with whatever decides how labels become a series: part of every wire hash. */
uint64_t dist__policy_salt(const struct dist_policy *p);

/* What becomes of a series or a metadata entry. */
enum dist_verdict {
    DIST_KEEP,
    DIST_DROP,   /* left out, no error */
    DIST_REFUSE, /* left out; err says why; the sender is told once per request */
    DIST_FAIL,   /* the whole request fails with err */
};

/* What a check needs to know. One per push, on its stack. */
struct dist_check {
    const struct dist_policy *policy;
    pl_str tenant;
    struct pl_arena *arena;
    int64_t mint_ms, maxt_ms; /* samples outside are refused */
    bool utf8_names;
    bool silent;                    /* an earlier refusal was told already: make no texts */
    struct remote_write_label *raw; /* scratch */
    uint32_t raw_cap;
};

/* Labels of a series that is not known: parsed, cut, sorted and checked, in the arena. Counts what it does not keep. */
enum dist_verdict dist__check_labels(struct labels *out, struct dist_check *c, const struct remote_write_series *s,
                                     struct pl_err *err);
/* `t` are the timestamps of the series. Its labels are parsed only for the text of a refusal. */
enum dist_verdict dist__check_samples(struct dist_check *c, const struct remote_write_series *s, const int64_t *t,
                                      struct pl_err *err);
/* `x` are the histograms of the series. Those with too many buckets are made coarser. */
enum dist_verdict dist__check_histograms(struct dist_check *c, const struct remote_write_series *s,
                                         struct remote_write_histogram *x, struct pl_err *err);
enum dist_verdict dist__check_metadata(const struct dist_check *c, const struct remote_write_metadata *m,
                                       struct pl_err *err);

#endif
