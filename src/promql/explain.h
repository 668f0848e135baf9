/* promql/explain.h - how a query runs: its operators as a tree, planned or measured.
 *
 * Promise: with PQ_EXPLAIN_PLAN selectors are resolved (series and samples are then known from the stores' indexes) and
 * nothing is decoded; with PQ_EXPLAIN_ANALYZE the query runs and every operator is measured: what it handed out, its
 * own time and the arena's bytes that it took. Own means: without its inputs. Results live in the query's arena.
 * Without explaining, an operator costs nothing more. Threads: the query's.
 */
#ifndef PL_PROMQL_EXPLAIN_H
#define PL_PROMQL_EXPLAIN_H

#include "base/arena.h"
#include "promql/ast.h"

enum pq_explain { PQ_EXPLAIN_NONE, PQ_EXPLAIN_PLAN, PQ_EXPLAIN_ANALYZE };

struct pq_explained {
    const char *name;           /* of the operator: "selector", "aggregation" ... */
    const struct pq_node *expr; /* the part of the query it computes */
    uint64_t steps;             /* of its grid */
    uint64_t series, samples;   /* a selector's: series it found, samples in their chunks; else 0 */
    /* PQ_EXPLAIN_ANALYZE */
    uint64_t columns; /* series handed out */
    uint64_t points;  /* samples handed out, a histogram counting by its size */
    int64_t own_ns;
    uint64_t own_bytes; /* arena growth while it ran; what stays until the query ends */
    struct pq_explained *children;
    size_t child_count;
};

/* {"name":..,"expr":..,...,"children":[..]} */
void pq_explain_json(struct pl_buf *b, const struct pq_explained *e, enum pq_explain kind);

#endif
