/* test/diff/naive.h - a second evaluator, for tests only: simple and slow.
 *
 * Promise: one step, one series, one sample at a time, straight from the rules (spec prometheus.md 3 and 4); nothing is
 * shared with the engine but the tree and Go's mathematics. Floats only: what it does not know is PL_UNIMPLEMENTED, and
 * so is what is left to an order that the rules do not tell (ties of topk). Names are dropped at once. Annotations are
 * not made.
 */
#ifndef PL_DIFF_NAIVE_H
#define PL_DIFF_NAIVE_H

#include "promql/engine.h"

struct naive_sample {
    struct labels labels;
    double v;
};

struct naive_vector {
    struct naive_sample *v;
    size_t n, cap;
};

/* Samples of one series in a range. */
struct naive_range {
    struct labels labels;
    int64_t *t;
    double *v;
    size_t n;
};

struct naive {
    struct pl_arena *a;
    struct series_source *source;
    const struct pq_query *q;
    struct pl_err *err;
};

/* The value of q->expr at one time; a scalar is one sample without labels. */
PL_MUST_USE pl_status naive_at(struct naive_vector *out, struct naive *x, int64_t t_ms);

/* ---- between naive.c and naive_range.c ---- */

/* One range function's value over the samples (n >= 1) of the range (end - range, end]; false: there is none. */
PL_MUST_USE pl_status naive_range_value(bool *has, double *out, struct naive *x, int kernel,
                                        const struct naive_range *r, int64_t end_ms, int64_t range_ms,
                                        int64_t step_time_ms, const double *arg);
double naive_quantile(struct naive *x, double q, const double *v, size_t n);

/* s + c is the sum of what was added (Kahan and Neumaier). */
struct naive_sum {
    double s, c;
};
void naive_add(struct naive_sum *s, double v);
/* The mean of v[0..n): by the sum, and from where that overflows by running means. */
double naive_mean(const double *v, size_t n);

#endif
