/* tsdb/tsdb.h - one tenant's samples on a local disk: head in memory, WAL, head chunks, blocks.
 *
 * Promise: when tsdb_append returns PL_OK, every sample it counted as appended is in the WAL (written to the kernel, so
 * SIGKILL loses nothing; `fsync` as the options say) and visible to queries. All files are Prometheus's formats (spec
 * prometheus.md 10): Prometheus and promtool open this directory, and a directory that Prometheus wrote opens here.
 * Threads: any number of appenders and readers at once; open, close and compact from one thread at a time each.
 * Failures: a WAL write that fails (disk full) fails the append with PL_IO; nothing acknowledged is lost, a repeat of
 * the same samples is logged again, and appends work again when space returns. Not here: limits' values, tenants, error
 * texts for clients (ingester/).
 *
 * Out-of-order samples and head checkpoints belong to later work; records of them in a WAL are skipped and counted.
 */
#ifndef PL_TSDB_TSDB_H
#define PL_TSDB_TSDB_H

#include "base/base.h"
#include "base/hash.h"
#include "model/labels.h"
#include "model/series.h"

struct tsdb;

struct tsdb_options {
    int64_t block_range_ms;     /* 7,200,000 */
    int64_t retention_ms;       /* of blocks, by their max time against the newest data; 0: keep */
    uint64_t wal_segment_bytes; /* 128 MiB */
    bool wal_snappy;
    bool read_only; /* palliumctl: no lock, no repair, nothing written */
    pl_str tenant;  /* for logs; copied */
};

/* Filled while opening, read by /ready and the log (atomic relaxed). */
struct tsdb_progress {
    _Atomic uint64_t segment_count, segments_done;
    _Atomic uint64_t samples, series;
};

/* PL_BLOCKING. Locks dir/lock (PL_CONFLICT "... is in use by process N"), loads blocks and head chunks, replays the
 * WAL. A torn WAL tail is cut, a corrupt record drops what follows it, as Prometheus does; both are logged and counted.
 */
PL_MUST_USE pl_status tsdb_open(struct tsdb **out, pl_str dir, const struct tsdb_options *o,
                                struct tsdb_progress *progress, struct pl_err *err);
/* PL_BLOCKING. Flushes and closes; the head stays in WAL and head chunks. NULL allowed. */
void tsdb_close(struct tsdb *db);

/* ---- append ----
 * A push is: begin, resolve, append, end. Between begin and end no series is removed, so refs stay valid.
 * `wire_hash` is the hash of the sender's raw label bytes: the head remembers which series it led to, so that a known
 * sender's labels are neither parsed nor compared again. {0,0} = do not remember. */
void tsdb_append_begin(struct tsdb *db);
void tsdb_append_end(struct tsdb *db);
/* refs[i] = series of hashes[i], or 0. Batched and prefetching. */
void tsdb_resolve(struct tsdb *db, const struct pl_hash128 *hashes, uint32_t count, uint64_t *refs);
/* Forgets all wire hashes (the limits they were validated under have changed). */
void tsdb_forget_wire_hashes(struct tsdb *db);

struct tsdb_append_series {
    uint64_t ref;                /* from tsdb_resolve; 0: use labels */
    struct pl_hash128 wire_hash; /* remembered when ref is 0 and the hash is not {0,0} */
    struct labels labels;        /* when ref is 0: sorted, unique, no empty values; borrowed during the call */
    uint32_t sample_first;       /* in t[] and v[] of the batch */
    uint32_t sample_count;
    uint32_t hist_first, hist_count; /* in the histogram columns */
};

struct tsdb_append_batch {
    struct tsdb_append_series *series;
    uint32_t series_count;
    const int64_t *t;
    const double *v;
    /* Columns of native histograms: valid ones (hist_validate), of schemas -4..8 or custom. NULL: none. */
    const int64_t *hist_t;
    const struct hist *const *hist;
    const bool *hist_whole;         /* of integer counts */
    uint64_t series_max;            /* 0: none; head series of this tenant */
    uint64_t series_per_metric_max; /* 0: none */
};

enum tsdb_soft_kind {
    TSDB_SOFT_NONE,
    TSDB_SOFT_OUT_OF_BOUNDS,
    TSDB_SOFT_OUT_OF_ORDER,
    TSDB_SOFT_DUPLICATE, /* same timestamp, other value */
    TSDB_SOFT_SERIES_LIMIT,
    TSDB_SOFT_METRIC_LIMIT,
    TSDB_SOFT_COUNT
};

struct tsdb_append_result {
    uint64_t appended; /* samples stored (equal duplicates count) */
    uint64_t series_created;
    uint64_t soft_count[TSDB_SOFT_COUNT]; /* samples refused, by kind */
    /* The first refusal of the batch, for the client's text. */
    enum tsdb_soft_kind first;
    uint32_t first_series;      /* index in batch->series */
    struct labels first_labels; /* in the arena given to tsdb_append */
    int64_t first_t;
    bool first_is_hist, first_existing_is_hist; /* then there is no value; of order and duplicates only */
    double first_v, first_existing_v;           /* offered; TSDB_SOFT_DUPLICATE: stored */
    int64_t head_maxt_ms;                       /* while the head is empty: where the blocks end */
};

/* PL_OK even when samples were refused (see result). PL_IO when the WAL could not be written: then nothing is
 * acknowledged. */
PL_MUST_USE pl_status tsdb_append(struct tsdb *db, const struct tsdb_append_batch *b, struct pl_arena *a,
                                  struct tsdb_append_result *result, struct pl_err *err);

/* ---- read ---- */
struct series_source *tsdb_source(struct tsdb *db); /* head and blocks merged; lives as long as db */

/* ---- maintenance ---- */
/* PL_BLOCKING. Cuts full block ranges of the head to blocks, truncates head and WAL, deletes blocks past retention.
 * `force` cuts everything (flush). Reports the number of blocks written. */
PL_MUST_USE pl_status tsdb_compact(struct tsdb *db, bool force, int64_t now_ms, uint32_t *blocks_written,
                                   struct pl_err *err);

struct tsdb_stats {
    uint64_t series, chunks, symbols, label_pairs;
    uint64_t series_created_total, series_removed_total, samples_appended_total;
    int64_t mint_ms, maxt_ms; /* of the head; INT64_MAX / INT64_MIN when empty */
    uint64_t block_count, block_bytes;
    uint64_t wal_corruptions_total, head_chunk_corruptions_total, wal_write_failures_total, compactions_total,
        compactions_failed_total, block_open_failures_total;
    int64_t last_append_unix_ms;
};
void tsdb_stats_get(struct tsdb *db, struct tsdb_stats *out);
/* For /api/v1/status/tsdb: the n largest (name, count) rows of each table, in `a`. */
struct tsdb_top {
    pl_str name;
    uint64_t value;
};
size_t tsdb_top_metrics(struct tsdb *db, struct pl_arena *a, size_t n,
                        struct tsdb_top **out); /* series per metric name */
size_t tsdb_top_label_values(struct tsdb *db, struct pl_arena *a, size_t n,
                             struct tsdb_top **out); /* values per label name */

#endif
