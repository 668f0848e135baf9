/* model/series.h - what a query reads: sorted series with their encoded chunks, from any store.
 *
 * A series_source is a vtable over one tenant's data: the local TSDB now; ingesters, store-gateways and merges later.
 * All that a call returns lives in the caller's arena or is kept alive by it (the source registers pins with
 * pl_arena_on_free). Threads: a source may be used by several threads at once; a result belongs to its arena. Errors:
 * PL_LIMIT when the arena's limit is passed, PL_CORRUPT / PL_IO from disk, PL_CANCELED when *cancel becomes true.
 */
#ifndef PL_MODEL_SERIES_H
#define PL_MODEL_SERIES_H

#include "base/arena.h"
#include "base/base.h"
#include "histogram/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"

#include <stdatomic.h>

/* One encoded chunk. Bytes exclude length, encoding and CRC. */
struct chunk_view {
    const uint8_t *data;
    uint32_t size;
    uint8_t encoding; /* codec: CHUNK_ENC_XOR, CHUNK_ENC_HISTOGRAM, CHUNK_ENC_FLOAT_HISTOGRAM */
    int64_t mint_ms;  /* of the first sample, inclusive */
    int64_t maxt_ms;  /* of the last sample, inclusive; an upper bound for an open chunk */
};

struct series_view {
    struct labels labels;
    const struct chunk_view *chunks; /* by mint; may overlap where two stores hold the same time */
    uint32_t chunk_count;
};

struct series_list {
    struct series_view *v;
    size_t n; /* sorted by labels, unique */
};

struct series_select {
    const struct matcher *matchers; /* all must accept */
    size_t matcher_count;
    int64_t mint_ms, maxt_ms;   /* both inclusive; chunks that do not touch it are left out */
    bool labels_only;           /* chunks are not wanted (series API): chunk_count is 0 */
    uint64_t series_max;        /* 0: none; more matching series fail with PL_LIMIT */
    uint64_t chunks_max;        /* 0: none */
    const _Atomic bool *cancel; /* NULL: not cancellable */
};

struct str_list {
    pl_str *v;
    size_t n; /* sorted, unique */
};

struct series_source;
struct series_source_ops {
    pl_status (*select)(struct series_source *s, struct pl_arena *a, const struct series_select *q,
                        struct series_list *out, struct pl_err *err);
    /* matchers may be none. limit 0: none. */
    pl_status (*label_names)(struct series_source *s, struct pl_arena *a, const struct series_select *q, size_t limit,
                             struct str_list *out, struct pl_err *err);
    pl_status (*label_values)(struct series_source *s, struct pl_arena *a, pl_str name, const struct series_select *q,
                              size_t limit, struct str_list *out, struct pl_err *err);
};
struct series_source {
    const struct series_source_ops *ops;
};

/* Samples of one series as columns. Sample i is a histogram where h is not NULL and h[i] is not NULL (v[i] then holds
 * the stale marker's bits), else the float v[i]. A stale histogram is a stale float: its marker in v, no h[i]. */
struct samples {
    int64_t *t;
    double *v;
    const struct hist **h; /* NULL: floats only */
    size_t n;
    struct pl_arena *hist_arena;  /* set by the caller before the first decode: where histograms live, until it resets
                                     it;  NULL: in the decode's arena */
    const struct hist **h_memory; /* private: what h points to while the series has histograms */
};

/* Decodes the samples with mint_ms <= t <= maxt_ms of a series into buf (grown in `a`, reused over calls: buf->t,
 * buf->v and, once a series had histograms, its h keep their capacity in *cap). All chunk encodings that Pallium knows:
 * 1, 2, 3; another is PL_CORRUPT that names it. Where chunks of several sources overlap, a counter histogram that does
 * not follow the sample before it in its own chunk gets the hint "unknown". Overlapping chunks are merged by time; of
 * equal timestamps the first chunk's sample wins. Samples come in strictly rising time. */
PL_MUST_USE pl_status series_decode(const struct series_view *s, int64_t mint_ms, int64_t maxt_ms, struct pl_arena *a,
                                    struct samples *buf, size_t *cap, struct pl_err *err);

/* Merges sorted lists of several sources (n lists) into one: labels unique, chunks concatenated and sorted by mint. */
PL_MUST_USE pl_status series_list_merge(struct pl_arena *a, const struct series_list *lists, size_t n,
                                        struct series_list *out, struct pl_err *err);
/* Sorted union, cut at limit (0: none). */
PL_MUST_USE pl_status str_list_merge(struct pl_arena *a, const struct str_list *lists, size_t n, size_t limit,
                                     struct str_list *out, struct pl_err *err);

#endif
