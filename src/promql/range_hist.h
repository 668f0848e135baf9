/* promql/range_hist.h - windows that hold native histograms (this folder only).
 *
 * A series with histograms among its samples goes another way than one of floats only: its floats and its histograms
 * are kept apart, both in order of time, and every step has a window over each. The kernels run over the floats; what
 * the histograms add, change or forbid is decided here, window by window. Rules: Prometheus promql/functions.go.
 */
#ifndef PL_PROMQL_RANGE_HIST_H
#define PL_PROMQL_RANGE_HIST_H

#include "promql/kernels.h"

/* What is said about a window, at most once a series. */
enum range_note {
    RANGE_NOTE_MIXED,       /* floats and histograms where only one of them may be */
    RANGE_NOTE_IGNORED,     /* a function of floats met histograms too */
    RANGE_NOTE_NOT_COUNTER, /* rate of a gauge */
    RANGE_NOTE_NOT_GAUGE,   /* delta of a counter */
    RANGE_NOTE_SCHEMAS,     /* exponential and custom buckets */
    RANGE_NOTE_RECONCILED_ADD,
    RANGE_NOTE_RECONCILED_SUB,
    RANGE_NOTE_COUNT
};

struct range_hist {
    struct op *op;
    int func;
    bool anchored, smoothed;
    struct pq_pos pos; /* of the call's first argument, for annotations */
    struct pl_arena scratch;
    /* the series at hand */
    pl_str name;
    unsigned noted;   /* bits of enum range_note */
    struct windows f; /* its floats */
    int64_t *ft;
    double *fv;
    const int64_t *t; /* its histograms */
    const struct hist **h;
    size_t n, cap;
    int64_t *own_t;
    uint32_t *lo, *hi;
    uint64_t *cost; /* cost[i]: what the histograms before i count for; n + 1 entries */
    bool *reset;    /* histogram i begins anew after histogram i - 1; only where the function asks */
};

/* One step: floats flo .. fhi-1, histograms lo .. hi-1. */
struct range_window {
    size_t flo, fhi, lo, hi;
    int64_t from_ms, to_ms; /* the range */
    unsigned met;           /* notes of this window */
    const struct hist *out; /* the result, in the scratch arena or among the samples; NULL: none */
};

void pq__range_hist_init(struct range_hist *r, struct op *op, int func, struct pq_pos pos);
/* Splits the samples of the next series and lays the windows: *w then has its floats, without their lo and hi. */
PL_MUST_USE pl_status pq__range_hist_begin(struct range_hist *r, const struct samples *from, struct windows *w,
                                           pl_str name, struct pl_err *err);
/* c->v holds what the kernel made of the floats; w its windows. Sets c->h where histograms come out. */
PL_MUST_USE pl_status pq__range_hist_finish(struct range_hist *r, const struct windows *w, struct column *c,
                                            struct pl_err *err);
static inline uint64_t pq__range_hist_cost(const struct range_hist *r, size_t step)
{
    return r->cost[r->hi[step]] - r->cost[r->lo[step]];
}

/* ---- range_hist_rate.c: only histograms in the window; met and out are written ---- */

static inline void pq__range_meet(struct range_window *w, enum range_note n)
{
    w->met |= 1u << n;
}
PL_MUST_USE pl_status pq__range_hist_rate(struct range_hist *r, struct range_window *w, struct pl_err *err);
PL_MUST_USE pl_status pq__range_hist_extended(struct range_hist *r, struct range_window *w, struct pl_err *err);
/* irate and idelta of histograms a and a + 1. */
PL_MUST_USE pl_status pq__range_hist_instant(struct range_hist *r, struct range_window *w, size_t a,
                                             struct pl_err *err);
/* Between two neighbours of a series, as `smoothed` wants it. *out stays NULL where buckets are incompatible; *met
 * receives bits of enum range_note. */
struct hist_point {
    int64_t t_ms;
    const struct hist *h;
};
PL_MUST_USE pl_status pq__hist_between(const struct hist **out, const struct op *op, struct pl_arena *a,
                                       struct hist_point l, struct hist_point r, int64_t t_ms, bool reset,
                                       unsigned *met, struct pl_err *err);
/* Says what the bits of `met` stand for. */
void pq__range_notes(struct exec *x, unsigned met, struct pq_pos pos, pl_str name);
/* notes.c: rate or increase of a metric whose __type__ is not that of a counter. */
void pq__note_type(struct exec *x, struct pq_pos pos, pl_str name, pl_str type);

#endif
