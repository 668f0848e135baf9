/* promql/engine.h - evaluates a PromQL expression over a series_source.
 *
 * Promise: the answer equals Prometheus 3's bit for bit (spec prometheus.md 3 and 4), memory stays below the query's
 * limit (the arena's), and the query ends soon after its deadline or after *cancel becomes true. Threads: a query runs
 * on the calling worker; the engine holds no state between queries. Errors: PL_INVALID (range query on a string ...),
 * PL_EXEC (evaluation), PL_LIMIT (names the limit and its flag), PL_TIMEOUT
 * ("query timed out in expression evaluation"), PL_CANCELED, storage errors.
 */
#ifndef PL_PROMQL_ENGINE_H
#define PL_PROMQL_ENGINE_H

#include "base/arena.h"
#include "histogram/histogram.h"
#include "model/series.h"
#include "promql/ast.h"
#include "promql/explain.h"

struct pq_query {
    const struct pq_node *expr;
    int64_t start_ms, end_ms;
    int64_t step_ms;             /* 0: instant query at start_ms (== end_ms) */
    int64_t lookback_ms;         /* 300000 by default */
    int64_t default_step_ms;     /* of subqueries without a step; 60000 by default */
    uint64_t samples_max;        /* -querier.max-samples; 0: none */
    uint64_t subquery_steps_max; /* of one subquery: -querier.max-subquery-steps; 0: none */
    int64_t deadline_mono_ns;    /* 0: none */
    const _Atomic bool *cancel;  /* NULL: not cancellable */
    const _Atomic bool *stop;    /* NULL, or becomes true when an operator ends the query: PL_CANCELED too */
    bool delayed_name_removal;
    bool type_and_unit_labels;       /* what is a counter is told by __type__, not by the name */
    uint64_t series_max, chunks_max; /* per selector, 0: none: max_fetched_*_per_query */
    bool per_step_stats;
    enum pq_explain explain; /* PQ_EXPLAIN_PLAN: nothing is run, the result is empty */
};

struct pq_point {
    int64_t t_ms;
    double v;
};

struct pq_hist_point {
    int64_t t_ms;
    const struct hist *h;
};

/* A vector's series has one point: a float or a histogram. */
struct pq_series {
    struct labels labels;
    struct pq_point *points;
    size_t count;
    struct pq_hist_point *hists;
    size_t hist_count;
};

struct pq_stats {
    uint64_t samples_total; /* totalQueryableSamples */
    uint64_t samples_peak;
    uint64_t series_fetched, chunks_fetched, bytes_fetched;
    int64_t eval_ns, prepare_ns, sort_ns;
    uint64_t *samples_per_step; /* per_step_stats; step_count entries */
    size_t step_count;
};

/* What the HTTP API puts behind an annotation's text: detail, then " (LINE:COL)" of pos.start in the query. */
struct pq_note_detail {
    struct pq_pos pos;
    pl_str detail; /* usually empty */
};

struct pq_notes { /* annotations: texts with their prefix, deduplicated, in order of appearance */
    pl_str *warnings;
    size_t warning_count;
    pl_str *infos;
    size_t info_count;
    const struct pq_note_detail *warning_details, *info_details; /* one for each text */
};

struct pq_result {
    enum pq_type type;        /* PQ_SCALAR, PQ_STRING, PQ_VECTOR (one point a series), PQ_MATRIX */
    struct pq_series *series; /* vector: evaluation order; matrix: sorted by labels */
    size_t series_count;
    double scalar;
    int64_t t_ms;
    pl_str string;
    struct pq_notes notes;
    struct pq_stats stats;
    struct pq_explained *explained; /* NULL unless asked for; also NULL for strings and `m[5m]` alone */
};

/* Runs the query; everything in *out lives in `a`. */
PL_MUST_USE pl_status pq_run(struct pq_result *out, struct pl_arena *a, struct series_source *source,
                             const struct pq_query *q, struct pl_err *err);

#endif
