/* promql/hist_value.h - numbers out of one histogram, native or classic (this folder only). */
#ifndef PL_PROMQL_HIST_VALUE_H
#define PL_PROMQL_HIST_VALUE_H

#include "promql/eval.h"

/* What the caller has to say about NaN observations. */
enum hist_nan { HIST_NAN_NONE, HIST_NAN_RESULT, HIST_NAN_SKEW, HIST_NAN_FRACTION };

/* Spec prometheus.md 4.4, "Native". */
double pq__hist_quantile(double q, const struct hist *h, enum hist_nan *said);
double pq__hist_fraction(double from, double to, const struct hist *h, enum hist_nan *said);
/* The estimated variance of the observations. */
double pq__hist_variance(const struct hist *h);

/* Classic: cumulative counts. n >= 1 buckets sorted by bound; they are joined and repaired in place. */
struct hist_classic_bucket {
    double bound, count;
};
/* By bound, stable. */
void pq__buckets_sort(struct hist_classic_bucket *b, size_t n);
double pq__bucket_quantile(double q, struct hist_classic_bucket *b, size_t n, struct monotonic_fix *fix);
double pq__bucket_fraction(double from, double to, struct hist_classic_bucket *b, size_t n);

#endif
