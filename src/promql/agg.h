/* promql/agg.h - what aggregations share: which group a series belongs to (this folder only). */
#ifndef PL_PROMQL_AGG_H
#define PL_PROMQL_AGG_H

#include "promql/eval.h"

struct grouping {
    const pl_str *names; /* sorted */
    size_t count;
    bool without;
    struct keytab keys;
};

PL_MUST_USE pl_status pq__grouping_init(struct grouping *g, struct exec *x, const struct pq_node *n,
                                        struct pl_err *err);
/* The number of the group of these labels; groups are numbered in order of appearance. */
PL_MUST_USE pl_status pq__group_of(uint32_t *index, bool *added, struct grouping *g, const struct op *op,
                                   struct labels ls, struct pl_err *err);
/* Labels of the group that a series with these labels opens. */
PL_MUST_USE pl_status pq__group_labels(struct labels *out, const struct grouping *g, const struct op *op,
                                       struct labels ls, struct pl_err *err);

/* A value and the column it is from. */
struct pick {
    double v;
    uint32_t col;
};

/* ---- pick_sort.c: as Go sorts, also what its order leaves open ---- */

typedef bool (*pick_before_fn)(const void *arg, const struct pick *x, const struct pick *y);
void pq__picks_sort_by(struct pick *v, size_t n, pick_before_fn is_before, const void *arg);
void pq__picks_sort(struct pick *v, size_t n, bool ascending); /* by value, NaN last */

#endif
