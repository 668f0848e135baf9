/* tsdb/wal_hist.h - private to tsdb/: histograms in the WAL, record types 7 to 10 (spec prometheus.md 10.11). */
#ifndef PL_TSDB_WAL_HIST_H
#define PL_TSDB_WAL_HIST_H

#include "base/arena.h"
#include "base/buf.h"
#include "histogram/histogram.h"

/* Whole and float histograms, and the same with custom buckets: each has its own record. */
enum { WAL_REC_HIST_FIRST = 7, WAL_HIST_KINDS = 4 };
static inline bool wal_record_is_hist(uint8_t type)
{
    return type >= WAL_REC_HIST_FIRST && type < WAL_REC_HIST_FIRST + WAL_HIST_KINDS;
}
static inline unsigned wal_hist_kind(const struct hist *h, bool whole)
{
    return (hist_is_custom(h) ? 2u : 0u) + (whole ? 0u : 1u);
}

/* Adds one sample to a record of its kind, which is begun when the buffer is empty. */
void wal_hist_encode(struct pl_buf *b, uint64_t ref, int64_t t, const struct hist *h, bool whole);

struct wal_hists {
    const uint8_t *p, *end;
    uint64_t base_ref;
    int64_t base_t;
    uint8_t type;
};
/* A record's bytes with the type. */
PL_MUST_USE pl_status wal_hists_begin(struct wal_hists *it, const uint8_t *p, size_t n, struct pl_err *err);
struct wal_hist {
    uint64_t ref;
    int64_t t;
    struct hist *h; /* in the arena; NULL: well formed, but not a valid histogram */
    bool whole;
};
/* False at the end. Finer schemas are reduced to 8. */
PL_MUST_USE pl_status wal_hists_next(struct wal_hists *it, struct pl_arena *a, struct wal_hist *out, bool *more,
                                     struct pl_err *err);

#endif
