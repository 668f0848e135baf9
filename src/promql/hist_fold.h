/* promql/hist_fold.h - the sum or mean of many histograms, one after another (this folder only). */
#ifndef PL_PROMQL_HIST_FOLD_H
#define PL_PROMQL_HIST_FOLD_H

#include "promql/eval.h"

/* Sums with compensation; a mean goes over to a running mean when the sum would overflow, as for floats. */
struct hist_fold {
    struct hist_sum sum; /* or, once `running`, the mean so far */
    double count;        /* histograms so far */
    bool mean;           /* a mean is wanted */
    bool running;
    bool incompatible; /* exponential and custom buckets met: there is no result */
    bool mixed;        /* the step has floats too: there is no result (whoever folds sees to it) */
    bool reset_seen, not_reset_seen;
    bool reconciled; /* custom bounds differed */
};

PL_MUST_USE pl_status pq__hist_fold_begin(struct hist_fold *f, const struct op *op, struct pl_arena *a,
                                          const struct hist *first, bool mean, struct pl_err *err);
/* `count` is how many samples there are with this one, floats too. */
PL_MUST_USE pl_status pq__hist_fold_add(struct hist_fold *f, const struct op *op, const struct hist *h, double count,
                                        struct pl_err *err);
/* The result, uncompacted, in the arena of the fold. */
PL_MUST_USE pl_status pq__hist_fold_value(const struct hist **out, struct hist_fold *f, const struct op *op,
                                          struct pl_err *err);
/* Annotations about what was met, at pos. */
void pq__hist_fold_notes(const struct hist_fold *f, struct exec *x, struct pq_pos pos);

#endif
